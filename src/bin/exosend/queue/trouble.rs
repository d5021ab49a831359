//! Whether an error is the mailbox's trouble, which every message would meet, or the message's own.

use std::time::Duration;

use exosend::advice::{Condition, condition};
use exosend::{Error, ErrorKind, Reply, Stage};

use super::state;
use crate::exit::{self, Failure};

/// Why a mailbox cannot send, and the whole queue waits. No message is given up for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// DNS, TCP, TLS, or a reply that is no SMTP.
    Network,
    /// No token, or the token refused.
    Login,
    /// The secret, or a user's login, has expired: only a person can help, so it is tried seldom.
    Expired,
    /// Exchange asks for patience.
    Busy,
    /// More messages a minute than it takes (421 4.4.2).
    Rate,
    /// More connections at once than it takes (432).
    Crowded,
    /// No more recipients for today.
    Quota,
    /// Exchange blocks the mailbox for repeating an error, until a person helps.
    Blocked,
    /// The configuration cannot be right.
    Configuration,
}

const ALL: [(Trouble, &str); 9] = [
    (Trouble::Network, "network"),
    (Trouble::Login, "login"),
    (Trouble::Expired, "expired"),
    (Trouble::Busy, "busy"),
    (Trouble::Rate, "rate"),
    (Trouble::Crowded, "connections"),
    (Trouble::Quota, "quota"),
    (Trouble::Blocked, "blocked"),
    (Trouble::Configuration, "configuration"),
];

impl Trouble {
    pub(crate) fn name(self) -> &'static str {
        let found = ALL.iter().find(|(trouble, _)| *trouble == self);
        found.map_or("", |(_, name)| name)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        ALL.iter()
            .find(|(_, known)| *known == name)
            .map(|(trouble, _)| *trouble)
    }

    /// How long the mailbox is held after the `n`th failure in a row.
    pub(crate) fn pause(self, n: u32) -> Duration {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        match self {
            Self::Network | Self::Login | Self::Configuration => state::pause(n),
            Self::Expired if n > 6 => minutes(4 * 60),
            Self::Expired => state::pause(n),
            Self::Busy => state::pause(n).min(minutes(15)),
            Self::Rate | Self::Crowded => minutes(1),
            Self::Quota => minutes(60),
            Self::Blocked => minutes(24 * 60),
        }
    }

    pub(crate) fn is_a_throttle(self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Rate | Self::Crowded | Self::Quota | Self::Blocked
        )
    }

    /// The exit code that a message sent at once would have.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Login | Self::Expired => exit::NO_PERMISSION,
            Self::Blocked | Self::Quota => exit::UNAVAILABLE,
            Self::Configuration => exit::CONFIG,
            Self::Network | Self::Busy | Self::Rate | Self::Crowded => exit::TRY_AGAIN,
        }
    }

    pub(crate) fn needs_a_person(self) -> bool {
        matches!(
            self,
            Self::Login | Self::Expired | Self::Blocked | Self::Configuration
        )
    }
}

/// The mailbox's trouble that an error means. `None` if it is the message's own, or the message may have been delivered.
pub(crate) fn of(error: &Error) -> Option<Trouble> {
    if error.in_doubt() {
        return None;
    }
    let known = condition(error).and_then(of_condition);
    if let Some(trouble) = known.or(error.reply().and_then(of_reply)) {
        return Some(trouble);
    }
    match (error.kind(), error.stage()) {
        (ErrorKind::Input, Stage::Account) => Some(Trouble::Configuration),
        (ErrorKind::Token | ErrorKind::Auth, _) => Some(Trouble::Login),
        (ErrorKind::Network | ErrorKind::Tls | ErrorKind::Protocol, _) => Some(Trouble::Network),
        (ErrorKind::Deferred, Stage::Recipient | Stage::Data | Stage::Accept) => None,
        (ErrorKind::Deferred, _) => Some(Trouble::Busy),
        // MAIL names the mailbox, which every message has, and SIZE and SMTPUTF8, which are the message's own.
        (ErrorKind::Refused, Stage::Sender) => match error.reply().map(Reply::code) {
            Some(501 | 552 | 553 | 555) => None,
            _ => Some(Trouble::Login),
        },
        (ErrorKind::Refused, Stage::Recipient | Stage::Data | Stage::Accept | Stage::Graph) => None,
        (ErrorKind::Refused, _) => Some(Trouble::Login),
        _ => None,
    }
}

/// By the cause that the library recognises, by SMTP and by Graph (facts.md, "Limits").
fn of_condition(condition: Condition) -> Option<Trouble> {
    Some(match condition {
        Condition::SecretExpired
        | Condition::LoginUnused
        | Condition::LoginRevoked
        | Condition::LoginTooOld
        | Condition::LoginBlocked
        | Condition::LoginEnded => Trouble::Expired,
        Condition::TooManyConnections => Trouble::Crowded,
        Condition::TooFast | Condition::GraphThrottled => Trouble::Rate,
        Condition::ExchangeBusy => Trouble::Busy,
        Condition::DailyQuota => Trouble::Quota,
        Condition::RepeatedFailure | Condition::SenderRestricted | Condition::TenantRefused => {
            Trouble::Blocked
        }
        Condition::NoMailboxAccess | Condition::NotLoggedIn | Condition::MailboxFull => {
            Trouble::Login
        }
        _ => return None,
    })
}

/// By the codes of a reply alone.
fn of_reply(reply: &Reply) -> Option<Trouble> {
    Some(match (reply.code(), reply.enhanced().unwrap_or_default()) {
        (432, _) => Trouble::Crowded,
        (421, "4.4.2") => Trouble::Rate,
        (421 | 454, _) => Trouble::Busy,
        (451, status) if status.starts_with("4.7.") => Trouble::Busy,
        (550, "5.1.90" | "5.7.232" | "5.7.233" | "5.7.236") => Trouble::Quota,
        _ => return None,
    })
}

/// Whether a message that could not be sent at once may go into the queue: the mailbox is the reason, or the reason is
/// transient. Not one that may have been delivered.
pub(crate) fn may_wait(failure: &Failure) -> bool {
    match failure.error() {
        Some(error) if error.in_doubt() => false,
        Some(error) => error.is_transient() || of(error).is_some(),
        None => [exit::TRY_AGAIN, exit::CONFIG].contains(&failure.code()),
    }
}
