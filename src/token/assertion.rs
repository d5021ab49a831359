//! The assertion that a certificate's key signs: a JWT (RFC 7523; facts.md, "Token endpoint").

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::sign::Signer;
use serde_json::Value;

use crate::account::Account;
use crate::crypto;
use crate::secret::Secret;

/// MSAL's, and the longest that Entra takes.
const LIFETIME: u64 = 600;

/// One for this account, good for ten minutes, signed with PS256.
///
/// Not RS256 with the SHA-1 thumbprint, MSAL's way for old keys: Entra registers certificates by SHA-256 too, and says
/// AADSTS700027 if it does not know one.
pub(crate) fn sign(
    account: &Account,
    thumbprint: &[u8],
    signer: &dyn Signer,
) -> Result<Secret, String> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| "this machine's clock is before 1970")?
        .as_secs();
    let header = format!(
        r#"{{"alg":"PS256","typ":"JWT","x5t#S256":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(thumbprint)
    );
    let audience = Value::from(account.token_endpoint());
    let client = Value::from(account.application());
    let claims = format!(
        r#"{{"aud":{audience},"iss":{client},"sub":{client},"jti":"{}","nbf":{now},"iat":{now},"exp":{}}}"#,
        crypto::random::<16>(),
        now + LIFETIME
    );
    let unsigned = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = signer
        .sign(unsigned.as_bytes())
        .map_err(|e| format!("signing failed: {e}"))?;
    let signature = URL_SAFE_NO_PAD.encode(signature);
    // What is secret in it is the signature; the parts above are wiped by nobody, and prove nothing.
    let mut assertion = String::with_capacity(unsigned.len() + 1 + signature.len());
    assertion.push_str(&unsigned);
    assertion.push('.');
    assertion.push_str(&signature);
    Ok(Secret::new(assertion))
}
