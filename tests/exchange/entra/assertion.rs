//! Assertions signed with a certificate's key (RFC 7523; facts.md, "Token endpoint"), judged as Entra
//! does, and the refusals for them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::Value;

use super::super::ClientCertificate;
use super::super::clock;
use super::super::shared::Shared;
use super::refusal::Refusal;

/// The only type of assertion there is (RFC 7523 2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest life of an assertion, and what a slow clock tick may add.
const LIFE: i64 = 600 + 2;

/// Whether this assertion, sent to this `endpoint`, proves the application.
pub(super) fn check(assertion: &str, endpoint: &str, shared: &Shared) -> Result<(), Refusal> {
    let [header, claims, signature] = assertion.split('.').collect::<Vec<_>>()[..] else {
        return Err(invalid_jwt("JWT token is invalid or malformed."));
    };
    let signed = &assertion[..header.len() + 1 + claims.len()];
    let (header, claims) = (object(header)?, object(claims)?);
    let signature = decode(signature)?;

    let certificate = certificate_of(&header, shared)?;
    let algorithm = algorithm_of(&header)?;
    UnparsedPublicKey::new(algorithm, &certificate.public_key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| wrong_signature(&certificate.thumbprint()))?;

    let client = &shared.config.client_id;
    if [&claims["iss"], &claims["sub"]]
        .iter()
        .any(|claim| *claim != client)
    {
        return Err(Refusal::new(700_021, WRONG_CLIENT));
    }
    if claims["aud"] != endpoint {
        return Err(Refusal::new(700_023, WRONG_AUDIENCE));
    }
    check_times(&claims)?;
    // Entra is not known to look at it. RFC 7523 3 lets a server do so, and a client that repeats itself is caught here.
    match claims["jti"].as_str().filter(|jti| !jti.is_empty()) {
        None => Err(invalid_jwt("Invalid JWT token. No jti claim.")),
        Some(jti) if !shared.record().assertion_ids.insert(jti.to_owned()) => Err(invalid_jwt(
            "Invalid JWT token. The jti claim was seen before.",
        )),
        Some(_) => Ok(()),
    }
}

/// Whether an assertion claims to be signed with a certificate's key. A federated token does not.
pub(super) fn names_certificate(assertion: &str) -> bool {
    let header = assertion.split('.').next().unwrap_or_default();
    object(header).is_ok_and(|header| {
        ["x5t", "x5t#S256"]
            .iter()
            .any(|name| header.get(name).is_some())
    })
}

/// The certificate that the header names by its SHA-256, in its time.
fn certificate_of<'a>(
    header: &Value,
    shared: &'a Shared,
) -> Result<&'a ClientCertificate, Refusal> {
    let Some(named) = header["x5t#S256"].as_str() else {
        return Err(invalid_jwt(
            "Invalid JWT token. No certificate thumbprint specified in token header.",
        ));
    };
    let certificates = &shared.config.certificates;
    let Some(certificate) = certificates
        .iter()
        .find(|known| known.thumbprint() == named)
    else {
        return Err(not_registered(named, &shared.config.client_id));
    };
    let now = clock::unix();
    if now < certificate.from || now > certificate.until {
        return Err(expired_key(named));
    }
    Ok(certificate)
}

fn algorithm_of(header: &Value) -> Result<&'static dyn VerificationAlgorithm, Refusal> {
    if header["typ"] != "JWT" {
        return Err(invalid_jwt("Invalid JWT token. The typ is not JWT."));
    }
    match header["alg"].as_str() {
        Some("PS256") => Ok(&RSA_PSS_2048_8192_SHA256),
        _ => Err(invalid_jwt(
            "Invalid JWT token. The algorithm is not PS256.",
        )),
    }
}

/// Entra forgives five minutes; here both sides have one clock.
fn check_times(claims: &Value) -> Result<(), Refusal> {
    let now = clock::unix();
    let time = |name: &str| claims[name].as_i64();
    let begun = |name: &str| time(name).is_none_or(|time| time <= now);
    let (Some(_), Some(expiry)) = (time("nbf"), time("exp")) else {
        return Err(invalid_jwt("Invalid JWT token. No nbf or exp claim."));
    };
    if begun("nbf") && begun("iat") && now < expiry && expiry <= now + LIFE {
        Ok(())
    } else {
        Err(not_in_its_time(expiry))
    }
}

/// One part of a JWT: JSON in base64url.
pub(super) fn object(part: &str) -> Result<Value, Refusal> {
    let value: Value = serde_json::from_slice(&decode(part)?)
        .map_err(|_| invalid_jwt("JWT token is invalid or malformed."))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(invalid_jwt("JWT token is invalid or malformed."))
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| invalid_jwt("JWT token is invalid or malformed."))
}

fn invalid_jwt(text: &str) -> Refusal {
    Refusal::new(50_027, text)
}

fn not_registered(thumbprint: &str, client: &str) -> Refusal {
    let key = hex(thumbprint);
    let text = format!(
        "The certificate with identifier used to sign the client assertion is not registered on application. \
         [Reason - The key was not found., Thumbprint of key used by client: '{key}', Please visit the Azure \
         Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '{client}'.]"
    );
    Refusal::new(700_027, text)
}

fn expired_key(thumbprint: &str) -> Refusal {
    let key = hex(thumbprint);
    let text = format!(
        "Client assertion contains an invalid signature. [Reason - The key used is expired., Thumbprint of key \
         used by client: '{key}'.]"
    );
    Refusal::new(700_027, text)
}

fn wrong_signature(thumbprint: &str) -> Refusal {
    let key = hex(thumbprint);
    let text = format!(
        "Client assertion failed signature validation. [Reason - The provided signature value did not match the \
         expected signature value., Thumbprint of key used by client: '{key}'.]"
    );
    Refusal::new(700_027, text)
}

const WRONG_CLIENT: &str = "Client assertion application identifier doesn't match 'client_id' parameter. Review the \
    documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .";
const WRONG_AUDIENCE: &str = "Client assertion audience claim does not match Realm issuer. Review the documentation at \
    https://learn.microsoft.com/entra/identity-platform/certificate-credentials .";

pub(super) fn not_in_its_time(expiry: i64) -> Refusal {
    let (now, expiry) = (clock::iso8601(), clock::iso8601_at(expiry));
    let text = format!(
        "Client assertion is not within its valid time range. Current time: {now}, expiry time of assertion {expiry}. \
         Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."
    );
    Refusal::new(700_024, text)
}

/// A thumbprint as Entra shows it.
fn hex(thumbprint: &str) -> String {
    let octets = BASE64_URL_SAFE_NO_PAD
        .decode(thumbprint)
        .unwrap_or_default();
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}
