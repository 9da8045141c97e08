//! The options of a connection string, one after the other.

use super::options::Loose;
use super::table::{OPTIONS, Repeat, Spec};
use super::{Warning, conflict, percent};
use crate::options::{ClientOptions, TLS_CONFLICTS};
use crate::{Duration, Error, Result};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// Why a value was not taken.
pub(super) enum Reject {
    /// It is ignored with a warning: the rule ("Any invalid Values for a given key MUST be ignored").
    Ignore(String),
    /// The whole connection string is refused: where an option's specification says so.
    Refuse(String),
}

pub(super) type Taken = Result<(), Reject>;

/// A value beside its option's name, decoded.
#[derive(Clone, Copy)]
pub(super) struct Value<'v> {
    pub(super) name: &'static str,
    pub(super) text: &'v str,
}

/// What has been read so far.
pub(super) struct Reader {
    pub(super) options: ClientOptions,
    /// Values that become options only together with others.
    pub(super) loose: Loose,
    warnings: Vec<Warning>,
    /// Whether each option of the table was given, valid or not.
    seen: Vec<bool>,
}

/// Reads the options in `text` into `options`, which holds what stood before them.
pub(super) fn read(options: ClientOptions, text: &str) -> Result<(ClientOptions, Vec<Warning>)> {
    let mut reader = Reader::new(options);
    for pair in pairs(text) {
        let (key, value) = pair?;
        match find(key) {
            Some((index, spec)) => reader.option(index, spec, value)?,
            None => reader.warn(key, "is not known and was ignored"),
        }
    }
    reader.check_presence()?;
    reader.finish()
}

/// Takes the options of a TXT record where they are not set yet (initial DNS seedlist discovery, "Default Connection String
/// Options").
pub(crate) fn apply_txt(options: &mut ClientOptions, record: &str) -> Result<()> {
    if record.len() > crate::options::MAX_TXT_LENGTH {
        return Err(Error::connection_string("TXT record", "is too long"));
    }
    let mut reader = Reader::new(ClientOptions::unset());
    let mut auth_source = None;
    for pair in pairs(record) {
        let (key, value) = pair?;
        match find(key) {
            Some((index, spec)) if matches!(spec.name, "authSource" | "replicaSet" | "loadBalanced") => {
                reader.option(index, spec, value)?;
            }
            _ => {
                return Err(Error::connection_string(
                    "TXT record",
                    format!("option `{key}` is not allowed there"),
                ));
            }
        }
        auth_source = auth_source.or(reader.loose.auth_source.take());
    }
    let given = reader.options;
    options.repl_set_name = options.repl_set_name.take().or(given.repl_set_name);
    options.load_balanced = options.load_balanced.or(given.load_balanced);
    if let Some(credential) = &mut options.credential {
        credential.source = credential.source.take().or(auth_source);
    }
    Ok(())
}

/// The key-value pairs of `text`, values still encoded. Empty pairs (`a=1&&b=2`, a trailing `&`) are passed over.
fn pairs(text: &str) -> impl Iterator<Item = Result<(&str, &str)>> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some(("", _)) => {
            Err(Error::connection_string("options", "a value without a name before its equals sign"))
        }
        Some(pair) => Ok(pair),
        // With an at-sign in it, it may be the rest of a password that was not encoded.
        None if pair.contains('@') => Err(Error::connection_string("options", "one lacks an equals sign")),
        None => Err(Error::connection_string(format!("option `{pair}`"), "lacks an equals sign and a value")),
    })
}

/// The option of that name and its place in the table. "Keys": case is ignored.
fn find(key: &str) -> Option<(usize, &'static Spec)> {
    OPTIONS.iter().enumerate().find(|(_, spec)| spec.name.eq_ignore_ascii_case(key))
}

impl Reader {
    fn new(options: ClientOptions) -> Self {
        let seen = OPTIONS.iter().map(|_| false).collect();
        Reader { options, loose: Loose::default(), warnings: Vec::new(), seen }
    }

    pub(super) fn warn(&mut self, option: &str, message: impl Into<String>) {
        self.warnings.push(Warning { option: option.to_string(), message: message.into() });
    }

    fn option(&mut self, index: usize, spec: &'static Spec, text: &str) -> Result<()> {
        let part = || format!("option `{}`", spec.name);
        let text = percent::decode(text).map_err(|message| Error::connection_string(part(), message))?;
        let again = self.seen.get_mut(index).is_some_and(|seen| core::mem::replace(seen, true));
        match spec.repeat {
            Repeat::Warn if again => {
                self.warn(spec.name, "is given more than once; the last valid value counts")
            }
            Repeat::Refuse if again => {
                return Err(Error::connection_string(part(), "is given more than once"));
            }
            _ => {}
        }
        if text.is_empty() && !spec.empty {
            self.warn(spec.name, "has no value and was ignored");
            return Ok(());
        }
        match (spec.take)(self, Value { name: spec.name, text: &text }) {
            Ok(()) => Ok(()),
            Err(Reject::Ignore(message)) => {
                self.warn(spec.name, format!("{message}; the value was ignored"));
                Ok(())
            }
            Err(Reject::Refuse(message)) => Err(Error::connection_string(part(), message)),
        }
    }

    pub(super) fn given(&self, name: &str) -> bool {
        OPTIONS.iter().zip(&self.seen).any(|(spec, seen)| *seen && spec.name == name)
    }

    /// The rules about options being there at all, whatever their values.
    fn check_presence(&self) -> Result<()> {
        for (one, other) in TLS_CONFLICTS {
            if self.given(one) && self.given(other) {
                return Err(conflict((one, format!("cannot be given together with {other}"))));
            }
        }
        if self.options.srv_host.is_none() {
            for name in ["srvMaxHosts", "srvServiceName", "srvAllowedHostsSuffix"] {
                if self.given(name) {
                    return Err(conflict((name, "goes with mongodb+srv only".into())));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(ClientOptions, Vec<Warning>)> {
        self.assemble().map_err(conflict)?;
        Ok((self.options, self.warnings))
    }

    /// "Boolean": `true`, `false`, and the old spellings with a warning.
    pub(super) fn boolean(&mut self, value: Value<'_>) -> Result<bool, Reject> {
        let read = match value.text {
            "true" => return Ok(true),
            "false" => return Ok(false),
            "1" | "yes" | "y" | "t" => true,
            "0" | "-1" | "no" | "n" | "f" => false,
            _ => return Err(Reject::Ignore("must be true or false".into())),
        };
        self.warn(value.name, format!("this spelling is deprecated, write {}={read}", value.name));
        Ok(read)
    }
}

impl Value<'_> {
    /// "Integer", within `range`.
    pub(super) fn integer(self, range: RangeInclusive<i64>) -> Result<i64, Reject> {
        let digits = self.text.strip_prefix('-').unwrap_or(self.text);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        match self.text.parse::<i64>() {
            Ok(number) if plain && range.contains(&number) => Ok(number),
            _ => Err(Reject::Ignore(format!(
                "must be an integer between {} and {}",
                range.start(),
                range.end()
            ))),
        }
    }

    /// A non-negative 32-bit integer ("All integer options are 32-bit unless specified otherwise").
    pub(super) fn count(self, min: i64) -> Result<u32, Reject> {
        let number = self.integer(min..=i64::from(i32::MAX))?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// A non-negative 32-bit number of milliseconds.
    pub(super) fn millis(self, min: i64) -> Result<Duration, Reject> {
        Ok(Duration::from_millis(u64::from(self.count(min)?)))
    }

    pub(super) fn owned(self) -> String {
        self.text.to_string()
    }
}
