//! Why the command failed, and its exit code. The codes are those of sysexits(3), on which mail programs and mail servers
//! act.

use std::fmt::Display;
use std::path::Path;

use exosend::{Error, ErrorKind, Stage};

/// In a box: most functions can return one, and hand on a pointer.
#[derive(Debug)]
pub(crate) struct Failure(Box<Told>);

#[derive(Debug)]
struct Told {
    code: u8,
    what: String,
    hint: Option<String>,
    /// The library's error, if it was one.
    error: Option<Error>,
    /// `--json` has written it to stdout already.
    printed: bool,
}

pub(crate) const USAGE: u8 = 64;
pub(crate) const DATA: u8 = 65;
pub(crate) const NO_INPUT: u8 = 66;
pub(crate) const NO_USER: u8 = 67;
pub(crate) const NO_HOST: u8 = 68;
pub(crate) const UNAVAILABLE: u8 = 69;
pub(crate) const IN_DOUBT: u8 = 74;
pub(crate) const TRY_AGAIN: u8 = 75;
pub(crate) const PROTOCOL: u8 = 76;
pub(crate) const NO_PERMISSION: u8 = 77;
pub(crate) const CONFIG: u8 = 78;

/// The meaning of an exit code, and what to do.
pub(crate) fn meaning(code: u8) -> Option<(&'static str, &'static str)> {
    Some(match code {
        USAGE => ("the arguments make no sense", "exosend --help"),
        DATA => (
            "the message or an address in it makes no sense",
            "correct what stderr or the log names",
        ),
        NO_INPUT => (
            "there was no message, or a file of it cannot be read",
            "check stdin and the files that are attached",
        ),
        NO_USER => (
            "a recipient was refused",
            "check the address, and for a name without a domain `local_recipient`",
        ),
        NO_HOST => (
            "the server's name does not exist",
            "check `server`: exosend doctor",
        ),
        UNAVAILABLE => (
            "the server refused the message",
            "exosend doctor, and exosend explain with the line of the log",
        ),
        IN_DOUBT => (
            "the message may have been delivered",
            "look for its Message-ID in the mailbox's Sent Items before you send it again",
        ),
        TRY_AGAIN => (
            "it may work later, and nothing was sent",
            "try again; if it stays, exosend doctor",
        ),
        PROTOCOL => (
            "what answers is not a mail server to be trusted",
            "exosend doctor",
        ),
        NO_PERMISSION => (
            "the login was refused, by Entra or by Exchange",
            "exosend doctor",
        ),
        CONFIG => (
            "the configuration cannot be used",
            "run exosend doctor as the user who sends",
        ),
        _ => return None,
    })
}

impl Failure {
    pub(crate) fn new(code: u8, what: impl Into<String>) -> Self {
        Self(Box::new(Told {
            code,
            what: what.into(),
            hint: None,
            error: None,
            printed: false,
        }))
    }

    /// The caller's arguments make no sense.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(USAGE, what).with_hint("exosend --help")
    }

    /// The message makes no sense.
    pub(crate) fn data(what: impl Into<String>) -> Self {
        Self::new(DATA, what)
    }

    /// The configuration makes no sense.
    pub(crate) fn config(what: impl Into<String>) -> Self {
        Self::new(CONFIG, what)
    }

    /// A file or folder cannot be read or written.
    pub(crate) fn disk(path: &Path, what: impl Display) -> Self {
        Self::new(TRY_AGAIN, file(path, what))
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// For `in_doubt = retry`: the caller is to try again.
    pub(crate) fn retried_in_doubt(mut self) -> Self {
        if self.0.code == IN_DOUBT {
            self.0.code = TRY_AGAIN;
        }
        self
    }

    /// If it is in doubt, adds the Message-ID to look for.
    pub(crate) fn naming(mut self, message_id: Option<&str>) -> Self {
        let in_doubt = self.error().is_some_and(Error::in_doubt);
        if let (true, Some(id), Some(hint)) = (in_doubt, message_id, &mut self.0.hint) {
            hint.push_str(&format!("; it is {id}"));
        }
        self
    }

    /// Whether the doctor can find out more: not about arguments and messages.
    pub(crate) fn is_for_the_doctor(&self) -> bool {
        matches!(self.0.code, NO_HOST | UNAVAILABLE | TRY_AGAIN..=CONFIG)
    }

    pub(crate) fn with_what(mut self, what: String) -> Self {
        self.0.what = what;
        self
    }

    pub(crate) fn printed(mut self) -> Self {
        self.0.printed = true;
        self
    }

    pub(crate) fn is_printed(&self) -> bool {
        self.0.printed
    }

    pub(crate) fn code(&self) -> u8 {
        self.0.code
    }

    pub(crate) fn what(&self) -> &str {
        &self.0.what
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub(crate) fn error(&self) -> Option<&Error> {
        self.0.error.as_ref()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(Box::new(Told {
            code: code(&error),
            what: error.to_string(),
            hint: error.hint().map(str::to_owned),
            error: Some(error),
            printed: false,
        }))
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(error.to_string())
    }
}

/// In doubt comes first, because a caller that tries again may deliver twice; then failures that are transient.
pub(crate) fn code(error: &Error) -> u8 {
    if error.in_doubt() {
        return IN_DOUBT;
    }
    if error.is_transient() {
        return TRY_AGAIN;
    }
    match (error.kind(), error.stage()) {
        (ErrorKind::Input, Stage::Account) => CONFIG,
        (ErrorKind::Input, _) => DATA,
        (ErrorKind::Body, _) => NO_INPUT,
        (ErrorKind::Refused, Stage::Recipient) => NO_USER,
        (ErrorKind::Network, _) => NO_HOST,
        (ErrorKind::Tls | ErrorKind::Protocol, _) => PROTOCOL,
        (ErrorKind::Token | ErrorKind::Auth, _) => NO_PERMISSION,
        _ => UNAVAILABLE,
    }
}

/// `/path: what`
pub(crate) fn file(path: &Path, what: impl Display) -> String {
    format!("{}: {what}", path.display())
}
