//! SCRAM-SHA-256 for the harness's own errands: as independent of the driver under test as the rest of its wire code.

use crate::admin::{Admin, AdminError};
use base64ct::{Base64, Encoding};
use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::io;

/// Somebody who logs in, and the two commands that do it, for whoever has a connection.
#[derive(Clone, Debug)]
pub struct Login {
    user: String,
    db: String,
    password: String,
}

impl Login {
    /// A user of the `admin` database.
    pub fn new(user: &str, password: &str) -> Self {
        Login { user: user.into(), db: "admin".into(), password: password.into() }
    }

    /// The servers themselves, to one another: everything is allowed, even before there are users. `key` is what stands in
    /// their key file.
    pub(crate) fn system(key: &str) -> Self {
        Login { user: "__system".into(), db: "local".into(), password: key.into() }
    }

    /// The database the commands below run on.
    pub fn db(&self) -> &str {
        &self.db
    }

    /// The first command.
    pub fn start(&self) -> Document {
        doc! {
            "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": binary(&format!("n,,{}", self.first())),
            "options": { "skipEmptyExchange": true },
        }
    }

    fn first(&self) -> String {
        format!("n={},r=harness-harness-harness", self.user)
    }

    /// The second, which ends it, after the reply to the first.
    ///
    /// # Errors
    /// When that is no reply of a server's.
    pub fn go_on(&self, reply: &Document) -> io::Result<Document> {
        let server_first = payload(reply)?;
        let part = |name: &str| {
            let found = server_first.split(',').find_map(|part| part.strip_prefix(name));
            found.ok_or_else(|| odd(&format!("no {name} in the server's message")))
        };
        let salt = Base64::decode_vec(part("s=")?).map_err(|_| odd("the salt is no Base64"))?;
        let rounds: u32 = part("i=")?.parse().map_err(|_| odd("no iteration count"))?;
        let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(self.password.as_bytes(), &salt, rounds);
        let client_key = hmac(&salted, b"Client Key");
        let last = format!("c=biws,r={}", part("r=")?);
        let signed = format!("{},{server_first},{last}", self.first());
        let signature = hmac(&Sha256::digest(client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
        let last = format!("{last},p={}", Base64::encode_string(&proof));
        let id = reply.get_i32("conversationId").map_err(|_| odd("no conversationId"))?;
        Ok(doc! { "saslContinue": 1, "conversationId": id, "payload": binary(&last) })
    }

    /// Logs in on a connection.
    pub(crate) fn on(&self, admin: &mut Admin) -> Result<(), AdminError> {
        let reply = admin.run(&self.db, self.start())?;
        // What the server proves is left unlooked at: the harness has started it itself.
        admin.run(&self.db, self.go_on(&reply)?).map(drop)
    }
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any key will do");
    mac.chain_update(data).finalize().into_bytes().into()
}

fn binary(text: &str) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: text.as_bytes().to_vec() }
}

fn payload(reply: &Document) -> io::Result<String> {
    let bytes = reply.get_binary_generic("payload").map_err(|_| odd("no payload"))?;
    String::from_utf8(bytes.clone()).map_err(|_| odd("the payload is no text"))
}

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("log-in: {why}"))
}
