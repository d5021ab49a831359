//! What the stand-in has seen.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Exchange;
use super::entra::Logins;
use super::http::Request;

/// What it has seen.
impl Exchange {
    /// Waits until every SMTP connection has ended, so that nothing is missing below.
    ///
    /// Not needed for what was delivered: a client that has read the reply finds its message here.
    pub fn settle(&self) -> &Self {
        self.smtp.settle();
        self
    }

    /// The messages it accepted.
    pub fn delivered(&self) -> Vec<Delivered> {
        self.shared.record().delivered.clone()
    }

    /// The rules that the client broke. A good client leaves this empty.
    pub fn violations(&self) -> Vec<String> {
        self.shared.record().violations.clone()
    }

    /// The dialogue in lines `S: ` and `C: `; `-- ` tells of TLS and of ends. Blobs and messages are
    /// shown as their length. The dialogues of parallel connections are mixed.
    pub fn transcript(&self) -> Vec<String> {
        self.shared.record().transcript.clone()
    }

    /// How many lines of the dialogue begin so: `C: AUTH`.
    pub fn said(&self, line: &str) -> usize {
        let transcript = &self.shared.record().transcript;
        transcript
            .iter()
            .filter(|said| said.starts_with(line))
            .count()
    }

    /// Waits until a line has begun so.
    pub fn hear(&self, line: &str) {
        let begun = Instant::now();
        while self.said(line) == 0 {
            // The bound is not a measure of anything: it turns a hang into a failure.
            assert!(begun.elapsed().as_secs() < 60, "nobody says {line}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Forgets deliveries, dialogue and token requests. Tokens stay good.
    pub fn forget(&self) {
        let record = &mut *self.shared.record();
        record.delivered.clear();
        record.transcript.clear();
        record.token_requests.clear();
        record.graph_requests.clear();
    }

    /// Requests to the token endpoint, without their secrets.
    pub fn token_requests(&self) -> Vec<Request> {
        self.shared.record().token_requests.clone()
    }

    /// The refresh tokens that it has given out, in order.
    pub fn refresh_tokens(&self) -> Vec<String> {
        let tokens = &self.shared.record().logins.refresh_tokens;
        tokens.iter().map(|token| token.token.clone()).collect()
    }

    /// The device codes, likewise.
    pub fn device_codes(&self) -> Vec<String> {
        let codes = &self.shared.record().logins.codes;
        codes.iter().map(|code| code.device_code.clone()).collect()
    }

    /// The assertions that came to the token endpoint, whole: for a verifier that is not ours.
    pub fn assertions(&self) -> Vec<String> {
        self.shared.record().assertions.clone()
    }

    /// How often the client spoke on the SMTP side after the server had spoken: one for each command or
    /// group, two for TLS 1.3 (the `ClientHello`; the Finished with EHLO), one for QUIT.
    ///
    /// A client that says QUIT and does not wait has needed `flights() + 1` round trips: TCP's and the
    /// greeting's are two more, QUIT's is one less. Turns that brought nothing whole do not count.
    pub fn flights(&self) -> usize {
        self.shared.smtp_flights.load(Relaxed)
    }

    /// The same for the token side, where TCP's round trip comes on top.
    pub fn token_flights(&self) -> usize {
        self.shared.token_flights.load(Relaxed)
    }

    /// The octets of SMTP that the server has sent, in plaintext and inside TLS, over all connections.
    pub fn server_bytes(&self) -> u64 {
        self.shared.server_bytes.load(Relaxed)
    }

    /// The octets that the SMTP side has sent over TCP, those of TLS among them, over all connections.
    pub fn tcp_bytes(&self) -> u64 {
        self.smtp.octets_sent()
    }

    /// The octets that the token side has sent over TCP, likewise.
    pub fn entra_bytes(&self) -> u64 {
        self.entra.octets_sent()
    }

    /// What clients have sent to the SMTP side since the last call, as it came over TCP; for one that is
    /// [`tapped`](super::Builder::tapped).
    pub fn take_tapped(&self) -> Vec<u8> {
        self.smtp.take_tapped()
    }

    /// The octets of SMTP that the server has read, likewise.
    pub fn client_bytes(&self) -> u64 {
        self.shared.client_bytes.load(Relaxed)
    }
}

/// A message that was accepted.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The envelope sender.
    pub from: String,
    /// The recipients that were accepted, in order.
    pub to: Vec<String>,
    /// The parameters of MAIL, such as `SIZE=1234`.
    pub parameters: Vec<String>,
    /// The message as it was before dot-stuffing. With `discard_bodies`, only its first 256 KiB.
    pub data: Vec<u8>,
    /// The octets of the whole message.
    pub length: u64,
    /// The SHA-256 of the whole message.
    pub sha256: Vec<u8>,
}

impl Delivered {
    /// The message as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    /// The value of a header field, unfolded and otherwise as it was sent.
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.data, name)
    }
}

/// A token that was given out.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) token: String,
    /// The user whom it lets in.
    pub(super) user: String,
    /// Whether it is for Exchange. One for Microsoft Graph is well-formed, and refused (facts.md, "Replies").
    pub(super) for_exchange: bool,
}

/// Everything a test can ask for afterwards.
#[derive(Default)]
pub(super) struct Record {
    pub(super) transcript: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) delivered: Vec<Delivered>,
    pub(super) token_requests: Vec<Request>,
    pub(super) assertions: Vec<String>,
    pub(super) assertion_ids: HashSet<String>,
    pub(super) identity_requests: Vec<Request>,
    pub(super) graph_requests: Vec<Request>,
    pub(super) issued: Vec<Issued>,
    pub(super) logins: Logins,
}

/// The value of the first header field of that name, unfolded.
pub(super) fn header(message: &[u8], name: &str) -> Option<String> {
    let message = String::from_utf8_lossy(message);
    let head = message
        .split_once("\r\n\r\n")
        .map_or(&*message, |(head, _)| head);
    let mut lines = head.split("\r\n").skip_while(|line| {
        let field = line.split_once(':').map(|(field, _)| field.trim_end());
        !field.is_some_and(|field| field.eq_ignore_ascii_case(name))
    });
    let mut value = lines.next()?.split_once(':')?.1.trim().to_owned();
    for folded in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push_str(folded);
    }
    Some(value.trim().to_owned())
}
