//! What must hold whatever comes in: from a server, from Entra, from a caller. `tests/fuzz` looks for input that breaks
//! it; the tests below try the same on random input, with any toolchain.
//!
//! Not part of the API: it exists under `cfg(fuzzing)` and in tests alone.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use ureq::http::Response;

use crate::account::{Account, InitialResponse};
use crate::error::Error;
use crate::message::Message;
use crate::message::address::Address;
use crate::message::attachment::Attachment;
use crate::message::envelope::{Content, Route};
use crate::reply::Reply;
use crate::secret::Secret;
use crate::smtp::dialogue::Dialogue;
use crate::smtp::login::Greeted;
use crate::smtp::wire::Wire;
use crate::stage::{ErrorKind, Stage};
use crate::text::printable;
use crate::timeouts::{Deadline, Timeouts};
use crate::tls::Stream;
use crate::token::Token;
use crate::token::answer::Withheld;
use crate::token::http::Answer;
#[cfg(feature = "login")]
use crate::token::login::device::DeviceCode;

/// Ends a turn of the server: it goes on when the client has spoken.
const TURN: u8 = 0x1e;

const TEXT: &str = "Subject: marked\r\n\r\n.\r\nmarked text\r\n";
const STUFFED: &str = "Subject: marked\r\n\r\n..\r\nmarked text\r\n.\r\n";
const TOKEN: &str =
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.marked-token-that-nobody-may-see.c2lnbmF0dXJl";

/// The reader of replies: what comes in does not depend on how it is cut, and what comes out is safe to print.
pub fn replies(input: &[u8]) {
    let whole = read_replies(input, usize::MAX);
    for piece in [1, 7] {
        assert_eq!(whole, read_replies(input, piece), "in pieces of {piece}");
    }
}

fn token() -> Token {
    let now = SystemTime::now();
    Token::new(Secret::new(TOKEN.to_owned()), now, now)
}

fn read_replies(input: &[u8], piece: usize) -> Vec<Result<Reply, String>> {
    let canned = Canned::new(VecDeque::from([input.to_vec()]), piece);
    let mut wire = wire(canned);
    wire.keep_secret(&token().secret);
    let mut replies = Vec::new();
    loop {
        match wire.reply(Stage::Sender) {
            Ok(reply) => {
                assert!((200..600).contains(&reply.code()));
                assert!((1..=512).contains(&reply.lines().count()));
                // A byte that is not UTF-8 becomes a character of three bytes, and a cut is marked.
                assert!(reply.to_string().len() < 4 * 64 * 1024);
                assert_printable(&reply.to_string());
                reply.lines().for_each(assert_printable);
                if let Some(code) = reply.enhanced() {
                    assert!(code.starts_with(&reply.code().to_string()[..1]));
                }
                replies.push(Ok(reply));
            }
            Err(error) => {
                check_error(&error);
                check_token(&error);
                replies.push(Err(error.to_string()));
                return replies;
            }
        }
    }
}

/// A session of two messages with a server that says whatever `input` holds. The first byte decides how much is as usual,
/// nothing, up to the handshake or up to the login, and whether a write after the server's last turn fails.
pub fn session(input: &[u8]) {
    let Some((&mode, input)) = input.split_first() else {
        return;
    };
    let (plain, secured): (&str, &str) = match mode % 3 {
        0 => ("", ""),
        1 => (
            "220 hi\r\n\x1e250-hi\r\n250 STARTTLS\r\n\x1e220 go\r\n\x1e",
            "",
        ),
        _ => (
            "220 hi\r\n\x1e250-hi\r\n250 STARTTLS\r\n\x1e220 go\r\n\x1e",
            "250-hi\r\n250-PIPELINING\r\n250 AUTH XOAUTH2\r\n\x1e334 \r\n\x1e235 ok\r\n\x1e",
        ),
    };
    // Where nothing is as usual, an empty turn parts what is said in the clear from what is said within TLS.
    let (clear, hidden) = match (plain, input.windows(2).position(|w| w == [TURN, TURN])) {
        ("", Some(at)) => (&input[..at], &input[at + 2..]),
        ("", None) => (input, &[][..]),
        _ => (&[][..], input),
    };
    let clear = Canned::new(turns(&[plain.as_bytes(), clear]), usize::MAX);
    let hidden = Canned::new(turns(&[secured.as_bytes(), hidden]), usize::MAX);
    hidden.0.lock().unwrap().hangs_up = mode / 3 % 2 == 1;
    let results = converse(&clear, &hidden);

    let said = clear.said();
    for line in said.split_inclusive(|&b| b == b'\n') {
        assert!(
            [&b"EHLO [127.0.0.1]\r\n"[..], b"STARTTLS\r\n", b"QUIT\r\n"].contains(&line),
            "in the clear"
        );
    }
    let said = hidden.said();
    let ends = said.windows(5).filter(|w| w == b"\r\n.\r\n").count();
    let bare = said.windows(2).any(|w| (w[0] == b'\r') != (w[1] == b'\n'));
    assert!(!bare, "a bare CR or LF");
    // Only a message that has left whole can have been taken.
    let out = said
        .windows(STUFFED.len())
        .filter(|w| *w == STUFFED.as_bytes())
        .count();
    assert!(ends >= out);
    let ok = results.iter().filter(|result| result.is_ok()).count();
    let mut unclear = 0;
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        check_error(error);
        check_token(error);
        let refused = error
            .reply()
            .is_some_and(|r| r.is_transient() || r.is_permanent());
        unclear += usize::from(error.in_doubt());
        assert!(!(error.in_doubt() && refused), "{error}");
    }
    // Each message that left whole was accepted, refused in so many words, or is in doubt.
    let refused = results.iter().filter(|result| {
        result
            .as_ref()
            .is_err_and(|e| !e.in_doubt() && e.reply().is_some())
    });
    assert!(ok <= out, "accepted what was not sent");
    assert!(out <= ok + unclear + refused.count(), "{results:?}");
}

fn converse(clear: &Canned, hidden: &Canned) -> Vec<Result<(), Error>> {
    let token = token();
    let opened = Greeted::greet(wire(clear.clone()), "[127.0.0.1]")
        .and_then(|greeted| greeted.start_tls(|_| Ok(Box::new(hidden.clone())), "[127.0.0.1]"))
        .and_then(|secured| {
            secured.authenticate("robot@contoso.com", &token, InitialResponse::Never)
        });
    let logged_in = match opened {
        Ok(opened) => opened,
        Err(error) => {
            assert!(!error.in_doubt());
            return vec![Err(error)];
        }
    };
    let mut dialogue = Dialogue::new(logged_in);
    let content = Content {
        size: None,
        maybe_8bit: false,
        international: None,
    };
    let mut results: Vec<Result<(), Error>> = Vec::new();
    for to in [
        &["ann@example.com"][..],
        &["ann@example.com", "bob@example.com"],
    ] {
        let to = to.iter().map(|address| Ok((*address).to_owned()));
        let route = Route::new("robot@contoso.com".into(), to, false).unwrap();
        let total = Deadline::total(&Timeouts::default());
        let result = dialogue.send(&route, content, total, &mut |out| {
            out.write_all(TEXT.as_bytes())
        });
        if let (Some(Err(earlier)), Ok(receipt)) = (results.last(), &result) {
            let may_go_on = matches!(earlier.kind(), ErrorKind::Refused | ErrorKind::Deferred);
            assert!(may_go_on, "went on after {earlier}, to {receipt}");
        }
        if let Ok(receipt) = &result {
            assert_eq!(receipt.reply.code() / 100, 2);
        }
        results.push(result.map(drop));
    }
    results
}

/// Whatever a token endpoint answers, there is a token that can be sent, or an error that can be printed.
pub fn token_answer(input: &[u8]) {
    let Some((&first, body)) = input.split_first() else {
        return;
    };
    const STATUS: [u16; 8] = [200, 400, 401, 302, 429, 500, 503, 204];
    const TYPES: [&[u8]; 4] = [b"application/json", b"text/html", b"", b"text/html; \xff"];
    let (first, secret) = (usize::from(first), "marked-secret/+=");
    let response = Response::builder()
        .status(STATUS[first % 8])
        .header("Content-Type", TYPES[first / 8 % 4])
        .body(ureq::Body::builder().data(body));
    let withheld = Withheld {
        name: "[client secret]",
        secret,
    };
    let Ok(answer) = Answer::read(response.unwrap()) else {
        return;
    };
    #[cfg(feature = "login")]
    match DeviceCode::read(&answer) {
        Ok(code) => {
            let (user_code, address) = (code.user_code.expose(), code.address.expose());
            assert_printable(user_code);
            assert!(!user_code.contains(char::is_whitespace));
            assert!(address.starts_with("https://"), "{address}");
            assert_printable(address);
            assert!(code.expires_in <= 24 * 60 * 60);
        }
        Err(error) => check_error(&error),
    }
    match answer.token(SystemTime::now(), &withheld) {
        Ok(token) => {
            assert_eq!(STATUS[first % 8], 200);
            assert!(!token.secret().is_empty());
            assert!(token.secret().bytes().all(|b| b.is_ascii_graphic()));
            assert!(token.expires_in().as_secs() <= 24 * 60 * 60);
        }
        Err(error) => {
            check_error(&error);
            let text = format!("{error:?}");
            assert!(!text.contains(secret), "{text}");
            assert!(!text.contains("marked-secret%2F%2B%3D"), "{text}");
        }
    }
}

/// Whatever Graph answers, it is 202, or an error that can be printed; no matter how it comes in pieces.
#[cfg(feature = "graph")]
pub fn graph_answer(input: &[u8]) {
    let answered = |piece| {
        let canned = Canned::new(VecDeque::from([input.to_vec()]), piece);
        let result = crate::graph::answered(Box::new(canned), &token());
        match &result {
            Ok(receipt) => {
                assert_eq!(receipt.reply.code(), 202);
                assert_printable(&receipt.to_string());
                assert!(input.windows(4).any(|w| w == b" 202"));
            }
            Err(error) => {
                check_error(error);
                assert_eq!(error.stage(), Stage::Graph);
                assert!(!error.to_string().contains(&TOKEN[..35]), "{error}");
            }
        }
        let doubt = result.as_ref().is_err_and(Error::in_doubt);
        (
            result.map_or_else(|e| e.to_string(), |r| r.to_string()),
            doubt,
        )
    };
    let whole = answered(usize::MAX);
    for piece in [1, 7] {
        assert_eq!(whole, answered(piece), "in pieces of {piece}");
    }
}

/// An address that is taken can be said in a command and written into a header, and is one address to its reader.
pub fn address(text: &str) {
    let Ok(address) = Address::parse(text) else {
        return;
    };
    let spec = &address.spec;
    assert!(spec.len() <= 482);
    assert!(!spec.contains(['\r', '\n', '\0', '<', '>']), "{spec:?}");
    assert_printable(spec);
    let bare = Address::parse(spec).expect("what was taken is taken again");
    assert_eq!((bare.name, &bare.spec), (None, spec));
    if let Some(name) = &address.name {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        assert_eq!(
            Address::parse(&format!("\"{quoted}\" <{spec}>")).as_ref(),
            Ok(&address)
        );
    }
    let message = Message::new().from(text).to(text).text("x");
    let (head, _) = written(&message);
    assert_eq!(names(&head)[..3], ["Date", "From", "To"]);
}

/// The strings of a message, in the order of its setters.
pub type Strings<'s> = [&'s str; 8];

/// A message that is taken has the header fields that were asked for and no other, and no line that a server may cut.
pub fn message(strings: Strings<'_>, data: &[u8]) {
    let [
        address,
        subject,
        name,
        value,
        file,
        content_type,
        content_id,
        text,
    ] = strings;
    let message = Message::new()
        .from("robot@contoso.com")
        .to("ann@example.com")
        .cc(address)
        .subject(subject)
        .header(name, value)
        .text(text)
        .html(text)
        .attach(
            Attachment::bytes(file, data)
                .content_type(content_type)
                .inline(content_id),
        )
        .attach(Attachment::bytes("plain.bin", data));
    if let Err(error) = message.check() {
        assert_eq!(error.kind(), ErrorKind::Input);
        return check_error(&error);
    }
    let (head, whole) = written(&message);
    let mut expected = vec!["Date", "From", "To", "Cc", "Subject", "Message-ID"];
    if !["date", "message-id"].contains(&name.to_ascii_lowercase().as_str()) {
        expected.push(name);
    }
    expected.extend(["MIME-Version", "Content-Type"]);
    assert_eq!(names(&head), expected);
    for line in whole.split("\r\n") {
        assert!(line.len() <= 998, "a line of {} bytes", line.len());
        assert!(
            !line.contains(['\r', '\n', '\0']) || text.contains('\0'),
            "{line:?}"
        );
    }
    // Two texts, two files, and what holds them together: one boundary each, and no part more.
    let parts = whole.matches("\r\nContent-Transfer-Encoding: ").count();
    assert_eq!(parts, 4);
}

/// Any key with any value is set or refused, and what is set leads nowhere but to https.
pub fn setting(key: &str, value: &str) {
    let mut account = Account::new("robot@contoso.com")
        .tenant("contoso.com")
        .client_id("id")
        .client_secret("hush");
    if let Err(error) = account.set(key, value) {
        assert_eq!(error.kind(), ErrorKind::Input);
        return check_error(&error);
    }
    // A check would read the file, which may be any of this machine.
    if key.ends_with("_file") {
        return;
    }
    match account.check() {
        Err(error) => check_error(&error),
        Ok(()) => {
            let endpoint = account.application().endpoint;
            assert!(
                endpoint
                    .get(..8)
                    .is_some_and(|s| s.eq_ignore_ascii_case("https://"))
            );
            assert!(endpoint.bytes().all(|b| b.is_ascii_graphic()), "{endpoint}");
            assert!(account.mailbox().chars().all(|c| !c.is_control()));
            assert!(
                account
                    .ehlo_name
                    .as_ref()
                    .is_none_or(|name| name.bytes().all(|b| b.is_ascii_graphic()))
            );
        }
    }
}

fn check_error(error: &Error) {
    let judged = [error.is_transient(), error.is_permanent(), error.in_doubt()];
    assert_eq!(judged.iter().filter(|yes| **yes).count(), 1, "{error}");
    let text = error.to_string();
    assert_printable(&text);
}

/// Before the login there is no token that a server could repeat.
fn check_token(error: &Error) {
    let before = [Stage::Greeting, Stage::Ehlo, Stage::StartTls];
    let text = error.to_string();
    assert!(
        !text.contains(&TOKEN[..35]) || before.contains(&error.stage()),
        "{text}"
    );
}

fn assert_printable(text: &str) {
    assert_eq!(text, printable(text));
}

/// The head and the whole of a message.
fn written(message: &Message) -> (String, String) {
    let letter = message.letter("robot@contoso.com").unwrap();
    let mut out = Vec::new();
    letter.write_to(&mut out).unwrap();
    assert_eq!(letter.size(), out.len() as u64);
    let text = String::from_utf8(out).expect("text");
    (text.split("\r\n\r\n").next().unwrap().to_owned(), text)
}

/// The names of header fields.
fn names(head: &str) -> Vec<&str> {
    let fields = head
        .split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']));
    fields
        .map(|line| line.split_once(':').expect("a field").0)
        .collect()
}

fn wire(stream: Canned) -> Wire {
    let timeouts = Timeouts::default();
    let total = Deadline::total(&timeouts);
    Wire::new(Box::new(stream), timeouts, total)
}

fn turns(pieces: &[&[u8]]) -> VecDeque<Vec<u8>> {
    let all = pieces.concat();
    all.split(|&b| b == TURN).map(<[u8]>::to_vec).collect()
}

/// A peer that says one turn, waits until it is spoken to, says the next, and hangs up after the last.
#[derive(Clone)]
struct Canned(Arc<Mutex<Script>>);

struct Script {
    turns: VecDeque<Vec<u8>>,
    piece: usize,
    /// Nothing can be written once the last turn was said.
    hangs_up: bool,
    said: Vec<u8>,
    closed: bool,
    /// The deadline has passed: nothing is waited for.
    late: bool,
}

impl Canned {
    fn new(turns: VecDeque<Vec<u8>>, piece: usize) -> Self {
        Self(Arc::new(Mutex::new(Script {
            turns,
            piece,
            hangs_up: false,
            said: Vec::new(),
            closed: false,
            late: false,
        })))
    }

    fn said(&self) -> Vec<u8> {
        self.0.lock().unwrap().said.clone()
    }
}

impl Stream for Canned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut script = self.0.lock().unwrap();
        let (piece, late) = (script.piece, script.late);
        let Some(turn) = script.turns.front_mut() else {
            return Ok(0);
        };
        if turn.is_empty() && late {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let n = turn.len().min(buffer.len()).min(piece);
        buffer[..n].copy_from_slice(&turn[..n]);
        turn.drain(..n);
        Ok(n)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut script = self.0.lock().unwrap();
        let over = script.closed || script.turns.is_empty();
        if script.turns.front().is_some_and(Vec::is_empty) {
            script.turns.pop_front();
        }
        // A write that fails may have reached the server all the same.
        script.said.extend_from_slice(bytes);
        if over || script.hangs_up && script.turns.is_empty() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_deadline(&mut self, deadline: Deadline) {
        self.0.lock().unwrap().late = deadline.remaining().is_err();
    }

    fn read_late(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    fn close(&mut self) {
        self.0.lock().unwrap().closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Replies, whole and broken: random bytes alone never get beyond the greeting.
    fn said() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            4 => prop::sample::select(vec![
                "220 ", "250 ", "250-", "334 ", "354 ", "235 ", "421 ", "451 ", "535 ", "550 5.1.1 ", "2x0",
                "099 ", "\r\n", "\n", "\r", "\x1e", "\x1e\x1e", "STARTTLS", "AUTH XOAUTH2", "PIPELINING", "SIZE 1",
                "\r\n\x1e250 2.0.0 ok\r\n", "\r\n\x1e354 go\r\n\x1e", "\x1b[2J", "\0", TOKEN,
            ]).prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..8),
        ];
        prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
    }

    /// JSON, whole and broken.
    fn json() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            4 => prop::sample::select(vec![
                "{", "}", "\"access_token\":", "\"ey.x.y\"", "\"device_code\":", "\"user_code\":", "\"verification_uri\":", "\"https://x/y\"",
                "\"interval\":", "\"expires_in\":", "3599", "-1", "1e300", "\"3599\"",
                "\"error\":", "\"error_description\":", "\"invalid_client\"", ",", "[", "]", "null", "\"a\\r\\nb\"",
                "\"marked-secret/+=\"", "\"marked-secret%2F%2B%3D\"", "<title>", "</title>", "marked-secret/+=",
                "\\u0000", "\"",
            ]).prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..8),
        ];
        prop::collection::vec(word, 0..30).prop_map(|words| words.concat())
    }

    /// HTTP, whole and broken.
    #[cfg(feature = "graph")]
    fn http() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            4 => prop::sample::select(vec![
                "HTTP/1.1 ", "HTTP/1.0 ", "202", "200 OK", "100", "401", "403 Forbidden", "429", "503", "504", "099", "\r\n",
                "\n", "\r\n\r\n", "Content-Length: ", "Transfer-Encoding: chunked", "Connection: close", "Retry-After: ",
                "Content-Type: application/json", "request-id: x", "0", "7", "ffffffffffffffff", "-1", ";x", "{\"error\":",
                "{\"code\":", "\"ErrorSendAsDenied\"", ",\"message\":", "\"a\\u0007\"", "}", "}}", TOKEN, "\x1b[2J", "\0",
            ]).prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..8),
        ];
        prop::collection::vec(word, 0..30).prop_map(|words| words.concat())
    }

    /// What callers give, and should not give.
    fn text() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            3 => prop::sample::select(vec![
                "a", "@", "x.y", "ann@example.com", "<", ">", "\"", "\\", ",", ";", ":", " ", ".", "/", "=?", "?=",
                "text/plain", "name=", "\u{fc}", "\u{202e}", "\t", "X-A",
            ]).prop_map(str::to_owned),
            1 => prop::sample::select(vec!["\r\n", "\n", "\r", "\0", "\r\n.\r\n", "Bcc: e@x", "https://"])
                .prop_map(str::to_owned),
            1 => any::<String>(),
            1 => prop::sample::select(vec![77usize, 998, 5000]).prop_map(|n| "x".repeat(n)),
        ];
        prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
    }

    fn key() -> impl Strategy<Value = String> {
        let keys: Vec<_> = Account::keys().map(str::to_owned).collect();
        prop_oneof![9 => prop::sample::select(keys), 1 => text()]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_replies(input in said()) {
            replies(&input);
        }

        #[test]
        fn any_session(mode in 0..6u8, input in said()) {
            session(&[&[mode], input.as_slice()].concat());
        }

        /// Random words seldom get as far as a message.
        #[test]
        fn any_session_from_the_message_on(mode in 0..6u8, input in said()) {
            let usual = b"250 ok\r\n250 ok\r\n354 go\r\n";
            session(&[&[mode / 2 * 3 + 2], &usual[..], input.as_slice()].concat());
            session(&[&[mode / 2 * 3 + 2], &usual[..], b"\x1e", input.as_slice()].concat());
        }

        #[test]
        fn any_token_answer(first in any::<u8>(), body in json()) {
            token_answer(&[&[first], body.as_slice()].concat());
        }

        #[test]
        #[cfg(feature = "graph")]
        fn any_graph_answer(said in http()) {
            graph_answer(&said);
            graph_answer(&[b"HTTP/1.1 ", said.as_slice()].concat());
        }

        #[test]
        fn any_address(text in text()) {
            address(&text);
        }

        #[test]
        fn any_setting(key in key(), value in text()) {
            setting(&key, &value);
        }

        /// One random string at a time: eight are seldom valid at once.
        #[test]
        fn any_string_of_a_message(n in 0..8usize, text in text(), data in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut strings = ["ann@example.com", "hello", "X-A", "b", "a.txt", "text/plain", "id", "text"];
            strings[n] = &text;
            message(strings, &data);
        }
    }
}
