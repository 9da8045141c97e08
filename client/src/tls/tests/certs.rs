//! Certificate authorities, certificates and files of them, made on the spot.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A certificate authority.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(super) struct Leaf {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) certificate_pem: String,
    pub(super) key: KeyPair,
}

/// When a certificate is valid.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Valid {
    Now,
    Past,
    Future,
}

impl Ca {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(super) fn issue(&self, names: &[&str], valid: Valid) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf(names, valid).signed_by(&key, &self.0).unwrap();
        Leaf { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key }
    }
}

/// A certificate that nobody but itself vouches for.
pub(super) fn self_signed(names: &[&str], is_ca: bool) -> Leaf {
    let key = KeyPair::generate().unwrap();
    let mut params = leaf(names, Valid::Now);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).unwrap();
    Leaf { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key }
}

fn leaf(names: &[&str], valid: Valid) -> CertificateParams {
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) = match valid {
        Valid::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(4000, 1, 1)),
        Valid::Past => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1)),
        Valid::Future => (date_time_ymd(3999, 1, 1), date_time_ymd(4000, 1, 1)),
    };
    params
}

impl Leaf {
    pub(super) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// Certificate and key as `tlsCertificateKeyFile` has them.
    pub(super) fn pem(&self) -> String {
        self.certificate_pem.clone() + &self.key.serialize_pem()
    }

    /// The same with the key encrypted, as `openssl pkcs8 -topk8` does it (PBKDF2 with SHA-256, AES-256-CBC).
    pub(super) fn encrypted_pem(&self, password: &str) -> String {
        use pkcs8::der::{Encode, asn1::OctetStringRef, pem::LineEnding};
        let scheme = pkcs8::pkcs5::pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(
            2048,
            b"saltsalt",
            *b"0123456789abcdef",
        )
        .unwrap();
        let sealed = scheme.encrypt(password, &self.key.serialize_der()).unwrap();
        let info = pkcs8::EncryptedPrivateKeyInfo {
            encryption_algorithm: scheme.into(),
            encrypted_data: OctetStringRef::new(&sealed).unwrap(),
        };
        let document = pkcs8::SecretDocument::try_from(info.to_der().unwrap()).unwrap();
        let key = document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap();
        self.certificate_pem.clone() + &key
    }
}

/// A file that goes away with the value.
pub(super) struct File(PathBuf);

impl File {
    pub(super) fn new(content: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("quorate-tls-{}-{number}.pem", std::process::id()));
        std::fs::write(&path, content).unwrap();
        File(path)
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
