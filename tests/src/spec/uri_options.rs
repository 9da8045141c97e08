//! The options of connection strings, each with its type and its rules.
//!
//! Format: URI options specification, tests/README: that of the connection string suite.

use super::connection_string::{EXPECTS, run};
use super::{Holds, Suite};

/// `uri-options/tests`.
pub(super) const SUITES: [Suite; 1] = [Suite {
    name: "uri-options",
    prefix: "uri_options",
    specs: "uri-options/tests",
    pymongo: "uri_options",
    holds: Holds::Tests,
    expects: EXPECTS,
    check: run,
}];
