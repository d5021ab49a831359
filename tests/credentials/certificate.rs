//! A certificate and its key: the assertion is judged by the stand-in as Entra judges it.

use std::time::{Duration, SystemTime};

use exosend::{Account, ErrorKind, Token};

use super::child::Scratch;
use super::exchange::{ClientCertificate, Exchange};
use super::send;
use crate::verifier::verdicts;

fn exchange_that_knows(certificate: &ClientCertificate) -> Exchange {
    Exchange::builder().certificate(certificate).start()
}

fn exchange_that_knows_two() -> (Exchange, ClientCertificate, ClientCertificate) {
    let (one, two) = (ClientCertificate::good(), ClientCertificate::other());
    let builder = Exchange::builder().certificate(&one).certificate(&two);
    (builder.start(), one, two)
}

fn account(exchange: &Exchange, pem: impl Into<Vec<u8>>) -> Account {
    exchange.account().client_certificate(pem)
}

#[test]
fn a_certificate_proves_the_application() {
    let certificate = ClientCertificate::good();
    let exchange = exchange_that_knows(&certificate);
    send(&account(&exchange, certificate.pem())).unwrap();
    assert_eq!(exchange.settle().delivered().len(), 1);
    let request = &exchange.token_requests()[0];
    assert_eq!(request.form.len(), 5);
    assert_eq!(
        request.field("client_assertion_type"),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    assert_eq!(request.field("client_secret"), None);
}

#[test]
fn each_request_has_an_assertion_of_its_own() {
    let certificate = ClientCertificate::good();
    let exchange = exchange_that_knows(&certificate);
    let account = account(&exchange, certificate.pem());
    Token::fetch(&account).unwrap();
    Token::fetch(&account).unwrap();
    let assertions = exchange.assertions();
    assert_eq!(assertions.len(), 2);
    assert_ne!(assertions[0], assertions[1]);
}

#[test]
fn certificate_and_key_are_read_in_any_order_and_form() {
    let certificate = ClientCertificate::good();
    let exchange = exchange_that_knows(&certificate);
    let (cert, key) = (certificate.certificate_pem(), certificate.key_pem());
    let traditional = certificate.traditional_key_pem();
    for pem in [
        format!("{cert}{key}"),
        format!("{key}{cert}"),
        format!("{traditional}\n{cert}"),
        // A chain behind it, and the line ends of another system.
        format!(
            "{cert}{}{key}",
            ClientCertificate::other().certificate_pem()
        ),
        format!("{cert}{key}").replace('\n', "\r\n"),
    ] {
        Token::fetch(&account(&exchange, pem)).unwrap();
    }
}

#[test]
fn the_certificate_of_the_key_is_taken_wherever_it_stands() {
    let certificate = ClientCertificate::with_a_critical_extension();
    let exchange = exchange_that_knows(&certificate);
    let issuer_first = ClientCertificate::other().certificate_pem() + &certificate.pem();
    send(&account(&exchange, issuer_first)).unwrap();
    let anothers_first = ClientCertificate::other().key_pem().to_owned() + &certificate.pem();
    send(&account(&exchange, anothers_first)).unwrap();
    let broken_first = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    send(&account(
        &exchange,
        broken_first.to_owned() + &certificate.pem(),
    ))
    .unwrap();
}

#[test]
fn a_certificate_of_version_1_is_used() {
    let certificate = ClientCertificate::version_1();
    let exchange = exchange_that_knows(&certificate);
    send(&account(&exchange, certificate.pem())).unwrap();
}

#[test]
fn a_file_is_read_anew_for_each_request() {
    let (exchange, one, two) = exchange_that_knows_two();
    let scratch = Scratch::new();
    let path = scratch.file("client.pem", one.pem());
    let mut account = exchange.account();
    account
        .set("client_certificate_file", path.to_str().unwrap())
        .unwrap();
    Token::fetch(&account).unwrap();
    // With a byte order mark, as Windows' editors write.
    scratch.file("client.pem", format!("\u{feff}{}", two.pem()));
    Token::fetch(&account).unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = Token::fetch(&account).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("account client_certificate_file: ")
    );
}

#[test]
fn a_kept_token_of_another_certificate_is_not_used() {
    let (exchange, one, two) = exchange_that_knows_two();
    let scratch = Scratch::new();
    let requests_after = |certificate: &ClientCertificate| {
        let account = account(&exchange, certificate.pem());
        Token::get(&account.token_cache(scratch.path("tokens"))).unwrap();
        exchange.token_requests().len()
    };
    assert_eq!([&one, &one, &two].map(requests_after), [1, 1, 2]);
}

#[test]
fn a_certificate_that_cannot_work_is_refused_before_entra_is_asked() {
    let good = ClientCertificate::good();
    let cert = good.certificate_pem();
    let exchange = exchange_that_knows(&good);
    let elliptic = ClientCertificate::elliptic();
    for (pem, expected) in [
        ("".to_owned(), "no certificate in it"),
        (good.key_pem().to_owned(), "no certificate in it"),
        (cert.clone(), "no private key in it"),
        (
            format!("{cert}{}", ClientCertificate::other().key_pem()),
            "the private key is not the certificate's",
        ),
        (
            format!("{cert}{}", good.encrypted_key_pem()),
            "the private key is encrypted",
        ),
        (
            format!("{cert}{}", good.encrypted_traditional_key_pem()),
            "the private key is encrypted",
        ),
        (
            format!("{}{cert}", good.encrypted_traditional_key_pem()),
            "the private key is encrypted",
        ),
        (elliptic.pem(), "not an RSA key"),
        (
            format!(
                "{}{}",
                elliptic.certificate_pem(),
                elliptic.traditional_key_pem()
            ),
            "not an RSA key",
        ),
        (
            ClientCertificate::expired().pem(),
            "the certificate expired",
        ),
        (
            ClientCertificate::not_yet_valid().pem(),
            "the certificate becomes valid in",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()
                + good.key_pem(),
            "the certificate cannot be read",
        ),
    ] {
        let error = send(&account(&exchange, pem)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        let text = error.to_string();
        assert!(text.starts_with("account client_certificate: "), "{text}");
        assert!(text.contains(expected), "{text}, not {expected}");
    }
    assert!(exchange.token_requests().is_empty());
}

#[test]
fn a_certificate_that_entra_does_not_know_is_not_tried_twice() {
    let exchange = exchange_that_knows(&ClientCertificate::other());
    let error = Token::fetch(&account(&exchange, ClientCertificate::good().pem())).unwrap_err();
    assert!(error.to_string().contains("AADSTS700027"), "{error}");
    assert!(error.hint().unwrap().contains("certificate"), "{error:?}");
    assert_eq!(
        exchange.token_requests().len(),
        1,
        "no second try with RS256"
    );
}

#[test]
fn certificate_expires_is_the_end_of_the_certificate() {
    let account = Account::new("robot@contoso.com")
        .client_certificate(ClientCertificate::ends_in_days(20).pem());
    let end = account.certificate_expires().unwrap().unwrap();
    let left = end.duration_since(SystemTime::now()).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    assert!(day * 19 < left && left <= day * 20, "{left:?}");
    assert_eq!(
        account.client_secret("x").certificate_expires().unwrap(),
        None
    );
    let broken = Account::new("").client_certificate("x");
    assert_eq!(
        broken.certificate_expires().unwrap_err().kind(),
        ErrorKind::Input
    );
}

#[test]
#[ignore = "needs python3 with PyJWT and cryptography"]
fn python_takes_our_assertions() {
    let (certificate, other) = (ClientCertificate::good(), ClientCertificate::other());
    let exchange = exchange_that_knows(&certificate);
    Token::fetch(&account(&exchange, certificate.pem())).unwrap();
    Token::fetch(&account(&exchange, other.pem())).unwrap_err();
    let verdicts = verdicts(&exchange, &certificate, &exchange.assertions());
    assert_eq!(verdicts[0], "yes");
    assert!(verdicts[1].starts_with("no: "), "{}", verdicts[1]);
}
