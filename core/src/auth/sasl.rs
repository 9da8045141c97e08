//! The commands that carry a mechanism's messages, and their replies.
//!
//! Source: authentication specification, "SASL Mechanisms".

use super::Authenticator;
use crate::options::AuthMechanism;
use crate::raw::{DocWriter, RawDoc, Value};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// A command's fields without `$db`, and a reply's payload.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// `saslStart`. With `db` it is what goes into a hello: there the command has no database of its own.
pub(super) fn start(mechanism: AuthMechanism, payload: &[u8], db: Option<&str>) -> Bytes {
    write(|doc| {
        let doc = doc.i32("saslStart", 1).str("mechanism", mechanism.as_str()).binary("payload", 0, payload);
        let doc = doc.i32("autoAuthorize", 1);
        let doc = match mechanism {
            AuthMechanism::ScramSha1 | AuthMechanism::ScramSha256 => {
                doc.doc("options", |options| options.bool("skipEmptyExchange", true))
            }
            _ => doc,
        };
        with_db(doc, db)
    })
}

/// `saslContinue`.
pub(super) fn go_on(conversation: i32, payload: &[u8]) -> Bytes {
    write(|doc| doc.i32("saslContinue", 1).i32("conversationId", conversation).binary("payload", 0, payload))
}

/// MONGODB-X509's one command. "If the application does not provide a username you MUST NOT send a username".
pub(super) fn x509(who: &Authenticator, db: Option<&str>) -> Bytes {
    write(|doc| {
        let doc = doc.i32("authenticate", 1).str("mechanism", AuthMechanism::MongoDbX509.as_str());
        let doc = match &who.0.user {
            Some(user) => doc.str("user", user),
            None => doc,
        };
        with_db(doc, db)
    })
}

fn with_db<'d>(doc: DocWriter<'d>, db: Option<&str>) -> DocWriter<'d> {
    match db {
        Some(db) => doc.str("db", db),
        None => doc,
    }
}

fn write(fields: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) -> Bytes {
    // Room for all of it: a buffer that grows leaves copies of a secret behind.
    let mut bytes = Vec::with_capacity(4096);
    fields(DocWriter::new(&mut bytes)).finish();
    Zeroizing::new(bytes)
}

/// A reply to either command, `ok: 1`.
pub(super) struct SaslReply<'a> {
    pub(super) conversation: i32,
    pub(super) done: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> SaslReply<'a> {
    pub(super) fn parse(reply: RawDoc<'a>) -> Result<Self, String> {
        let mut parsed = SaslReply { conversation: 0, done: false, payload: &[] };
        for field in reply.iter() {
            let (name, value) = field.map_err(|error| error.to_string())?;
            match (name, value) {
                ("conversationId", value) => {
                    parsed.conversation = value
                        .as_i32()
                        .ok_or_else(|| "the server's conversationId is no number".to_string())?;
                }
                ("done", value) => parsed.done = value.as_bool().unwrap_or(false),
                ("payload", Value::Binary(_, payload)) => parsed.payload = payload,
                _ => {}
            }
        }
        Ok(parsed)
    }
}
