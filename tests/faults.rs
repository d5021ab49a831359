//! The network goes wrong at every place there is: cut, reset, silent, not reading any more.
//!
//! What must hold whatever happens: the call ends in time; `Ok` exactly if the accepting reply arrived; an error in doubt
//! wherever the stand-in has accepted; and not a byte of address, token or message in the clear.
//!
//! Every eleventh octet is tried, so at least one in each reply and each record; under `EXOSEND_FAULTS=all` every one.

use crate::exchange;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use exchange::{Answer, Builder, End, Exchange, Fault, Step};
use exosend::{Account, Envelope, Error, ErrorKind, Receipt, Session, Timeouts, Token, send_mail};

/// What must not be seen in the clear.
const MARKED: [&str; 3] = ["ann@example.com", "marked subject", "marked text"];

/// Nothing here takes this long, unless it hangs.
const TOTAL: Duration = Duration::from_secs(30);

/// Each case in which the other side falls silent takes this long. On a slow machine it may end an earlier step of the
/// dialogue, which no assertion minds.
const SHORT: Duration = Duration::from_millis(100);

fn patient() -> Timeouts {
    Timeouts::default().total(TOTAL)
}

fn impatient() -> Timeouts {
    patient()
        .token(SHORT)
        .command(SHORT)
        .block(SHORT)
        .accept(SHORT)
}

fn message() -> exosend::Message {
    exosend::Message::new()
        .to("ann@example.com")
        .subject("marked subject")
        .text("marked text\n")
}

/// A whole dialogue; one result for each message.
type Dialogue = fn(&Account) -> Vec<Result<Receipt, Error>>;

fn one_message(account: &Account) -> Vec<Result<Receipt, Error>> {
    vec![send_mail(account, &message())]
}

/// Two messages to two recipients each: one of the first is refused, so that there is a RSET.
fn session(account: &Account) -> Vec<Result<Receipt, Error>> {
    let mut session = match Session::open(account) {
        Ok(session) => session,
        Err(error) => return vec![Err(error)],
    };
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let text = "Subject: marked subject\n\nmarked text\n";
    let results = vec![
        session.send_raw(&envelope.clone().to("bob@example.com"), text.as_bytes()),
        session.send_raw(
            &envelope.to("eve@example.com").partial(true),
            text.as_bytes(),
        ),
    ];
    session.quit();
    results
}

/// One stand-in, one account that has its token, one dialogue after another.
struct Lane {
    exchange: Exchange,
    account: Account,
    token: String,
    dialogue: Dialogue,
    delivered: usize,
}

impl Lane {
    fn new(builder: &Builder, dialogue: Dialogue) -> Self {
        let exchange = builder
            .clone()
            .tapped()
            .refuse("bob@example.com", "550 5.1.10 Recipient not found")
            .start();
        let account = exchange.account();
        let token = Token::fetch(&account).unwrap().secret().to_owned();
        Self {
            exchange,
            account,
            token,
            dialogue,
            delivered: 0,
        }
    }

    /// Runs the dialogue and checks what no fault may change; returns the results.
    fn run(&mut self, timeouts: Timeouts, what: &str) -> Vec<Result<Receipt, Error>> {
        let begun = Instant::now();
        let results = (self.dialogue)(&self.account.clone().timeouts(timeouts));
        let time = begun.elapsed();
        assert!(time < TOTAL, "{what}: {time:?}");
        let before = self.delivered;
        self.delivered = self.exchange.settle().delivered().len();
        let accepted = self.delivered - before;
        let ok = results.iter().filter(|result| result.is_ok()).count();
        let doubtful = results
            .iter()
            .filter(|result| result.as_ref().is_err_and(Error::in_doubt))
            .count();
        assert!(
            (ok..=ok + doubtful).contains(&accepted),
            "{what}: {accepted} accepted, {results:?}"
        );
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            let judged = [error.is_transient(), error.is_permanent(), error.in_doubt()];
            assert_eq!(
                judged.iter().filter(|yes| **yes).count(),
                1,
                "{what}: {error}"
            );
        }
        let heard = self.exchange.take_tapped();
        for secret in MARKED.into_iter().chain([&self.token[..20]]) {
            assert!(
                !heard.windows(secret.len()).any(|w| w == secret.as_bytes()),
                "{what}: {secret} in the clear"
            );
        }
        assert_eq!(self.exchange.violations(), [""; 0], "{what}");
        results
    }
}

/// How many octets an undisturbed dialogue has.
struct Octets {
    server: u64,
    client: u64,
    tcp: u64,
    entra: u64,
}

fn measure(builder: &Builder, dialogue: Dialogue) -> Octets {
    let mut lane = Lane::new(builder, dialogue);
    let results = lane.run(patient(), "undisturbed");
    assert!(results.last().unwrap().is_ok(), "{results:?}");
    Octets {
        server: lane.exchange.server_bytes(),
        client: lane.exchange.client_bytes(),
        tcp: lane.exchange.tcp_bytes(),
        entra: lane.exchange.entra_bytes(),
    }
}

/// Each case once, shared among threads side by side.
fn each<T: Sync>(cases: &[T], threads: usize, case: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads.min(cases.len()) {
            scope.spawn(|| {
                while let Some(one) = cases.get(next.fetch_add(1, Relaxed)) {
                    case(one);
                }
            });
        }
    });
}

/// The positions below `end`; where the outcome changes, at `turn`, every one.
fn positions(end: u64, turn: u64) -> Vec<u64> {
    let all = std::env::var("EXOSEND_FAULTS").is_ok_and(|which| which == "all");
    let positions: Vec<_> = (0..end)
        .filter(|n| all || n % 11 == 0 || n.abs_diff(turn) < 4)
        .collect();
    println!("{} positions of {end}", positions.len());
    positions
}

/// Runs the same dialogue for each position. A lane serves 25 of them: each connection that nobody reads any more keeps its
/// thread and its socket as long as the lane.
fn everywhere(
    positions: &[u64],
    lanes: usize,
    builder: &Builder,
    dialogue: Dialogue,
    case: impl Fn(&mut Lane, u64) + Sync,
) {
    let runs: Vec<_> = positions.chunks(25).collect();
    each(&runs, lanes, |run| {
        let mut lane = Lane::new(builder, dialogue);
        for &n in *run {
            case(&mut lane, n);
        }
    });
}

/// How many lanes run side by side: those that compute, and those that mostly wait.
const BUSY: usize = 4;
const WAITING: usize = 128;

const BYE: &str = "221 2.0.0 Service closing transmission channel\r\n";
const QUIT: &str = "QUIT\r\n";

/// Cut or reset behind every octet of SMTP that the server says.
fn every_end(how: End, builder: &Builder, dialogue: Dialogue) {
    let octets = measure(builder, dialogue);
    let accepted = octets.server - BYE.len() as u64;
    let positions = positions(octets.server, accepted);
    everywhere(&positions, BUSY, builder, dialogue, |lane, n| {
        lane.exchange.end_server_at(n, how);
        let what = format!("{how:?} at {n}");
        let results = lane.run(patient(), &what);
        let last = results.last().unwrap();
        assert_eq!(last.is_ok(), n >= accepted, "{what}: {last:?}");
    });
}

#[test]
fn cut_everywhere() {
    every_end(End::Disconnect, &Exchange::builder(), one_message);
}

#[test]
fn reset_everywhere() {
    every_end(End::Reset, &Exchange::builder(), one_message);
}

#[test]
fn a_session_cut_everywhere() {
    every_end(End::Disconnect, &Exchange::builder(), session);
}

#[test]
fn cut_everywhere_without_pipelining() {
    every_end(
        End::Disconnect,
        &Exchange::builder().without("PIPELINING").short_token(),
        session,
    );
}

/// Silence behind every octet of SMTP that the server says: the error names the timeout that ended it.
#[test]
fn silent_everywhere() {
    let builder = Exchange::builder();
    let octets = measure(&builder, one_message);
    let accepted = octets.server - BYE.len() as u64;
    let positions = positions(octets.server, accepted);
    everywhere(&positions, WAITING, &builder, one_message, |lane, n| {
        lane.exchange.end_server_at(n, End::Silent);
        let what = format!("silent at {n}");
        if n >= accepted {
            assert!(lane.run(patient(), &what)[0].is_ok(), "{what}");
            return;
        }
        let error = lane.run(impatient(), &what).remove(0).unwrap_err();
        let named = ["(timeout `command`)", "(timeout `accept`)"]
            .iter()
            .any(|name| error.to_string().contains(name));
        assert!(
            named && error.kind() == ErrorKind::Network,
            "{what}: {error}"
        );
    });
}

/// The server reads so many octets and no more. What the client sends fits into the buffers between them, so that it is
/// the reply that is missing.
#[test]
fn not_reading_any_more_everywhere() {
    let builder = Exchange::builder();
    let octets = measure(&builder, one_message);
    let accepted = octets.client - QUIT.len() as u64;
    let positions = positions(octets.client, accepted);
    everywhere(&positions, WAITING, &builder, one_message, |lane, n| {
        lane.exchange.stop_reading_at(n);
        let what = format!("not reading from {n}");
        if n >= accepted {
            assert!(lane.run(patient(), &what)[0].is_ok(), "{what}");
            return;
        }
        let error = lane.run(impatient(), &what).remove(0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{what}: {error}");
    });
}

/// Positions among all that goes over TCP: in the handshake, and within the records that hold the octets above.
fn every_end_of_tcp(how: End, timeouts: fn() -> Timeouts, lanes: usize, builder: &Builder) {
    let octets = measure(builder, one_message);
    let positions = positions(octets.tcp, octets.tcp);
    everywhere(&positions, lanes, builder, one_message, |lane, n| {
        lane.exchange.end_tcp_at(n, how);
        lane.run(timeouts(), &format!("{how:?} at {n} of TCP"));
    });
}

#[test]
fn cut_everywhere_within_tls_13() {
    every_end_of_tcp(End::Disconnect, patient, BUSY, &Exchange::builder());
}

#[test]
fn cut_everywhere_within_tls_12() {
    every_end_of_tcp(
        End::Disconnect,
        patient,
        BUSY,
        &Exchange::builder().only_tls12(),
    );
}

#[test]
fn silent_everywhere_within_tls_13() {
    every_end_of_tcp(End::Silent, impatient, WAITING, &Exchange::builder());
}

/// A message that needs a new token. (Any setter of the identity forgets the old one.)
fn with_a_new_token(account: &Account) -> Vec<Result<Receipt, Error>> {
    let account = account
        .clone()
        .scope("https://outlook.office365.com/.default");
    one_message(&account)
}

/// Positions among all that the token's side sends: TLS handshake, HTTP head, JSON.
#[test]
fn the_token_cut_everywhere() {
    let builder = Exchange::builder();
    // One token is fetched when the lane is made, one by the dialogue.
    let octets = measure(&builder, with_a_new_token).entra / 2;
    let positions = positions(octets, octets);
    everywhere(&positions, BUSY, &builder, with_a_new_token, |lane, n| {
        let what = format!("cut at {n} of the token");
        lane.exchange.end_entra_at(n, End::Disconnect);
        let Err(error) = lane.run(patient(), &what).remove(0) else {
            // Handshakes differ by some octets, and what follows the JSON is not waited for.
            assert!(n + 100 > octets, "{what}");
            return;
        };
        assert!(!error.in_doubt(), "{what}: {error}");
    });
}

#[test]
fn the_token_silent_everywhere() {
    let octets = measure(&Exchange::builder(), with_a_new_token).entra / 2;
    let positions = positions(octets, octets);
    let runs: Vec<_> = positions.chunks(25).collect();
    each(&runs, WAITING, |run| {
        let exchange = Exchange::start();
        for &n in *run {
            exchange.end_entra_at(n, End::Silent);
            let begun = Instant::now();
            let result = Token::fetch(&exchange.account().timeouts(impatient()));
            assert!(begun.elapsed() < TOTAL, "silent at {n} of the token");
            match result {
                Ok(_) => assert!(n + 100 > octets, "silent at {n} of the token"),
                Err(error) => assert!(
                    error.to_string().ends_with("(timeout `token`)"),
                    "silent at {n} of the token: {error}"
                ),
            }
        }
    });
}

/// Every step of the dialogue answered by everything that is not the usual answer.
#[test]
fn every_step_goes_wrong_in_every_way() {
    let raw = |bytes: &[u8]| Fault::raw(bytes);
    let endless: String = (0..10_000).map(|n| format!("250-{n}\r\n")).collect();
    let faults = [
        Fault::disconnect(),
        Fault::reset(),
        Fault::silent(),
        Fault::stop_reading(),
        Fault::reply("421 4.3.2 going down"),
        Fault::reply("451 4.7.0 later").then_disconnect(),
        Fault::reply("554 5.7.1 never").then_disconnect(),
        Fault::reply("554 5.7.1 never").then_reset(),
        // Not 250: in the middle of a message whose end has been sent, nobody can tell it from the true reply.
        Fault::reply("354 go on").then_disconnect(),
        raw(b"250-2.0.0 more\r\n").then_disconnect(),
        raw(b"250").then_disconnect(),
        raw(b"25"),
        raw(b"250 no line end"),
        raw(b"250 2.0.0 bare CR\r"),
        raw(b"2x0 OK\r\n").then_disconnect(),
        raw(b"099 OK\r\n").then_disconnect(),
        raw(b"600 OK\r\n").then_disconnect(),
        raw(b"\r\n").then_disconnect(),
        raw(b"250-a\r\n550 b\r\n").then_disconnect(),
        raw(b"\x16\x03\x01\x00\x05hello").then_disconnect(),
        raw(endless.as_bytes()).then_disconnect(),
        raw(&[b'x'; 2 << 20]).then_disconnect(),
    ];
    let steps = Step::DIALOGUE
        .into_iter()
        .chain([Step::Body(10), Step::Quit]);
    let cases: Vec<_> = steps
        .flat_map(|step| faults.iter().map(move |fault| (step, fault)))
        .collect();
    println!("{} cases", cases.len());
    each(&cases, WAITING, |&(step, fault)| {
        let builder = Exchange::builder().on(step, fault.clone());
        let what = format!("{step:?}: {:.200}", format!("{fault:?}"));
        // Nobody waits for the answer to QUIT.
        let undisturbed = step == Step::Quit;
        let timeouts = if undisturbed { patient() } else { impatient() };
        let results = Lane::new(&builder, session).run(timeouts, &what);
        let ok = results.last().unwrap().is_ok();
        // A reply in the middle of a message comes before the one to its end, and may become a part of that line.
        assert!(
            ok == undisturbed || step == Step::Body(10),
            "{what}: {results:?}"
        );
    });
}

/// The token endpoint answers with what is no token: the call ends in an error, and no login is tried.
#[test]
fn the_token_answered_by_anything_else() {
    let json = |body: &str| Answer::status(200).body(body);
    let deep = "[".repeat(60_000);
    let answers = [
        Answer::html(),
        Answer::cut_short(),
        Answer::disconnect(),
        Answer::reset(),
        json("{\"access_token\":\"ey"),
        json("\u{feff}{\"access_token\":\"ey.J0.x\"}"),
        json("{\"access_token\":\"a\\r\\nX-Eve: 1\"}"),
        json("{\"access_token\":\"a\\u0001auth=Bearer b\"}"),
        json("{\"access_token\":\"\"}"),
        json("{\"access_token\":[\"ey.J0.x\"]}"),
        json("{\"access_token\":\"ey.J0.x\",\"error\":\"what\"}"),
        json("null"),
        json(&deep),
        json(&format!("{{\"access_token\":{deep}")),
        Answer::status(200).body(vec![b' '; 64 << 20]),
        Answer::status(200).body(vec![0xff; 1000]),
        Answer::status(204),
        Answer::status(500),
        Answer::status(999).body("{}"),
        Answer::redirect("http://localhost/"),
        Answer::redirect("https://eve.example.com/token"),
        Answer::redirect("//eve.example.com/token").header("Location", "/again"),
        Answer::status(200).header("X-Long", &"x".repeat(100_000)),
        Answer::status(200)
            .header("Transfer-Encoding", "chunked")
            .body("ffffffffffffffffffff\r\n"),
    ];
    let cases: Vec<_> = answers.iter().enumerate().collect();
    each(&cases, BUSY, |&(n, answer)| {
        let exchange = Exchange::builder().token(answer.clone()).start();
        let begun = Instant::now();
        let error = one_message(&exchange.account().timeouts(patient()))
            .remove(0)
            .unwrap_err();
        assert!(begun.elapsed() < TOTAL, "{n}: {error}");
        assert_eq!(error.stage(), exosend::Stage::Token, "{n}: {error}");
        assert!(error.to_string().len() < 1000, "{n}: {error}");
        assert_eq!(exchange.settle().said("C: AUTH"), 0, "{n}");
        // Once, or once more where the answer was 500.
        assert!(exchange.token_requests().len() <= 2, "{n}");
    });
}

/// Whatever `expires_in` says, the token is used once; it is kept only if that makes sense.
#[test]
fn a_lifetime_that_makes_no_sense_is_none() {
    for (expires_in, kept) in [
        ("", false),
        (",\"expires_in\":3599", true),
        (",\"expires_in\":\"3599\"", true),
        (",\"expires_in\":1e300", true),
        (",\"expires_in\":18446744073709551615", true),
        (",\"expires_in\":0", false),
        (",\"expires_in\":-1", false),
        (",\"expires_in\":-1e300", false),
        (",\"expires_in\":\"soon\"", false),
        (",\"expires_in\":null", false),
        (",\"expires_in\":{}", false),
    ] {
        let exchange = Exchange::start();
        let token = exchange.issue_token();
        exchange.token(
            Answer::status(200).body(format!("{{\"access_token\":\"{token}\"{expires_in}}}")),
        );
        let account = exchange.account().timeouts(patient());
        for _ in 0..2 {
            assert!(one_message(&account)[0].is_ok(), "{expires_in}");
        }
        let requests = if kept { 1 } else { 2 };
        assert_eq!(exchange.token_requests().len(), requests, "{expires_in}");
    }
}
