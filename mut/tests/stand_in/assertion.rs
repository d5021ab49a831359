//! A maker of assertions, right ones and wrong ones.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::exchange::{ClientCertificate, Exchange};

/// An assertion before it is signed: a test changes what it likes.
pub(crate) struct Assertion {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl Assertion {
    /// A right one.
    pub(crate) fn new(exchange: &Exchange, certificate: &ClientCertificate) -> Self {
        let now = now();
        Self {
            header: json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": certificate.thumbprint() }),
            claims: json!({
                "aud": exchange.token_url(),
                "iss": exchange.client_id(),
                "sub": exchange.client_id(),
                "nbf": now,
                "exp": now + 600,
                "jti": format!("test-{now}"),
            }),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Signed as its header says.
    pub(crate) fn signed_by(&self, certificate: &ClientCertificate) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let algorithm: &dyn RsaEncoding = match self.header["alg"].as_str() {
            Some("RS256") => &RSA_PKCS1_SHA256,
            _ => &RSA_PSS_SHA256,
        };
        let key = PrivatePkcs8KeyDer::from_pem_slice(certificate.key_pem().as_bytes()).unwrap();
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            algorithm,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs().try_into().unwrap()
}
