//! The stand-in itself, driven by a client that is not exosend: what the other tests lean on.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{self, Read};
use std::time::Duration;

use client::{Client, blob, request};
use exchange::{Answer, Certificate, Exchange, Fault, Step};

#[path = "stand_in/assertion.rs"]
mod assertion;
#[path = "stand_in/client.rs"]
mod client;
#[path = "stand_in/credentials.rs"]
mod credentials;
use crate::exchange;
#[path = "stand_in/identity.rs"]
mod identity;

#[test]
fn a_message_arrives() {
    let exchange = Exchange::builder()
        .refuse("bob@example.com", "550 5.1.10 Recipient not found")
        .start();
    let mut client = Client::authenticated(&exchange);
    let group = "MAIL FROM:<robot@contoso.com> SIZE=33\r\nRCPT TO:<bob@example.com>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n";
    client.send(group);
    for reply in [
        "250 2.1.0 Sender OK",
        "550 5.1.10 Recipient not found",
        "250 2.1.5 Recipient OK",
        "354 Start mail input; end with <CRLF>.<CRLF>",
    ] {
        assert_eq!(client.reply(), reply);
    }
    let reply = client.ask("Subject: s\r\nMessage-ID: <1@a>\r\n\r\n..\r\n..dot\r\n.");
    assert_eq!(
        reply,
        "250 2.0.0 OK <1@a> [Hostname=AM0PR01MB0001.eurprd01.prod.exchangelabs.com]"
    );
    assert!(client.ask("QUIT").starts_with("221 "));
    drop(client);

    let delivered = exchange.settle().delivered();
    assert_eq!(delivered.len(), 1);
    assert_eq!(delivered[0].to, ["ann@example.com"]);
    assert_eq!(delivered[0].parameters, ["SIZE=33"]);
    assert_eq!(
        delivered[0].text(),
        "Subject: s\r\nMessage-ID: <1@a>\r\n\r\n.\r\n.dot\r\n"
    );
    assert_eq!(delivered[0].length, 42);
    assert_eq!(delivered[0].header("message-id").as_deref(), Some("<1@a>"));
    assert_eq!(exchange.violations(), [""; 0]);
    // EHLO, STARTTLS, ClientHello, Finished with EHLO, AUTH, blob, group, message, QUIT.
    assert_eq!(exchange.flights(), 9);

    let transcript = exchange.transcript();
    for line in [
        "C: EHLO test",
        "-- TLSv1_3",
        "C: [2732 octets]",
        "S: 354 Start mail input; end with <CRLF>.<CRLF>",
    ] {
        assert!(
            transcript.iter().any(|seen| seen == line),
            "{line} in {transcript:#?}"
        );
    }
}

#[test]
fn the_rules_are_watched() {
    for (said, violation) in [
        ("NOOP\rX\r\n", "CR or NUL inside a line"),
        ("HELP\r\n", "an unknown command"),
        (
            "MAIL FROM: <robot@contoso.com>\r\n",
            "no < right behind the colon",
        ),
        (
            "MAIL FROM:<robot@contoso.com>  SIZE=1\r\n",
            "more than one space",
        ),
        (
            "MAIL FROM:<robot@contoso.com> RET=FULL\r\n",
            "an unknown or not offered parameter",
        ),
        (
            "MAIL FROM:<robot@contoso.com> SIZE=x\r\n",
            "an unknown or not offered parameter",
        ),
        (
            "MAIL FROM:<r\u{f6}bot@contoso.com>\r\n",
            "an address beyond ASCII",
        ),
        ("RCPT TO:<ann@example.com>\r\n", "RCPT before MAIL"),
        ("DATA\r\n", "DATA before RCPT"),
        ("NOOP\r\nNOOP\r\n", "something was sent behind NOOP"),
        ("BDAT 1 LAST\r\n", "BDAT"),
        ("AUTH XOAUTH2 =\r\n", "AUTH out of place"),
        ("EHLO\r\n", "an unknown command"),
    ] {
        let exchange = Exchange::start();
        let mut client = Client::authenticated(&exchange);
        client.send(said);
        client.reply();
        drop(client);
        let violations = exchange.settle().violations();
        assert!(
            violations.iter().any(|told| told.starts_with(violation)),
            "{said:?}: {violations:?}"
        );
    }
}

#[test]
fn the_rules_of_messages_are_watched() {
    for (text, violation) in [
        ("a\nb", "a bare LF in the message"),
        ("a\rb", "a bare CR in the message"),
        ("a\r\n.b", "a dot that begins a line is not doubled"),
        ("a\0b", "a NUL in the message"),
        ("\u{e4}", "8-bit octets in a message"),
    ] {
        let exchange = Exchange::start();
        let mut client = Client::authenticated(&exchange);
        client.ask("MAIL FROM:<robot@contoso.com>");
        client.ask("RCPT TO:<ann@example.com>");
        client.ask("DATA");
        assert!(client.ask(&format!("{text}\r\n.")).starts_with("250 "));
        let violations = exchange.violations();
        assert!(
            violations.len() == 1 && violations[0].starts_with(violation),
            "{violations:?}"
        );
    }
}

#[test]
fn a_bare_lf_ends_nothing() {
    let exchange = Exchange::start();
    let mut client = Client::authenticated(&exchange);
    client.send("NOOP\n");
    assert!(client.reply().starts_with("500 "));
    client.ask("MAIL FROM:<robot@contoso.com>");
    client.ask("RCPT TO:<ann@example.com>");
    client.ask("DATA");
    client.send("one\n.\r\ntwo\r\n.\n.\r\nthree\r\n.\r\n");
    assert!(client.reply().starts_with("250 "));
    let text = "one\n.\r\ntwo\r\n\n.\r\nthree\r\n";
    assert_eq!(exchange.delivered()[0].text(), text);
    assert_eq!(
        exchange.violations().len(),
        3,
        "{:#?}",
        exchange.violations()
    );
}

#[test]
fn a_wrong_token_is_refused() {
    let exchange = Exchange::start();
    let mut client = Client::encrypted(&exchange);
    assert!(
        client
            .login(exchange.mailbox(), "wrong")
            .starts_with("535 5.7.3 Authentication unsuccessful [")
    );
    let token = exchange.issue_token();
    assert!(
        client
            .login("boss@contoso.com", &token)
            .starts_with("535 5.7.3 ")
    );
    assert!(
        client
            .ask("MAIL FROM:<robot@contoso.com>")
            .starts_with("530 5.7.57 Client not authenticated")
    );
    let blob = blob(exchange.mailbox(), &token);
    assert_eq!(
        client.ask(&format!("AUTH XOAUTH2 {blob}")),
        "235 2.7.0 Authentication successful"
    );
}

#[test]
fn tokens_are_given_to_those_who_know_the_secret() {
    let exchange = Exchange::builder()
        .nth_token(3, Answer::status(503).header("Retry-After", "1"))
        .start();
    let answer = request(&exchange, &exchange.scope(), exchange.client_secret());
    let (_, token) = answer.split_once(r#""access_token":""#).unwrap();
    assert_eq!(token.split('"').next().unwrap().len(), 2_012);

    let refused = request(&exchange, &exchange.scope(), "wrong");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    assert!(
        refused.contains(r#""error_description":"AADSTS7000215: Invalid client secret provided."#),
        "{refused}"
    );

    let busy = request(&exchange, &exchange.scope(), exchange.client_secret());
    assert!(
        busy.starts_with("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"),
        "{busy}"
    );

    let wrong_scope = request(
        &exchange,
        "https://outlook.office365.com/SMTP.Send",
        exchange.client_secret(),
    );
    assert!(wrong_scope.contains("AADSTS1002012"), "{wrong_scope}");
    let requests = exchange.token_requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0].field("client_secret"), Some("[40 octets]"));
}

#[test]
fn connections_end_as_told() {
    let end = |fault: Fault| {
        let exchange = Exchange::builder().on(Step::Mail, fault).start();
        let mut client = Client::authenticated(&exchange);
        client.send("MAIL FROM:<robot@contoso.com>\r\n");
        client
            .tcp()
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let end = client
            .stream
            .read(&mut [0; 512])
            .map_err(|error| error.kind());
        drop(client);
        exchange.settle();
        end
    };
    assert_eq!(end(Fault::disconnect()), Err(io::ErrorKind::UnexpectedEof));
    assert_eq!(end(Fault::reset()), Err(io::ErrorKind::ConnectionReset));
    assert_eq!(end(Fault::silent()), Err(io::ErrorKind::WouldBlock));
    assert_eq!(end(Fault::stop_reading()), Err(io::ErrorKind::WouldBlock));
}

#[test]
fn every_octet_can_be_the_last() {
    let dialogue = |exchange: &Exchange| -> io::Result<()> {
        let mut client = Client::greeted(exchange)?;
        client.try_ask("EHLO test")?;
        client.try_ask("QUIT").map(drop)
    };
    let undisturbed = Exchange::start();
    dialogue(&undisturbed).unwrap();
    for n in 0..undisturbed.settle().server_bytes() {
        let exchange = Exchange::builder().cut_server_at(n).start();
        assert!(dialogue(&exchange).is_err(), "cut at {n}");
        assert_eq!(exchange.settle().server_bytes(), n);
    }
}

#[test]
fn wrong_certificates_are_wrong() {
    use Certificate::{
        Expired, NameOnlyInCn, NotYetValid, SelfSigned, UnknownIssuer, WildcardTooDeep, WrongName,
    };
    for (certificate, complaint) in [
        (WrongName, "certificate not valid for name"),
        (Expired, "certificate expired"),
        (NotYetValid, "certificate not valid yet"),
        (SelfSigned, "UnknownIssuer"),
        (UnknownIssuer, "UnknownIssuer"),
        (NameOnlyInCn, "certificate not valid for name"),
        (WildcardTooDeep, "certificate not valid for name"),
    ] {
        let exchange = Exchange::builder().smtp_certificate(certificate).start();
        let mut client = Client::greeted(&exchange).unwrap();
        client.ask("EHLO test");
        client.ask("STARTTLS");
        let error = client
            .start_tls(&exchange)
            .try_ask("EHLO test")
            .unwrap_err()
            .to_string();
        assert!(error.contains(complaint), "{certificate:?}: {error}");
        assert_eq!(exchange.settle().handshake_failures().len(), 1);
    }
}
