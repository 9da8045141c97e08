//! MONGODB-OIDC: shows the server a token that somebody else has issued.
//!
//! Source: authentication specification, "MONGODB-OIDC".

#[cfg(feature = "auth")]
mod source;
mod store;

#[cfg(feature = "auth")]
pub use source::{OidcEnv, OidcTokenSource};
pub use store::{AccessToken, TokenStore};

use crate::options::oidc::IdpServerInfo;
use crate::raw::{DocWriter, RawDoc, Value};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// Longest text taken from a server's IdpInfo, in bytes, and most scopes.
const LONGEST_TEXT: usize = 4096;
const MOST_SCOPES: usize = 64;

/// A token is wanted. The host gives one it has, or has one fetched, one call at a time and never sooner than 100 ms after the
/// last: [`TokenStore`] keeps the books.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenRequest {
    /// Whether and how a human is involved.
    pub kind: TokenKind,
    /// A token that the server has refused: it must not be given again.
    pub rejected: Option<AccessToken>,
    /// The refused token came by the refresh token kept, which is no good any more either.
    pub refresh_rejected: bool,
}

/// By which callback a token is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKind {
    /// The machine's, or a built-in integration.
    Machine,
    /// The human's, with the refresh token and the IdpInfo kept.
    Refresh,
    /// The human's, with this IdpInfo, which the server has just sent, and no refresh token.
    Human(IdpServerInfo),
}

/// A conversation's state.
pub(super) enum Oidc {
    /// A token kept from before was shown.
    Kept(AccessToken),
    /// The host gets a token.
    Fetching(TokenKind),
    /// A token got by a refresh token was shown.
    Refreshed(AccessToken),
    /// The server was asked whose tokens it takes.
    Principal,
    /// A new token was shown: there is no other one.
    New,
}

/// "JwtStepRequest".
pub(super) fn jwt_step(token: &AccessToken) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(token.as_str().len() + 32));
    DocWriter::new(&mut bytes).str("jwt", token.as_str()).finish();
    bytes
}

/// "PrincipalStepRequest".
pub(super) fn principal_step(user: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let doc = DocWriter::new(&mut bytes);
    match user {
        Some(user) => doc.str("n", user),
        None => doc,
    }
    .finish();
    bytes
}

/// "IdpInfo". Errors are words for the reason.
pub(super) fn idp_info(payload: &[u8]) -> Result<IdpServerInfo, String> {
    let reply = RawDoc::new(payload).map_err(|error| error.to_string())?;
    let field = |name: &str| reply.get(name).ok().flatten();
    let text = |value: Value<'_>| value.as_str().filter(|t| t.len() <= LONGEST_TEXT).map(ToString::to_string);
    let issuer = field("issuer").and_then(text).ok_or_else(|| "the server names no issuer".to_string())?;
    let scopes = field("requestScopes").and_then(Value::as_array);
    let scopes = scopes.map(|scopes| {
        scopes.iter().flatten().filter_map(|(_, scope)| text(scope)).take(MOST_SCOPES).collect()
    });
    Ok(IdpServerInfo { issuer, client_id: field("clientId").and_then(text), request_scopes: scopes })
}
