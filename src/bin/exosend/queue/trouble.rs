//! Whose trouble an error is: the mailbox's, which every message would meet, or the message's own.

use std::time::Duration;

use exosend::advice::{Condition, condition};
use exosend::{Error, ErrorKind, Reply, Stage};

use super::state;
use crate::exit::{self, Failure};

/// What keeps a mailbox, and with it the whole queue, waiting. No message is given up for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Names, connections, TLS, a server that does not speak as it should.
    Network,
    /// No token, or the token refused.
    Login,
    /// The secret, or a user's login, has expired: only a person can help, so it is asked seldom.
    Expired,
    /// Exchange asks for patience.
    Busy,
    /// More messages a minute than it takes (421 4.4.2).
    Rate,
    /// More connections at once than it takes (432).
    Crowded,
    /// No more recipients for today.
    Quota,
    /// Exchange blocks the mailbox for repeating an error, which does not heal without a person.
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

    /// How long the mailbox is left alone after the `n`th failure in a row.
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

    /// Exchange asks for less.
    pub(crate) fn is_a_throttle(self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Rate | Self::Crowded | Self::Quota | Self::Blocked
        )
    }

    /// As of a message that is sent straight.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Login | Self::Expired => exit::NO_PERMISSION,
            Self::Blocked | Self::Quota => exit::UNAVAILABLE,
            Self::Configuration => exit::CONFIG,
            Self::Network | Self::Busy | Self::Rate | Self::Crowded => exit::TRY_AGAIN,
        }
    }

    /// Whether it stays until somebody does something.
    pub(crate) fn needs_a_person(self) -> bool {
        matches!(
            self,
            Self::Login | Self::Expired | Self::Blocked | Self::Configuration
        )
    }
}

/// The mailbox's trouble that an error tells of; `None` where it is the message's, or nothing is known of its fate.
pub(crate) fn of(error: &Error) -> Option<Trouble> {
    if error.in_doubt() {
        return None;
    }
    let known = condition(error).and_then(of_condition);
    if let Some(trouble) = known.or(error.reply().and_then(said)) {
        return Some(trouble);
    }
    match (error.kind(), error.stage()) {
        (ErrorKind::Input, Stage::Account) => Some(Trouble::Configuration),
        (ErrorKind::Token | ErrorKind::Auth, _) => Some(Trouble::Login),
        (ErrorKind::Network | ErrorKind::Tls | ErrorKind::Protocol, _) => Some(Trouble::Network),
        (ErrorKind::Deferred, Stage::Recipient | Stage::Data | Stage::Accept) => None,
        (ErrorKind::Deferred, _) => Some(Trouble::Busy),
        // The sender of every message is the mailbox; but SIZE and SMTPUTF8, which MAIL names too, are the message's.
        (ErrorKind::Refused, Stage::Sender) => match error.reply().map(Reply::code) {
            Some(501 | 552 | 553 | 555) => None,
            _ => Some(Trouble::Login),
        },
        (ErrorKind::Refused, Stage::Recipient | Stage::Data | Stage::Accept | Stage::Graph) => None,
        (ErrorKind::Refused, _) => Some(Trouble::Login),
        _ => None,
    }
}

/// What is known of an error's cause, wherever it comes from (facts.md, "Limits").
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

/// What a reply says of the mailbox by its code alone.
fn said(reply: &Reply) -> Option<Trouble> {
    Some(match (reply.code(), reply.enhanced().unwrap_or_default()) {
        (432, _) => Trouble::Crowded,
        (421, "4.4.2") => Trouble::Rate,
        (421 | 454, _) => Trouble::Busy,
        (451, status) if status.starts_with("4.7.") => Trouble::Busy,
        (550, "5.1.90" | "5.7.232" | "5.7.233" | "5.7.236") => Trouble::Quota,
        _ => return None,
    })
}

/// Whether a message that could not be sent straight may be kept until it can: the mailbox is the reason, or the reason
/// passes. Not one whose fate is not known.
pub(crate) fn may_wait(failure: &Failure) -> bool {
    match failure.error() {
        Some(error) if error.in_doubt() => false,
        Some(error) => error.is_transient() || of(error).is_some(),
        None => [exit::TRY_AGAIN, exit::CONFIG].contains(&failure.code()),
    }
}
