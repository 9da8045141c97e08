//! The specifications' own test files, each case one named test, run against the machines of `core`.
//!
//! A [`Suite`] says where its files lie, which parts of them are expectations, and what checks one case; `SUITES` lists them
//! all. A runner asserts everything its format asserts, and an unknown key is an error: what it does not understand must not
//! pass. `tests/runners_can_fail.rs` holds all of them to that by changing expectations.

mod auth_uri;
mod cmap;
mod connection_string;
pub mod corpus;
mod in_window;
mod json;
mod max_staleness;
mod read_write_concern;
pub mod report;
mod rtt;
mod sdam;
mod sdam_monitoring;
mod seedlist;
mod server_selection;
pub mod skips;
mod uri_options;

pub use corpus::Corpus;
use serde_json::Value;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Files of one format in one place.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// The suite's line in the table, such as `sdam/rs`.
    pub name: &'static str,
    /// What its cases' names begin with, such as `sdam::rs`.
    pub prefix: &'static str,
    /// Its folder in the specifications repository, below `source/`.
    pub specs: &'static str,
    /// Its folder in PyMongo's source distribution, below `test/`.
    pub pymongo: &'static str,
    /// What a case is.
    pub holds: Holds,
    /// The parts of a case that are expectations, as JSON pointers in which `*` stands for every item of a list.
    pub expects: &'static [&'static str],
    /// Runs a case; the error says what differed.
    pub check: fn(&Value) -> Result<(), String>,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// One case.
    OneCase,
    /// An object whose only key, `tests`, lists cases with a `description` each.
    Tests,
}

/// Every suite, in the order of the table.
const SUITES: [&[Suite]; 12] = [
    &sdam::SUITES,
    &sdam_monitoring::SUITES,
    &server_selection::SUITES,
    &in_window::SUITES,
    &rtt::SUITES,
    &max_staleness::SUITES,
    &cmap::SUITES,
    &connection_string::SUITES,
    &uri_options::SUITES,
    &read_write_concern::SUITES,
    &auth_uri::SUITES,
    &seedlist::SUITES,
];

/// Every suite, in the order of the table.
pub fn suites() -> impl Iterator<Item = &'static Suite> {
    SUITES.into_iter().flatten()
}

/// One case of one file.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it belongs.
    pub suite: &'static Suite,
    /// The suite's prefix, the file's path in it, the description where the file has many cases; unique.
    pub name: String,
    /// Where it comes from.
    pub file: PathBuf,
    /// What the file says; the error says why it cannot be read.
    pub test: Result<Value, String>,
}

impl Case {
    /// Runs it. A panic counts as a failure.
    ///
    /// # Errors
    /// What differed from the file.
    pub fn run(&self) -> Result<(), String> {
        self.run_as(self.test.as_ref().map_err(Clone::clone)?)
    }

    /// Runs it as if the file said `test`.
    ///
    /// # Errors
    /// What differed from `test`.
    pub fn run_as(&self, test: &Value) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(|| (self.suite.check)(test))).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<&str>().map(ToString::to_string);
            Err(format!("panicked: {}", words.or(panic.downcast_ref().cloned()).unwrap_or_default()))
        })
    }
}

/// Every case of every suite found in `corpus`, ordered by suite and name.
pub fn all_cases(corpus: &Corpus) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for suite in suites() {
        let root = corpus.folder(suite.specs, suite.pymongo);
        let mut found: Vec<Case> =
            corpus::json_files(&root).iter().flat_map(|f| in_file(suite, &root, f)).collect();
        // Two descriptions may be the same.
        for case in &mut found {
            let times = names.entry(case.name.clone()).or_default();
            *times += 1;
            if *times > 1 {
                case.name = format!("{}_{times}", case.name);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        cases.extend(found);
    }
    cases
}

/// The cases of one file. A file that cannot be read is one case, which fails.
fn in_file(suite: &'static Suite, root: &Path, file: &Path) -> Vec<Case> {
    let path = file.strip_prefix(root).unwrap_or(file).with_extension("");
    let parts = path.components().map(|part| slug(&part.as_os_str().to_string_lossy()));
    let name = parts.fold(suite.prefix.to_string(), |name, part| format!("{name}::{part}"));
    let case = |name: String, test| Case { suite, name, file: file.to_path_buf(), test };
    let json = match Corpus::load(file) {
        Ok(json) => json,
        Err(why) => return vec![case(name, Err(why))],
    };
    if suite.holds == Holds::OneCase {
        return vec![case(name, Ok(json))];
    }
    let tests =
        json::Fields::of(&json, &["tests"]).and_then(|fields| fields.list("tests").map(<[Value]>::to_vec));
    match tests {
        Err(why) => vec![case(name, Err(why))],
        Ok(tests) if tests.is_empty() => vec![case(name, Err("the file has no tests".into()))],
        Ok(tests) => {
            let described =
                |test: &Value| slug(test.get("description").and_then(Value::as_str).unwrap_or_default());
            tests.into_iter().map(|test| case(format!("{name}::{}", described(&test)), Ok(test))).collect()
        }
    }
}

/// `text` as an identifier: lower case, everything else than letters and digits folded to single underscores.
pub fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    out.trim_end_matches('_').to_string()
}
