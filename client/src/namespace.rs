//! The full name of a collection.

use quorate_core::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The full name of a collection: database and collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    /// The database's name.
    pub db: String,
    /// The collection's name. It may contain dots.
    pub coll: String,
}

impl Namespace {
    /// A namespace of these two names.
    pub fn new(db: impl Into<String>, coll: impl Into<String>) -> Self {
        Namespace { db: db.into(), coll: coll.into() }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.db, self.coll)
    }
}

impl FromStr for Namespace {
    type Err = Error;

    /// Reads `database.collection`; only the first dot separates.
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('.') {
            Some((db, coll)) if !db.is_empty() && !coll.is_empty() => Ok(Namespace::new(db, coll)),
            _ => Err(Error::invalid_argument(format!("a namespace is database.collection, not {text:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_dot_separates() {
        assert_eq!("a.b.c".parse::<Namespace>().unwrap(), Namespace::new("a", "b.c"));
        assert_eq!(Namespace::new("a", "b.c").to_string(), "a.b.c");
        for bad in ["", "a", ".", "a.", ".b"] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad}");
        }
    }
}
