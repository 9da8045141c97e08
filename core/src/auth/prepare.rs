//! Passwords as SCRAM takes them.
//!
//! Source: authentication specification, "SCRAM-SHA-1" and "SCRAM-SHA-256"; RFC 4013 (SASLprep).

use super::keys::Hash;
use alloc::vec::Vec;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// The password that the key is derived from; or why there is none, in words.
pub(super) fn prepare(hash: Hash, user: &str, password: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    match hash {
        // "mongo_hashed_password = HEX( MD5( UTF8( username + ':mongo:' + plain_text_password )))", nothing prepared.
        Hash::Sha1 => Ok(digested(user, password)),
        Hash::Sha256 => saslprep(password),
    }
}

fn digested(user: &str, password: &str) -> Zeroizing<Vec<u8>> {
    let mut md5 = Md5::new();
    for part in [user, ":mongo:", password] {
        md5.update(part);
    }
    let digest = Zeroizing::new(<[u8; 16]>::from(md5.finalize()));
    let hex = |nibble: u8| char::from_digit(u32::from(nibble), 16).map_or(0, |c| c as u8);
    Zeroizing::new(digest.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect())
}

const FORBIDDEN: &str = "SASLprep forbids a character of the password, or its mixture of writing directions";

#[cfg(feature = "std")]
fn saslprep(password: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let prepared = stringprep::saslprep(password).map_err(|_| FORBIDDEN)?;
    let prepared = Zeroizing::new(prepared.into_owned());
    not_empty(prepared.as_bytes())
}

/// SASLprep changes nothing in ASCII, and refuses control characters; its tables for the rest need `std`.
#[cfg(not(feature = "std"))]
fn saslprep(password: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    if !password.is_ascii() {
        return Err(
            "a password outside of ASCII needs SASLprep, which this build leaves out (feature `std`)",
        );
    }
    if password.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(FORBIDDEN);
    }
    not_empty(password.as_bytes())
}

fn not_empty(password: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    if password.is_empty() {
        return Err("nothing is left of the password after SASLprep");
    }
    Ok(Zeroizing::new(password.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha_1_takes_the_digest_and_leaves_the_words_as_they_are() {
        // echo -n 'user:mongo:pencil' | md5sum
        assert_eq!(&**prepare(Hash::Sha1, "user", "pencil").unwrap(), b"1c33006ec1ffd90f9cadcbcc0e118200");
        let soft = prepare(Hash::Sha1, "user", "pen\u{ad}cil").unwrap();
        assert_ne!(&**soft, b"1c33006ec1ffd90f9cadcbcc0e118200");
    }

    /// Authentication specification, "Test Plan", step 4.
    #[cfg(feature = "std")]
    #[test]
    fn sha_256_takes_the_password_by_saslprep() {
        let prepared = |password| prepare(Hash::Sha256, "user", password).map(|p| p.to_vec());
        for (given, expected) in
            [("IX", "IX"), ("I\u{ad}X", "IX"), ("\u{2168}", "IX"), ("IV", "IV"), ("I\u{ad}V", "IV")]
        {
            assert_eq!(prepared(given).unwrap(), expected.as_bytes());
        }
        assert!(prepared("tab\there").unwrap_err().contains("SASLprep forbids"));
        assert!(prepared("\u{ad}").unwrap_err().contains("nothing is left"));
    }

    #[cfg(not(feature = "std"))]
    #[test]
    fn without_std_a_password_outside_of_ascii_is_refused_by_name() {
        assert_eq!(&**prepare(Hash::Sha256, "u", "pencil").unwrap(), b"pencil");
        assert!(prepare(Hash::Sha256, "u", "p\u{e9}ncil").unwrap_err().contains("`std`"));
    }
}
