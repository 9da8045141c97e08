//! SCRAM, the client's side: proves that it knows the password, and asks the server for the same proof.
//!
//! Source: RFC 5802, RFC 7677; authentication specification, "SCRAM-SHA-1" and "SCRAM-SHA-256".

use super::keys::{DeriveJob, Hash, ScramKeys};
use super::prepare::prepare;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};
use core::fmt::Display;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// "drivers MUST enforce a minimum iteration count of 4096".
const FEWEST_ITERATIONS: u32 = 4096;
/// A malign server must not keep this client's processors busy: servers are set to 10,000 and 15,000; this takes seconds.
const MOST_ITERATIONS: u32 = 10_000_000;
/// Longest message taken from a server, in bytes. Real ones have about a hundred.
const LONGEST_MESSAGE: usize = 4096;
/// The GS2 header "n,," (no channel binding, no other identity) in Base64: "Drivers MUST NOT advertise support for channel
/// binding".
const HEADER_BASE64: &str = "biws";

/// One conversation.
pub(super) struct Scram {
    hash: Hash,
    /// The client's first message without its header.
    first_bare: String,
    nonce: String,
    expect: Expect,
}

/// What comes next.
enum Expect {
    /// The server's first message.
    ServerFirst,
    /// The key that its salt asks for. What is kept is what both sides sign, and the client's last message without its proof.
    Keys { signed: String, without_proof: String },
    /// The server's proof.
    ServerFinal { signature: Zeroizing<Vec<u8>> },
    /// Nothing: each side knows that the other one knows.
    Nothing,
}

/// What follows a message.
pub(super) enum Step {
    /// A key is needed.
    Derive(DeriveJob),
    /// The server has proven itself.
    Proven,
}

impl Scram {
    /// Begins; `nonce` is random.
    pub(super) fn new(hash: Hash, user: &str, nonce: &[u8]) -> Self {
        let nonce = Base64::encode_string(nonce);
        // "saslname": these two have a meaning of their own. "user names MUST NOT be prepared with SASLprep".
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Scram { hash, first_bare: format!("n={user},r={nonce}"), nonce, expect: Expect::ServerFirst }
    }

    pub(super) fn client_first(&self) -> Vec<u8> {
        format!("n,,{}", self.first_bare).into_bytes()
    }

    pub(super) const fn hash(&self) -> Hash {
        self.hash
    }

    /// A message of the server. Errors are words for the reason.
    pub(super) fn handle(&mut self, message: &[u8], user: &str, password: &str) -> Result<Step, String> {
        if message.len() > LONGEST_MESSAGE {
            return Err(format!("the server's message has {} bytes", message.len()));
        }
        let message =
            core::str::from_utf8(message).map_err(|_| "the server's message is no text".to_string())?;
        match core::mem::replace(&mut self.expect, Expect::Nothing) {
            Expect::ServerFirst => self.server_first(message, user, password),
            Expect::ServerFinal { signature } => server_final(message, &signature),
            Expect::Keys { .. } | Expect::Nothing => Err("the server speaks out of turn".into()),
        }
    }

    /// "server-first-message": the whole nonce, salt and iteration count, in this order.
    fn server_first(&mut self, message: &str, user: &str, password: &str) -> Result<Step, String> {
        let mut parts = message.split(',');
        let mut next = |name: &str, what: &str| {
            let part = parts.next().and_then(|part| part.strip_prefix(name));
            part.ok_or_else(|| format!("the server's first message has no {what}"))
        };
        let nonce = next("r=", "nonce")?;
        let salt = next("s=", "salt")?;
        let iterations = next("i=", "iteration count")?;
        // Behind them may come extensions that need not be understood.
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err("the server's nonce does not continue the client's".into());
        }
        let salt = Base64::decode_vec(salt).map_err(|_| "the server's salt is no Base64".to_string())?;
        if salt.is_empty() {
            return Err("the server's salt is empty".into());
        }
        let iterations = checked_iterations(iterations)?;
        let password = prepare(self.hash, user, password)?;
        let without_proof = format!("c={HEADER_BASE64},r={nonce}");
        let signed = format!("{},{message},{without_proof}", self.first_bare);
        self.expect = Expect::Keys { signed, without_proof };
        Ok(Step::Derive(DeriveJob { hash: self.hash, password, salt, iterations }))
    }

    /// The key is there: "client-final-message".
    pub(super) fn client_final(&mut self, keys: &ScramKeys) -> Result<Zeroizing<Vec<u8>>, String> {
        let Expect::Keys { signed, without_proof } = &self.expect else {
            return Err("nobody asked for a key".into());
        };
        let stored = self.hash.digest(&keys.client);
        let signature = self.hash.hmac(&stored, signed.as_bytes());
        let proof: Zeroizing<Vec<u8>> =
            Zeroizing::new(keys.client.iter().zip(&*signature).map(|(key, sign)| key ^ sign).collect());
        let message = format!("{without_proof},p={}", Base64::encode_string(&proof));
        let signature = self.hash.hmac(&keys.server, signed.as_bytes());
        self.expect = Expect::ServerFinal { signature };
        Ok(Zeroizing::new(message.into_bytes()))
    }
}

fn checked_iterations(text: &str) -> Result<u32, String> {
    let refused = |why: &dyn Display| Err(format!("the server asks for {text:.20} iterations: {why}"));
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return refused(&"that is no number");
    }
    match text.parse() {
        Ok(0..FEWEST_ITERATIONS) => refused(&format_args!("less than {FEWEST_ITERATIONS} are not safe")),
        Ok(count @ FEWEST_ITERATIONS..=MOST_ITERATIONS) => Ok(count),
        _ => refused(&format_args!("more than {MOST_ITERATIONS} are an attack")),
    }
}

/// "server-final-message": the server's proof, or its refusal.
fn server_final(message: &str, signature: &[u8]) -> Result<Step, String> {
    if let Some(error) = message.strip_prefix("e=") {
        return Err(format!("the server refuses: {error:.100}"));
    }
    let proof = message.strip_prefix("v=").and_then(|rest| rest.split(',').next());
    let proof = proof.and_then(|proof| Base64::decode_vec(proof).ok());
    let proof = proof.ok_or_else(|| "the server's last message has no proof".to_string())?;
    if bool::from(proof.as_slice().ct_eq(signature)) {
        Ok(Step::Proven)
    } else {
        Err("the server's proof is wrong: it does not know the password".into())
    }
}

#[cfg(test)]
#[path = "scram_tests.rs"]
mod tests;
