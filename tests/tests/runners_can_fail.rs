//! The runners are held to their formats: one expected value changed in a copy of a file, and the case fails.
//!
//! Every value in the parts that a suite declares as its expectations is changed, one at a time: a boolean is negated, a number
//! goes up, a text is another, what was null is there; and from every list the last item is taken, and one is put in twice.
//! A change that no runner notices is named in the failure.

use quorate_tests::spec::{Case, Corpus, all_cases};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn every_changed_expectation_fails_its_case() {
    let corpus = Corpus::open().unwrap();
    let cases: Vec<Case> = all_cases(&corpus).into_iter().filter(|case| case.run().is_ok()).collect();
    let survivors = Mutex::new(Vec::new());
    let (next, tried) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (changes, alive) = survivors_of(case);
                    tried.fetch_add(changes, Ordering::Relaxed);
                    survivors.lock().unwrap().extend(alive);
                }
            });
        }
    });
    let mut survivors = survivors.into_inner().unwrap();
    survivors.sort();
    assert!(survivors.is_empty(), "{} changes went unnoticed:\n{}", survivors.len(), survivors.join("\n"));
    assert!(tried.into_inner() > 10 * cases.len(), "there are many more expectations than cases");
}

/// Every suite declares expectations, and every case has at least one of them, so no case can pass by asserting nothing.
#[test]
fn every_case_has_an_expectation() {
    for case in all_cases(&Corpus::open().unwrap()) {
        let test = case.test.as_ref().unwrap();
        let found = case.suite.expects.iter().any(|pattern| !expand(test, pattern).is_empty());
        assert!(found, "{} has none of {:?}", case.name, case.suite.expects);
    }
}

/// How many changes were tried on a case, and which of them it passed all the same.
fn survivors_of(case: &Case) -> (usize, Vec<String>) {
    let test = case.test.as_ref().unwrap();
    let mut changes = Vec::new();
    for pattern in case.suite.expects {
        for pointer in expand(test, pattern) {
            collect(test.pointer(&pointer).unwrap(), &pointer, &mut changes);
        }
    }
    let mut alive = Vec::new();
    for (pointer, value) in &changes {
        let mut changed = test.clone();
        let place = changed.pointer_mut(pointer).unwrap();
        let was = std::mem::replace(place, value.clone());
        if case.run_as(&changed).is_ok() {
            alive.push(format!("{} {pointer}: {was} -> {value}", case.name));
        }
    }
    (changes.len(), alive)
}

/// The places a pattern stands for: `*` is every item of a list.
fn expand(test: &Value, pattern: &str) -> Vec<String> {
    let mut places = vec![String::new()];
    for part in pattern.split('/').skip(1) {
        places = places
            .into_iter()
            .flat_map(|place| match part {
                "*" => {
                    let items = test.pointer(&place).and_then(Value::as_array).map_or(0, Vec::len);
                    (0..items).map(|i| format!("{place}/{i}")).collect()
                }
                _ => vec![format!("{place}/{part}")],
            })
            .filter(|place| test.pointer(place).is_some())
            .collect();
    }
    places
}

/// Every change to `value` and what is in it, as the place and what to put there.
fn collect(value: &Value, pointer: &str, changes: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect(member, &format!("{pointer}/{key}"), changes);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                collect(item, &format!("{pointer}/{i}"), changes);
            }
            if let Some((last, before)) = items.split_last() {
                changes.push((pointer.into(), json!(before)));
                let twice: Vec<&Value> = items.iter().chain([last]).collect();
                changes.push((pointer.into(), json!(twice)));
            }
        }
        Value::Bool(was) => changes.push((pointer.into(), json!(!was))),
        Value::Number(was) => {
            let more = was.as_i64().map_or_else(|| json!(was.as_f64().unwrap() + 1.0), |n| json!(n + 1));
            changes.push((pointer.into(), more));
        }
        Value::String(was) => changes.push((pointer.into(), json!(another(was)))),
        Value::Null => {
            changes.extend([json!("something"), json!(7), json!(true)].map(|v| (pointer.into(), v)))
        }
    }
}

/// Another text of the same kind: numbers stay numbers and hexadecimal stays hexadecimal.
fn another(text: &str) -> String {
    if let Ok(number) = text.parse::<i64>() {
        return (number + 1).to_string();
    }
    match text.strip_suffix(|c: char| c.is_ascii_hexdigit()) {
        Some(start) if text.len() == 24 && text.chars().all(|c| c.is_ascii_hexdigit()) => {
            format!("{start}{}", if text.ends_with('1') { '2' } else { '1' })
        }
        _ => format!("x{text}"),
    }
}
