//! Reading test files strictly: a key that a runner does not know is an error, not a skip.

use serde_json::{Map, Value};
use std::fmt::Debug;

/// An object all of whose keys are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// Takes `value` as an object with keys out of `known` only.
    ///
    /// # Errors
    /// When it is no object or has another key.
    pub(super) fn of(value: &'a Value, known: &[&str]) -> Result<Self, String> {
        let map = object(value)?;
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(format!("the runner does not understand the key {key:?}")),
            None => Ok(Fields(map)),
        }
    }

    /// The value of a key that must be there (it may be null).
    ///
    /// # Errors
    /// When it is absent.
    pub(super) fn get(&self, key: &str) -> Result<&'a Value, String> {
        self.0.get(key).ok_or_else(|| format!("the key {key:?} is missing"))
    }

    /// The value of a key that may be absent.
    pub(super) fn find(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key)
    }

    /// A text; `None` if it is absent or null.
    ///
    /// # Errors
    /// When it is anything else.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        self.some(key, Value::as_str)
    }

    /// An integer; `None` if it is absent or null.
    ///
    /// # Errors
    /// When it is anything else.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, String> {
        self.some(key, Value::as_i64)
    }

    /// A boolean; `None` if it is absent or null.
    ///
    /// # Errors
    /// When it is anything else.
    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, String> {
        self.some(key, Value::as_bool)
    }

    fn some<T>(&self, key: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>, String> {
        match self.find(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| format!("{key:?} cannot be {value}")),
        }
    }

    /// The items of a list; none if it is absent.
    ///
    /// # Errors
    /// When it is no list.
    pub(super) fn list(&self, key: &str) -> Result<&'a [Value], String> {
        match self.0.get(key) {
            None => Ok(&[]),
            Some(value) => value.as_array().map(Vec::as_slice).ok_or_else(|| format!("{key:?} is no list")),
        }
    }
}

/// `value` as an object.
///
/// # Errors
/// When it is none.
pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("expected an object, found {value}"))
}

/// `value` as a string.
///
/// # Errors
/// When it is none.
pub(super) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("expected a string, found {value}"))
}

/// Compares, naming what is compared.
///
/// # Errors
/// When the two differ.
pub(super) fn check<T: PartialEq + Debug>(what: &str, expected: T, actual: T) -> Result<(), String> {
    if expected == actual { Ok(()) } else { Err(format!("{what}: expected {expected:?}, found {actual:?}")) }
}

/// For `map_err`: says where an error was.
pub(super) fn at(place: &str) -> impl Fn(String) -> String {
    move |error| format!("{place}: {error}")
}
