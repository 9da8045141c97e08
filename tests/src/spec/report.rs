//! All cases run, and what came of them, suite by suite.

use super::skips::Skips;
use super::{Case, Corpus, all_cases, suites};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One suite's line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its name.
    pub suite: String,
    /// How many files it has.
    pub files: usize,
    /// How many cases they hold.
    pub cases: usize,
    /// How many of them passed.
    pub passed: usize,
    /// The cases that failed, and why.
    pub failed: BTreeMap<String, String>,
    /// The cases that were skipped, and why.
    pub skipped: BTreeMap<String, String>,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each suite that the corpus has.
    pub lines: Vec<Line>,
    /// What is wrong with `skips.toml`; always empty for other corpora than the default.
    pub stale_skips: Vec<String>,
}

impl Report {
    /// Runs all of `corpus` on all processors.
    pub fn run(corpus: &Corpus, skips: &Skips) -> Self {
        let cases = all_cases(corpus);
        let outcomes = run_all(&cases);
        let mut report = Report::default();
        for suite in suites() {
            let mut line = Line { suite: suite.name.into(), ..Line::default() };
            let mut files = BTreeSet::new();
            let of_suite = cases.iter().zip(&outcomes).filter(|(case, _)| case.suite.name == suite.name);
            for (case, outcome) in of_suite {
                files.insert(&case.file);
                line.cases += 1;
                match (skips.reason(case), outcome) {
                    (Some(reason), outcome) => {
                        line.skipped.insert(case.name.clone(), reason.into());
                        if outcome.is_ok() && corpus.is_default() {
                            report.stale_skips.push(format!("{} passes", case.name));
                        }
                    }
                    (None, Ok(())) => line.passed += 1,
                    (None, Err(why)) => {
                        line.failed.insert(case.name.clone(), why.clone());
                    }
                }
            }
            line.files = files.len();
            if line.cases > 0 {
                report.lines.push(line);
            }
        }
        if corpus.is_default() {
            let unmatched = skips.unmatched(&cases).into_iter().map(|name| format!("{name} matches no case"));
            report.stale_skips.extend(unmatched);
        }
        report
    }

    /// Whether all is as it should be.
    pub fn is_good(&self) -> bool {
        !self.lines.is_empty()
            && self.stale_skips.is_empty()
            && self.lines.iter().all(|line| line.failed.is_empty())
    }

    /// The sums.
    pub fn total(&self) -> Line {
        let mut total = Line { suite: "total".into(), ..Line::default() };
        for line in &self.lines {
            total.files += line.files;
            total.cases += line.cases;
            total.passed += line.passed;
            total.failed.extend(line.failed.clone());
            total.skipped.extend(line.skipped.clone());
        }
        total
    }
}

impl Line {
    /// As a JSON object on one line.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Json<'a> {
            suite: &'a str,
            files: usize,
            cases: usize,
            passed: usize,
            failed: usize,
            skipped: usize,
            failed_cases: Vec<&'a String>,
            skipped_cases: Vec<&'a String>,
        }
        let json = Json {
            suite: &self.suite,
            files: self.files,
            cases: self.cases,
            passed: self.passed,
            failed: self.failed.len(),
            skipped: self.skipped.len(),
            failed_cases: self.failed.keys().collect(),
            skipped_cases: self.skipped.keys().collect(),
        };
        serde_json::to_string(&json).expect("numbers and texts are JSON")
    }
}

impl fmt::Display for Report {
    /// The table, as Markdown that is readable as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {:<44} | files | cases | passed | failed | skipped |", "suite")?;
        writeln!(f, "|{:-<46}|------:|------:|-------:|-------:|--------:|", "")?;
        for line in self.lines.iter().chain([&self.total()]) {
            let Line { suite, files, cases, passed, failed, skipped } = line;
            let (failed, skipped) = (failed.len(), skipped.len());
            writeln!(
                f,
                "| {suite:<44} | {files:>5} | {cases:>5} | {passed:>6} | {failed:>6} | {skipped:>7} |"
            )?;
        }
        Ok(())
    }
}

/// Runs `cases` on all processors, and gives their outcomes in the same order.
fn run_all(cases: &[Case]) -> Vec<Result<(), String>> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut done: Vec<(usize, Result<(), String>)> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            while let Some((at, case)) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                cases.get(at).map(|case| (at, case))
            } {
                done.push((at, case.run()));
            }
            done
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("cases catch their panics")).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
