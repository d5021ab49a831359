//! What the connections of one stand-in share: how it is set up, what it was told, what it has seen.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;

use super::config::Config;
use super::entra::Answer;
use super::fault::{Ends, Fault, Faults, Sequence, Step};
use super::federated::FederatedTokens;
use super::record::Record;
use super::tcp::Tcp;

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) smtp_tls: Arc<ServerConfig>,
    pub(super) entra_tls: Arc<ServerConfig>,
    pub(super) orders: Mutex<Orders>,
    pub(super) record: Mutex<Record>,
    pub(super) smtp_flights: AtomicUsize,
    pub(super) token_flights: AtomicUsize,
    pub(super) graph_flights: AtomicUsize,
    pub(super) server_bytes: AtomicU64,
    pub(super) client_bytes: AtomicU64,
}

/// What goes wrong, and where.
#[derive(Clone, Default)]
pub(super) struct Orders {
    pub(super) faults: Faults,
    pub(super) answers: Sequence<Answer>,
    pub(super) refused: Vec<(String, String)>,
    pub(super) ends: Ends,
    pub(super) federated: FederatedTokens,
    pub(super) identity_answers: Sequence<Answer>,
    pub(super) graph_answers: Sequence<Answer>,
    pub(super) graph_leaves: bool,
}

impl Shared {
    pub(super) fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault for this occurrence of a step.
    pub(super) fn fault(&self, step: Step) -> Option<(Step, Fault)> {
        self.orders().faults.next(step)
    }

    /// The answer that a test wants for this token request.
    pub(super) fn next_answer(&self) -> Option<Answer> {
        self.orders().answers.next()
    }

    /// The reply to a recipient who is to be refused.
    pub(super) fn refusal_of(&self, address: &str) -> Option<String> {
        let orders = self.orders();
        let refused = orders
            .refused
            .iter()
            .rev()
            .find(|(refused, _)| refused.eq_ignore_ascii_case(address));
        refused.map(|(_, reply)| reply.clone())
    }

    /// The user whom Exchange lets in by this token.
    pub(super) fn lets_in(&self, token: &str) -> Option<String> {
        let record = self.record();
        let mut issued = record.issued.iter();
        let known = issued.find(|issued| issued.for_exchange && issued.token == token);
        known.map(|issued| issued.user.clone())
    }

    /// Adds a line to the transcript.
    pub(super) fn note(&self, line: String) {
        log::debug!(target: "stand-in", "{line}");
        self.record().transcript.push(line);
    }

    pub(super) fn violation(&self, violation: impl Into<String>) {
        let violation = violation.into();
        self.note(format!("-- violation: {violation}"));
        self.record().violations.push(violation);
    }

    pub(super) fn handshake_failure(&self, side: &str, failure: &io::Error) {
        self.note(format!("-- handshake failed: {side}: {failure}"));
    }

    pub(super) fn count_smtp_turns(&self, tcp: &mut Tcp) {
        self.smtp_flights.fetch_add(tcp.take_turns(), Relaxed);
    }

    pub(super) fn count_token_turns(&self, tcp: &mut Tcp) {
        self.token_flights.fetch_add(tcp.take_turns(), Relaxed);
    }
}
