//! Every wait ends at its own bound, however bytes trickle in, and never after the total.
//!
//! Bounds are short here, and the time that is asserted is generous: less than a hang takes.

use crate::exchange;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use exchange::{Answer, Builder, Exchange, Fault, Step, note};
use exosend::{Account, Envelope, Error, ErrorKind, Session, Stage, Timeouts, Token, send_mail};

/// Long enough for all that is not slow on purpose, even on a slow machine.
const BOUND: Duration = Duration::from_secs(1);
/// Between the bytes of a peer that trickles: many of them within one bound.
const TRICKLE: Duration = Duration::from_millis(50);
const HANG: Duration = Duration::from_secs(30);

fn error(account: &Account, timeouts: Timeouts) -> Error {
    let begun = Instant::now();
    let error = send_mail(&account.clone().timeouts(timeouts), &note()).unwrap_err();
    let time = begun.elapsed();
    assert!((BOUND..HANG).contains(&time), "{time:?}: {error}");
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    error
}

/// Where the server speaks, and by which of the bounds it has to.
const STEPS: [(Step, Stage, &str); 9] = [
    (Step::Greeting, Stage::Greeting, "command"),
    (Step::Ehlo, Stage::Ehlo, "command"),
    (Step::StartTls, Stage::StartTls, "command"),
    (Step::EhloTls, Stage::Ehlo, "command"),
    (Step::Auth, Stage::Auth, "command"),
    (Step::AuthBlob, Stage::Auth, "command"),
    (Step::Mail, Stage::Sender, "command"),
    (Step::Rcpt, Stage::Recipient, "command"),
    (Step::Accept, Stage::Accept, "accept"),
];

/// Replies that do not come, or do not end.
fn slow() -> [Fault; 4] {
    let lines = b"250-and more\r\n".repeat(400);
    [
        Fault::silent(),
        Fault::trickle(TRICKLE * 4),
        Fault::raw(b"250 a line that does not end".repeat(20)).paced(1, TRICKLE),
        Fault::raw(lines).paced(14, TRICKLE),
    ]
}

fn each_step(check: impl Fn(&Exchange, Stage, &'static str) + Sync) {
    let cases = STEPS
        .into_iter()
        .flat_map(|step| slow().map(|fault| (step, fault)));
    at_once(cases, |((step, stage, name), fault)| {
        let builder = Exchange::builder().on(step, fault);
        check(&builder.start(), stage, name);
    });
}

#[test]
fn a_step_ends_at_its_own_bound() {
    each_step(|exchange, stage, name| {
        let timeouts = Timeouts::default().command(BOUND).accept(BOUND);
        let error = error(&exchange.account(), timeouts);
        assert!(
            error.to_string().contains(&format!("(timeout `{name}`)")),
            "{error}"
        );
        assert_eq!(error.stage(), stage, "{error}");
        assert_eq!(error.in_doubt(), stage == Stage::Accept, "{error}");
    });
}

#[test]
fn no_step_outlives_the_total() {
    each_step(|exchange, _, _| {
        // The token first, so that the total is for the steps of the server.
        let account = exchange.account();
        Token::fetch(&account).unwrap();
        let error = error(&account, Timeouts::default().total(BOUND));
        assert!(error.to_string().contains("(timeout `total`)"), "{error}");
    });
}

/// RFC 5321 4.1.1.10: QUIT before the connection is closed, however long ago the last call was.
#[test]
fn a_session_that_is_dropped_after_the_total_says_quit() {
    let exchange = Exchange::start();
    let account = exchange.account();
    Token::fetch(&account).unwrap();
    let account = account.timeouts(Timeouts::default().total(BOUND));
    let session = Session::open(&account).unwrap();
    std::thread::sleep(BOUND);
    drop(session);
    assert_eq!(exchange.settle().said("C: QUIT"), 1);
}

/// Runs all cases at the same time: they wait, and do not compute.
fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            let check = &check;
            scope.spawn(move || check(case));
        }
    });
}

/// A record that is announced and comes byte by byte, in place of the handshake.
#[test]
fn a_trickling_handshake_ends_at_one_bound() {
    let record = [&[22, 3, 3, 0x20, 0, 2, 0, 0x1f, 0xfc][..], &[0; 2000]].concat();
    let fault = Fault::raw(record).paced(1, TRICKLE);
    let exchange = Exchange::builder().on(Step::Handshake, fault).start();
    let cases = [
        (Timeouts::default().command(BOUND), "(timeout `command`)"),
        (Timeouts::default().total(BOUND), "(timeout `total`)"),
    ];
    at_once(cases, |(change, name)| {
        let error = error(&exchange.account(), change);
        assert_eq!(error.stage(), Stage::StartTls);
        assert!(error.to_string().ends_with(name), "{error}");
    });
}

/// The server stops reading in the middle of a message that never ends.
#[test]
fn a_block_that_the_server_does_not_read_ends_at_its_bound() {
    let builder = Exchange::builder().on(Step::Body(1), Fault::stop_reading());
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let cases = [
        (Timeouts::default().block(BOUND), "(timeout `block`)"),
        (Timeouts::default().total(BOUND * 2), "(timeout `total`)"),
    ];
    at_once(cases, |(change, name)| {
        let exchange = builder.clone().start();
        let mut session = Session::open(&exchange.account().timeouts(change)).unwrap();
        let begun = Instant::now();
        let error = session.send_raw(&envelope, io::repeat(b'x')).unwrap_err();
        assert!((BOUND..HANG).contains(&begun.elapsed()));
        let found = (error.stage(), error.in_doubt());
        assert_eq!(found, (Stage::Body, false), "{error}");
        assert!(error.to_string().ends_with(name), "{error}");
        assert!(exchange.delivered().is_empty());
    });
}

/// The answer with the token comes byte by byte, late or not at all, or there is not even TLS. Its own bound allows two
/// requests, the total one, and each error names who was asked.
#[test]
fn a_token_request_ends_at_its_bound_and_at_the_total() {
    let token = |answer| Exchange::builder().token(answer);
    let slow: [(Builder, bool); 4] = [
        (token(Answer::silent()), true),
        (token(Answer::trickle(TRICKLE)), true),
        (token(Answer::delay(HANG)), true),
        (Exchange::builder().entra_is_deaf(), false),
    ];
    let bounds = [
        (Timeouts::default().token(BOUND), "token", 2),
        (Timeouts::default().total(BOUND), "total", 1),
    ];
    let cases = slow
        .iter()
        .flat_map(|slow| bounds.iter().map(move |bound| (slow, bound)));
    at_once(cases, |((builder, hears), (change, name, requests))| {
        let exchange = builder.clone().start();
        let place = exchange.authority().replace("https://", "token ");
        let error = error(&exchange.account(), change.clone());
        assert_eq!(error.stage(), Stage::Token, "{error}");
        let said = format!("{place}: timed out after 1s (timeout `{name}`)");
        assert_eq!(error.to_string(), said);
        assert!(error.is_transient());
        let heard = if *hears { *requests } else { 0 };
        assert_eq!(exchange.token_requests().len(), heard);
    });
}

#[test]
fn an_address_that_does_not_answer_ends_at_the_bound_of_connecting() {
    let exchange = Exchange::start();
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let dead = listener.local_addr().unwrap().as_socket().unwrap();
    // With a backlog of 0 the kernel queues one connection, and does not answer the next.
    let _queued = TcpStream::connect(dead).unwrap();
    at_once(["127.0.0.1", "localhost"], |host| {
        let account = exchange.account().server(host, dead.port());
        let error = error(&account, Timeouts::default().connect(BOUND));
        let place = format!("connect {host}:{}", dead.port());
        let said = format!("{place}: timed out after 1s (timeout `connect`)");
        assert_eq!(error.to_string(), said);
        assert!(error.is_transient());
    });
}
