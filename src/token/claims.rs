//! What a token says of itself. Nothing of it is verified, that is for the server, and nothing is decided by it.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::text::printable;
use crate::token::Token;

/// The claims that tell one set-up from another (facts.md, "Tokens"). What is absent is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// Which service it is for.
    pub(crate) aud: String,
    /// The tenant.
    pub(crate) tid: String,
    /// The application.
    pub(crate) appid: String,
    /// The application's service principal in that tenant.
    pub(crate) oid: String,
    /// What the application may do: absent with App RBAC, where Exchange keeps the permission.
    pub(crate) roles: Vec<String>,
    /// What a user let the application do, in a token for a user.
    pub(crate) scp: String,
    pub(crate) exp: Option<SystemTime>,
    pub(crate) ver: String,
}

impl Token {
    /// `None` for a token that is no JWT.
    pub(crate) fn claims(&self) -> Option<Claims> {
        Claims::read(self.secret())
    }
}

impl Claims {
    fn read(token: &str) -> Option<Self> {
        let claims = json(token)?;
        let text = |name: &str| {
            let text = claims.get(name).and_then(Value::as_str);
            printable(text.unwrap_or_default())
        };
        let roles = claims.get("roles").and_then(Value::as_array);
        let exp = claims.get("exp").and_then(Value::as_u64);
        Some(Self {
            aud: text("aud"),
            tid: text("tid"),
            // Version 2.0 has another name for it.
            appid: Some(text("appid"))
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| text("azp")),
            oid: text("oid"),
            roles: roles
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(printable)
                .collect(),
            scp: text("scp"),
            exp: exp.and_then(|exp| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(exp))),
            ver: text("ver"),
        })
    }
}

/// The middle part of a JWT, a JSON object in base64 (RFC 7519 3.1).
pub(super) fn json(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let json = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('='));
    let claims: Value = serde_json::from_slice(&Zeroizing::new(json.ok()?)).ok()?;
    claims.is_object().then_some(claims)
}

/// All that a token says of itself, for people; `None` for one that is no JWT.
pub(crate) fn pretty(token: &Token) -> Option<String> {
    serde_json::to_string_pretty(&json(token.secret())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(claims: &str) -> Option<Claims> {
        Claims::read(&format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn claims_of_both_paths_are_read() {
        let classic = read(
            r#"{"aud":"https://outlook.office365.com","tid":"t","appid":"a","oid":"o","roles":["SMTP.SendAsApp"],"exp":1795521600,"ver":"1.0"}"#,
        )
        .unwrap();
        assert_eq!(classic.roles, ["SMTP.SendAsApp"]);
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_521_600);
        assert_eq!((classic.exp, classic.oid.as_str()), (Some(at), "o"));
        let rbac = read(r#"{"aud":"x\u001b[2J","azp":"a"}"#).unwrap();
        assert_eq!((rbac.appid.as_str(), rbac.roles.len()), ("a", 0));
        assert_eq!(rbac.aud, "x?[2J");
    }

    #[test]
    fn a_text_that_is_no_jwt_has_no_claims() {
        for text in ["", "a.b", "a.b.c", "opaque-text", "e30.W10.x"] {
            assert_eq!(Claims::read(text), None, "{text}");
        }
        assert_eq!(read("[]"), None);
        assert_eq!(read(r#"{"aud":1,"roles":"x"}"#), Some(Claims::default()));
    }
}
