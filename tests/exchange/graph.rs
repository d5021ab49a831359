//! Microsoft Graph's `sendMail` with MIME (facts.md, "Graph"): who gets a message is what mail-parser reads in its header.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mail_parser::{Address, HeaderValue, MessageParser};
use ring::digest::{SHA256, digest};

use super::channel::Channel;
use super::entra::{Answer, GRAPH, perform};
use super::http::{Request, Requests};
use super::record::Delivered;
use super::server::Server;
use super::shared::Shared;
use super::tcp::End;
use super::{Exchange, loopback, random};

/// What a request may have.
const MOST: usize = 4_000_000;

/// Where it is: a server of its own, which starts when it is asked for.
impl Exchange {
    /// The URL before `/v1.0`.
    pub fn graph_endpoint(&self) -> String {
        format!("https://localhost:{}", self.graph_server().port())
    }

    fn graph_server(&self) -> &Server {
        self.graph.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            Server::start(vec![loopback()], None, move |channel| {
                serve(channel, &shared);
            })
        })
    }

    /// From now on Graph's answer.
    pub fn on_graph(&self, answer: Answer) {
        self.shared
            .orders()
            .graph_answers
            .tell(1..=usize::MAX, answer);
    }

    /// Graph's answer to the `n`th request, counted from the start.
    pub fn on_nth_graph(&self, n: usize, answer: Answer) {
        self.shared.orders().graph_answers.tell(n..=n, answer);
    }

    /// Connections that begin from now on end in this way behind so many octets that Graph sends over TCP.
    pub fn end_graph_at(&self, n: u64, how: End) {
        self.end(|ends| ends.graph = Some((n, how)));
    }

    /// The next connection ends once TLS is there and its tickets are written, without a request.
    pub fn graph_leaves(&self) {
        self.shared.orders().graph_leaves = true;
    }

    /// Waits until every connection has ended.
    pub fn graph_has_left(&self) {
        self.graph_server().settle();
    }

    /// The octets that Graph has sent over TCP.
    pub fn graph_bytes(&self) -> u64 {
        self.graph_server().octets_sent()
    }

    /// The requests to Graph, without the token.
    pub fn graph_requests(&self) -> Vec<Request> {
        self.shared.record().graph_requests.clone()
    }

    /// How often a client of Graph spoke after it had spoken; TCP's round trip comes on top.
    pub fn graph_flights(&self) -> usize {
        self.shared.graph_flights.load(Relaxed)
    }
}

impl Answer {
    /// An error of Graph's.
    pub fn graph(status: u16, code: &str, message: &str) -> Self {
        let id = random::guid();
        let error = serde_json::json!({"error": {
            "code": code,
            "message": message,
            "innerError": {"date": "2026-11-26T10:00:00", "request-id": id, "client-request-id": id},
        }});
        Self::json(&error)
            .with_status(status)
            .header("request-id", &id)
    }
}

fn serve(mut channel: Channel, shared: &Shared) {
    channel.tcp.end_at(shared.orders().ends.graph);
    let leaves = std::mem::take(&mut shared.orders().graph_leaves);
    let mut tls = Arc::clone(&shared.entra_tls);
    if leaves {
        Arc::make_mut(&mut tls).send_tls13_tickets = 2;
    }
    if let Err(failure) = channel.handshake(&tls) {
        shared.handshake_failure("graph", &failure);
        return channel.tcp.end(End::Disconnect);
    }
    if leaves {
        return;
    }
    let mut requests = Requests::new(channel);
    while let Some(request) = requests.next() {
        let turns = requests.channel.tcp.take_turns();
        shared.graph_flights.fetch_add(turns, Relaxed);
        let told = shared.orders().graph_answers.next();
        let taken = told.as_ref().is_none_or(Answer::may_have_taken);
        let usual = send_mail(&request, shared, taken);
        let answer = told.unwrap_or_else(Answer::usual);
        if !perform(&answer, &usual, &mut requests.channel) {
            return;
        }
    }
    requests.channel.close();
}

/// `POST /v1.0/users/{mailbox}/sendMail`.
fn send_mail(request: &Request, shared: &Shared, taken: bool) -> Answer {
    let shown = request.without(&["authorization"]);
    shared.record().graph_requests.push(shown);
    match check(request, shared) {
        Ok(message) => {
            if taken {
                shared.record().delivered.push(message);
            }
            Answer::status(202).header("request-id", &random::guid())
        }
        Err(refusal) => *refusal,
    }
}

fn check(request: &Request, shared: &Shared) -> Result<Delivered, Box<Answer>> {
    let config = &shared.config;
    let no = |status, code: &str, message: &str| Box::new(Answer::graph(status, code, message));
    let rule = |kept: bool, rule: &str| {
        if !kept {
            shared.violation(format!("graph: {rule}"));
        }
    };
    let token = request.header("Authorization").unwrap_or_default();
    let token = token.strip_prefix("Bearer ").unwrap_or_default();
    let issued = |token: &str| {
        let record = shared.record();
        let mut issued = record.issued.iter();
        issued.any(|issued| !issued.for_exchange && issued.token == token)
    };
    if !issued(token) {
        let message = "Access token validation failure. Invalid audience.";
        return Err(no(401, "InvalidAuthenticationToken", message));
    }
    let user = request.path().strip_prefix("/v1.0/users/");
    let user = user.and_then(|user| user.strip_suffix("/sendMail"));
    let Some(user) = user.filter(|_| request.method == "POST") else {
        return Err(no(400, "BadRequest", "Resource not found for the segment."));
    };
    if !user.eq_ignore_ascii_case(&config.mailbox) {
        return Err(no(
            404,
            "ErrorInvalidUser",
            &format!("The requested user '{user}' is invalid."),
        ));
    }
    rule(
        request.header("Transfer-Encoding").is_none(),
        "a length that is not known",
    );
    rule(
        request.header("Content-Type") == Some("text/plain"),
        "no text/plain",
    );
    if request.body.len() > MOST {
        return Err(Box::new(Answer::status(413)));
    }
    let Ok(text) = BASE64_STANDARD.decode(&request.body) else {
        let message = "Invalid base64 string for MIME content.";
        return Err(no(400, "ErrorMimeContentInvalidBase64String", message));
    };
    let (cr, lf, ends) = (
        count(&text, b"\r"),
        count(&text, b"\n"),
        count(&text, b"\r\n"),
    );
    rule(cr == ends && lf == ends, "a line that does not end in CRLF");
    rule(text.ends_with(b"\r\n"), "a last line without its end");
    let message = MessageParser::new().parse(&text).expect("a message");
    let from = message.from().and_then(|from| from.first());
    let from = from
        .and_then(|from| from.address.as_deref())
        .unwrap_or_default();
    if !config.may_send_as(from) {
        let message = "The user account which was used to submit this request does not have the right to send mail on \
                       behalf of the specified sending account.";
        return Err(no(403, "ErrorSendAsDenied", message));
    }
    let mut to: Vec<String> = Vec::new();
    for address in message
        .headers()
        .iter()
        .filter(|header| ["to", "cc", "bcc"].contains(&header.name().to_ascii_lowercase().as_str()))
    {
        if let HeaderValue::Address(address) = &address.value {
            to.extend(addresses(address));
        }
    }
    if to.is_empty() {
        return Err(no(
            400,
            "ErrorInvalidRecipients",
            "At least one recipient is not valid.",
        ));
    }
    Ok(Delivered {
        from: config.mailbox.clone(),
        to,
        parameters: Vec::new(),
        length: text.len() as u64,
        sha256: digest(&SHA256, &text).as_ref().to_vec(),
        data: text,
    })
}

fn addresses(list: &Address<'_>) -> Vec<String> {
    let address = |one: &mail_parser::Addr<'_>| one.address.as_deref().map(str::to_owned);
    list.iter().filter_map(address).collect()
}

fn count(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len())
        .filter(|piece| *piece == what)
        .count()
}
