//! Connection strings: `mongodb://` and `mongodb+srv://`.
//!
//! [`ConnectionString::parse`] reads one into [`ClientOptions`], strictly: what is wrong is an error that names the part, what
//! the specifications ask to overlook is a [`Warning`]. Nothing here looks up names or reads files. The work is linear in the
//! length of the text, and no message repeats a password.
//!
//! Source: connection string specification; URI options specification; and those that define an option each.
//!
//! # Where readers of connection strings differ
//!
//! * An option given twice: the last valid one counts, with a warning. The proxy options may not be given twice, `tls` and `ssl`
//!   must agree, and every `readPreferenceTags` is one more tag set.
//! * Any option whose name begins with `tls` enables TLS, unless `tls=false` (`ssl=false`) is given as well.
//! * `authMechanismProperties` and `readPreferenceTags` are decoded first and split afterwards, so no value can contain a comma.
//!   Such a value (of `TOKEN_RESOURCE`, for one) has to be set in code. A value may contain colons.
//! * Options are separated by `&` only.

mod authority;
mod options;
mod percent;
mod print;
mod reader;
mod table;

use crate::options::{ClientOptions, Conflict, Credential};
use crate::{Error, Result, ServerAddress};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

pub(crate) use reader::apply_txt;

/// The most hosts a connection string may name: many times the members of any replica set, and no more than a client can
/// reasonably watch.
pub const MAX_SEEDS: usize = 1000;

/// What was overlooked in a connection string.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The option's name.
    pub option: String,
    /// What is odd about it, and what was made of it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection string option `{}`: {}", self.option, self.message)
    }
}

/// A connection string that has been read.
///
/// ```
/// use quorate_core::uri::ConnectionString;
/// let read = ConnectionString::parse("mongodb://ann:s3cret@a,b:27018/app?replicaSet=rs0&w=majority&x=1").unwrap();
/// assert_eq!(read.hosts().len(), 2);
/// assert_eq!(read.options().repl_set_name.as_deref(), Some("rs0"));
/// assert_eq!(read.warnings()[0].option, "x");
/// assert_eq!(read.to_string(), "mongodb://ann:***@a,b:27018/app?replicaSet=rs0&w=majority");
/// let wrong = ConnectionString::parse("mongodb://a:0").unwrap_err();
/// assert_eq!(wrong.to_string(), "invalid connection string: port of `a`: must be a number between 1 and 65535");
/// ```
///
/// Two are equal when they mean the same, whatever their warnings. `Display` shows the canonical form with `***` in place of
/// every secret; [`ConnectionString::to_string_with_secrets`] shows the real one, which reads back as the same value.
#[derive(Clone, Debug)]
pub struct ConnectionString {
    options: ClientOptions,
    warnings: Vec<Warning>,
}

impl ConnectionString {
    /// Reads a connection string.
    ///
    /// # Errors
    /// [`crate::ErrorKind::ConnectionString`]; `part` is the part that is wrong: `scheme`, `user name`, `password`,
    /// `host list`, ``host `x` ``, ``port of `x` ``, `database` or ``option `foo` ``.
    pub fn parse(text: &str) -> Result<Self> {
        let (srv, rest) = if let Some(rest) = text.strip_prefix("mongodb://") {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix("mongodb+srv://") {
            (true, rest)
        } else {
            return Err(Error::connection_string("scheme", "must be mongodb:// or mongodb+srv://"));
        };
        let parts = Parts::split(rest)?;
        let mut options = ClientOptions::unset();
        let user = parts.userinfo.map(authority::userinfo).transpose()?;
        if srv {
            options.srv_host = Some(authority::srv_host(parts.hosts)?);
        } else {
            options.hosts = authority::hosts(parts.hosts)?;
        }
        options.default_database = authority::database(parts.database)?;
        options.credential = user.map(|(username, password)| Credential {
            username: Some(username),
            password,
            ..Credential::default()
        });
        let (options, warnings) = reader::read(options, parts.options)?;
        options.check().map_err(conflict)?;
        Ok(ConnectionString { options, warnings })
    }

    /// The seeds; empty for `mongodb+srv`.
    pub fn hosts(&self) -> &[ServerAddress] {
        &self.options.hosts
    }

    /// The host of a `mongodb+srv` connection string, whose SRV records are the seeds.
    pub fn srv_host(&self) -> Option<&str> {
        self.options.srv_host.as_deref()
    }

    /// The options as given: the credential's defaults are not filled in yet.
    pub const fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// What was overlooked, in order.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The options for a client, the credential's defaults filled in (for `mongodb+srv` that waits for
    /// [`ClientOptions::apply_srv`], as DNS has a say in them).
    pub fn into_options(self) -> ClientOptions {
        let mut options = self.options;
        if options.srv_host.is_none() {
            options.fill_credential_defaults();
        }
        options
    }

    /// The canonical form with user's password, proxy's password and the like in it: for those who may see them.
    pub fn to_string_with_secrets(&self) -> String {
        print::print(&self.options, true)
    }
}

/// The parts between scheme and end, still encoded.
struct Parts<'a> {
    userinfo: Option<&'a str>,
    hosts: &'a str,
    database: &'a str,
    options: &'a str,
}

impl<'a> Parts<'a> {
    /// "Reference Implementation", steps 2, 3 and 6; the slash before the options may be missing.
    fn split(rest: &'a str) -> Result<Self> {
        let (before, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = before.split_once('/').unwrap_or((before, ""));
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        // A slash or question mark in a password cuts it in two. Found out here, no half of it can end up in a message
        // about hosts or options.
        let first_key = options.split(['=', '&']).next().unwrap_or_default();
        if database.contains('@') || (userinfo.is_none() && first_key.contains('@')) {
            return Err(Error::connection_string(
                "user name or password",
                "a slash, question mark or at-sign in it must be percent-encoded (so must an at-sign in the database)",
            ));
        }
        Ok(Parts { userinfo, hosts, database, options })
    }
}

/// A broken rule as an error about its part of the text.
fn conflict((option, message): Conflict) -> Error {
    let part = match option {
        "user name" | "password" => Cow::Borrowed(option),
        "hosts" => Cow::Borrowed("host list"),
        _ => Cow::Owned(format!("option `{option}`")),
    };
    Error::connection_string(part, message)
}

impl FromStr for ConnectionString {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for ConnectionString {
    type Error = Error;
    fn try_from(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<&String> for ConnectionString {
    type Error = Error;
    fn try_from(text: &String) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ConnectionString {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<ConnectionString> for ClientOptions {
    fn from(read: ConnectionString) -> Self {
        read.into_options()
    }
}

impl PartialEq for ConnectionString {
    fn eq(&self, other: &Self) -> bool {
        self.options == other.options
    }
}

impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print::print(&self.options, false))
    }
}

impl ClientOptions {
    /// Reads a connection string into options, as the official crate does: `ClientOptions::parse(uri).await`.
    ///
    /// The future is ready at once. For `mongodb+srv` the seeds are looked up when the client is made. To see the warnings, use
    /// [`ConnectionString::parse`].
    ///
    /// # Errors
    /// See [`ConnectionString::parse`] and [`ClientOptions::validate`].
    pub fn parse<C>(uri: C) -> core::future::Ready<Result<ClientOptions>>
    where
        C: TryInto<ConnectionString>,
        C::Error: Into<Error>,
    {
        let read = uri.try_into().map_err(Into::into).map(ConnectionString::into_options);
        core::future::ready(read)
    }
}

#[cfg(test)]
mod tests;
