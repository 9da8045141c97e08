//! What connections need to log in, and the work that is done for them.

use crate::runtime::Runtime;
use quorate_core::auth::{Answer, AuthStart, Authenticator, KeyCache, Work};
use quorate_core::error::Error;
use quorate_core::options::Credential;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Who logs in on every connection of one client, and what was found out before.
#[derive(Debug)]
pub(crate) struct Keychain {
    who: Authenticator,
    logins: AtomicU64,
    keys: Mutex<KeyCache>,
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
        }
    }

    /// For one more connection.
    pub(super) fn start(&self) -> AuthStart {
        self.who.start(self.logins.fetch_add(1, Ordering::Relaxed))
    }

    /// Does what a log-in asks for, on the task that opens its connection: others go on with theirs.
    pub(super) async fn work(&self, work: Work) -> Answer {
        match work {
            Work::Derive(job) => {
                let known = self.keys().get(&job);
                // Not under the lock: milliseconds.
                let keys = known.unwrap_or_else(|| job.run());
                self.keys().insert(keys.clone());
                Answer::Keys(keys)
            }
            _ => Answer::Failed(Error::invalid_argument("the log-in asks for what this client cannot do")),
        }
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, KeyCache> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
