//! A private certificate authority and what it signs, made on the spot: every deployment has its own.

use crate::scratch::Scratch;
use pkcs8::der::{Encode, asn1::OctetStringRef, pem::LineEnding};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What opens the key of [`Certificates::client_encrypted`].
pub const KEY_PASSWORD: &str = "key-p@ss:w0rd";
/// The user a [`Certificates::client`] certificate stands for, as MONGODB-X509 has it (RFC 2253 turns its parts round).
pub const CLIENT_SUBJECT: &str = "CN=known,OU=Drivers,O=Clients";

/// What a server shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerCertificate {
    /// For `localhost`, `127.0.0.1` and `::1`, signed by the authority.
    #[default]
    Good,
    /// Signed by the authority, for `db.example.com` alone.
    OtherHost,
    /// Good, but only for so long: a server does not start with one that has expired already.
    Expiring(Duration),
    /// Signed by itself.
    SelfSigned,
}

/// The PEM files of one authority.
///
/// All of them lie in the folder of the deployment they were made for, and go with it; those of
/// [`Certificates::for_hosts`] have a folder of their own.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
    _own: Option<Scratch>,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Certificates {
    /// Makes an authority, a server's certificate and those of clients in a folder.
    pub(crate) fn make(folder: PathBuf, server: ServerCertificate) -> Result<Self, String> {
        let made = Certificates { folder, _own: None };
        made.write_all(server, &[]).map_err(|error| format!("no certificates: {error}"))?;
        Ok(made)
    }

    /// Makes them for servers that the harness does not start, and that have those names too.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn for_hosts(hosts: &[&str]) -> Result<Self, String> {
        let own = Scratch::new().map_err(|error| format!("no folder: {error}"))?;
        let made = Certificates { folder: own.path().join("certificates"), _own: Some(own) };
        made.write_all(ServerCertificate::Good, hosts)
            .map_err(|error| format!("no certificates: {error}"))?;
        Ok(made)
    }

    fn write_all(&self, server: ServerCertificate, hosts: &[&str]) -> Outcome<()> {
        fs::create_dir_all(&self.folder)?;
        let (ca, other) = (authority("Quorate tests")?, authority("Somebody else")?);
        fs::write(self.file("ca.pem"), ca.pem())?;
        fs::write(self.file("other-ca.pem"), other.pem())?;
        self.write("server.pem", |key| server_certificate(server, hosts, key, &ca))?;
        self.write("harness.pem", |key| Ok(leaf("Harness", "harness", &[])?.signed_by(key, &ca)?))?;
        self.write("unknown.pem", |key| Ok(leaf("Clients", "unknown", &[])?.signed_by(key, &ca)?))?;
        self.write("stranger.pem", |key| Ok(leaf("Clients", "known", &[])?.signed_by(key, &other)?))?;
        let key = KeyPair::generate()?;
        let client = leaf("Clients", "known", &[])?.signed_by(&key, &ca)?.pem();
        fs::write(self.file("client.pem"), format!("{client}{}", key.serialize_pem()))?;
        fs::write(self.file("client-encrypted.pem"), format!("{client}{}", encrypted(&key)?))?;
        Ok(())
    }

    /// Certificate and key as one file, which nobody else may read.
    fn write(&self, name: &str, make: impl FnOnce(&KeyPair) -> Outcome<Certificate>) -> Outcome<()> {
        let key = KeyPair::generate()?;
        let path = self.file(name);
        fs::write(&path, format!("{}{}", make(&key)?.pem(), key.serialize_pem()))?;
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    /// The authority: what `tlsCAFile` names.
    pub fn ca(&self) -> String {
        self.text("ca.pem")
    }

    /// An authority that has signed nothing here.
    pub fn other_ca(&self) -> String {
        self.text("other-ca.pem")
    }

    /// A client's certificate and key: what `tlsCertificateKeyFile` names. Its subject is [`CLIENT_SUBJECT`].
    pub fn client(&self) -> String {
        self.text("client.pem")
    }

    /// The same with its key encrypted; [`KEY_PASSWORD`] opens it.
    pub fn client_encrypted(&self) -> String {
        self.text("client-encrypted.pem")
    }

    /// A client's, of another subject.
    pub fn unknown_client(&self) -> String {
        self.text("unknown.pem")
    }

    /// A client's with the subject of [`Certificates::client`], signed by the other authority.
    pub fn stranger(&self) -> String {
        self.text("stranger.pem")
    }

    /// The server's certificate and key.
    pub fn server(&self) -> String {
        self.text("server.pem")
    }

    /// What the harness itself shows, where a server asks.
    pub(crate) fn harness(&self) -> PathBuf {
        self.file("harness.pem")
    }

    /// The folder with all of them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn authority(name: &str) -> Outcome<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn server_certificate(
    kind: ServerCertificate,
    hosts: &[&str],
    key: &KeyPair,
    ca: &CertifiedIssuer<'static, KeyPair>,
) -> Outcome<Certificate> {
    let here = ["localhost", "127.0.0.1", "::1"];
    let good = [&here, hosts].concat();
    let names: &[&str] = if kind == ServerCertificate::OtherHost { &["db.example.com"] } else { &good };
    let mut params = leaf("Servers", "server", names)?;
    if let ServerCertificate::Expiring(after) = kind {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        params.not_after = date_time_ymd(1970, 1, 1) + since_1970 + after;
    }
    Ok(if kind == ServerCertificate::SelfSigned {
        params.self_signed(key)?
    } else {
        params.signed_by(key, ca)?
    })
}

/// A client whose organization is the servers' would be taken for a member of the set.
fn leaf(organization: &str, name: &str, names: &[&str]) -> Outcome<CertificateParams> {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::OrganizationalUnitName, "Drivers");
    params.distinguished_name.push(DnType::CommonName, name);
    // A member is a client of the others.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

/// As `openssl pkcs8 -topk8` does it: PBKDF2 with SHA-256, AES-256-CBC.
fn encrypted(key: &KeyPair) -> Outcome<String> {
    use pkcs8::pkcs5::pbes2::Parameters;
    let scheme = Parameters::generate_pbkdf2_sha256_aes256cbc(2048, b"saltsalt", *b"0123456789abcdef")?;
    let sealed = scheme.encrypt(KEY_PASSWORD, &key.serialize_der())?;
    let info = pkcs8::EncryptedPrivateKeyInfo {
        encryption_algorithm: scheme.into(),
        encrypted_data: OctetStringRef::new(&sealed)?,
    };
    let document = pkcs8::SecretDocument::try_from(info.to_der()?)?;
    Ok(document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)?.to_string())
}
