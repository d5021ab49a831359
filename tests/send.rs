//! The main job, through the stand-in: what is sent is what arrives, once, for everybody or for nobody.

use crate::exchange;

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use exchange::{Exchange, Fault, Step};
use exosend::{Envelope, ErrorKind, Message, Session, Stage, Timeouts, send_mail};

fn note() -> Message {
    Message::new()
        .to("ann@example.com")
        .subject("hello")
        .text("hello\n")
}

#[test]
fn a_message_arrives_as_it_was_meant() {
    let exchange = Exchange::start();
    let message = Message::new()
        .from("Backup \u{2713} <robot@contoso.com>")
        .to("Ann Other <ann@example.com>")
        .cc("\"Schmidt, J\u{f6}rg\" <j@example.com>")
        .bcc("eve@example.com")
        .reply_to("ops@contoso.com")
        .subject("\u{5831}\u{544a}")
        .header("Importance", "high")
        .text("first\n.\n..dots\n\u{fc}\n");
    let receipt = send_mail(&exchange.account(), &message).unwrap();

    let delivered = exchange.settle().delivered();
    assert_eq!(delivered.len(), 1);
    let arrived = &delivered[0];
    assert_eq!(arrived.from, "robot@contoso.com");
    assert_eq!(
        arrived.to,
        ["ann@example.com", "j@example.com", "eve@example.com"]
    );
    assert_eq!(arrived.parameters, [format!("SIZE={}", arrived.length)]);
    assert_eq!(arrived.header("Importance").as_deref(), Some("high"));
    assert_eq!(
        arrived.header("Message-ID").as_deref(),
        receipt.message_id()
    );
    assert!(!arrived.text().contains("eve@example.com"));
    let mut written = Vec::new();
    message.write_to(&mut written).unwrap();
    let without_date = |text: &[u8]| {
        text.split(|&b| b == b'\n')
            .skip(1)
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    };
    assert_eq!(without_date(&arrived.data), without_date(&written));
    assert!(receipt.to_string().starts_with("250 2.0.0 OK") && receipt.refused().is_empty());
    assert_eq!(exchange.violations(), [""; 0]);
}

#[test]
fn one_token_serves_an_account_and_its_clones() {
    let exchange = Exchange::start();
    let account = exchange.account();
    send_mail(&account, &note()).unwrap();
    send_mail(&account.clone().timeouts(Timeouts::default()), &note()).unwrap();
    let mut session = Session::open(&account).unwrap();
    session.send(&note()).unwrap();
    session.send(&note()).unwrap();
    session.quit();
    assert_eq!(
        (
            exchange.settle().delivered().len(),
            exchange.token_requests().len()
        ),
        (4, 1)
    );
}

#[test]
fn a_token_near_its_end_is_not_used_again() {
    let exchange = Exchange::builder().expires_in(300).start();
    let account = exchange.account();
    send_mail(&account, &note()).unwrap();
    send_mail(&account, &note()).unwrap();
    assert_eq!(exchange.token_requests().len(), 2);
}

#[test]
fn the_same_message_sent_twice_carries_the_same_id() {
    let exchange = Exchange::start();
    exchange.on_nth(Step::Accept, 1, Fault::disconnect());
    let message = note();
    let error = send_mail(&exchange.account(), &message).unwrap_err();
    assert!(error.in_doubt() && !error.is_transient(), "{error}");
    let named = error.message_id().map(str::to_owned);
    send_mail(&exchange.account(), &message.clone()).unwrap();
    let delivered = exchange.settle().delivered();
    assert_eq!(delivered.len(), 2, "the stand-in had taken the first one");
    assert_eq!(delivered[0].header("Message-ID"), named);
    assert_eq!(delivered[1].header("Message-ID"), named);
}

#[test]
fn one_refusal_among_many_and_nothing_is_sent() {
    let exchange = Exchange::builder()
        .refuse("bob@example.com", "550 5.1.10 Recipient not found")
        .start();
    let message = note().cc("bob@example.com");
    let error = send_mail(&exchange.account(), &message).unwrap_err();
    assert_eq!(
        error.to_string(),
        "recipient <bob@example.com>: 550 5.1.10 Recipient not found"
    );
    assert_eq!(
        (error.kind(), error.stage()),
        (ErrorKind::Refused, Stage::Recipient)
    );
    assert_eq!(error.refused()[0].address(), "bob@example.com");
    assert!(error.hint().is_some());
    assert!(exchange.settle().delivered().is_empty());

    let receipt = send_mail(&exchange.account(), &message.partial(true)).unwrap();
    assert_eq!(
        receipt.refused()[0].to_string(),
        "<bob@example.com>: 550 5.1.10 Recipient not found"
    );
    assert_eq!(exchange.settle().delivered()[0].to, ["ann@example.com"]);
}

#[test]
fn a_thousand_recipients() {
    let exchange = Exchange::start();
    let message = (0..1000).fold(note(), |message, n| {
        message.bcc(format!("user{n}@example.com"))
    });
    send_mail(&exchange.account(), &message).unwrap();
    assert_eq!(exchange.settle().delivered()[0].to.len(), 1001);
}

#[test]
fn a_ready_text_is_passed_on_but_for_its_line_ends() {
    let exchange = Exchange::start();
    let mut session = Session::open(&exchange.account()).unwrap();
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let text =
        "From: robot@contoso.com\nBcc: eve@example.com\r\nX-\u{fc}: 8bit\r\n\r\n.\r..\nno line end";
    let receipt = session.send_raw(&envelope, text.as_bytes()).unwrap();
    session.quit();
    let arrived = &exchange.settle().delivered()[0];
    let expected = "From: robot@contoso.com\r\nBcc: eve@example.com\r\nX-\u{fc}: 8bit\r\n\r\n.\r\n..\r\nno line end\r\n";
    assert_eq!(arrived.text(), expected);
    assert_eq!(arrived.parameters, ["BODY=8BITMIME"]);
    assert_eq!(receipt.message_id(), None);
}

#[test]
fn a_reader_that_fails_ends_the_message_and_nothing_is_delivered() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let exchange = Exchange::start();
    let mut session = Session::open(&exchange.account()).unwrap();
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let beginning = b"Subject: half\r\n\r\n".repeat(3000);
    let error = session
        .send_raw(&envelope, beginning.chain(Broken))
        .unwrap_err();
    assert_eq!(error.to_string(), "body: the disk is gone");
    assert_eq!(
        (error.kind(), error.in_doubt(), error.is_permanent()),
        (ErrorKind::Body, false, true)
    );
    assert!(exchange.settle().delivered().is_empty());
    let again = session.send(&note()).unwrap_err();
    assert_eq!(
        (again.kind(), again.is_transient()),
        (ErrorKind::Network, true)
    );
}

/// A caller may catch the panic of its own reader. The server still waits for the rest of the message then, and would
/// take the next one for it.
#[test]
fn a_reader_that_panics_ends_the_session() {
    struct Panics;
    impl Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("the reader's own")
        }
    }
    let exchange = Exchange::start();
    let mut session = Session::open(&exchange.account()).unwrap();
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let half = b"Subject: for Ann alone\r\n\r\n".repeat(1000);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        session.send_raw(&envelope, half.chain(Panics))
    }));
    assert!(unwound.is_err() && session.is_over());
    let next = session.send(&note()).unwrap_err();
    assert_eq!(
        next.to_string(),
        "body: the session ended earlier: a panic in the middle of a message"
    );
    session.quit();
    assert!(exchange.settle().delivered().is_empty());
}

/// A reader that breaks the contract of `Read` cannot make us send less than it gave.
#[test]
fn a_reader_that_lies_ends_the_message() {
    struct Lies;
    impl Read for Lies {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(buffer.len() + 1)
        }
    }
    let exchange = Exchange::start();
    let mut session = Session::open(&exchange.account()).unwrap();
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let error = session.send_raw(&envelope, Lies).unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Body, false));
    drop(session);
    assert!(exchange.settle().delivered().is_empty());
}

#[test]
fn foreign_addresses_go_out_where_the_server_takes_them() {
    let message = note().to("j\u{f6}rg@example.com");
    let exchange = Exchange::start();
    send_mail(&exchange.account(), &message).unwrap();
    let delivered = exchange.settle().delivered();
    assert_eq!(delivered[0].parameters[1..], ["BODY=8BITMIME", "SMTPUTF8"]);
    assert_eq!(exchange.violations(), [""; 0]);

    let exchange = Exchange::builder().without("SMTPUTF8").start();
    let error = send_mail(&exchange.account(), &message).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("xn--"), "{error}");
    assert_eq!(exchange.settle().said("C: MAIL"), 0);
}

#[test]
fn bad_input_costs_no_connection() {
    let exchange = Exchange::start();
    let account = exchange.account();
    let wrong = [
        send_mail(&account, &Message::new().text("x")),
        send_mail(
            &account,
            &note().to("ann@example.com>\r\nDATA\r\n\r\nforged\r\n.\r\n"),
        ),
        send_mail(&account, &note().cc("ann\0@example.com")),
        send_mail(&account, &note().to("ann")),
        send_mail(&account.clone().tenant(""), &note()),
        send_mail(&account.clone().client_id(""), &note()),
        send_mail(&account.clone().client_secret(""), &note()),
        send_mail(&account.clone().authority("http://localhost"), &note()),
        send_mail(&exosend::Account::new(""), &note()),
    ];
    for result in wrong {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Input);
    }
    assert!(exchange.transcript().is_empty() && exchange.token_requests().is_empty());
}

#[test]
fn a_session_goes_on_after_a_refusal_and_is_over_after_a_loss() {
    let exchange = Exchange::builder()
        .refuse("bob@example.com", "550 5.1.10 no")
        .start();
    let mut session = Session::open(&exchange.account()).unwrap();
    assert_eq!(
        session
            .send(&note().to("bob@example.com"))
            .unwrap_err()
            .kind(),
        ErrorKind::Refused
    );
    assert!(!session.is_over());
    session.send(&note()).unwrap();
    exchange.on(Step::Accept, Fault::disconnect());
    assert!(session.send(&note()).unwrap_err().in_doubt());
    assert!(session.is_over());
}

#[test]
fn a_ready_message_whose_length_is_known_is_announced_or_refused() {
    let exchange = Exchange::builder().extension("SIZE 100").start();
    let text = b"From: robot@contoso.com\r\n\r\nhello\r\n";
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let mut session = Session::open(&exchange.account()).unwrap();
    let too_long = session
        .send_raw(&envelope.clone().size(101), io::empty())
        .unwrap_err();
    assert_eq!(
        too_long.to_string(),
        "message size: 101 bytes, the server takes 100"
    );
    session
        .send_raw(&envelope.size(text.len() as u64), &text[..])
        .unwrap();
    session.quit();
    let delivered = exchange.settle().delivered();
    assert_eq!(delivered[0].parameters, ["SIZE=34", "BODY=8BITMIME"]);
    assert_eq!(delivered[0].length, 34);
}
