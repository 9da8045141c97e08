//! Regular expressions.

use crate::store::failure::{Failure, Result};
use bson::Bson;
use regex_lite::{Regex, RegexBuilder};

/// A compiled regular expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    compiled: Regex,
    source: String,
    options: String,
}

impl Pattern {
    /// Compiles one. Options are the server's: `i`, `m`, `s`, `x`, and `u`, which says nothing new.
    pub(crate) fn new(source: &str, options: &str) -> Result<Pattern> {
        if let Some(flag) = options.chars().find(|c| !matches!(c, 'i' | 'm' | 's' | 'x' | 'u')) {
            return Err(Failure::new(51108, format!(" invalid flag in regex options: {flag}")));
        }
        let compiled = RegexBuilder::new(source)
            .case_insensitive(options.contains('i'))
            .multi_line(options.contains('m'))
            .dot_matches_new_line(options.contains('s'))
            .ignore_whitespace(options.contains('x'))
            .build()
            .map_err(|e| {
                Failure::new(51091, format!("Regular expression is invalid: {}", reason(&e.to_string())))
            })?;
        Ok(Pattern { compiled, source: source.to_owned(), options: options.to_owned() })
    }

    /// Whether a value matches: text that contains it, or the same expression stored as a value.
    pub(crate) fn matches(&self, value: &Bson) -> bool {
        match value {
            Bson::String(text) | Bson::Symbol(text) => self.compiled.is_match(text),
            Bson::RegularExpression(other) => {
                other.pattern.as_str() == self.source && other.options.as_str() == self.options
            }
            _ => false,
        }
    }
}

/// The server's word for the commonest mistake; the engine's own for others.
fn reason(engine: &str) -> &str {
    if engine.contains("group") { "missing )" } else { engine }
}
