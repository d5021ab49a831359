//! Federated tokens, judged as Entra does, and its refusals (facts.md, "AADSTS codes").

use serde_json::Value;

use super::super::clock;
use super::super::federated::{AUDIENCE, ISSUER, SUBJECT};
use super::super::shared::Shared;
use super::assertion::{not_in_its_time, object};
use super::refusal::Refusal;

/// Whether this token proves the application.
pub(super) fn check(token: &str, shared: &Shared) -> Result<(), Refusal> {
    let (good, stale) = {
        let known = &shared.orders().federated;
        (known.is_good(token), known.is_stale(token))
    };
    let claims = token.split('.').nth(1).unwrap_or_default();
    // A test may take a text that is no JWT for a good one.
    let claims = match object(claims) {
        Ok(claims) => claims,
        Err(_) if good => return Ok(()),
        Err(_) if stale => return Err(not_in_its_time(clock::unix())),
        Err(malformed) => return Err(malformed),
    };
    let expiry = claims["exp"].as_i64().unwrap_or_default();
    if expiry <= clock::unix() || stale {
        return Err(not_in_its_time(expiry));
    }
    if good { Ok(()) } else { Err(no_match(&claims)) }
}

/// Entra names the first of the three that is wrong.
fn no_match(claims: &Value) -> Refusal {
    let text = |claim: &Value| match claim {
        Value::Array(several) => several.first().and_then(Value::as_str).map(str::to_owned),
        one => one.as_str().map(str::to_owned),
    };
    for (code, what, claim, right) in [
        (700_211, "issuer", "iss", ISSUER),
        (700_212, "audience", "aud", AUDIENCE),
        (700_213, "subject", "sub", SUBJECT),
    ] {
        let value = text(&claims[claim]).unwrap_or_default();
        if value != right {
            let text = format!(
                "No matching federated identity record found for presented assertion {what} '{value}'. Check your \
                 federated identity credential Subject, Audience and Issuer against the presented assertion. \
                 https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
            );
            return Refusal::new(code, text);
        }
    }
    let text = "No matching federated identity record found for presented assertion.";
    Refusal::new(70_021, text)
}
