//! Certificates and keys out of PEM files, with errors that name the option, the path and the remedy.

use super::config::tls;
use pkcs8::der::Decode;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use quorate_core::Error;
use rustls::RootCertStore;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// How to turn any key into one this module reads.
const CONVERT: &str = "convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW`";
const ENCRYPTED_BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// What a client shows a server that asks who it is.
pub(super) struct Identity {
    /// The client's certificate, then those that lead up to its CA.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The key of the first.
    pub(super) key: PrivateKeyDer<'static>,
}

/// The authorities of `tlsCAFile`.
///
/// A bundle may hold certificates no modern parser takes; they are passed over as long as one can be used.
pub(super) fn ca_certificates(path: &str) -> Result<RootCertStore, Error> {
    const OPTION: &str = "tlsCAFile";
    let text = read(OPTION, path)?;
    let mut roots = RootCertStore::empty();
    let mut refused = None;
    for certificate in certificates(OPTION, path, &text)? {
        if let Err(error) = roots.add(certificate) {
            refused = Some(error);
        }
    }
    match refused {
        Some(error) if roots.is_empty() => {
            Err(tls(format!("{OPTION} {path}: no certificate in it can be used as a CA: {error}")))
        }
        _ => Ok(roots),
    }
}

/// The certificate and key of `tlsCertificateKeyFile`.
pub(super) fn client_identity(path: &str, password: Option<&[u8]>) -> Result<Identity, Error> {
    const OPTION: &str = "tlsCertificateKeyFile";
    let text = read(OPTION, path)?;
    // OpenSSL's format from before PKCS#8 is no PEM that a reader of today takes: a header, and a body that is no key.
    if contains(&text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(tls(format!(
            "{OPTION} {path}: the key is encrypted in OpenSSL's old format, which is not supported: {CONVERT}"
        )));
    }
    let chain = certificates(OPTION, path, &text)?;
    let key = match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => match encrypted_section(&text) {
            Some(section) => decrypt(OPTION, path, section, password),
            None => Err(tls(format!(
                "{OPTION} {path}: no private key in it (PEM section PRIVATE KEY); certificate and key belong in one file"
            ))),
        },
        Err(error) => Err(not_pem(OPTION, path, &error)),
    }?;
    Ok(Identity { chain, key })
}

/// The bytes of a file.
fn read(option: &str, path: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| tls(format!("{option} {path}: cannot be read: {error}")))
}

/// All certificates of a PEM file, at least one.
fn certificates(option: &str, path: &str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| not_pem(option, path, &error))?;
    if !found.is_empty() {
        return Ok(found);
    }
    Err(tls(if contains(text, b"-----BEGIN ") {
        format!("{option} {path}: no certificate in it (PEM section CERTIFICATE)")
    } else {
        format!("{option} {path}: not a PEM file (text with -----BEGIN CERTIFICATE-----)")
    }))
}

fn not_pem(option: &str, path: &str, error: &pem::Error) -> Error {
    tls(format!("{option} {path}: broken PEM: {error}"))
}

/// The encrypted PKCS#8 key in a PEM file, if it has one. (The PEM reader of rustls passes over such sections.)
fn encrypted_section(text: &[u8]) -> Option<&str> {
    // Around the sections there may be words in any encoding; within it is ASCII.
    let from = find(text, ENCRYPTED_BEGIN.as_bytes())?;
    let section = text.get(from..)?;
    let length = find(section, ENCRYPTED_END.as_bytes())?.checked_add(ENCRYPTED_END.len())?;
    core::str::from_utf8(section.get(..length)?).ok()
}

/// The key in an encrypted PKCS#8 section (RFC 5958, with the password-based schemes of RFC 8018).
fn decrypt(
    option: &str,
    path: &str,
    section: &str,
    password: Option<&[u8]>,
) -> Result<PrivateKeyDer<'static>, Error> {
    let Some(password) = password else {
        return Err(tls(format!(
            "{option} {path}: the key is encrypted: give its password by tlsCertificateKeyFilePassword"
        )));
    };
    let broken = |error: &dyn std::fmt::Display| {
        tls(format!(
            "{option} {path}: the encrypted key cannot be read: {error}; if it opens elsewhere, {CONVERT}"
        ))
    };
    let (_, document) = SecretDocument::from_pem(section).map_err(|error| broken(&error))?;
    let sealed = EncryptedPrivateKeyInfoRef::from_der(document.as_bytes()).map_err(|error| broken(&error))?;
    let key = sealed.decrypt(password).map_err(|error| match error {
        // A wrong password shows as bad padding, or, one time in some hundred, as something that is no key.
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_) => {
            tls(format!("{option} {path}: wrong password for its key (tlsCertificateKeyFilePassword)"))
        }
        other => broken(&other),
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    find(text, wanted).is_some()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
