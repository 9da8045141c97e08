//! How one gets at a server: encrypted or not, with a log-in or without.

use crate::admin::{Admin, AdminError};
use crate::certificates::Certificates;
use crate::login::Login;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What the harness needs for its own errands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    tls: Option<Arc<ClientConfig>>,
    login: Option<Login>,
}

impl Access {
    /// Over TLS, showing the harness's own certificate where one is wanted.
    pub(crate) fn with_tls(mut self, certificates: &Certificates) -> Result<Self, String> {
        let path = certificates.harness();
        let odd = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let certificate = CertificateDer::from_pem_file(&path).map_err(|e| odd(&e))?;
        let key = PrivateKeyDer::from_pem_file(&path).map_err(|e| odd(&e))?;
        let provider = Arc::new(ring::default_provider());
        let anyone = Arc::new(Anyone { provider: Arc::clone(&provider) });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| odd(&e))?
            .dangerous()
            .with_custom_certificate_verifier(anyone)
            .with_client_auth_cert(vec![certificate], key)
            .map_err(|e| odd(&e))?;
        self.tls = Some(Arc::new(config));
        Ok(self)
    }

    /// With a log-in, by [`Access::connect`].
    pub(crate) fn with_login(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    /// Who logs in, if anybody has to.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// A new connection on which nobody has logged in.
    pub(crate) fn dial(&self, address: &str, timeout: Duration) -> io::Result<Admin> {
        Admin::dial(address, timeout, self.tls.as_ref())
    }

    /// A new connection, logged in where that is needed.
    pub(crate) fn connect(&self, address: &str, timeout: Duration) -> Result<Admin, AdminError> {
        let mut admin = self.dial(address, timeout)?;
        if let Some(login) = &self.login {
            login.on(&mut admin)?;
        }
        Ok(admin)
    }
}

/// The harness started the server itself, some of them with certificates that nobody should accept.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
