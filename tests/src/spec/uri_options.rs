//! The options of connection strings, each with its type and its rules.
//!
//! Format: URI options specification, tests/README: that of the connection string suite.

use super::connection_string::{Test, run, tests};
use super::{Case, Corpus};

/// The cases of `uri-options/tests`.
pub fn cases(corpus: &Corpus) -> Vec<Case> {
    let files = corpus.json_files("uri-options/tests", "uri_options");
    tests("uri options", "uri_options", files, |test: &Test| test.description.clone(), run)
}
