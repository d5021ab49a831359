//! Never in the clear, and never to somebody else.
#![allow(unused_must_use)] // receipts are looked at where they matter

mod exchange;

use exchange::{Certificate, Exchange, Fault, Step};
use exosend::{Error, ErrorKind, Message, Stage, send_mail};

const BAD: [Certificate; 7] = [
    Certificate::WrongName,
    Certificate::Expired,
    Certificate::NotYetValid,
    Certificate::SelfSigned,
    Certificate::UnknownIssuer,
    Certificate::NameOnlyInCn,
    Certificate::WildcardTooDeep,
];

fn refused(exchange: &Exchange) -> Error {
    let error = send_mail(
        &exchange.account(),
        &Message::new().to("ann@example.com").text("x"),
    )
    .unwrap_err();
    let said = exchange.settle().transcript();
    assert!(
        !said.iter().any(|line| line.contains("AUTH XOAUTH2")),
        "{said:#?}"
    );
    assert!(exchange.delivered().is_empty());
    error
}

#[test]
fn a_bad_certificate_of_the_server_gets_no_token() {
    for certificate in BAD {
        let error = refused(&Exchange::builder().smtp_certificate(certificate).start());
        assert_eq!(
            (error.kind(), error.stage()),
            (ErrorKind::Tls, Stage::StartTls),
            "{certificate:?}: {error}"
        );
        assert!(
            error.is_permanent() && error.to_string().starts_with("starttls localhost: "),
            "{error}"
        );
    }
}

#[test]
fn a_bad_certificate_of_the_authority_gets_no_secret() {
    for certificate in BAD {
        let exchange = Exchange::builder().entra_certificate(certificate).start();
        let error = refused(&exchange);
        assert_eq!(
            (error.kind(), error.stage()),
            (ErrorKind::Tls, Stage::Token),
            "{certificate:?}: {error}"
        );
        assert!(exchange.token_requests().is_empty());
    }
}

/// The given roots count instead of the built-in ones, not beside them.
#[test]
fn the_built_in_roots_do_not_trust_the_stand_in() {
    let exchange = Exchange::start();
    let account = exosend::Account::new("robot@contoso.com")
        .tenant(exchange.tenant())
        .client_id(exchange.client_id())
        .client_secret(exchange.client_secret())
        .authority(exchange.authority())
        .server("localhost", exchange.port());
    let error = send_mail(&account, &Message::new().to("ann@example.com").text("x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(exchange.token_requests().is_empty());
}

#[test]
fn tls_12_and_an_address_as_server() {
    let exchange = Exchange::builder().only_tls12().start();
    send_mail(
        &exchange.account(),
        &Message::new().to("ann@example.com").text("x"),
    )
    .unwrap();
    let exchange = Exchange::start();
    let account = exchange.account().server("127.0.0.1", exchange.port());
    send_mail(&account, &Message::new().to("ann@example.com").text("x")).unwrap();
}

#[test]
fn starttls_stripped_injected_or_not_spoken() {
    let kind = |exchange: Exchange| refused(&exchange).kind();
    assert_eq!(
        kind(Exchange::builder().without("STARTTLS").start()),
        ErrorKind::Protocol
    );
    let injected = Fault::raw(b"220 2.0.0 SMTP server ready\r\n250 AUTH EVIL\r\n".to_vec());
    assert_eq!(
        kind(Exchange::builder().on(Step::StartTls, injected).start()),
        ErrorKind::Protocol
    );
    let plaintext = Fault::raw(b"250 who needs TLS\r\n".to_vec());
    assert_eq!(
        kind(Exchange::builder().on(Step::Handshake, plaintext).start()),
        ErrorKind::Tls
    );
    assert_eq!(
        kind(Exchange::builder().auth("LOGIN").start()),
        ErrorKind::Protocol
    );
}
