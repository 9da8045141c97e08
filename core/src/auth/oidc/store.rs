//! What one client keeps of tokens.
//!
//! Source: authentication specification, "MONGODB-OIDC", "Credential Caching".

use super::{TokenKind, TokenRequest};
use crate::options::oidc::{CallbackContext, IdpServerInfo, IdpServerResponse};
use crate::shared::Arc;
use crate::{Duration, Instant};
use core::fmt;
use zeroize::Zeroizing;

/// "Wait until it has been at least 100ms since the last callback invocation".
const PAUSE: Duration = Duration::from_millis(100);

/// A token to show to servers. Cheap to clone; wiped from memory when the last clone is dropped.
#[derive(Clone)]
pub struct AccessToken(Arc<Zeroizing<alloc::string::String>>);

impl AccessToken {
    /// The token's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Zeroizing<alloc::string::String>> for AccessToken {
    fn from(token: Zeroizing<alloc::string::String>) -> Self {
        AccessToken(Arc::new(token))
    }
}

impl PartialEq for AccessToken {
    /// Both were this client's from the start: nobody learns anything by how long this takes.
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken")
    }
}

/// The tokens of one client ("Client Cache"). A host keeps it behind its lock, and sees to it that one call for a token goes on
/// at a time: [`TokenStore::prepare`] before it, [`TokenStore::keep`] after it.
#[derive(Debug, Default)]
pub struct TokenStore {
    access: Option<AccessToken>,
    refresh: Option<Zeroizing<alloc::string::String>>,
    idp_info: Option<IdpServerInfo>,
    last_call: Option<Instant>,
}

impl TokenStore {
    /// The token kept.
    pub fn access_token(&self) -> Option<AccessToken> {
        self.access.clone()
    }

    /// Whether another one can be had without asking a human.
    pub fn can_refresh(&self) -> bool {
        self.refresh.is_some()
    }

    /// Forgets a token that the server has refused, unless there is another one by now.
    pub fn invalidate(&mut self, token: &AccessToken) {
        self.access.take_if(|kept| kept == token);
    }

    /// Before a call for a token: gives the one there is, or else fills in the callback's context. The host holds the right to
    /// call by now, so that what others fetched meanwhile is seen here.
    pub fn prepare(&mut self, request: &TokenRequest, context: &mut CallbackContext) -> Option<AccessToken> {
        if let Some(token) = &request.rejected {
            self.invalidate(token);
        }
        if request.refresh_rejected {
            self.refresh = None;
        }
        if let Some(token) = &self.access {
            return Some(token.clone());
        }
        match &request.kind {
            TokenKind::Machine => {}
            TokenKind::Refresh => {
                context.idp_info = self.idp_info.clone();
                context.refresh_token = self.refresh.clone();
            }
            // "Drivers MUST NOT pass a cached refresh token to the callback when performing a new Two-Step conversation."
            TokenKind::Human(info) => context.idp_info = Some(info.clone()),
        }
        None
    }

    /// When the callback may be called; it is noted that it is called then.
    pub fn next_call(&mut self, now: Instant) -> Instant {
        let at = self.last_call.map_or(now, |last| (last + PAUSE).max(now));
        self.last_call = Some(at);
        at
    }

    /// Keeps what a call has given.
    pub fn keep(&mut self, request: &TokenRequest, response: IdpServerResponse) -> AccessToken {
        let token = AccessToken::from(response.access_token);
        self.access = Some(token.clone());
        match &request.kind {
            TokenKind::Machine => {}
            TokenKind::Refresh => self.refresh = response.refresh_token.or(self.refresh.take()),
            TokenKind::Human(info) => {
                self.idp_info = Some(info.clone());
                self.refresh = response.refresh_token;
            }
        }
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: TokenKind, rejected: Option<AccessToken>) -> TokenRequest {
        TokenRequest { kind, rejected, refresh_rejected: false }
    }

    fn context() -> CallbackContext {
        CallbackContext::new(Duration::from_secs(60), None)
    }

    #[test]
    fn a_token_is_kept_until_that_very_token_is_refused() {
        let mut store = TokenStore::default();
        assert!(store.prepare(&request(TokenKind::Machine, None), &mut context()).is_none());
        let first = store.keep(&request(TokenKind::Machine, None), IdpServerResponse::new("canary1"));
        assert_eq!(store.access_token().unwrap(), first);
        assert!(store.prepare(&request(TokenKind::Machine, Some(first.clone())), &mut context()).is_none());
        let second = store.keep(&request(TokenKind::Machine, None), IdpServerResponse::new("canary2"));
        // Somebody else has been faster.
        let given = store.prepare(&request(TokenKind::Machine, Some(first)), &mut context());
        assert_eq!(given.unwrap(), second);
        assert!(!alloc::format!("{store:?} {second:?}").contains("canary"));
    }

    #[test]
    fn refresh_tokens_are_passed_on_until_they_are_no_good() {
        let mut store = TokenStore::default();
        let info = IdpServerInfo::new("https://issuer");
        let human = request(TokenKind::Human(info.clone()), None);
        let mut told = context();
        assert!(store.prepare(&human, &mut told).is_none());
        assert_eq!(told.idp_info.as_ref(), Some(&info));
        let token = store.keep(&human, IdpServerResponse::new("a").with_refresh_token("r"));
        assert!(store.can_refresh());
        let mut told = context();
        assert!(store.prepare(&request(TokenKind::Refresh, Some(token)), &mut told).is_none());
        assert_eq!(told.refresh_token.unwrap().as_str(), "r");
        assert_eq!(told.idp_info, Some(info.clone()));
        let token = store.keep(&request(TokenKind::Refresh, None), IdpServerResponse::new("b"));
        assert!(store.can_refresh(), "no new one came, so the old one stays");
        let again = TokenRequest { refresh_rejected: true, ..request(TokenKind::Human(info), Some(token)) };
        let mut told = context();
        assert!(store.prepare(&again, &mut told).is_none());
        assert!(told.refresh_token.is_none() && !store.can_refresh());
    }

    #[test]
    fn calls_are_100_ms_apart() {
        let mut store = TokenStore::default();
        let now = Instant::from_nanos(1_000_000_000);
        assert_eq!(store.next_call(now), now);
        assert_eq!(store.next_call(now + Duration::from_millis(30)), now + PAUSE);
        assert_eq!(store.next_call(now + Duration::from_millis(30)), now + PAUSE * 2);
        assert_eq!(store.next_call(now + Duration::from_secs(9)), now + Duration::from_secs(9));
    }
}
