//! Whether and how connections are encrypted.

use super::Secret;
use crate::sdam::Unverified;
use crate::shared::Arc;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

/// Whether connections use TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// They do, in this manner.
    Enabled(TlsOptions),
    /// They do not, and other TLS options are no reason to.
    Disabled,
}

impl From<TlsOptions> for Tls {
    fn from(options: TlsOptions) -> Self {
        Tls::Enabled(options)
    }
}

/// How TLS is done. Everything left out is the safe choice.
///
/// Files are named, not read: the host reads them, the core reaches no file system.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "builders", derive(typed_builder::TypedBuilder))]
#[cfg_attr(feature = "builders", builder(field_defaults(default, setter(into))))]
#[non_exhaustive]
pub struct TlsOptions {
    /// `tlsAllowInvalidCertificates`: accept any certificate. For tests only.
    pub allow_invalid_certificates: Option<bool>,
    /// `tlsAllowInvalidHostnames`: accept a certificate made out to another host. For tests only.
    pub allow_invalid_hostnames: Option<bool>,
    /// `tlsInsecure`: both of the above. Excludes them and the two checks below.
    pub insecure: Option<bool>,
    /// `tlsCAFile`: PEM file of the certificate authorities to trust; `None` for the host's roots.
    pub ca_file_path: Option<String>,
    /// `tlsCertificateKeyFile`: PEM file with the client's certificate and key.
    pub cert_key_file_path: Option<String>,
    /// `tlsCertificateKeyFilePassword`: what that key is encrypted with.
    pub tls_certificate_key_file_password: Option<Vec<u8>>,
    /// `tlsDisableOCSPEndpointCheck`: ask no OCSP responder.
    pub disable_ocsp_endpoint_check: Option<bool>,
    /// `tlsDisableCertificateRevocationCheck`: do not check for revocation at all.
    pub disable_certificate_revocation_check: Option<bool>,
    /// Settings of the host's own TLS library, instead of everything above.
    pub custom: Option<CustomTls>,
}

/// Settings of the TLS library a host uses, whatever it is: the core carries them from whoever made the options to the host,
/// and does not look inside. Cheap to clone.
///
/// Hosts have their own type for it; with the crate `quorate` it comes from its `tls::TlsConfig`.
#[derive(Clone)]
pub struct CustomTls(Arc<dyn Any + Send + Sync>);

impl CustomTls {
    /// Wraps settings.
    pub fn new(settings: impl Any + Send + Sync) -> Self {
        CustomTls(Arc::new(settings))
    }

    /// The settings, if they are of that type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl PartialEq for CustomTls {
    /// Whether both are the same settings.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CustomTls {}

impl fmt::Debug for CustomTls {
    // There may be keys in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomTls")
    }
}

/// URI options specification, "Conflicting TLS options": neither value of the one may stand beside the other.
pub(crate) const CONFLICTS: [(&str, &str); 7] = [
    ("tlsInsecure", "tlsAllowInvalidCertificates"),
    ("tlsInsecure", "tlsAllowInvalidHostnames"),
    ("tlsInsecure", "tlsDisableOCSPEndpointCheck"),
    ("tlsInsecure", "tlsDisableCertificateRevocationCheck"),
    ("tlsAllowInvalidCertificates", "tlsDisableOCSPEndpointCheck"),
    ("tlsAllowInvalidCertificates", "tlsDisableCertificateRevocationCheck"),
    ("tlsDisableOCSPEndpointCheck", "tlsDisableCertificateRevocationCheck"),
];

impl TlsOptions {
    /// Whether an option of [`CONFLICTS`] is set.
    pub(crate) fn has(&self, name: &str) -> bool {
        match name {
            "tlsInsecure" => self.insecure,
            "tlsAllowInvalidCertificates" => self.allow_invalid_certificates,
            "tlsAllowInvalidHostnames" => self.allow_invalid_hostnames,
            "tlsDisableOCSPEndpointCheck" => self.disable_ocsp_endpoint_check,
            "tlsDisableCertificateRevocationCheck" => self.disable_certificate_revocation_check,
            _ => None,
        }
        .is_some()
    }

    /// Whether any certificate will do, by either option that says so.
    pub fn accepts_any_certificate(&self) -> bool {
        self.insecure == Some(true) || self.allow_invalid_certificates == Some(true)
    }

    /// Whether the certificate's host name is left unchecked, by either option that says so.
    pub fn accepts_any_hostname(&self) -> bool {
        self.insecure == Some(true) || self.allow_invalid_hostnames == Some(true)
    }

    /// What is left unchecked, if anything is.
    pub(crate) fn unverified(&self) -> Option<Unverified> {
        let (any_certificate, any_hostname) = (self.accepts_any_certificate(), self.accepts_any_hostname());
        (any_certificate || any_hostname).then_some(Unverified { any_certificate, any_hostname })
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("allow_invalid_certificates", &self.allow_invalid_certificates)
            .field("allow_invalid_hostnames", &self.allow_invalid_hostnames)
            .field("insecure", &self.insecure)
            .field("ca_file_path", &self.ca_file_path)
            .field("cert_key_file_path", &self.cert_key_file_path)
            .field(
                "tls_certificate_key_file_password",
                &self.tls_certificate_key_file_password.as_ref().map(|_| Secret),
            )
            .field("disable_ocsp_endpoint_check", &self.disable_ocsp_endpoint_check)
            .field("disable_certificate_revocation_check", &self.disable_certificate_revocation_check)
            .field("custom", &self.custom)
            .finish()
    }
}
