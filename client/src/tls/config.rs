//! Options to a rustls configuration.

use super::files;
use super::verify::{AnyCertificate, AnyHostname};
use quorate_core::options::{CustomTls, Tls, TlsOptions};
use quorate_core::{Error, ErrorKind};
use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use std::fmt;
use std::sync::Arc;

/// TLS settings ready to use: files read, roots loaded. Built once per client, cheap to clone.
#[derive(Clone)]
pub struct TlsConfig {
    pub(super) rustls: Arc<ClientConfig>,
    pub(super) trust: Trust,
}

/// Whose certificates are trusted: for the words of an error.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// The certificate authorities of `tlsCAFile`.
    CaFile(Arc<str>),
    /// Those of the operating system.
    System,
    /// Whatever [`TlsConfig::from_rustls`] was given decides.
    Custom,
    /// Any certificate will do.
    Anyone,
}

impl TlsConfig {
    /// Reads the files that `options` name, or the system's roots. Blocks on the file system: call it once, where a client
    /// is made.
    ///
    /// `tlsDisableOCSPEndpointCheck` and `tlsDisableCertificateRevocationCheck` change nothing: no OCSP responder is asked and
    /// no revocation list fetched either way.
    ///
    /// # Errors
    /// [`ErrorKind::Tls`], with option and path: a file that cannot be read, is not PEM or lacks what it should have; a
    /// wrong or missing key password; a key that does not belong to its certificate; no root to trust at all.
    pub fn from_options(options: &TlsOptions) -> Result<Self, Error> {
        if let Some(custom) = &options.custom {
            return given(custom, options);
        }
        let provider = Arc::new(ring::default_provider());
        let (builder, trust) = server_checks(options, provider)?;
        let config = match &options.cert_key_file_path {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let identity =
                    files::client_identity(path, options.tls_certificate_key_file_password.as_deref())?;
                builder.with_client_auth_cert(identity.chain, identity.key).map_err(|error| {
                    tls(format!("tlsCertificateKeyFile {path}: certificate and key cannot be used: {error}"))
                })?
            }
        };
        Ok(TlsConfig { rustls: Arc::new(config), trust })
    }

    /// A rustls configuration of one's own: roots, verifier, client certificate, crypto provider are all its business. No
    /// other option of TLS may stand beside it; whether it checks what it should, nobody can tell.
    ///
    /// ```
    /// use quorate::options::ClientOptions;
    /// use quorate::tls::{TlsConfig, rustls};
    /// use std::sync::Arc;
    ///
    /// # async fn connect(roots: rustls::RootCertStore) -> Result<(), Box<dyn std::error::Error>> {
    /// let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    /// let mut options = ClientOptions::parse("mongodb://db.example.com").await?;
    /// options.tls = Some(TlsConfig::from_rustls(Arc::new(config)).into());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        TlsConfig { rustls: config, trust: Trust::Custom }
    }

    /// Whether this configuration, made from options, checks nothing about the server. A client that is made with such
    /// options says so by an event: [`TlsVerificationDisabled`](quorate_core::event::sdam::SdamEvent::TlsVerificationDisabled).
    pub fn accepts_any_certificate(&self) -> bool {
        matches!(self.trust, Trust::Anyone)
    }
}

impl From<TlsConfig> for Tls {
    /// For [`ClientOptions::tls`](quorate_core::options::ClientOptions::tls): TLS in this manner.
    fn from(config: TlsConfig) -> Self {
        let mut options = TlsOptions::default();
        options.custom = Some(CustomTls::new(config));
        options.into()
    }
}

/// What the application has given instead of options.
fn given(custom: &CustomTls, options: &TlsOptions) -> Result<TlsConfig, Error> {
    let mut alone = TlsOptions::default();
    alone.custom = Some(custom.clone());
    if alone != *options {
        return Err(tls(
            "a TLS configuration of one's own takes the place of all other TLS options; leave them out",
        ));
    }
    let config = custom.get::<TlsConfig>().cloned();
    config.ok_or_else(|| tls("the custom TLS settings are not a TlsConfig of this crate"))
}

impl fmt::Debug for TlsConfig {
    // Not rustls' own Debug: pages of cipher suites, and keys are none of a log's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("trust", &self.trust)
            .field("client_certificate", &self.rustls.client_auth_cert_resolver.has_certs())
            .finish_non_exhaustive()
    }
}

/// The half of the configuration that says how a server proves who it is.
fn server_checks(
    options: &TlsOptions,
    provider: Arc<CryptoProvider>,
) -> Result<(ConfigBuilder<ClientConfig, WantsClientCert>, Trust), Error> {
    // Never the process-wide provider: an application may have set another, or none.
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(format!("no TLS version can be used: {error}")))?;
    if options.accepts_any_certificate() {
        // A CA file named all the same is read: a typing error in it should not wait for the day checks are switched on.
        options.ca_file_path.as_deref().map(files::ca_certificates).transpose()?;
        let verifier = Arc::new(AnyCertificate::new(&provider));
        return Ok((builder.dangerous().with_custom_certificate_verifier(verifier), Trust::Anyone));
    }
    let (roots, trust) = match options.ca_file_path.as_deref() {
        Some(path) => (files::ca_certificates(path)?, Trust::CaFile(path.into())),
        None => (system_roots()?, Trust::System),
    };
    let builder = if options.accepts_any_hostname() {
        let verifier = Arc::new(AnyHostname::new(roots, &provider));
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else {
        builder.with_root_certificates(roots)
    };
    Ok((builder, trust))
}

/// The certificate authorities the operating system trusts.
fn system_roots() -> Result<RootCertStore, Error> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems carry the odd root that no modern parser takes; the others are as good as before.
    let (added, _) = roots.add_parsable_certificates(loaded.certs);
    if added > 0 {
        return Ok(roots);
    }
    let reason = match loaded.errors.first() {
        Some(error) => format!(" ({error})"),
        None => String::new(),
    };
    Err(tls(format!(
        "this system has no certificate authorities to trust{reason}: install its ca-certificates, or name your own with tlsCAFile"
    )))
}

/// [`ErrorKind::Tls`].
pub(super) fn tls(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Tls { message: message.into() })
}
