//! Never in the clear, and never to somebody else.

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

/// The given roots count instead of the built-in ones, not beside them.
#[test]
fn the_built_in_roots_do_not_trust_the_stand_in() {
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
fn tls_12_and_an_address_as_server() {
    let exchange = Exchange::builder().only_tls12().start();
    send_mail(&exchange.account(), &note()).unwrap();
    let exchange = Exchange::start();
    let account = exchange.account().server("127.0.0.1", exchange.port());
    send_mail(&account, &note()).unwrap();
}

/// What a server says that would rather speak TLS 1.1, SSL 3 or something older: the version in its ServerHello, an alert
/// that asks for another version, or no TLS at all.
#[test]
fn no_downgrade() {
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

/// The certificate has to name the address itself, and a name that resolves to it is not looked for.
#[test]
fn an_address_that_the_certificate_does_not_name() {
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

/// STARTTLS is offered once more within TLS: it is not said again, and the mail goes out.
#[test]
fn a_second_starttls_is_not_taken_up() {
    let offer = "EhloTls 250-hello\n250-STARTTLS\n250-PIPELINING\n250 AUTH XOAUTH2";
    let exchange = Exchange::builder().says(offer).start();
    send_mail(&exchange.account(), &note()).unwrap();
    let asked = exchange.settle().said("C: STARTTLS");
    assert_eq!((asked, exchange.delivered().len()), (1, 1));
    assert_eq!(exchange.violations(), [""; 0]);
}

/// What was offered in the clear may be anybody's word: neither its login nor its limits count.
#[test]
fn ehlo_in_the_clear_is_believed_in_nothing_but_starttls() {
    let lure = "Ehlo 250-hello\n250-STARTTLS\n250-AUTH PLAIN XOAUTH2\n250-SMTPUTF8\n250 SIZE 1";
    let exchange = Exchange::builder().says(lure).without("SMTPUTF8").start();
    let message = Message::new()
        .to("ann@example.com")
        .text("more than one byte");
    send_mail(&exchange.account(), &message).unwrap();
    let foreign = send_mail(&exchange.account(), &message.to("j\u{f6}rg@example.com"));
    assert_eq!(foreign.unwrap_err().kind(), ErrorKind::Input);

    // And a login that is offered in the clear alone is none.
    let exchange = Exchange::builder().says(lure).auth("LOGIN").start();
    assert_eq!(refused(&exchange).kind(), ErrorKind::Protocol);
}
