//! Tokens for MONGODB-OIDC: kept, and got one call at a time.

use super::{fetch, lock, refused};
use crate::runtime::Runtime;
use futures::future::{Either, select};
use quorate_core::ServerAddress;
use quorate_core::auth::SourceOutput;
use quorate_core::auth::oidc::{AccessToken, OidcEnv, OidcTokenSource, TokenRequest, TokenStore};
use quorate_core::error::{Error, Result};
use quorate_core::options::oidc::{CallbackContext, IdpServerResponse};
use quorate_core::options::{AuthMechanism, Credential};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// "If CSOT is not applied, then the driver MUST use 1 minute as the timeout."
const MACHINE_LIMIT: Duration = Duration::from_secs(60);
/// For humans "The timeout duration MUST be 5 minutes."
const HUMAN_LIMIT: Duration = Duration::from_secs(5 * 60);

/// The tokens of one client, and where new ones come from.
#[derive(Debug)]
pub(super) struct Tokens {
    /// Held only while something is looked up or noted.
    store: Mutex<TokenStore>,
    /// Held for the length of a call: "only one call to the configured provider or OIDC callback can happen at a time".
    calls: futures::lock::Mutex<()>,
    /// Without its password; OIDC has none.
    credential: Credential,
}

impl Tokens {
    pub(super) fn new(credential: &Credential) -> Self {
        let mut credential = credential.clone();
        credential.password = None;
        Tokens { store: Mutex::default(), calls: futures::lock::Mutex::new(()), credential }
    }

    pub(super) fn store(&self) -> MutexGuard<'_, TokenStore> {
        lock(&self.store)
    }

    /// A token: that kept, or a new one.
    pub(super) async fn get<R: Runtime>(
        &self,
        runtime: &R,
        address: &ServerAddress,
        request: &TokenRequest,
    ) -> Result<AccessToken> {
        let callback = self.credential.oidc_callback.as_ref();
        if let Some(callback) = callback {
            callback.check_host(address.host())?;
        }
        let human = callback.is_some_and(|callback| callback.is_human());
        let limit = if human { HUMAN_LIMIT } else { MACHINE_LIMIT };
        let mut context = CallbackContext::new(limit, self.credential.username.clone());
        let _one_at_a_time = self.calls.lock().await;
        if let Some(token) = self.store().prepare(request, &mut context) {
            return Ok(token);
        }
        let at = self.store().next_call(runtime.now());
        runtime.sleep_until(at).await;
        let deadline = runtime.sleep_until(runtime.now() + limit);
        let response = match select(pin!(self.call(runtime, context)), pin!(deadline)).await {
            Either::Left((response, _)) => response?,
            Either::Right(_) => return Err(oidc(&format!("no token within {} s", limit.as_secs()))),
        };
        Ok(self.store().keep(request, response))
    }

    async fn call<R: Runtime>(&self, runtime: &R, context: CallbackContext) -> Result<IdpServerResponse> {
        if let Some(callback) = &self.credential.oidc_callback {
            return callback.call(context).await;
        }
        let env = OidcEnv::detect(|name| std::env::var(name).ok());
        let mut source = OidcTokenSource::new(&self.credential, &env);
        loop {
            match source.poll_output() {
                Some(SourceOutput::Fetch(errand)) => {
                    source.handle_fetched(fetch::fetch(runtime, errand).await)
                }
                Some(SourceOutput::Done(response)) => return Ok(response),
                Some(SourceOutput::Failed(reason)) => return Err(oidc(&reason)),
                _ => return Err(oidc("the search for a token came to a halt")),
            }
        }
    }
}

fn oidc(reason: &str) -> Error {
    refused(AuthMechanism::MongoDbOidc, reason)
}
