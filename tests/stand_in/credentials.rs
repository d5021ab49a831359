//! What proves a client, and what does not.

use super::assertion::{Assertion, now};
use super::client::{assert_refused, logs_in, post};
use crate::exchange::{ClientCertificate, Exchange, FederatedToken};
use crate::verifier::verdicts;

/// The answer to a token request with this proof.
fn ask(exchange: &Exchange, proof: &[(&str, &str)]) -> String {
    let scope = exchange.scope();
    let rest = [
        ("grant_type", "client_credentials"),
        ("client_id", exchange.client_id()),
        ("scope", &scope),
    ];
    post(exchange, &[&rest, proof].concat())
}

fn assert_with(exchange: &Exchange, assertion: &str) -> String {
    ask(
        exchange,
        &[
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion),
        ],
    )
}

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[test]
fn an_assertion_gives_a_token_once() {
    let certificate = ClientCertificate::good();
    for registered in [
        certificate.certificate_pem().into_bytes(),
        certificate.der().to_vec(),
    ] {
        let exchange = Exchange::builder()
            .certificate(ClientCertificate::other().certificate_pem())
            .certificate(registered)
            .start();
        let assertion = Assertion::new(&exchange, &certificate).signed_by(&certificate);
        assert!(logs_in(&exchange, &assert_with(&exchange, &assertion)));
        assert_refused(
            &assert_with(&exchange, &assertion),
            400,
            "AADSTS50027: Invalid JWT token. The jti claim was seen before.",
        );
        assert_eq!(exchange.assertions(), [&*assertion, &*assertion]);
        let shown = format!("[{} octets]", assertion.len());
        assert_eq!(
            exchange.token_requests()[0].field("client_assertion"),
            Some(shown.as_str())
        );
    }
}

#[test]
fn a_wrong_assertion_is_refused() {
    let certificate = ClientCertificate::good();
    let wrong = |change: fn(Assertion) -> Assertion, status, words| {
        let exchange = Exchange::builder()
            .certificate(certificate.certificate_pem())
            .start();
        let assertion = change(Assertion::new(&exchange, &certificate)).signed_by(&certificate);
        assert_refused(&assert_with(&exchange, &assertion), status, words);
    };
    wrong(
        |it| it.header("alg", "RS256"),
        400,
        "AADSTS50027: Invalid JWT token. The algorithm is not PS256.",
    );
    wrong(
        |it| it.header("alg", "none"),
        400,
        "AADSTS50027: Invalid JWT token. The algorithm is not PS256.",
    );
    wrong(
        |it| it.header("typ", "JOSE"),
        400,
        "AADSTS50027: Invalid JWT token. The typ is not JWT.",
    );
    wrong(
        |it| it.header("x5t#S256", ()),
        400,
        "AADSTS50027: Invalid JWT token. No certificate thumbprint specified in token header.",
    );
    wrong(
        |it| it.header("x5t#S256", ClientCertificate::other().thumbprint()),
        401,
        "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '",
    );
    let client = "AADSTS700021: Client assertion application identifier doesn't match 'client_id' parameter.";
    wrong(|it| it.claim("iss", "somebody"), 401, client);
    wrong(|it| it.claim("sub", "somebody"), 401, client);
    let audience = "AADSTS700023: Client assertion audience claim does not match Realm issuer.";
    wrong(
        |it| {
            it.claim(
                "aud",
                "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
            )
        },
        401,
        audience,
    );
    let time = "AADSTS700024: Client assertion is not within its valid time range. Current time: 2";
    wrong(|it| it.claim("exp", now() - 1), 401, time);
    wrong(|it| it.claim("exp", now() + 700), 401, time);
    wrong(|it| it.claim("nbf", now() + 60), 401, time);
    wrong(|it| it.claim("iat", now() + 60), 401, time);
    wrong(
        |it| it.claim("exp", ()),
        400,
        "AADSTS50027: Invalid JWT token. No nbf or exp claim.",
    );
    wrong(
        |it| it.claim("nbf", ()),
        400,
        "AADSTS50027: Invalid JWT token. No nbf or exp claim.",
    );
    wrong(
        |it| it.claim("jti", ()),
        400,
        "AADSTS50027: Invalid JWT token. No jti claim.",
    );
    wrong(
        |it| it.claim("jti", ""),
        400,
        "AADSTS50027: Invalid JWT token. No jti claim.",
    );
}

#[test]
fn a_signature_has_to_be_by_the_certificates_key() {
    let certificate = ClientCertificate::good();
    let exchange = Exchange::builder()
        .certificate(certificate.certificate_pem())
        .start();
    let right = Assertion::new(&exchange, &certificate);
    let words = "AADSTS700027: Client assertion failed signature validation. [Reason - The provided signature value did not match the expected signature value., Thumbprint of key used by client: '";
    assert_refused(
        &assert_with(&exchange, &right.signed_by(&ClientCertificate::other())),
        401,
        words,
    );

    let signed = right.signed_by(&certificate);
    let (_, signature) = signed.rsplit_once('.').unwrap();
    let changed = right.claim("jti", "another").signed_by(&certificate);
    let (changed, _) = changed.rsplit_once('.').unwrap();
    assert_refused(
        &assert_with(&exchange, &format!("{changed}.{signature}")),
        401,
        words,
    );
    for malformed in [
        "",
        "a.b",
        "e30.e30",
        "e30.e30.",
        "e30.e30.!",
        "W10.W10.AAAA",
        &signed[1..],
    ] {
        assert_refused(&assert_with(&exchange, malformed), 400, "AADSTS50027: ");
    }
    assert!(logs_in(&exchange, &assert_with(&exchange, &signed)));
}

#[test]
fn a_certificate_has_its_time() {
    for certificate in [
        ClientCertificate::expired(),
        ClientCertificate::not_yet_valid(),
    ] {
        let exchange = Exchange::builder()
            .certificate(certificate.certificate_pem())
            .start();
        let assertion = Assertion::new(&exchange, &certificate).signed_by(&certificate);
        assert_refused(
            &assert_with(&exchange, &assertion),
            401,
            "AADSTS700027: Client assertion contains an invalid signature. [Reason - The key used is expired.",
        );
    }
    let certificate = ClientCertificate::ends_in_days(1);
    let exchange = Exchange::builder().certificate(certificate.der()).start();
    let assertion = Assertion::new(&exchange, &certificate).signed_by(&certificate);
    assert!(logs_in(&exchange, &assert_with(&exchange, &assertion)));
}

#[test]
fn rs256_is_for_those_who_allow_it() {
    let certificate = ClientCertificate::good();
    let exchange = Exchange::builder()
        .certificate(certificate.certificate_pem())
        .allow_rs256()
        .start();
    let assertion = Assertion::new(&exchange, &certificate)
        .header("alg", "RS256")
        .signed_by(&certificate);
    assert!(logs_in(&exchange, &assert_with(&exchange, &assertion)));
}

#[test]
fn a_request_carries_one_proof() {
    let certificate = ClientCertificate::good();
    let exchange = Exchange::builder()
        .certificate(certificate.certificate_pem())
        .start();
    let assertion = &*Assertion::new(&exchange, &certificate).signed_by(&certificate);
    let secret = exchange.client_secret();
    assert_refused(&ask(&exchange, &[]), 401, "AADSTS7000218: ");
    assert_refused(
        &ask(
            &exchange,
            &[
                ("client_secret", secret),
                ("client_assertion_type", TYPE),
                ("client_assertion", assertion),
            ],
        ),
        400,
        "AADSTS9002313: Invalid request.",
    );
    assert_refused(
        &ask(&exchange, &[("client_assertion", assertion)]),
        400,
        "AADSTS900144: The request body must contain the following parameter: 'client_assertion_type'.",
    );
    assert_refused(
        &ask(
            &exchange,
            &[
                ("client_assertion_type", "jwt-bearer"),
                ("client_assertion", assertion),
            ],
        ),
        400,
        "AADSTS9002313: Invalid request.",
    );
    assert!(logs_in(&exchange, &assert_with(&exchange, assertion)));
}

#[test]
fn a_federated_token_is_good_until_it_is_replaced() {
    let first = FederatedToken::new().text();
    let second = FederatedToken::new().text();
    let exchange = Exchange::builder().federated_token(&first).start();
    assert!(logs_in(&exchange, &assert_with(&exchange, &first)));
    assert!(logs_in(&exchange, &assert_with(&exchange, &first)));

    exchange.federated_token(&second);
    assert!(logs_in(&exchange, &assert_with(&exchange, &second)));
    assert_refused(
        &assert_with(&exchange, &first),
        401,
        "AADSTS700024: Client assertion is not within its valid time range.",
    );
}

#[test]
fn a_wrong_federated_token_is_refused() {
    let expired = FederatedToken::new().expired().text();
    let exchange = Exchange::builder()
        .federated_token("opaque")
        .federated_token(&expired)
        .start();
    assert!(logs_in(&exchange, &assert_with(&exchange, "opaque")));
    assert_refused(&assert_with(&exchange, &expired), 401, "AADSTS700024: ");
    for (wrong, status, words) in [
        (
            FederatedToken::new().issuer("https://oidc.example.com/cluster"),
            401,
            "AADSTS700211: No matching federated identity record found for presented assertion issuer 'https://oidc.example.com/cluster'.",
        ),
        (
            FederatedToken::new().audience("api://azureadtokenexchange"),
            401,
            "AADSTS700212: No matching federated identity record found for presented assertion audience 'api://azureadtokenexchange'.",
        ),
        (
            FederatedToken::new().subject("system:serviceaccount:mail:default"),
            401,
            "AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:mail:default'.",
        ),
        (
            FederatedToken::new(),
            400,
            "AADSTS70021: No matching federated identity record found for presented assertion. Assertion Issuer: 'https://oidc.example.com/cluster/'.",
        ),
    ] {
        assert_refused(&assert_with(&exchange, &wrong.text()), status, words);
    }
    assert_refused(&assert_with(&exchange, "nonsense"), 400, "AADSTS50027: ");
}

#[test]
fn a_certificate_and_a_federated_token_live_side_by_side() {
    let (certificate, token) = (ClientCertificate::good(), FederatedToken::new().text());
    let exchange = Exchange::builder()
        .certificate(certificate.der())
        .federated_token(&token)
        .start();
    let assertion = Assertion::new(&exchange, &certificate).signed_by(&certificate);
    assert!(logs_in(&exchange, &assert_with(&exchange, &assertion)));
    assert!(logs_in(&exchange, &assert_with(&exchange, &token)));
}

/// `.ci/run` runs it; a fresh machine may have no Python.
#[test]
#[ignore = "needs python3 with PyJWT and cryptography"]
fn python_is_of_the_same_opinion() {
    let (certificate, other) = (ClientCertificate::good(), ClientCertificate::other());
    let exchange = Exchange::builder().certificate(certificate.der()).start();
    let right = || Assertion::new(&exchange, &certificate);
    let signed = right().signed_by(&certificate);
    let (content, _) = signed.rsplit_once('.').unwrap();
    let another = right().claim("jti", "another").signed_by(&certificate);
    let (_, signature) = another.rsplit_once('.').unwrap();
    let assertions = [
        signed.clone(),
        format!("{content}.{signature}"),
        right().signed_by(&other),
        right().header("alg", "RS256").signed_by(&certificate),
        right()
            .header("x5t#S256", other.thumbprint())
            .signed_by(&certificate),
        right().header("x5t#S256", ()).signed_by(&certificate),
        right().header("typ", "JOSE").signed_by(&certificate),
        right()
            .claim("aud", "https://example.com/")
            .signed_by(&certificate),
        right().claim("iss", "somebody").signed_by(&certificate),
        right().claim("sub", "somebody").signed_by(&certificate),
        right().claim("exp", now() - 1).signed_by(&certificate),
        right().claim("exp", now() + 700).signed_by(&certificate),
        right().claim("nbf", now() + 60).signed_by(&certificate),
        right().claim("jti", ()).signed_by(&certificate),
        right().claim("jti", "").signed_by(&certificate),
        "a.b.c".to_owned(),
    ];
    let verdicts = verdicts(&exchange, &certificate, &assertions);
    assert_eq!(verdicts.len(), assertions.len());
    assert_eq!(verdicts[0], "yes");
    for (n, (verdict, assertion)) in verdicts.iter().zip(&assertions).enumerate() {
        let taken = assert_with(&exchange, assertion).starts_with("HTTP/1.1 200 ");
        assert_eq!(verdict == "yes", taken, "{n}: {verdict}");
        assert_eq!(taken, n == 0, "{n}: {verdict}");
    }
}
