//! The specifications' own test files, each case one named test, run against the machines of `core`.

pub mod auth_uri;
pub mod cmap;
pub mod connection_string;
pub mod corpus;
pub mod in_window;
pub mod json;
pub mod max_staleness;
pub mod read_write_concern;
pub mod rtt;
pub mod sdam;
pub mod sdam_monitoring;
pub mod server_selection;
pub mod uri_options;

pub use corpus::Corpus;
use std::path::PathBuf;

/// One case of one file.
pub struct Case {
    /// The suite it counts under in the table, such as `sdam/rs`.
    pub suite: &'static str,
    /// `suite::file::description` in snake case, unique.
    pub name: String,
    /// Where it comes from.
    pub file: PathBuf,
    /// Runs it; the error says what differed.
    pub run: Box<dyn FnOnce() -> Result<(), String> + Send>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every case of every suite found in `corpus`, in a stable order.
pub fn all_cases(corpus: &Corpus) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(server_selection::cases(corpus));
    cases.extend(in_window::cases(corpus));
    cases.extend(max_staleness::cases(corpus));
    cases.extend(rtt::cases(corpus));
    cases.extend(cmap::cases(corpus));
    cases.extend(sdam::cases(corpus));
    cases.extend(sdam_monitoring::cases(corpus));
    cases.extend(connection_string::cases(corpus));
    cases.extend(uri_options::cases(corpus));
    cases.extend(read_write_concern::cases(corpus));
    cases.extend(auth_uri::cases(corpus));
    // Each suite's module appends here.
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
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
