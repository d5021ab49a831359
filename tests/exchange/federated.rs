//! Tokens of another identity provider, which Entra trusts in place of a secret (facts.md, "Token endpoint").

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{clock, random};

/// A token as a Kubernetes cluster gives one to a pod. The default is the one that the application trusts.
///
/// Its signature is random: Entra is us, and knows good tokens by their text.
#[derive(Clone)]
pub struct FederatedToken {
    claims: Value,
}

/// What the application's federated credential says.
pub(super) const ISSUER: &str = "https://oidc.example.com/cluster/";
pub(super) const SUBJECT: &str = "system:serviceaccount:mail:robot";
pub(super) const AUDIENCE: &str = "api://AzureADTokenExchange";

impl FederatedToken {
    /// One for an hour, not like any other.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let now = clock::unix();
        Self {
            claims: json!({
                "iss": ISSUER,
                "sub": SUBJECT,
                "aud": [AUDIENCE],
                "iat": now,
                "nbf": now,
                "exp": now + 3_600,
                "jti": random::guid(),
            }),
        }
    }

    /// Of another issuer.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// For another subject.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// The token as the file holds it.
    pub fn text(&self) -> String {
        let header = json!({ "alg": "RS256", "kid": random::base64url(20) });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let (header, claims) = (part(&header), part(&self.claims));
        format!("{header}.{claims}.{}", random::base64url(256))
    }

    fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }
}

/// The texts that Entra takes, and those that it took before they were replaced.
#[derive(Clone, Default)]
pub(super) struct FederatedTokens {
    good: Vec<String>,
    stale: Vec<String>,
}

impl FederatedTokens {
    pub(super) fn add(&mut self, text: String) {
        self.good.push(text);
    }

    /// This one, and none of those before.
    pub(super) fn replace(&mut self, text: String) {
        self.stale.append(&mut self.good);
        self.good.push(text);
    }

    /// Whether the application has a federated credential at all.
    pub(super) fn any(&self) -> bool {
        !self.good.is_empty()
    }

    pub(super) fn is_good(&self, text: &str) -> bool {
        self.good.iter().any(|good| good == text)
    }

    pub(super) fn is_stale(&self, text: &str) -> bool {
        self.stale.iter().any(|stale| stale == text)
    }
}
