//! What a deployment has besides its servers: TLS, users, compression. One word in the environment switches a suite over.

use crate::access::Access;
use crate::certificates::{Certificates, ServerCertificate};
use crate::login::Login;
use crate::scratch::Scratch;
use std::fmt::Write;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;

/// The user of a deployment whose connection string logs in; its password has what must be written as `%XX`.
pub(crate) const USER: &str = "suite";
pub(crate) const PASSWORD: &str = "p@ss:w/rd%";
/// It protects a test's servers on 127.0.0.1 from nobody.
const KEY: &str = "0123456789abcdefQuorateHarness";

/// How servers do TLS.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    certificate: ServerCertificate,
    client_certificates: bool,
}

impl Tls {
    /// Nobody gets in without (`--tlsMode requireTLS`), and the servers have certificates of a private authority.
    pub fn required() -> Self {
        Tls::default()
    }

    /// With another certificate than a good one.
    #[must_use]
    pub fn certificate(mut self, certificate: ServerCertificate) -> Self {
        self.certificate = certificate;
        self
    }

    /// Whether a client must show a certificate.
    #[must_use]
    pub fn client_certificates(mut self, required: bool) -> Self {
        self.client_certificates = required;
        self
    }
}

/// What the connection string of a deployment has in it besides hosts. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Features {
    pub(crate) tls: Option<Tls>,
    /// `--auth --keyFile`.
    pub(crate) auth: bool,
    /// A user to log in as.
    pub(crate) user: bool,
    /// In the order to be offered.
    pub(crate) compressors: Vec<String>,
}

impl Features {
    /// Those named by the environment variable `QUORATE_TEST_FEATURE`: `tls`, `auth`, `snappy`, `zlib`, `zstd`, or several of
    /// them joined by `+`; none where it is missing or empty.
    ///
    /// # Panics
    /// For a word it does not know: a suite that silently runs without what was asked for proves nothing.
    pub fn from_env() -> Self {
        let words = std::env::var("QUORATE_TEST_FEATURE").unwrap_or_default();
        Self::parse(&words).unwrap_or_else(|why| panic!("QUORATE_TEST_FEATURE={words}: {why}"))
    }

    /// As [`Features::from_env`], of a text.
    ///
    /// # Errors
    /// The word that is not known.
    pub fn parse(words: &str) -> Result<Self, String> {
        let mut features = Features::default();
        for word in words.split('+').map(str::trim).filter(|word| !word.is_empty()) {
            features = match word {
                "tls" => features.tls(Tls::required()),
                "auth" => features.user(),
                "snappy" | "zlib" | "zstd" => features.compressor(word),
                other => return Err(format!("no feature is called {other}")),
            };
        }
        Ok(features)
    }

    /// With TLS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// With a user whom the connection string logs in.
    #[must_use]
    pub fn user(mut self) -> Self {
        self.auth = true;
        self.user = true;
        self
    }

    /// With one more compressor, which is offered after those before.
    #[must_use]
    pub fn compressor(mut self, name: &str) -> Self {
        self.compressors.push(name.into());
        self
    }

    /// Makes the files that are needed in the folder of a deployment.
    pub(crate) fn set_up(&self, scratch: &Scratch) -> Result<SetUp, String> {
        let mut set_up =
            SetUp { with: self.clone(), args: Vec::new(), access: Access::default(), certificates: None };
        if self.auth {
            let key_file = write_key_file(scratch).map_err(|e| format!("no key file: {e}"))?;
            set_up.args.extend(["--auth".into(), "--keyFile".into(), key_file]);
            set_up.access = set_up.access.with_login(Login::system(KEY));
        }
        if let Some(tls) = &self.tls {
            let made = Certificates::make(scratch.path().join("certificates"), tls.certificate)?;
            set_up.args.extend(["--tlsMode".into(), "requireTLS".into()]);
            set_up.args.extend(["--tlsCertificateKeyFile".into(), made.server()]);
            set_up.args.extend(["--tlsCAFile".into(), made.ca()]);
            if !tls.client_certificates {
                set_up.args.push("--tlsAllowConnectionsWithoutCertificates".into());
            }
            set_up.access = set_up.access.with_tls(&made)?;
            set_up.certificates = Some(made);
        }
        if !self.compressors.is_empty() {
            set_up.args.extend(["--networkMessageCompressors".into(), self.compressors.join(",")]);
        }
        Ok(set_up)
    }
}

fn write_key_file(scratch: &Scratch) -> std::io::Result<String> {
    let path = scratch.path().join("key");
    // Servers refuse one that others may read.
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(KEY.as_bytes())?;
    Ok(path.display().to_string())
}

/// [`Features`] that have become files.
#[derive(Debug)]
pub(crate) struct SetUp {
    with: Features,
    /// For `mongod`.
    pub(crate) args: Vec<String>,
    /// For the harness.
    pub(crate) access: Access,
    pub(crate) certificates: Option<Certificates>,
}

impl SetUp {
    /// Whether there is to be a user.
    pub(crate) fn wants_user(&self) -> bool {
        self.with.user
    }

    /// What stands before the hosts.
    pub(crate) fn user_info(&self) -> String {
        if self.with.user { format!("{USER}:{}@", encoded(PASSWORD)) } else { String::new() }
    }

    /// What stands behind other options, each with its `&`.
    pub(crate) fn options(&self) -> String {
        let mut options = String::new();
        if let Some(certificates) = &self.certificates {
            let _ = write!(options, "&tls=true&tlsCAFile={}", certificates.ca());
            if self.with.tls.as_ref().is_some_and(|tls| tls.client_certificates) {
                let _ = write!(options, "&tlsCertificateKeyFile={}", certificates.client());
            }
        }
        if !self.with.compressors.is_empty() {
            let _ = write!(options, "&compressors={}", self.with.compressors.join(","));
        }
        options
    }
}

/// Everything but letters and digits as `%XX`.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(byte.into());
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_features_and_wrong_ones_errors() {
        let features = Features::parse("tls+auth + zstd+snappy").unwrap();
        assert!(features.tls.is_some() && features.auth && features.user);
        assert_eq!(features.compressors, ["zstd", "snappy"]);
        let none = Features::parse("").unwrap();
        assert!(none.tls.is_none() && !none.auth && none.compressors.is_empty());
        assert!(Features::parse("tls+lz4").unwrap_err().contains("lz4"));
    }
}
