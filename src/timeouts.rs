//! Every wait has a name, a unit and a bound.

use std::io;
use std::time::{Duration, Instant};

/// How long each step may take; `Timeouts::default()` is right for Exchange Online.
///
/// Each bounds a whole step, however its bytes trickle in, not one read. Whatever they say, nothing outlives
/// [`total`](Self::total). A wait that ends at a bound is an error of kind [`Network`](crate::ErrorKind::Network) that
/// names the bound.
///
/// ```
/// use std::time::Duration;
/// use exosend::{Account, Timeouts};
///
/// let account = Account::new("robot@contoso.com")
///     .timeouts(Timeouts::default().total(Duration::from_secs(120)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) total: Duration,
    pub(crate) token: Duration,
    pub(crate) connect: Duration,
    pub(crate) command: Duration,
    pub(crate) block: Duration,
    pub(crate) accept: Duration,
}

impl Timeouts {
    /// [`send_mail`](crate::send_mail) as a whole, names, token and connection included; in a
    /// [`Session`](crate::Session) anew for `open` and for each `send`. 60 minutes.
    pub fn total(self, total: Duration) -> Self {
        Self { total, ..self }
    }

    /// One attempt at the token request; there are two at most. 15 seconds.
    pub fn token(self, token: Duration) -> Self {
        Self { token, ..self }
    }

    /// Resolving the name and connecting, over all its addresses. 30 seconds.
    pub fn connect(self, connect: Duration) -> Self {
        Self { connect, ..self }
    }

    /// Writing a command and reading its reply; the TLS handshake. 5 minutes (RFC 5321 4.5.3.2).
    pub fn command(self, command: Duration) -> Self {
        Self { command, ..self }
    }

    /// One write of message data. 3 minutes (RFC 5321 4.5.3.2.5).
    pub fn block(self, block: Duration) -> Self {
        Self { block, ..self }
    }

    /// The reply after the final dot. 10 minutes (RFC 5321 4.5.3.2.6): a server that is still filing the message when
    /// the client gives up delivers it twice.
    pub fn accept(self, accept: Duration) -> Self {
        Self { accept, ..self }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(60 * 60),
            token: Duration::from_secs(15),
            connect: Duration::from_secs(30),
            command: Duration::from_secs(5 * 60),
            block: Duration::from_secs(3 * 60),
            accept: Duration::from_secs(10 * 60),
        }
    }
}

/// The moment a wait ends, and which of the [`Timeouts`] set it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    bound: Duration,
    name: &'static str,
}

impl Deadline {
    /// `bound` from now. A bound too large for the clock is as good as a year.
    pub(crate) fn after(bound: Duration, name: &'static str) -> Self {
        let now = Instant::now();
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        Self {
            at: now.checked_add(bound).unwrap_or(now + year),
            bound,
            name,
        }
    }

    /// The total of a call.
    pub(crate) fn total(timeouts: &Timeouts) -> Self {
        Self::after(timeouts.total, "total")
    }

    /// A step within this: `bound` from now, or this deadline if that comes first.
    pub(crate) fn step(self, bound: Duration, name: &'static str) -> Self {
        let step = Self::after(bound, name);
        if step.at < self.at { step } else { self }
    }

    /// What is left, never zero; the error once nothing is.
    pub(crate) fn remaining(&self) -> io::Result<Duration> {
        let left = self.at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(self.passed())
        } else {
            Ok(left)
        }
    }

    /// `timed out after 30s (timeout `connect`)`.
    pub(crate) fn passed(&self) -> io::Error {
        let text = format!("timed out after {:?} (timeout `{}`)", self.bound, self.name);
        io::Error::new(io::ErrorKind::TimedOut, text)
    }
}

/// How long to wait, after a failed write, for a reply that says why it failed. After a timeout not at all: the time of the
/// step is used up.
pub(crate) fn patience_after(failure: &io::Error) -> Duration {
    match failure.kind() {
        io::ErrorKind::TimedOut => Duration::ZERO,
        _ => Duration::from_secs(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_never_outlives_the_total() {
        let total = Deadline::after(Duration::from_secs(10), "total");
        assert_eq!(total.step(Duration::from_secs(60), "command").name, "total");
        assert_eq!(
            total.step(Duration::from_secs(5), "command").name,
            "command"
        );
    }

    #[test]
    fn a_passed_deadline_names_its_bound() {
        let error = Deadline::after(Duration::ZERO, "connect")
            .remaining()
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "timed out after 0ns (timeout `connect`)");
    }

    #[test]
    fn no_bound_is_too_large() {
        assert!(Deadline::after(Duration::MAX, "total").remaining().is_ok());
    }
}
