//! No login and no mail without TLS, nor to a server that the certificate does not name.

use crate::exchange;

use exchange::{Certificate, Exchange, Fault, Step, note};
use exosend::{Account, Error, ErrorKind, Message, Stage, send_mail};

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
    refused_by(exchange, &exchange.account())
}

fn refused_by(exchange: &Exchange, account: &Account) -> Error {
    let error = send_mail(account, &note()).unwrap_err();
    assert!(!error.in_doubt(), "{error}");
    assert_eq!(exchange.settle().said("C: AUTH"), 0, "{error}");
    assert!(exchange.delivered().is_empty());
    error
}

#[test]
fn a_bad_certificate_of_the_server_gets_no_token() {
    for certificate in BAD {
        let exchange = Exchange::builder().smtp_certificate(certificate).start();
        let error = refused(&exchange);
        assert_eq!(
            (error.kind(), error.stage()),
            (ErrorKind::Tls, Stage::StartTls),
            "{certificate:?}: {error}"
        );
        let mut said = exchange.transcript();
        said.retain(|line| line.starts_with("C: "));
        let said = said.join(" ");
        assert!(said.starts_with("C: EHLO [") && said.ends_with("] C: STARTTLS"));
        assert!(
            error.to_string().starts_with("starttls localhost: "),
            "{error}"
        );
        // A clock can be set right.
        let time = matches!(certificate, Certificate::Expired | Certificate::NotYetValid);
        assert_eq!(error.is_transient(), time, "{error}");
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

#[test]
fn a_certificate_of_a_private_authority_is_not_trusted_by_default() {
    let exchange = Exchange::start();
    let account = Account::new("robot@contoso.com")
        .tenant(exchange.tenant())
        .client_id(exchange.client_id())
        .client_secret(exchange.client_secret())
        .authority(exchange.authority())
        .server("localhost", exchange.port());
    let error = send_mail(&account, &note()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(exchange.token_requests().is_empty());
}

#[test]
fn tls_1_2_is_spoken() {
    let exchange = Exchange::builder().only_tls12().start();
    send_mail(&exchange.account(), &note()).unwrap();
}

#[test]
fn a_server_may_be_an_ip_address() {
    let exchange = Exchange::start();
    let account = exchange.account().server("127.0.0.1", exchange.port());
    send_mail(&account, &note()).unwrap();
}

/// It answers with an older version in its ServerHello, with the alert protocol_version, or in the clear.
#[test]
fn a_server_without_tls_1_2_or_1_3_is_sent_no_login() {
    let hello = |version: [u8; 2]| {
        // RFC 5246 7.4.1.3: version, random, no session, a suite of that time, no compression.
        let body = [&version[..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
        let length = u8::try_from(body.len()).unwrap();
        let handshake = [&[2, 0, 0, length][..], &body].concat();
        [&[22, 3, 1, 0, length + 4][..], &handshake].concat()
    };
    let protocol_version = vec![21, 3, 1, 0, 2, 2, 70];
    for said in [
        hello([3, 2]),
        hello([3, 1]),
        hello([3, 0]),
        hello([2, 0]),
        // TLS 1.2 with a suite that has no forward secrecy or no authenticated encryption.
        hello([3, 3]),
        protocol_version,
        b"250 who needs TLS\r\n".to_vec(),
    ] {
        let exchange = Exchange::builder()
            .tapped()
            .on(Step::Handshake, Fault::raw(said.clone()))
            .start();
        let error = refused(&exchange);
        assert_eq!(
            (error.kind(), error.stage()),
            (ErrorKind::Tls, Stage::StartTls),
            "{said:?}: {error}"
        );
        let heard = exchange.take_tapped();
        assert!(!heard.windows(4).any(|w| w == b"AUTH" || w == b"MAIL"));
    }
}

/// A name that resolves to the address is not enough.
#[test]
fn an_ip_address_has_to_be_named_by_the_certificate() {
    for certificate in [Certificate::WrongName, Certificate::NameOnlyInCn] {
        let exchange = Exchange::builder().smtp_certificate(certificate).start();
        let account = exchange.account().server("127.0.0.1", exchange.port());
        let error = refused_by(&exchange, &account);
        assert_eq!(
            (error.kind(), error.stage()),
            (ErrorKind::Tls, Stage::StartTls)
        );
        assert!(
            error.to_string().starts_with("starttls 127.0.0.1: "),
            "{error}"
        );
    }
}

#[test]
fn starttls_that_is_offered_within_tls_is_not_said_again() {
    let offer = "EhloTls 250-hello\n250-STARTTLS\n250-PIPELINING\n250 AUTH XOAUTH2";
    let exchange = Exchange::builder().says(offer).start();
    send_mail(&exchange.account(), &note()).unwrap();
    let asked = exchange.settle().said("C: STARTTLS");
    assert_eq!((asked, exchange.delivered().len()), (1, 1));
    assert_eq!(exchange.violations(), [""; 0]);
}

/// Anybody on the way may have written it: neither its logins nor its limits count.
#[test]
fn nothing_but_starttls_counts_of_ehlo_in_the_clear() {
    let lure = "Ehlo 250-hello\n250-STARTTLS\n250-AUTH PLAIN XOAUTH2\n250-SMTPUTF8\n250 SIZE 1";
    let exchange = Exchange::builder().says(lure).without("SMTPUTF8").start();
    let message = Message::new()
        .to("ann@example.com")
        .text("more than one byte");
    send_mail(&exchange.account(), &message).unwrap();
    let foreign = send_mail(&exchange.account(), &message.to("j\u{f6}rg@example.com"));
    assert_eq!(foreign.unwrap_err().kind(), ErrorKind::Input);

    // XOAUTH2 is offered in the clear only.
    let exchange = Exchange::builder().says(lure).auth("LOGIN").start();
    assert_eq!(refused(&exchange).kind(), ErrorKind::Protocol);
}
