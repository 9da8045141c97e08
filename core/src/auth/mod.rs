//! Proving who the client is: one [`Conversation`] a connection, after its hello and partly inside it.
//!
//! A conversation is a machine like all others here: what the server says goes in, what to send next comes out. What it
//! cannot do in no time, or not without the world, it asks its host for as [`Work`]: deriving a key from a password takes
//! milliseconds, tokens and AWS keys come over the network. The host does it wherever it stalls nobody, and gives the
//! [`Answer`]. [`crate::connection::Connection`] has a conversation inside and hands its work on.
//!
//! # The loop
//!
//! 1. [`Conversation::hello_arguments`] go into the hello; its reply goes to [`Conversation::handle_hello`].
//! 2. Drain [`Conversation::poll_output`]: send what [`AuthOutput::Send`] holds, do the work.
//! 3. Hand in the server's reply ([`Conversation::handle_reply`]) or the work's outcome ([`Conversation::handle_answer`]); go on
//!    with 2 until it is [`AuthOutput::Done`] or [`AuthOutput::Failed`].
//!
//! > Calls out of turn fail the conversation; after `Done` and `Failed` nothing else ever comes. It has no deadline of its own:
//! > the connection's counts.
//!
//! Secrets are wiped from memory when they are dropped, and no `Debug`, error or event shows them.
//!
//! Source: authentication specification; MongoDB handshake specification, "Speculative Authentication".

#![cfg_attr(
    not(feature = "auth"),
    allow(dead_code, unused_variables, reason = "only mechanisms that compute need nonces")
)]

#[cfg(feature = "auth")]
mod aws;
mod conversation;
#[cfg(feature = "auth")]
mod errand;
#[cfg(feature = "auth")]
mod keys;
pub mod oidc;
#[cfg(feature = "auth")]
mod prepare;
mod sasl;
#[cfg(feature = "auth")]
mod scram;

#[cfg(feature = "auth")]
pub use aws::{AwsEnv, AwsKeySource, AwsKeys};
pub use conversation::{AuthOutput, Conversation, HelloArguments};
#[cfg(feature = "auth")]
pub use errand::{Errand, Fetched, HttpRequest, HttpResponse, LONGEST_RESPONSE, SourceOutput};
#[cfg(feature = "auth")]
pub use keys::{DeriveJob, KeyCache, ScramKeys};

use crate::Error;
use crate::options::{AuthMechanism, Credential, EXTERNAL};
use crate::shared::Arc;
use alloc::string::{String, ToString};
use core::fmt;
use zeroize::Zeroizing;

/// What a conversation wants done outside of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Work {
    /// Derive a key: look into the [`KeyCache`], else [`DeriveJob::run`] it where that stalls nobody.
    #[cfg(feature = "auth")]
    Derive(DeriveJob),
    /// Find keys of AWS ([`AwsKeySource`]), or take those found before while they are fresh.
    #[cfg(feature = "auth")]
    AwsKeys,
    /// Get a token, as [`oidc::TokenStore`] says.
    Token(oidc::TokenRequest),
}

impl Work {
    /// Whether it waits for the world, or for a human even, as opposed to computing. The host has time-outs for it.
    pub const fn waits(&self) -> bool {
        match self {
            #[cfg(feature = "auth")]
            Work::Derive(_) => false,
            _ => true,
        }
    }
}

/// What came of some [`Work`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The key.
    #[cfg(feature = "auth")]
    Keys(ScramKeys),
    /// The keys of AWS, and what a calendar shows, as the time since the Unix epoch: signatures are dated.
    #[cfg(feature = "auth")]
    AwsKeys(AwsKeys, crate::Duration),
    /// The token.
    Token(oidc::AccessToken),
    /// It could not be done.
    Failed(Error),
}

/// Who logs in, and how: one a client. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator(Arc<Identity>);

struct Identity {
    /// `None` to negotiate.
    mechanism: Option<AuthMechanism>,
    user: Option<String>,
    password: Option<Zeroizing<String>>,
    /// Whether a human is asked for tokens.
    human: bool,
    session_token: Option<Zeroizing<String>>,
    source: String,
    /// What nonces are made of.
    entropy: Zeroizing<[u8; 32]>,
}

impl Authenticator {
    /// For a credential that [`crate::ClientOptions::validate`] has nothing against. `entropy` comes from the host's random
    /// source, anew for each client and shown to nobody: nonces are made of it.
    pub fn new(credential: &Credential, entropy: [u8; 32]) -> Self {
        let default = credential.mechanism.unwrap_or(AuthMechanism::ScramSha256).default_source(None);
        Authenticator(Arc::new(Identity {
            mechanism: credential.mechanism,
            user: credential.username.clone(),
            password: credential.password.clone().map(Zeroizing::new),
            source: credential.source.clone().unwrap_or_else(|| default.to_string()),
            human: credential.oidc_callback.as_ref().is_some_and(|callback| callback.is_human()),
            session_token: credential.property("AWS_SESSION_TOKEN").map(|t| Zeroizing::new(t.to_string())),
            entropy: Zeroizing::new(entropy),
        }))
    }

    /// For one connection. `number` is another one for each.
    pub fn start(&self, number: u64) -> AuthStart {
        AuthStart { who: self.clone(), number, token: None, can_refresh: false }
    }

    /// The keys of AWS that the credential has itself.
    #[cfg(feature = "auth")]
    pub fn aws_keys(&self) -> Option<AwsKeys> {
        let (user, password) = (self.0.user.as_deref()?, self.0.password.as_ref()?);
        Some(AwsKeys { session_token: self.0.session_token.clone(), ..AwsKeys::new(user, password.as_str()) })
    }

    /// The mechanism, where one is named.
    pub fn mechanism(&self) -> Option<AuthMechanism> {
        self.0.mechanism
    }

    fn user(&self) -> &str {
        self.0.user.as_deref().unwrap_or_default()
    }

    #[cfg(feature = "auth")]
    fn password(&self) -> &str {
        self.0.password.as_ref().map_or("", |password| password.as_str())
    }

    /// The database that commands are sent to.
    fn source(&self) -> &str {
        match self.0.mechanism {
            Some(mechanism) if mechanism.is_external() => EXTERNAL,
            _ => &self.0.source,
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("mechanism", &self.0.mechanism)
            .field("user", &self.0.user)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

/// What a connection needs to log in. Use it for one connection only: the same nonces would come of it again.
#[derive(Clone)]
pub struct AuthStart {
    who: Authenticator,
    number: u64,
    token: Option<oidc::AccessToken>,
    can_refresh: bool,
}

impl AuthStart {
    /// The same, with what the client keeps of tokens by now.
    #[must_use]
    pub fn with_tokens(mut self, tokens: &oidc::TokenStore) -> Self {
        self.token = tokens.access_token();
        self.can_refresh = tokens.can_refresh();
        self
    }
}

impl fmt::Debug for AuthStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.who, f)
    }
}
