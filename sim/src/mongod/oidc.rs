//! MONGODB-OIDC: an identity provider whose tokens simulated servers take.

use bson::{Document, doc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Who gives out tokens. A token says whom it is for and until when, and is signed: servers ask nobody.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    issuer: String,
    secret: [u8; 8],
}

impl IdentityProvider {
    /// Another seed, another provider: neither's tokens are good at servers of the other.
    pub fn new(seed: u64) -> Self {
        IdentityProvider { issuer: "https://issuer.example".to_owned(), secret: seed.to_be_bytes() }
    }

    /// A token for a user, good until `expires`, in milliseconds of wall-clock time since 1970.
    pub fn token(&self, user: &str, expires: i64) -> String {
        let claims = format!("{user}.{expires}");
        let signature = self.sign(&claims);
        format!("{claims}.{signature}")
    }

    /// Whose token it is and until when, if it is good.
    pub(crate) fn check(&self, token: &str, now: i64) -> Option<(String, i64)> {
        let (claims, signature) = token.rsplit_once('.')?;
        let (user, expires) = claims.rsplit_once('.')?;
        let expires = expires.parse().ok().filter(|expires| *expires > now)?;
        (self.sign(claims) == signature).then(|| (user.to_owned(), expires))
    }

    fn sign(&self, claims: &str) -> String {
        // A key of any length will do, so that there is always an answer.
        let Ok(mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.secret) else { return String::new() };
        let signature = mac.chain_update(claims).finalize().into_bytes();
        signature.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a server tells a human's client: `IdpInfo` of the authentication specification.
pub(super) fn whom_to_ask(provider: &IdentityProvider) -> Document {
    doc! { "issuer": &provider.issuer, "clientId": "quorate-sim", "requestScopes": ["openid"] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_its_own_tokens_until_they_expire() {
        let provider = IdentityProvider::new(1);
        let token = provider.token("a.person", 1000);
        assert_eq!(provider.check(&token, 999), Some(("a.person".to_owned(), 1000)));
        assert_eq!(provider.check(&token, 1000), None);
        assert_eq!(IdentityProvider::new(2).check(&token, 1), None);
        assert_eq!(provider.check(&token.replace("1000", "2000"), 1), None);
        assert_eq!(provider.check("nonsense", 1), None);
    }
}
