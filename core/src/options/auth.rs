//! Credentials: who the client says it is, and by which mechanism.
//!
//! Source: authentication specification, "MongoCredential" and the "MongoCredential Properties" of each mechanism.

use super::{Secret, oidc};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

/// The database name that stands for "outside of MongoDB".
pub const EXTERNAL: &str = "$external";

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMechanism {
    /// SCRAM-SHA-1.
    ScramSha1,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// X.509 client certificates.
    MongoDbX509,
    /// Kerberos.
    Gssapi,
    /// LDAP: name and password as they are, so over TLS only.
    Plain,
    /// AWS IAM.
    MongoDbAws,
    /// OpenID Connect.
    MongoDbOidc,
}

impl AuthMechanism {
    /// The protocol's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            AuthMechanism::ScramSha1 => "SCRAM-SHA-1",
            AuthMechanism::ScramSha256 => "SCRAM-SHA-256",
            AuthMechanism::MongoDbX509 => "MONGODB-X509",
            AuthMechanism::Gssapi => "GSSAPI",
            AuthMechanism::Plain => "PLAIN",
            AuthMechanism::MongoDbAws => "MONGODB-AWS",
            AuthMechanism::MongoDbOidc => "MONGODB-OIDC",
        }
    }

    /// The mechanism of that name.
    pub fn parse(name: &str) -> Option<Self> {
        use AuthMechanism::*;
        [ScramSha1, ScramSha256, MongoDbX509, Gssapi, Plain, MongoDbAws, MongoDbOidc]
            .into_iter()
            .find(|mechanism| mechanism.as_str() == name)
    }

    /// Whether users of this mechanism are kept outside of MongoDB, so that the source can only be `$external`.
    pub const fn is_external(self) -> bool {
        use AuthMechanism::*;
        matches!(self, MongoDbX509 | Gssapi | MongoDbAws | MongoDbOidc)
    }

    /// The source when none is named; `database` is that of the connection string.
    pub fn default_source(self, database: Option<&str>) -> &str {
        match self {
            AuthMechanism::ScramSha1 | AuthMechanism::ScramSha256 => database.unwrap_or("admin"),
            AuthMechanism::Plain => database.unwrap_or(EXTERNAL),
            _ => EXTERNAL,
        }
    }

    /// The mechanism properties it knows.
    const fn properties(self) -> &'static [&'static str] {
        match self {
            AuthMechanism::Gssapi => {
                &["SERVICE_NAME", "CANONICALIZE_HOST_NAME", "SERVICE_REALM", "SERVICE_HOST"]
            }
            AuthMechanism::MongoDbAws => &["AWS_SESSION_TOKEN"],
            AuthMechanism::MongoDbOidc => &["ENVIRONMENT", "TOKEN_RESOURCE"],
            _ => &[],
        }
    }
}

/// Properties of a mechanism by name. Names are looked up ignoring case; connection strings fold them to upper case.
pub type MechanismProperties = BTreeMap<String, String>;

/// Who the client is. What is left out is negotiated, or filled in by [`Credential::fill_defaults`].
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "builders", derive(typed_builder::TypedBuilder))]
#[cfg_attr(feature = "builders", builder(field_defaults(default, setter(into))))]
#[non_exhaustive]
pub struct Credential {
    /// The user; optional for X.509, AWS and OIDC.
    pub username: Option<String>,
    /// The database that keeps the user, or `$external`.
    pub source: Option<String>,
    /// The password; not for every mechanism.
    pub password: Option<String>,
    /// The mechanism; `None` for SCRAM as negotiated with the server.
    pub mechanism: Option<AuthMechanism>,
    /// Further properties of the mechanism.
    pub mechanism_properties: Option<MechanismProperties>,
    /// Gets tokens for MONGODB-OIDC, instead of the property `ENVIRONMENT`.
    pub oidc_callback: Option<oidc::Callback>,
}

/// What is wrong with a credential: which option, and how.
pub(crate) type Fault = (&'static str, String);

impl Credential {
    /// A mechanism property, its name compared without regard to case.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.mechanism_properties
            .iter()
            .flatten()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Fills in the source (from the mechanism and the connection string's database) and the default service name of
    /// GSSAPI.
    pub fn fill_defaults(&mut self, database: Option<&str>) {
        if self.source.is_none() {
            // No mechanism means SCRAM as negotiated, and both SCRAMs have the same default.
            let mechanism = self.mechanism.unwrap_or(AuthMechanism::ScramSha256);
            self.source = Some(mechanism.default_source(database).to_string());
        }
        if self.mechanism == Some(AuthMechanism::Gssapi) && self.property("SERVICE_NAME").is_none() {
            let properties = self.mechanism_properties.get_or_insert_default();
            properties.insert("SERVICE_NAME".to_string(), "mongodb".to_string());
        }
    }

    /// Says what contradicts its mechanism. Lacks no later step can cure are faults as well; an OIDC credential's missing
    /// environment is not ([`Credential::check_complete`]).
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let username = self.username.as_deref();
        if username == Some("") {
            return Err(("user name", "must not be empty".into()));
        }
        if self.source.as_deref() == Some("") {
            return Err(("authSource", "must not be empty".into()));
        }
        let Some(mechanism) = self.mechanism else {
            if username.is_none() {
                return Err(("user name", "is needed to authenticate".into()));
            }
            self.check_callback()?;
            return self.check_properties("the default mechanism", &[]);
        };
        self.check_callback()?;
        let name = mechanism.as_str();
        use AuthMechanism::*;
        if username.is_none() && matches!(mechanism, ScramSha1 | ScramSha256 | Plain | Gssapi) {
            return Err(("user name", format!("{name} needs one")));
        }
        if self.password.is_none() && matches!(mechanism, ScramSha1 | ScramSha256 | Plain) {
            return Err(("password", format!("{name} needs one")));
        }
        if self.password.is_some() && matches!(mechanism, MongoDbX509 | MongoDbOidc) {
            return Err(("password", format!("{name} takes none")));
        }
        if mechanism.is_external() && self.source.as_deref().is_some_and(|source| source != EXTERNAL) {
            return Err(("authSource", format!("can only be {EXTERNAL} with {name}")));
        }
        self.check_properties(name, mechanism.properties())?;
        match mechanism {
            Gssapi => self.check_gssapi(),
            MongoDbAws => self.check_aws(),
            MongoDbOidc => self.check_oidc(),
            _ => Ok(()),
        }
    }

    /// "Errors": a property that the mechanism does not have.
    fn check_properties(&self, mechanism: &str, known: &[&str]) -> Result<(), Fault> {
        let mut names = self.mechanism_properties.iter().flatten().map(|(name, _)| name);
        match names.find(|name| !known.iter().any(|k| k.eq_ignore_ascii_case(name))) {
            Some(name) => {
                // The whole value may be mistaken for a name when a delimiter is missing: show the start only.
                let shown: String = name.chars().take(32).collect();
                Err(("authMechanismProperties", format!("{mechanism} has no property `{shown}`")))
            }
            None => Ok(()),
        }
    }

    /// "Hostname Canonicalization".
    fn check_gssapi(&self) -> Result<(), Fault> {
        match self.property("CANONICALIZE_HOST_NAME") {
            None | Some("none" | "forward" | "forwardAndReverse" | "true" | "false") => Ok(()),
            Some(_) => Err((
                "authMechanismProperties",
                "CANONICALIZE_HOST_NAME is one of none, forward and forwardAndReverse".into(),
            )),
        }
    }

    /// "Obtaining Credentials": only key and secret, with or without a token, make sense together.
    fn check_aws(&self) -> Result<(), Fault> {
        match (&self.username, &self.password) {
            (Some(_), None) => Err(("password", "MONGODB-AWS needs one beside a user name".into())),
            (None, Some(_)) => Err(("user name", "MONGODB-AWS needs one beside a password".into())),
            (None, None) if self.property("AWS_SESSION_TOKEN").is_some() => {
                Err(("authMechanismProperties", "AWS_SESSION_TOKEN needs a user name and a password".into()))
            }
            _ => Ok(()),
        }
    }

    /// MONGODB-OIDC, "MongoCredential Properties".
    fn check_oidc(&self) -> Result<(), Fault> {
        const PROPERTIES: &str = "authMechanismProperties";
        let resource = self.property("TOKEN_RESOURCE");
        match self.property("ENVIRONMENT") {
            None => Ok(()),
            Some("azure" | "gcp") if resource.is_none() => {
                Err((PROPERTIES, "ENVIRONMENT azure and gcp need TOKEN_RESOURCE".into()))
            }
            Some("azure" | "gcp") => Ok(()),
            Some("test" | "k8s") if resource.is_some() => {
                Err((PROPERTIES, "only ENVIRONMENT azure and gcp take TOKEN_RESOURCE".into()))
            }
            Some("test") if self.username.is_some() => {
                Err(("user name", "ENVIRONMENT test takes none".into()))
            }
            Some("test" | "k8s") => Ok(()),
            Some(_) => Err((PROPERTIES, "ENVIRONMENT is one of azure, gcp, k8s and test".into())),
        }
    }

    /// "If both `ENVIRONMENT` and an OIDC Callback ... are provided for the same `MongoClient`, the driver MUST raise an error."
    fn check_callback(&self) -> Result<(), Fault> {
        if self.oidc_callback.is_none() {
            return Ok(());
        }
        if self.mechanism != Some(AuthMechanism::MongoDbOidc) {
            return Err(("authMechanism", "only MONGODB-OIDC has a callback".into()));
        }
        if self.property("ENVIRONMENT").is_some() {
            return Err(("authMechanismProperties", "ENVIRONMENT cannot be given beside a callback".into()));
        }
        Ok(())
    }

    /// What is asked only when the client is made, and not yet when its connection string is read.
    ///
    /// Keys for AWS can be read off a connection string, as they always could, but not used: "If credentials are provided in the
    /// URI or client options, the driver MUST raise an error" (MONGODB-AWS, "Obtaining Credentials").
    pub(crate) fn check_complete(&self) -> Result<(), Fault> {
        let has_source = self.property("ENVIRONMENT").is_some() || self.oidc_callback.is_some();
        if self.mechanism == Some(AuthMechanism::MongoDbOidc) && !has_source {
            return Err(("authMechanismProperties", "MONGODB-OIDC needs ENVIRONMENT or a callback".into()));
        }
        if self.mechanism == Some(AuthMechanism::MongoDbAws) && self.username.is_some() {
            return Err(("user name", "MONGODB-AWS takes none: its keys come from the environment".into()));
        }
        Ok(())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("username", &self.username)
            .field("source", &self.source)
            .field("password", &self.password.as_ref().map(|_| Secret))
            .field("mechanism", &self.mechanism)
            // Values may be tokens.
            .field(
                "mechanism_properties",
                &self
                    .mechanism_properties
                    .as_ref()
                    .map(|p| p.keys().map(|k| (k, Secret)).collect::<BTreeMap<_, _>>()),
            )
            .field("oidc_callback", &self.oidc_callback)
            .finish()
    }
}
