//! What went wrong, whose fault it is and what to try: rustls' errors in the words of the person who set the options.

use super::config::{TlsConfig, Trust, tls};
use quorate_core::Error;
use quorate_core::error::IoErrorKind;
use rustls::{AlertDescription, CertificateError, Error as Rustls};
use std::io;

/// How many of a certificate's names an error shows.
const SHOWN_NAMES: usize = 8;

/// With whom a stream speaks and what was agreed beforehand: what an error needs to be helpful.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) host: String,
    pub(super) config: TlsConfig,
}

impl Peer {
    /// The error for what rustls found. `answered` says whether the server had sent one sound TLS message before.
    pub(super) fn explain(&self, error: &Rustls, answered: bool) -> Error {
        let host = &self.host;
        tls(match error {
            Rustls::InvalidCertificate(error) => self.certificate(error),
            Rustls::AlertReceived(alert) => self.alert(*alert),
            Rustls::InvalidMessage(_) | Rustls::PeerSentOversizedRecord if !answered => {
                format!("the server at {host} does not speak TLS; leave out tls=true, or check host and port")
            }
            Rustls::PeerIncompatible(reason) => format!(
                "the server at {host} has no TLS version or cipher in common with this driver (TLS 1.2 and 1.3): {reason:?}"
            ),
            other => format!("the connection to {host} failed: {other}"),
        })
    }

    /// The error for a stream that ended in the middle of the handshake. `heard` says whether a byte had come before.
    ///
    /// It stays a network error: a server that is killed ends its streams like that, and what to do about it is the same.
    pub(super) fn closed_in_handshake(&self, heard: bool) -> Error {
        Error::io(IoErrorKind::Closed, self.ended("closed the connection", heard))
    }

    /// The error for a failure of the network in the middle of the handshake.
    pub(super) fn network(&self, error: &io::Error, heard: bool) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.closed_in_handshake(heard),
            io::ErrorKind::TimedOut => Error::io(
                IoErrorKind::TimedOut,
                format!("the TLS handshake with {} timed out: {error}", self.host),
            ),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                Error::io(IoErrorKind::Reset, self.ended("reset the connection", heard))
            }
            _ => Error::io(
                IoErrorKind::Reset,
                format!("the network failed during the TLS handshake with {}: {error}", self.host),
            ),
        }
    }

    /// The words for a stream that ended after the handshake without the server's saying so. `talked` says whether it had
    /// sent any data by then.
    pub(super) fn cut_off(&self, talked: bool) -> &'static str {
        // A mongod looks at the client's certificate after the handshake, and hangs up without an alert.
        if talked {
            "the server closed the connection"
        } else if self.shows_certificate() {
            "the server closed the connection right after the TLS handshake; if it does not accept the client certificate of \
             tlsCertificateKeyFile, its CA must be one the server trusts"
        } else {
            "the server closed the connection right after the TLS handshake; if it requires a client certificate, name it \
             with tlsCertificateKeyFile"
        }
    }

    fn shows_certificate(&self) -> bool {
        self.config.rustls.client_auth_cert_resolver.has_certs()
    }

    fn ended(&self, how: &str, heard: bool) -> String {
        let host = &self.host;
        if heard {
            format!("the server at {host} {how} during the TLS handshake")
        } else {
            // A mongod without TLS takes the first message for a broken header and hangs up.
            format!(
                "the server at {host} does not speak TLS, or {how} during the TLS handshake; if it was set up without TLS, \
                 leave out tls=true"
            )
        }
    }

    fn certificate(&self, error: &CertificateError) -> String {
        let host = &self.host;
        match error {
            CertificateError::UnknownIssuer => {
                format!("the certificate of {host} is not signed by {}", self.authorities())
            }
            CertificateError::BadSignature => format!(
                "the certificate of {host} is not signed by {} (one has the issuer's name, but another key)",
                self.authorities()
            ),
            CertificateError::NotValidForName => self.wrong_name(&[]),
            CertificateError::NotValidForNameContext { presented, .. } => self.wrong_name(presented),
            CertificateError::Expired => format!("the certificate of {host} has expired"),
            CertificateError::ExpiredContext { time, not_after } => format!(
                "the certificate of {host} has expired {} ago (by the clock of this machine)",
                span(time.as_secs().saturating_sub(not_after.as_secs()))
            ),
            CertificateError::NotValidYet => format!("the certificate of {host} is not valid yet"),
            CertificateError::NotValidYetContext { time, not_before } => format!(
                "the certificate of {host} is not valid before {} from now; check the clock of this machine",
                span(not_before.as_secs().saturating_sub(time.as_secs()))
            ),
            CertificateError::Other(reason) if format!("{reason:?}").contains("CaUsedAsEndEntity") => {
                format!(
                    "the certificate of {host} is that of a CA (basicConstraints CA:TRUE), which cannot be a server's own; \
                 issue one for the server and name the CA with tlsCAFile"
                )
            }
            other => format!("the certificate of {host} is not acceptable: {other}"),
        }
    }

    fn authorities(&self) -> String {
        match &self.config.trust {
            Trust::CaFile(path) => {
                format!("a CA in tlsCAFile {path}; name the file with the CA that issued it")
            }
            Trust::System => {
                "a CA that this system trusts; name the file with the CA that issued it by tlsCAFile".into()
            }
            Trust::Custom | Trust::Anyone => "a CA that the given rustls configuration trusts".into(),
        }
    }

    fn wrong_name(&self, presented: &[String]) -> String {
        let host = &self.host;
        let names = if presented.is_empty() {
            // The common name is not looked at: RFC 6125 retired it.
            "it has no subjectAltName for any".to_owned()
        } else {
            let mut names = presented.iter().take(SHOWN_NAMES).cloned().collect::<Vec<_>>().join(", ");
            if presented.len() > SHOWN_NAMES {
                names.push_str(", ...");
            }
            format!("its subjectAltName has {names}")
        };
        format!(
            "the certificate of {host} is made out to another name: {names}; connect by a name it has, or issue one with \
             this name"
        )
    }

    fn alert(&self, alert: AlertDescription) -> String {
        use AlertDescription as A;
        let host = &self.host;
        let shown = self.shows_certificate();
        match alert {
            A::CertificateRequired if !shown => {
                format!(
                    "the server at {host} requires a client certificate: name it with tlsCertificateKeyFile"
                )
            }
            // How TLS 1.2 servers say the same, among other things.
            A::HandshakeFailure if !shown => format!(
                "the server at {host} refused the handshake ({alert:?}); if it requires a client certificate, name it \
                 with tlsCertificateKeyFile"
            ),
            A::UnknownCA
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateUnknown
            | A::CertificateExpired
            | A::CertificateRevoked
            | A::CertificateRequired
            | A::AccessDenied
            | A::DecryptError
                if shown =>
            {
                format!(
                    "the server at {host} refused the client certificate of tlsCertificateKeyFile ({alert:?}); its CA must \
                     be one the server trusts"
                )
            }
            A::ProtocolVersion => {
                format!("the server at {host} speaks neither TLS 1.2 nor TLS 1.3 ({alert:?})")
            }
            other => format!("the server at {host} refused the connection ({other:?})"),
        }
    }
}

/// A span of seconds as a person would say it.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} minutes", seconds / 60),
        7_200..=172_799 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
