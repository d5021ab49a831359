//! Access tokens as Entra makes them for an application (facts.md, "Tokens").

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use super::super::config::Config;
use super::super::{clock, random};

/// RS256 with a key of 2,048 bits.
const SIGNATURE: usize = 256;

/// A new token of the configured length: a JWT if one fits, random base64url if not.
///
/// The signature is random: the application cannot check it, and Exchange is us.
pub(in super::super) fn make(config: &Config, user: Option<&str>, audience: &str) -> String {
    let length = config.token_length;
    // base64url has no texts of 4n+1 characters, so a part may have to grow a little to hit the length.
    (0..4)
        .find_map(|extra| jwt(config, user, audience, extra))
        .unwrap_or_else(|| {
            let mut opaque = random::base64url(length);
            opaque.truncate(length);
            opaque
        })
}

fn jwt(config: &Config, user: Option<&str>, audience: &str, extra: usize) -> Option<String> {
    let key = random::base64url(20);
    let header = json!({
        "typ": "JWT",
        "nonce": format!("{}{}", random::base64url(32), "_".repeat(extra)),
        "alg": "RS256",
        "x5t": key,
        "kid": key,
    });
    let header = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
    let signature = random::base64url(SIGNATURE);
    let room = config
        .token_length
        .checked_sub(header.len() + signature.len() + 2)?;

    let bare = claims(config, user, audience, "").len();
    let padding = (room * 3 / 4).checked_sub(bare)?;
    let claims =
        BASE64_URL_SAFE_NO_PAD.encode(claims(config, user, audience, &"p".repeat(padding)));
    (claims.len() == room).then(|| format!("{header}.{claims}.{signature}"))
}

fn claims(config: &Config, user: Option<&str>, audience: &str, padding: &str) -> String {
    let now = clock::unix();
    let tenant = &config.tenant_id;
    let mut claims = json!({
        "aud": audience,
        "iss": format!("https://sts.windows.net/{tenant}/"),
        "iat": now - 300,
        "nbf": now - 300,
        "exp": now + i64::try_from(config.expires_in).expect("a sensible time"),
        "aio": random::base64url(48),
        "app_displayname": "exosend",
        "appid": config.client_id,
        "appidacr": "1",
        "idp": format!("https://sts.windows.net/{tenant}/"),
        "idtyp": "app",
        "oid": OBJECT_ID,
        "rh": random::base64url(32),
        "sid": random::guid(),
        "sub": OBJECT_ID,
        "tid": tenant,
        "uti": random::base64url(16),
        "ver": "1.0",
        "wids": ["0997a1d0-0d1d-4acb-b408-d5ca73121e90"],
        "xms_padding": padding,
    });
    if let Some(user) = user {
        claims["scp"] = config.login_scp.clone().into();
        claims["upn"] = user.into();
        claims["idtyp"] = "user".into();
    } else if config.roles {
        claims["roles"] = json!(["SMTP.SendAsApp"]);
    }
    claims.to_string()
}

/// The service principal, which `New-ServicePrincipal` wants to know.
const OBJECT_ID: &str = "8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55";
