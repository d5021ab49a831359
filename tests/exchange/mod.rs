//! A stand-in for Exchange Online and Entra on loopback.
//!
//! It says what they say (facts.md), is as strict as the RFCs, remembers what it was told, and
//! goes wrong where a test wants it to. Any number may run side by side; dropping one ends it.
//!
//! ```ignore
//! let exchange = Exchange::builder().refuse("bob@example.com", "550 5.1.10 Recipient not found").start();
//! let error = send_mail(&exchange.account(), &message).unwrap_err();
//! assert_eq!(error.to_string(), "recipient <bob@example.com>: 550 5.1.10 Recipient not found");
//! assert!(exchange.settle().delivered().is_empty());
//! assert_eq!(exchange.violations(), [""; 0]);
//! ```

// Test code: what cannot be is a panic here, and each test uses only a part of this.
#![allow(dead_code, unreachable_pub, unused_imports)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_debug_implementations)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock};

use fault::Ends;
use server::{Server, Tap};
use shared::Shared;

pub use account::note;
pub use builder::Builder;
pub use certificates::Certificate;
pub use client_certificate::ClientCertificate;
pub use entra::Answer;
pub use fault::{Fault, Step};
pub use federated::FederatedToken;
pub use http::Request;
pub use record::Delivered;
pub use tcp::End;

mod account;
mod builder;
mod certificates;
mod channel;
mod client_certificate;
mod clock;
mod config;
mod entra;
mod fault;
mod federated;
mod graph;
mod http;
mod identity;
mod random;
mod record;
mod server;
mod shared;
mod smtp;
mod tcp;

/// Both servers, running.
pub struct Exchange {
    shared: Arc<Shared>,
    smtp: Server,
    entra: Server,
    machine: OnceLock<Server>,
    graph: OnceLock<Server>,
}

impl Exchange {
    /// A stand-in without any fault.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A stand-in that is set up otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn launch(builder: Builder) -> Self {
        let config = &builder.config;
        let tap = config.tapped.then(Tap::default);
        let smtp = if config.ipv6 {
            both_loopbacks()
        } else {
            vec![loopback()]
        };
        let shared = Arc::new(Shared {
            smtp_tls: config.smtp_certificate.config(&config.tls_versions),
            entra_tls: config.entra_certificate.config(&config.tls_versions),
            orders: Mutex::new(builder.orders),
            config: builder.config,
            record: Mutex::default(),
            smtp_flights: AtomicUsize::new(0),
            token_flights: AtomicUsize::new(0),
            graph_flights: AtomicUsize::new(0),
            server_bytes: AtomicU64::new(0),
            client_bytes: AtomicU64::new(0),
        });
        let (for_smtp, for_entra) = (Arc::clone(&shared), Arc::clone(&shared));
        Self {
            smtp: Server::start(smtp, tap, move |channel| smtp::serve(channel, &for_smtp)),
            entra: Server::start(vec![loopback()], None, move |channel| {
                entra::serve(channel, &for_entra);
            }),
            machine: OnceLock::new(),
            graph: OnceLock::new(),
            shared,
        }
    }
}

/// Where it is, and what a client has to know.
impl Exchange {
    /// The name that its certificates are for.
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// The port of the SMTP side.
    pub fn port(&self) -> u16 {
        self.smtp.port()
    }

    /// The token side's URL prefix: `https://localhost:12345`.
    pub fn authority(&self) -> String {
        format!("https://localhost:{}", self.entra.port())
    }

    /// The token endpoint.
    pub fn token_url(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.authority(), self.tenant())
    }

    /// The root certificate that a client has to trust.
    pub fn ca_pem(&self) -> String {
        certificates::ca_pem()
    }

    /// The mailbox that may send.
    pub fn mailbox(&self) -> &str {
        &self.shared.config.mailbox
    }

    /// The tenant's domain.
    pub fn tenant(&self) -> &str {
        &self.shared.config.tenant
    }

    /// The application.
    pub fn client_id(&self) -> &str {
        &self.shared.config.client_id
    }

    /// Its secret.
    pub fn client_secret(&self) -> &str {
        &self.shared.config.client_secret
    }

    /// The scope that gives a token for this Exchange.
    pub fn scope(&self) -> String {
        self.shared.config.scope()
    }

    /// A token as if fetched, for tests that leave the token side out.
    pub fn issue_token(&self) -> String {
        self.shared.issue(&self.shared.config.resource)
    }

    /// Whether it has issued this token, for Exchange.
    pub fn knows(&self, token: &str) -> bool {
        self.shared.lets_in(token).is_some()
    }
}

/// Orders to one that runs, as in [`Builder`].
impl Exchange {
    /// From now on at this step, every time.
    pub fn on(&self, step: Step, fault: Fault) {
        self.shared
            .orders()
            .faults
            .tell(step, 1..=usize::MAX, fault);
    }

    /// The same for a reply, as a line: `Accept 451 4.7.500 Server busy`.
    pub fn says(&self, row: &str) {
        let (step, fault) = Step::says(row);
        self.on(step, fault);
    }

    /// A reply at the `n`th occurrence of its step.
    pub fn says_nth(&self, n: usize, row: &str) {
        let (step, fault) = Step::says(row);
        self.on_nth(step, n, fault);
    }

    /// At the `n`th occurrence of this step, counted from the start.
    pub fn on_nth(&self, step: Step, n: usize, fault: Fault) {
        self.shared.orders().faults.tell(step, n..=n, fault);
    }

    /// What the SMTP side was told to be late with comes now, and nothing is late any more.
    pub fn hurry(&self) {
        self.smtp.hurry();
    }

    /// Connections that begin from now on end in this way behind the first `n` octets of SMTP that the server says, in
    /// plaintext and within TLS: `n` may be any below the `server_bytes` of an undisturbed run.
    pub fn end_server_at(&self, n: u64, how: End) {
        self.end(|ends| ends.server = Some((n, how)));
    }

    /// The same for all octets that the server sends over TCP: handshake and records of TLS among them. Each
    /// handshake has its own length, by some octets.
    pub fn end_tcp_at(&self, n: u64, how: End) {
        self.end(|ends| ends.tcp = Some((n, how)));
    }

    /// The same for the token side.
    pub fn end_entra_at(&self, n: u64, how: End) {
        self.end(|ends| ends.entra = Some((n, how)));
    }

    /// On such connections the server reads `n` octets of the client's SMTP, then nothing any more.
    pub fn stop_reading_at(&self, n: u64) {
        self.end(|ends| ends.client = Some(n));
    }

    fn end(&self, set: impl FnOnce(&mut Ends)) {
        let ends = &mut self.shared.orders().ends;
        *ends = Ends::default();
        set(ends);
    }

    /// From now on the token endpoint's answer.
    pub fn token(&self, answer: Answer) {
        self.shared.orders().answers.tell(1..=usize::MAX, answer);
    }

    /// From now on the usual answer again.
    pub fn answer_as_usual(&self) {
        self.shared.orders().answers = Default::default();
    }

    /// From now on this federated token is good, and those before it are stale.
    pub fn federated_token(&self, text: impl Into<String>) {
        self.shared.orders().federated.replace(text.into());
    }

    /// From now on every refresh token is refused, by this AADSTS number.
    pub fn end_logins(&self, code: u32) {
        self.shared.record().logins.ended = Some(code);
    }

    /// No token given out until now is good any more.
    pub fn revoke_tokens(&self) {
        self.shared.record().issued.clear();
    }
}

fn loopback() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on 127.0.0.1")
}

/// One port on both addresses; the one that 127.0.0.1 gave may be taken on `::1`, so try again.
fn both_loopbacks() -> Vec<TcpListener> {
    for _ in 0..100 {
        let v4 = loopback();
        let port = v4.local_addr().expect("a bound listener").port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Ok(v6) => return vec![v4, v6],
            Err(taken) if taken.kind() == io::ErrorKind::AddrInUse => (),
            Err(none) => panic!("no IPv6 loopback: {none}"),
        }
    }
    panic!("no port that is free on both loopback addresses");
}
