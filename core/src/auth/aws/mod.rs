//! MONGODB-AWS: signs a request to AWS's own "who am I?", which the server sends there to find out.
//!
//! The keys come from the host: out of the connection string, or found by [`AwsKeySource`].
//!
//! Source: authentication specification, "MONGODB-AWS".

mod date;
mod sign;
mod source;

pub use source::{AwsEnv, AwsKeySource};

use crate::Duration;
use crate::raw::{DocWriter, RawDoc, Value};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use date::Date;
use zeroize::Zeroizing;

/// "Credentials are considered valid if they are more than five minutes away from expiring".
const SPARE: Duration = Duration::from_secs(5 * 60);

/// Keys of AWS IAM. Wiped from memory when dropped.
#[derive(Clone)]
pub struct AwsKeys {
    /// Not secret.
    pub access_key_id: String,
    /// Secret.
    pub secret_access_key: Zeroizing<String>,
    /// That of temporary keys.
    pub session_token: Option<Zeroizing<String>>,
    /// When temporary keys end, as the time since the Unix epoch.
    pub expires: Option<Duration>,
}

impl AwsKeys {
    /// Keys that never expire, or nobody knows when.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        AwsKeys {
            access_key_id: access_key_id.into(),
            secret_access_key: Zeroizing::new(secret_access_key.into()),
            session_token: None,
            expires: None,
        }
    }

    /// Whether they may be used again later: they came from an endpoint, and do not end within five minutes of `unix_time`
    /// ("Caching Credentials").
    pub fn is_fresh(&self, unix_time: Duration) -> bool {
        self.expires.is_some_and(|end| end > unix_time.saturating_add(SPARE))
    }
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys")
            .field("access_key_id", &self.access_key_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// One conversation.
pub(super) struct Aws {
    nonce: [u8; 32],
    /// What the server said: its whole nonce, and who it is to ask.
    server: Option<([u8; 64], String)>,
}

impl Aws {
    pub(super) const fn new(nonce: [u8; 32]) -> Self {
        Aws { nonce, server: None }
    }

    /// "The client-first-message MUST set the gs2-cb-flag to the integer representation of the ASCII character `n`".
    pub(super) fn client_first(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        DocWriter::new(&mut bytes).binary("r", 0, &self.nonce).i32("p", i32::from(b'n')).finish();
        bytes
    }

    /// "Server First". Errors are words for the reason.
    pub(super) fn server_first(&mut self, payload: &[u8]) -> Result<(), String> {
        let reply = RawDoc::new(payload).map_err(|error| error.to_string())?;
        let field = |name: &str| reply.get(name).ok().flatten();
        let Some(Value::Binary(_, nonce)) = field("s") else {
            return Err("the server sends no nonce".into());
        };
        let nonce = <[u8; 64]>::try_from(nonce)
            .map_err(|_| format!("the server's nonce has {} bytes instead of 64", nonce.len()))?;
        if !nonce.starts_with(&self.nonce) {
            return Err("the server's nonce does not continue the client's".into());
        }
        let Some(Value::String(host)) = field("h") else { return Err("the server names no STS host".into()) };
        region(host)?;
        self.server = Some((nonce, host.to_string()));
        Ok(())
    }

    /// "Client Second".
    pub(super) fn client_second(&self, keys: &AwsKeys, unix_time: Duration) -> Result<Vec<u8>, String> {
        let Some((nonce, host)) = &self.server else { return Err("nobody asked for keys".into()) };
        let date = Date::new(unix_time);
        let authorization = sign::authorization(keys, host, region(host)?, nonce, &date);
        let mut bytes = Vec::new();
        let doc = DocWriter::new(&mut bytes).str("a", &authorization).str("d", &date.stamp());
        match &keys.session_token {
            Some(token) => doc.str("t", token),
            None => doc,
        }
        .finish();
        Ok(bytes)
    }
}

/// "Region Calculation".
fn region(host: &str) -> Result<&str, String> {
    if host.is_empty() || host.len() > 255 || host.split('.').any(str::is_empty) {
        return Err(format!("the server's STS host is no host name: {host:.64}"));
    }
    // What goes into a header must not end it.
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
        return Err("the server's STS host has characters that no host name has".into());
    }
    Ok(match host {
        "sts.amazonaws.com" | "aws.amazonaws.com" => "us-east-1",
        _ => host.split('.').nth(1).unwrap_or("us-east-1"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's table.
    #[test]
    fn regions() {
        for (host, expected) in [
            ("sts.amazonaws.com", "us-east-1"),
            ("aws.amazonaws.com", "us-east-1"),
            ("sts.us-west-2.amazonaws.com", "us-west-2"),
            ("sts.us-west-2.amazonaws.com.ch", "us-west-2"),
            ("example.com", "com"),
            ("localhost", "us-east-1"),
        ] {
            assert_eq!(region(host), Ok(expected));
        }
        for host in ["sts..com", ".amazonaws.com", "sts.amazonaws.", "", "a\r\nb.c", &"a".repeat(256)] {
            assert!(region(host).is_err(), "{host}");
        }
    }

    fn server_first(nonce: &[u8], host: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        DocWriter::new(&mut bytes).binary("s", 0, nonce).str("h", host).finish();
        bytes
    }

    #[test]
    fn the_conversation() {
        let mut aws = Aws::new([7; 32]);
        let first = aws.client_first();
        let first: bson::Document = bson::deserialize_from_slice(&first).unwrap();
        assert_eq!(first.get_i32("p").unwrap(), 110);
        assert_eq!(first.get_binary_generic("r").unwrap(), &[7; 32]);
        let nonce = [[7; 32], [9; 32]].concat();
        aws.server_first(&server_first(&nonce, "sts.amazonaws.com")).unwrap();
        let mut keys = AwsKeys::new("AKID", "canary");
        let time = Duration::from_secs(1_573_086_367);
        let second: bson::Document =
            bson::deserialize_from_slice(&aws.client_second(&keys, time).unwrap()).unwrap();
        assert_eq!(second.get_str("d").unwrap(), "20191107T002607Z");
        assert!(!second.contains_key("t"), "\"When using regular credentials, it MUST be omitted\"");
        let header = second.get_str("a").unwrap();
        assert!(
            header.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKID/20191107/us-east-1/sts/aws4_request, \
                 SignedHeaders=content-length;content-type;host;x-amz-date;x-mongodb-gs2-cb-flag;\
                 x-mongodb-server-nonce, Signature="
            ),
            "{header}"
        );
        assert!(!header.contains("canary"));
        keys.session_token = Some(Zeroizing::new("token".into()));
        let second: bson::Document =
            bson::deserialize_from_slice(&aws.client_second(&keys, time).unwrap()).unwrap();
        assert_eq!(second.get_str("t").unwrap(), "token");
        assert!(second.get_str("a").unwrap().contains("x-amz-date;x-amz-security-token;x-mongodb"));
    }

    #[test]
    fn servers_that_do_not_follow_the_protocol_are_refused() {
        let (short, other) = ([7; 63], [[8; 32], [9; 32]].concat());
        let good = [[7; 32], [9; 32]].concat();
        for (payload, why) in [
            (Vec::new(), "malformed"),
            (RawDoc::EMPTY.as_bytes().to_vec(), "no nonce"),
            (server_first(&short, "sts.amazonaws.com"), "63 bytes"),
            (server_first(&other, "sts.amazonaws.com"), "does not continue"),
            (server_first(&good, "sts..com"), "no host name"),
        ] {
            let reason = Aws::new([7; 32]).server_first(&payload).unwrap_err();
            assert!(reason.contains(why), "{reason}");
        }
        assert!(Aws::new([7; 32]).client_second(&AwsKeys::new("a", "b"), Duration::ZERO).is_err());
    }

    #[test]
    fn keys_show_nothing_secret_and_are_fresh_until_five_minutes_before_their_end() {
        let mut keys = AwsKeys::new("AKID", "canary");
        keys.session_token = Some(Zeroizing::new("canary".into()));
        assert!(!keys.is_fresh(Duration::ZERO), "what has no end is read anew each time");
        keys.expires = Some(Duration::from_secs(1000));
        assert!(keys.is_fresh(Duration::from_secs(699)) && !keys.is_fresh(Duration::from_secs(700)));
        assert!(!format!("{keys:?}").contains("canary"));
    }
}
