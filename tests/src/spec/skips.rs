//! `tests/skips.toml`: the cases that are not held to pass.

use super::Case;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The list in this repository.
const OURS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/skips.toml"));

/// The skipped cases by name, each with its reason.
#[derive(Clone, Debug, Default)]
pub struct Skips(BTreeMap<String, String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    skip: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    case: String,
    reason: String,
}

impl Skips {
    /// `tests/skips.toml`, as it was when this was built.
    ///
    /// # Errors
    /// When it is not in order.
    pub fn ours() -> Result<Self, String> {
        Self::parse(OURS)
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// When it is no TOML of that form, names a case twice, or gives no reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| format!("skips.toml: {e}"))?;
        let mut skips = BTreeMap::new();
        for Entry { case, reason } in file.skip {
            if reason.trim().is_empty() {
                return Err(format!("skips.toml: no reason for {case}"));
            }
            if skips.insert(case.clone(), reason).is_some() {
                return Err(format!("skips.toml: {case} is there twice"));
            }
        }
        Ok(Skips(skips))
    }

    /// Why a case is skipped; `None` if it is not.
    pub fn reason(&self, case: &Case) -> Option<&str> {
        self.0.get(&case.name).map(String::as_str)
    }

    /// The entries that match none of `cases`.
    pub fn unmatched(&self, cases: &[Case]) -> Vec<&str> {
        let known = |name: &str| cases.iter().any(|case| case.name == name);
        self.0.keys().map(String::as_str).filter(|name| !known(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_need_a_case_and_a_reason() {
        Skips::parse("").unwrap();
        let entry = "[[skip]]\ncase = 'a::b'\nreason = 'why'\n";
        assert_eq!(Skips::parse(entry).unwrap().unmatched(&[]), ["a::b"]);
        for bad in [
            "[[skip]]\ncase = 'a::b'\n",
            "[[skip]]\ncase = 'a::b'\nreason = ' '\n",
            "[[skip]]\ncase = 'a::b'\nreason = 'why'\nuntil = 'then'\n",
            "skip = 1",
            &entry.repeat(2),
        ] {
            assert!(Skips::parse(bad).is_err(), "{bad}");
        }
    }
}
