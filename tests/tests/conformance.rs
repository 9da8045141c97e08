//! Every specification case as one named test.
//!
//! `cargo test -p quorate-tests --test conformance -- sdam::rs` runs those of one suite. A case listed in `tests/skips.toml` is
//! expected to fail where the list is binding, which is with the default corpus, and is ignored elsewhere.

use libtest_mimic::{Arguments, Failed, Trial};
use quorate_tests::spec::skips::Skips;
use quorate_tests::spec::{Case, Corpus, all_cases};

fn main() {
    let args = Arguments::from_args();
    match trials() {
        Ok(trials) => libtest_mimic::run(&args, trials).exit(),
        Err(why) => {
            eprintln!("{why}");
            std::process::exit(1);
        }
    }
}

fn trials() -> Result<Vec<Trial>, String> {
    let corpus = Corpus::open()?;
    let skips = Skips::ours()?;
    let cases = all_cases(&corpus);
    let unmatched: Vec<String> = skips.unmatched(&cases).into_iter().map(str::to_string).collect();
    let mut trials: Vec<Trial> = cases.into_iter().map(|case| trial(case, &corpus, &skips)).collect();
    if corpus.is_default() {
        trials.push(Trial::test("skips_match_cases", move || {
            if unmatched.is_empty() { Ok(()) } else { Err(format!("no such case: {unmatched:?}").into()) }
        }));
    }
    Ok(trials)
}

fn trial(case: Case, corpus: &Corpus, skips: &Skips) -> Trial {
    let name = case.name.clone();
    match skips.reason(&case) {
        None => Trial::test(name, move || case.run().map_err(Failed::from)),
        Some(_) if corpus.is_default() => Trial::test(name, move || match case.run() {
            Ok(()) => Err("passes: take it out of tests/skips.toml".into()),
            Err(_) => Ok(()),
        })
        .with_kind("skipped"),
        Some(_) => Trial::test(name, || Ok(())).with_ignored_flag(true),
    }
}
