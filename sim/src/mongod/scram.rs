//! Log-in by SCRAM-SHA-1 and SCRAM-SHA-256, the server's side.
//!
//! Source: RFC 5802, RFC 7677, and the authentication specification for what is MongoDB's own ("SCRAM-SHA-1": the password is
//! digested by MD5 first; "skipEmptyExchange"). Passwords are taken as they are: SASLprep is the client's work.

use super::log_in::{failed, reply};
use super::settings::User;
use crate::store::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bson::Document;
use hmac::{Hmac, KeyInit, Mac};
use quorate_core::Rng;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How often the password is hashed. The least that drivers accept: simulated servers have nothing to protect, and the
/// real ones' 10,000 and 15,000 cost milliseconds.
const ITERATIONS: u32 = 4096;

/// The two mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mechanism {
    /// SCRAM-SHA-1.
    Sha1,
    /// SCRAM-SHA-256.
    Sha256,
}

impl Mechanism {
    fn from_name(name: &str) -> Option<Mechanism> {
        match name {
            "SCRAM-SHA-1" => Some(Mechanism::Sha1),
            "SCRAM-SHA-256" => Some(Mechanism::Sha256),
            _ => None,
        }
    }

    fn hash(self, data: &[u8]) -> Vec<u8> {
        match self {
            Mechanism::Sha1 => Sha1::digest(data).to_vec(),
            Mechanism::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        /// A key of any length will do, so that there is always an answer.
        fn mac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
            let Ok(mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
            mac.chain_update(data).finalize().into_bytes().to_vec()
        }
        match self {
            Mechanism::Sha1 => mac::<Hmac<Sha1>>(key, data),
            Mechanism::Sha256 => mac::<Hmac<Sha256>>(key, data),
        }
    }

    fn salted(self, user: &User, salt: &[u8]) -> Vec<u8> {
        match self {
            Mechanism::Sha1 => {
                let digest = md5::Md5::digest(format!("{}:mongo:{}", user.name, user.password));
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(digest.as_bytes(), salt, ITERATIONS).to_vec()
            }
            Mechanism::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(user.password.as_bytes(), salt, ITERATIONS).to_vec()
            }
        }
    }
}

/// What a server keeps of its users, made when somebody first logs in as one.
#[derive(Debug)]
pub(crate) struct Keyring {
    users: Vec<User>,
    keys: BTreeMap<(usize, Mechanism), Keys>,
    salts: Rng,
}

#[derive(Clone, Debug)]
struct Keys {
    salt: Vec<u8>,
    stored: Vec<u8>,
    server: Vec<u8>,
}

impl Keyring {
    /// Of these users.
    pub(crate) fn new(users: Vec<User>, seed: u64) -> Self {
        Keyring { users, keys: BTreeMap::new(), salts: Rng::new(seed) }
    }

    pub(super) fn users(&self) -> &[User] {
        &self.users
    }

    pub(super) fn find(&self, name: &str, db: &str) -> Option<usize> {
        self.users.iter().position(|user| user.name == name && user.db == db)
    }

    fn keys(&mut self, user: usize, mechanism: Mechanism) -> Option<Keys> {
        if let Some(keys) = self.keys.get(&(user, mechanism)) {
            return Some(keys.clone());
        }
        // As long as the real server's: the hash's length less four.
        let length = if mechanism == Mechanism::Sha1 { 16 } else { 28 };
        let salt: Vec<u8> = (0..length).map(|_| (self.salts.next_u64() >> 56) as u8).collect();
        let salted = mechanism.salted(self.users.get(user)?, &salt);
        let stored = mechanism.hash(&mechanism.hmac(&salted, b"Client Key"));
        let keys = Keys { salt, stored, server: mechanism.hmac(&salted, b"Server Key") };
        self.keys.insert((user, mechanism), keys.clone());
        Some(keys)
    }
}

/// A log-in under way on one connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    mechanism: Mechanism,
    user: String,
    db: String,
    keys: Keys,
    nonce: String,
    /// `n=..,r=..` and the server's answer to it: what both sides sign.
    so_far: String,
    skip_empty: bool,
    proven: bool,
}

/// What came of one step.
#[derive(Debug)]
pub(crate) enum Step {
    /// The client has to go on.
    Continue(Document),
    /// It is who it says: user and database.
    Done(Document, (String, String)),
}

impl Conversation {
    /// `saslStart`, also inside of hello (`speculativeAuthenticate`).
    pub(crate) fn start(
        keyring: &mut Keyring,
        mechanism: &str,
        payload: Vec<u8>,
        body: &Document,
        db: &str,
        rng: &mut Rng,
    ) -> Result<(Conversation, Document), Failure> {
        let mechanism = Mechanism::from_name(mechanism).ok_or_else(failed)?;
        let text = String::from_utf8(payload).map_err(|_| failed())?;
        let bare = text.strip_prefix("n,,").ok_or_else(failed)?.to_owned();
        let user = attribute(&bare, 'n').ok_or_else(failed)?.replace("=2C", ",").replace("=3D", "=");
        let client_nonce = attribute(&bare, 'r').ok_or_else(failed)?;
        let index = keyring.find(&user, db).ok_or_else(failed)?;
        let keys = keyring.keys(index, mechanism).ok_or_else(failed)?;
        let own: Vec<u8> = (0..3).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
        let nonce = format!("{client_nonce}{}", BASE64.encode(own));
        let answer = format!("r={nonce},s={},i={ITERATIONS}", BASE64.encode(&keys.salt));
        let skip_empty =
            body.get_document("options").is_ok_and(|o| o.get_bool("skipEmptyExchange").unwrap_or(false));
        let reply = reply(answer.clone().into_bytes(), false);
        let so_far = format!("{bare},{answer}");
        let db = db.to_owned();
        Ok((Conversation { mechanism, user, db, keys, nonce, so_far, skip_empty, proven: false }, reply))
    }

    /// `saslContinue`.
    pub(crate) fn go_on(&mut self, payload: Vec<u8>) -> Result<Step, Failure> {
        let who = (self.user.clone(), self.db.clone());
        if self.proven {
            // The empty exchange that SASL asks for where the server has the last word.
            return if payload.is_empty() {
                Ok(Step::Done(reply(Vec::new(), true), who))
            } else {
                Err(failed())
            };
        }
        let text = String::from_utf8(payload).map_err(|_| failed())?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or_else(failed)?;
        let proof = BASE64.decode(proof).map_err(|_| failed())?;
        if attribute(without_proof, 'r') != Some(&self.nonce) || attribute(without_proof, 'c') != Some("biws")
        {
            return Err(failed());
        }
        let signed = format!("{},{without_proof}", self.so_far);
        let signature = self.mechanism.hmac(&self.keys.stored, signed.as_bytes());
        let key: Vec<u8> = signature.iter().zip(&proof).map(|(a, b)| a ^ b).collect();
        if proof.len() != signature.len() || self.mechanism.hash(&key) != self.keys.stored {
            return Err(failed());
        }
        self.proven = true;
        let own = self.mechanism.hmac(&self.keys.server, signed.as_bytes());
        let reply = reply(format!("v={}", BASE64.encode(own)).into_bytes(), self.skip_empty);
        Ok(if self.skip_empty { Step::Done(reply, who) } else { Step::Continue(reply) })
    }
}

/// The value of `letter=value` in a comma-separated list.
fn attribute(text: &str, letter: char) -> Option<&str> {
    text.split(',').find_map(|part| part.strip_prefix(letter)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    fn text(reply: &Document) -> String {
        String::from_utf8(reply.get_binary_generic("payload").unwrap().clone()).unwrap()
    }

    /// A client that knows `password`: RFC 5802, "SCRAM Authentication Exchange".
    fn log_in(mechanism: &str, password: &str, options: Document) -> Result<Vec<Document>, Failure> {
        let user = User::new("u,=", "pencil");
        let mut keyring = Keyring::new(vec![user], 5);
        let (body, first) = (doc! { "options": options }, b"n,,n=u=2C=3D,r=abc".to_vec());
        let (mut talk, first) =
            Conversation::start(&mut keyring, mechanism, first, &body, "admin", &mut Rng::new(1))?;
        let server_first = text(&first);
        let salt = BASE64.decode(attribute(&server_first, 's').unwrap()).unwrap();
        let kind = Mechanism::from_name(mechanism).unwrap();
        let salted = kind.salted(&User::new("u,=", password), &salt);
        let client_key = kind.hmac(&salted, b"Client Key");
        let last = format!("c=biws,r={}", attribute(&server_first, 'r').unwrap());
        let signed = format!("n=u=2C=3D,r=abc,{server_first},{last}");
        let signature = kind.hmac(&kind.hash(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let payload = format!("{last},p={}", BASE64.encode(proof)).into_bytes();
        let mut replies = vec![first];
        match talk.go_on(payload)? {
            Step::Done(reply, who) => {
                assert_eq!(who, ("u,=".to_owned(), "admin".to_owned()));
                replies.push(reply);
            }
            Step::Continue(reply) => {
                let expected =
                    BASE64.encode(kind.hmac(&kind.hmac(&salted, b"Server Key"), signed.as_bytes()));
                assert_eq!(text(&reply), format!("v={expected}"));
                replies.push(reply);
                let Step::Done(reply, _) = talk.go_on(Vec::new())? else { panic!("not done") };
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    #[test]
    fn both_mechanisms_let_the_right_password_in() {
        for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256"] {
            let replies = log_in(mechanism, "pencil", doc! {}).unwrap();
            assert_eq!(replies.len(), 3);
            assert!(!replies[1].get_bool("done").unwrap() && replies[2].get_bool("done").unwrap());
            let replies = log_in(mechanism, "pencil", doc! { "skipEmptyExchange": true }).unwrap();
            assert_eq!(replies.len(), 2);
            assert!(replies[1].get_bool("done").unwrap());
            assert_eq!(log_in(mechanism, "pen", doc! {}).unwrap_err().code, 18);
        }
    }

    #[test]
    fn nonsense_fails_as_with_the_real_server() {
        let mut keyring = Keyring::new(vec![User::new("u", "p")], 5);
        let mut start = |payload: &str| {
            let payload = payload.as_bytes().to_vec();
            let rng = &mut Rng::new(1);
            let started = Conversation::start(&mut keyring, "SCRAM-SHA-256", payload, &doc! {}, "admin", rng);
            started.unwrap_err().code
        };
        assert_eq!(start("garbage"), 18);
        assert_eq!(start("n,,n=nobody,r=x"), 18);
    }
}
