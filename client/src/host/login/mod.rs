//! What connections need to log in, and the work that is done for them.

mod fetch;
mod tokens;

use crate::runtime::Runtime;
use quorate_core::ServerAddress;
use quorate_core::auth::oidc::AccessToken;
use quorate_core::auth::{
    Answer, AuthStart, Authenticator, AwsEnv, AwsKeySource, AwsKeys, KeyCache, SourceOutput, Work,
};
use quorate_core::error::{Error, ErrorKind};
use quorate_core::options::{AuthMechanism, Credential};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokens::Tokens;

/// Who logs in on every connection of one client, and what was found out before.
#[derive(Debug)]
pub(crate) struct Keychain {
    who: Authenticator,
    logins: AtomicU64,
    keys: Mutex<KeyCache>,
    /// Keys that came from an endpoint.
    aws: Mutex<Option<AwsKeys>>,
    tokens: Tokens,
}

impl Keychain {
    /// For a credential; nonces are made of what the runtime gives as chance.
    pub(crate) fn new(credential: &Credential, runtime: &impl Runtime) -> Self {
        let mut entropy = [0; 32];
        entropy.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&runtime.seed().to_le_bytes()));
        Keychain {
            who: Authenticator::new(credential, entropy),
            logins: AtomicU64::new(0),
            keys: Mutex::default(),
            aws: Mutex::default(),
            tokens: Tokens::new(credential),
        }
    }

    /// For one more connection.
    pub(super) fn start(&self) -> AuthStart {
        let start = self.who.start(self.logins.fetch_add(1, Ordering::Relaxed));
        start.with_tokens(&self.tokens.store())
    }

    /// For a connection that logged in with this token, if by one, and has to do so again.
    pub(crate) fn start_again(&self, token: Option<&AccessToken>) -> AuthStart {
        if let Some(token) = token {
            self.tokens.store().invalidate(token);
        }
        self.start()
    }

    /// Does what a log-in at `address` asks for, on the task that needs it: others go on with theirs.
    pub(crate) async fn work<R: Runtime>(&self, runtime: &R, address: &ServerAddress, work: Work) -> Answer {
        match work {
            Work::Derive(job) => {
                let known = lock(&self.keys).get(&job);
                // Not under the lock: milliseconds.
                let keys = known.unwrap_or_else(|| job.run());
                lock(&self.keys).insert(keys.clone());
                Answer::Keys(keys)
            }
            Work::AwsKeys => match Box::pin(self.aws_keys(runtime)).await {
                Ok(keys) => Answer::AwsKeys(keys, runtime.unix_time()),
                Err(reason) => Answer::Failed(refused(AuthMechanism::MongoDbAws, &reason)),
            },
            Work::Token(request) => match Box::pin(self.tokens.get(runtime, address, &request)).await {
                Ok(token) => Answer::Token(token),
                Err(error) => Answer::Failed(error),
            },
            _ => Answer::Failed(Error::invalid_argument("the log-in asks for what this client cannot do")),
        }
    }

    /// A log-in has failed. "If AWS authentication fails for any reason, the cache MUST be cleared."
    pub(super) fn failed(&self) {
        lock(&self.aws).take();
    }

    async fn aws_keys<R: Runtime>(&self, runtime: &R) -> Result<AwsKeys, String> {
        if let Some(keys) = self.who.aws_keys() {
            return Ok(keys);
        }
        let now = runtime.unix_time();
        if let Some(keys) = lock(&self.aws).as_ref().filter(|keys| keys.is_fresh(now)) {
            return Ok(keys.clone());
        }
        // "the driver MUST not place a lock on making a request".
        let mut source = AwsKeySource::new(AwsEnv::detect(|name| std::env::var(name).ok()));
        loop {
            match source.poll_output() {
                Some(SourceOutput::Fetch(errand)) => {
                    source.handle_fetched(fetch::fetch(runtime, errand).await)
                }
                Some(SourceOutput::Done(keys)) => {
                    // Those of the environment have no end, and are not kept.
                    *lock(&self.aws) = Some(keys.clone()).filter(|keys| keys.expires.is_some());
                    return Ok(keys);
                }
                Some(SourceOutput::Failed(reason)) => return Err(reason),
                _ => return Err("the search for keys came to a halt".into()),
            }
        }
    }
}

fn refused(mechanism: AuthMechanism, reason: &str) -> Error {
    ErrorKind::Authentication { message: format!("{}: {reason}", mechanism.as_str()) }.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
