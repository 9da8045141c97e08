//! The application's part in MONGODB-OIDC: a function that gets tokens.
//!
//! Source: authentication specification, "OIDC Callback" and "OIDC Human Callback".

use crate::error::{Error, ErrorKind};
use crate::shared::Arc;
use crate::{Duration, Result};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use zeroize::Zeroizing;

/// The version of the callback's interface, for those who want to notice changes.
pub const CALLBACK_VERSION: u32 = 1;

/// Hosts that a human's tokens may be shown to, unless the application names others ("ALLOWED_HOSTS").
pub const DEFAULT_ALLOWED_HOSTS: [&str; 8] = [
    "*.mongodb.net",
    "*.mongodb-qa.net",
    "*.mongodb-dev.net",
    "*.mongodbgov.net",
    "localhost",
    "127.0.0.1",
    "::1",
    "*.mongo.com",
];

type TokenFuture = Pin<Box<dyn Future<Output = Result<IdpServerResponse>> + Send>>;
type Function = dyn Fn(CallbackContext) -> TokenFuture + Send + Sync;

/// Gets access tokens: for a machine, or by asking a human. Cheap to clone. It is never called twice at once by one client.
///
/// ```
/// use quorate_core::options::oidc::{Callback, IdpServerResponse};
/// let callback = Callback::machine(|_context| async { Ok(IdpServerResponse::new("the token")) });
/// # let _ = callback;
/// ```
#[derive(Clone)]
pub struct Callback {
    function: Arc<Function>,
    human: bool,
    allowed_hosts: Arc<[String]>,
}

impl Callback {
    /// A callback that needs nobody: a token is there, or can be had by a program.
    pub fn machine<F>(function: impl Fn(CallbackContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<IdpServerResponse>> + Send + 'static,
    {
        Self::new(function, false)
    }

    /// A callback that asks a human, who has five minutes. The server says whose tokens it takes.
    pub fn human<F>(function: impl Fn(CallbackContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<IdpServerResponse>> + Send + 'static,
    {
        Self::new(function, true)
    }

    fn new<F>(function: impl Fn(CallbackContext) -> F + Send + Sync + 'static, human: bool) -> Self
    where
        F: Future<Output = Result<IdpServerResponse>> + Send + 'static,
    {
        let function: Arc<Function> = Arc::new(move |context| -> TokenFuture { Box::pin(function(context)) });
        let allowed_hosts = DEFAULT_ALLOWED_HOSTS.iter().map(ToString::to_string).collect();
        Callback { function, human, allowed_hosts }
    }

    /// The same, for servers on these hosts instead of [`DEFAULT_ALLOWED_HOSTS`]; `*.` in front stands for any subdomain.
    /// Only human callbacks are held against it.
    #[must_use]
    pub fn with_allowed_hosts<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.allowed_hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Whether a human is asked.
    pub const fn is_human(&self) -> bool {
        self.human
    }

    /// Calls it.
    pub fn call(
        &self,
        context: CallbackContext,
    ) -> impl Future<Output = Result<IdpServerResponse>> + Send + 'static {
        (self.function)(context)
    }

    /// "When ... attempted against a hostname that does not match any of list of allowed hosts, the driver MUST raise a
    /// client-side error without invoking any user-provided callbacks."
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] naming the host.
    pub fn check_host(&self, host: &str) -> Result<()> {
        let matches = |pattern: &String| match pattern.strip_prefix('*') {
            Some(end) if end.starts_with('.') => {
                host.len() > end.len() && host.to_ascii_lowercase().ends_with(&end.to_ascii_lowercase())
            }
            _ => host.eq_ignore_ascii_case(pattern),
        };
        if !self.human || self.allowed_hosts.iter().any(matches) {
            return Ok(());
        }
        let message = alloc::format!("MONGODB-OIDC: {host} is not among the allowed hosts");
        Err(Error::new(ErrorKind::Authentication { message }))
    }
}

impl PartialEq for Callback {
    /// Whether both are the same function.
    fn eq(&self, other: &Self) -> bool {
        core::ptr::addr_eq(Arc::as_ptr(&self.function), Arc::as_ptr(&other.function))
            && self.human == other.human
            && self.allowed_hosts == other.allowed_hosts
    }
}

impl Eq for Callback {}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.human { "Callback::human" } else { "Callback::machine" })
    }
}

/// What a callback is told.
#[derive(Clone)]
#[non_exhaustive]
pub struct CallbackContext {
    /// How long it may take; after that its future is dropped.
    pub timeout: Duration,
    /// [`CALLBACK_VERSION`].
    pub version: u32,
    /// The user name of the credential.
    pub username: Option<String>,
    /// Whose tokens the server takes; for human callbacks.
    pub idp_info: Option<IdpServerInfo>,
    /// What came with the last token, to get another one without asking; for human callbacks.
    pub refresh_token: Option<Zeroizing<String>>,
}

impl CallbackContext {
    /// For a callback that may take so long.
    pub fn new(timeout: Duration, username: Option<String>) -> Self {
        CallbackContext { timeout, version: CALLBACK_VERSION, username, idp_info: None, refresh_token: None }
    }
}

impl fmt::Debug for CallbackContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackContext")
            .field("timeout", &self.timeout)
            .field("version", &self.version)
            .field("username", &self.username)
            .field("idp_info", &self.idp_info)
            .field("refresh_token", &self.refresh_token.is_some())
            .finish()
    }
}

/// Whose tokens a server takes ("IdpInfo").
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdpServerInfo {
    /// A URL: where tokens are issued.
    pub issuer: String,
    /// The client's name there.
    pub client_id: Option<String>,
    /// What further to ask for.
    pub request_scopes: Option<Vec<String>>,
}

impl IdpServerInfo {
    /// That issuer.
    pub fn new(issuer: impl Into<String>) -> Self {
        IdpServerInfo { issuer: issuer.into(), client_id: None, request_scopes: None }
    }
}

/// What a callback gives. Wiped from memory when dropped.
#[derive(Clone)]
#[non_exhaustive]
pub struct IdpServerResponse {
    /// The token.
    pub access_token: Zeroizing<String>,
    /// How long it lasts. Tokens are used until the server refuses them, whatever this says.
    pub expires_in: Option<Duration>,
    /// With which to get the next one without asking; from human callbacks.
    pub refresh_token: Option<Zeroizing<String>>,
}

impl IdpServerResponse {
    /// A token of which no more is known.
    pub fn new(access_token: impl Into<String>) -> Self {
        IdpServerResponse {
            access_token: Zeroizing::new(access_token.into()),
            expires_in: None,
            refresh_token: None,
        }
    }

    /// The same, with a refresh token.
    #[must_use]
    pub fn with_refresh_token(mut self, token: impl Into<String>) -> Self {
        self.refresh_token = Some(Zeroizing::new(token.into()));
        self
    }
}

impl fmt::Debug for IdpServerResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdpServerResponse").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn humans_tokens_go_to_allowed_hosts_only() {
        let callback = Callback::human(|_| async { Ok(IdpServerResponse::new("t")) });
        for host in ["localhost", "127.0.0.1", "::1", "a.mongodb.net", "A.B.MONGODB.NET"] {
            callback.check_host(host).unwrap();
        }
        for host in
            ["mongodb.net", ".mongodb.net", "evilmongodb.net", "a.mongodb.net.evil.com", "example.com"]
        {
            let error = callback.check_host(host).unwrap_err().to_string();
            assert!(error.contains(host) && error.contains("allowed hosts"), "{error}");
        }
        let own = callback.with_allowed_hosts(["example.com"]);
        own.check_host("example.com").unwrap();
        own.check_host("localhost").unwrap_err();
        own.clone().with_allowed_hosts(Vec::<String>::new()).check_host("example.com").unwrap_err();
        Callback::machine(|_| async { Ok(IdpServerResponse::new("t")) }).check_host("example.com").unwrap();
    }
}
