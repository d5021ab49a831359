//! The round trips that are promised, counted by the stand-in as the client's flights. Counts, not timings.
//!
//! `send_mail` takes `flights() + 1` round trips: TCP's handshake and the greeting are two that no flight shows, and QUIT
//! is a flight that nobody waits for. The token's three run beside those that lead to the second EHLO.

use crate::credentials::child::Scratch;
use crate::exchange;

use std::time::Duration;

use exchange::Exchange;
use exosend::{Account, Attachment, InitialResponse, Message, Session, Timeouts, send_mail};

/// EHLO, STARTTLS, `ClientHello`, Finished with EHLO.
const CONNECTION: usize = 4;
/// AUTH and, behind the server's 334, the login: no application's token fits on one line.
const LOGIN: usize = 2;
/// MAIL with RCPT and DATA; the message.
const MESSAGE: usize = 2;
/// DATA waits for the recipients' replies: once the server has said 354, something has to be sent.
const SEVERAL_RECIPIENTS: usize = 1;
const QUIT: usize = 1;

/// `ClientHello`, Finished with the request.
const TOKEN: usize = 2;

fn to(recipients: usize) -> Message {
    (1..=recipients)
        .fold(Message::new(), |message, n| {
            message.to(format!("user{n}@example.com"))
        })
        .subject("backup done")
        .text("212 GiB in 41 min\n")
}

/// The client's flights to the SMTP server and to Entra.
fn flights(exchange: &Exchange, client: impl FnOnce() -> Result<(), exosend::Error>) -> [usize; 2] {
    let count = || [exchange.settle().flights(), exchange.token_flights()];
    let before = count();
    client().unwrap();
    let after = count();
    assert_eq!(exchange.violations(), [""; 0]);
    [after[0] - before[0], after[1] - before[1]]
}

fn send(account: &Account, message: &Message) -> Result<(), exosend::Error> {
    send_mail(account, message).map(drop)
}

#[test]
fn a_cold_send_takes_ten_round_trips() {
    let exchange = Exchange::start();
    let counted = flights(&exchange, || send(&exchange.account(), &to(1)));
    assert_eq!(counted, [CONNECTION + LOGIN + MESSAGE + QUIT, TOKEN]);
    assert_eq!(counted[0] + 1, 10);
}

#[test]
fn a_kept_token_is_not_asked_for() {
    let exchange = Exchange::start();
    let scratch = Scratch::new();
    let account = || exchange.account().token_cache(scratch.path("tokens"));
    flights(&exchange, || send(&account(), &to(1)));
    let counted = flights(&exchange, || send(&account(), &to(1)));
    assert_eq!(counted, [CONNECTION + LOGIN + MESSAGE + QUIT, 0]);
}

#[test]
fn an_initial_response_saves_one_round_trip() {
    let exchange = Exchange::start();
    let account = exchange.account().initial_response(InitialResponse::Always);
    let counted = flights(&exchange, || send(&account, &to(1)));
    assert_eq!(counted, [CONNECTION + LOGIN - 1 + MESSAGE + QUIT, TOKEN]);
    assert_eq!(counted[0] + 1, 9);
}

#[test]
fn a_short_token_is_sent_as_an_initial_response() {
    let exchange = Exchange::builder().short_token().start();
    let counted = flights(&exchange, || send(&exchange.account(), &to(1)));
    assert_eq!(counted, [CONNECTION + LOGIN - 1 + MESSAGE + QUIT, TOKEN]);
}

#[test]
fn tls_1_2_takes_one_more_for_smtp_and_for_the_token() {
    let exchange = Exchange::builder().only_tls12().start();
    let [smtp, token] = flights(&exchange, || send(&exchange.account(), &to(1)));
    let tls_1_3 = [CONNECTION + LOGIN + MESSAGE + QUIT, TOKEN];
    assert_eq!([smtp, token], tls_1_3.map(|flights| flights + 1));
}

#[test]
fn a_large_message_takes_no_more_round_trips() {
    let exchange = Exchange::builder().discard_bodies().start();
    let large = to(1).attach(Attachment::bytes("large", vec![b'x'; 1024 * 1024]));
    let counted = flights(&exchange, || send(&exchange.account(), &large));
    assert_eq!(counted, [CONNECTION + LOGIN + MESSAGE + QUIT, TOKEN]);
}

/// Entra is silent; the answer to the second EHLO is known all the same.
#[test]
fn the_token_is_fetched_beside_the_handshakes() {
    let exchange = Exchange::builder()
        .entra_is_deaf()
        .says("EhloTls 550 5.7.1 Go away")
        .start();
    let account = exchange
        .account()
        .timeouts(Timeouts::default().token(Duration::from_secs(600)));
    let error = send(&account, &to(1)).unwrap_err();
    assert_eq!(error.to_string(), "ehlo: 550 5.7.1 Go away");
}

#[test]
fn several_recipients_take_one_more_unless_partial() {
    let exchange = Exchange::start();
    let account = exchange.account();
    let one = CONNECTION + LOGIN + MESSAGE + QUIT;
    for (message, expected) in [
        (to(10), one + SEVERAL_RECIPIENTS),
        (to(10).partial(true), one),
        // 128 commands a flight.
        (to(300), one + SEVERAL_RECIPIENTS + 2),
        (to(300).partial(true), one + 2),
    ] {
        let [counted, _] = flights(&exchange, || send(&account, &message));
        assert_eq!(counted, expected);
    }
}

#[test]
fn a_further_message_in_a_session_takes_two() {
    let exchange = Exchange::start();
    let session = |messages: &[Message]| {
        flights(&exchange, || {
            let mut session = Session::open(&exchange.account())?;
            for message in messages {
                session.send(message).map(drop)?;
            }
            session.quit();
            Ok(())
        })[0]
    };
    let one = session(&[to(1)]);
    assert_eq!(one, CONNECTION + LOGIN + MESSAGE + QUIT);
    assert_eq!(session(&[to(1), to(1)]), one + MESSAGE);
    assert_eq!(
        session(&[to(1), to(10)]),
        one + MESSAGE + SEVERAL_RECIPIENTS
    );
}

#[test]
fn without_pipelining_each_command_waits() {
    let exchange = Exchange::builder().without("PIPELINING").start();
    let [counted, _] = flights(&exchange, || send(&exchange.account(), &to(10)));
    // MAIL, ten RCPT, DATA, the message.
    assert_eq!(counted, CONNECTION + LOGIN + 13 + QUIT);
}
