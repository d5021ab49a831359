//! The C interface. C programmers read `exosend.h`, beside this file.
//!
//! The only module with `unsafe` in it: here the caller's pointers are read, the report is written, and a panic ends.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::Read;
use std::panic::catch_unwind;
use std::slice;
use std::time::SystemTime;

use crate::account::{Account, file};
use crate::error::Error;
use crate::message::envelope::Envelope;
use crate::message::head::{self, Head};
use crate::message::octets::{Charset, Length};
use crate::receipt::Receipt;
use crate::session::Session;
use crate::stage::Stage;
use crate::timeouts::Deadline;
use crate::{crypto, date};

const TRANSIENT: c_int = 0x100;
const IN_DOUBT: c_int = 0x200;
/// A panic, with a number that no [`ErrorKind`](crate::ErrorKind) has. In doubt: how far the message had come is not known.
const BUG: c_int = 15 | IN_DOUBT;

/// Sends one message: see `exosend.h`.
///
/// # Safety
///
/// Each pointer is NULL or valid for the call: `settings` and the elements of `to` to their NUL, `to` to its NULL,
/// `message` for reading `length` bytes, `report` for writing `room`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn exosend_send(
    settings: *const c_char,
    to: *const *const c_char,
    message: *const c_void,
    length: usize,
    report: *mut c_char,
    room: usize,
) -> c_int {
    let (code, text) = guarded(|| {
        // SAFETY: these are our caller's promises. Nothing of what is borrowed outlives the call.
        unsafe { Given::read(settings, to, message, length) }.send()
    });
    // SAFETY: our caller's promise.
    unsafe { write(&text, report, room) };
    code
}

/// Runs what may panic; returns the code and the report.
fn guarded(
    send: impl FnOnce() -> Result<Receipt, Error> + std::panic::UnwindSafe,
) -> (c_int, String) {
    silence();
    match catch_unwind(send) {
        Ok(Ok(receipt)) => (0, receipt.to_string()),
        Ok(Err(error)) => (code(&error), told(&error)),
        Err(_) => (BUG, BUG_TEXT.to_owned()),
    }
}

const BUG_TEXT: &str = concat!(
    "a bug in exosend ",
    env!("CARGO_PKG_VERSION"),
    ": please report it; the message may have been sent"
);

/// Keeps panics from writing to file descriptor 2, which may be anything in somebody else's process. The hook is that of this
/// archive's own standard library, not of the caller's; tests have theirs.
fn silence() {
    #[cfg(not(test))]
    {
        use std::sync::atomic::{AtomicBool, Ordering};
        // Not `Once`: a fork while it runs would leave the child waiting for ever.
        static SILENT: AtomicBool = AtomicBool::new(false);
        if !SILENT.swap(true, Ordering::Relaxed) {
            std::panic::set_hook(Box::new(|_| ()));
        }
    }
}

/// Kind, transient and in doubt.
fn code(error: &Error) -> c_int {
    let flag = |is: bool, flag| if is { flag } else { 0 };
    error.kind() as c_int | flag(error.is_transient(), TRANSIENT) | flag(error.in_doubt(), IN_DOUBT)
}

/// The error, its hint and the Message-ID on one line.
fn told(error: &Error) -> String {
    match error.message_id() {
        Some(id) => format!("{error:#}, Message-ID {id}"),
        None => format!("{error:#}"),
    }
}

/// What the caller gave.
struct Given<'c> {
    settings: Option<&'c [u8]>,
    to: Option<Vec<&'c [u8]>>,
    /// `None` if `length` is more than memory can hold.
    message: Option<&'c [u8]>,
}

impl<'c> Given<'c> {
    /// # Safety
    ///
    /// That of [`exosend_send`].
    unsafe fn read(
        settings: *const c_char,
        mut to: *const *const c_char,
        message: *const c_void,
        length: usize,
    ) -> Self {
        // SAFETY: not NULL, and so valid to its NUL.
        let text = |text: *const c_char| {
            (!text.is_null()).then(|| unsafe { CStr::from_ptr(text).to_bytes() })
        };
        let all = (!to.is_null()).then(|| {
            let mut all = Vec::new();
            // SAFETY: not NULL, and so valid to the NULL that ends it.
            while let Some(one) = text(unsafe { *to }) {
                all.push(one);
                to = unsafe { to.add(1) };
            }
            all
        });
        let message = match isize::try_from(length) {
            Err(_) => None,
            Ok(0) => Some(&[][..]),
            Ok(_) if message.is_null() => Some(&[][..]),
            // SAFETY: not NULL, so valid for as many bytes, which are no more than a slice can have.
            Ok(_) => Some(unsafe { slice::from_raw_parts(message.cast(), length) }),
        };
        Self {
            settings: text(settings),
            to: all,
            message,
        }
    }

    fn send(self) -> Result<Receipt, Error> {
        let account = account(self.settings)?;
        account.check()?;
        let total = Deadline::total(&account.timeouts);
        let wrong = |what: &str| Error::input(Stage::Message, "message", what);
        let message = self.message.ok_or_else(|| wrong("longer than memory"))?;
        if message.is_empty() {
            return Err(wrong("empty"));
        }
        let (mut head, body) = head::split(message, true).map_err(|what| wrong(&what))?;
        let body = message.get(body..).unwrap_or_default();
        let to = match self.to {
            Some(to) => texts(&to)?,
            None => recipients(&head)?,
        };
        let id = complete(&mut head, account.mailbox(), body);
        let head = head.text();
        let (mut length, mut behind) = (Length::default(), Length::behind(&head));
        length.feed(&head);
        behind.feed(body);
        let envelope = Envelope::new(account.mailbox()).size(length.with(Some(&behind)));
        let envelope = to.into_iter().fold(envelope, Envelope::to);
        // Checked before the login.
        envelope.route()?;
        #[cfg(feature = "graph")]
        account.check_envelope(&envelope)?;
        let mut session = Session::connect(&account, total)?;
        let mut text = head.as_slice().chain(body);
        let sent = session.send_raw_by(&envelope, &mut text, total);
        session.quit();
        sent.map_err(|error| error.of_message(&id))
    }
}

fn account(settings: Option<&[u8]>) -> Result<Account, Error> {
    let Some(text) = settings else {
        return Account::from_env();
    };
    let entries = file::parse(text).map_err(|wrong| {
        let what = format!("line {}: {}", wrong.line, wrong.what);
        Error::input(Stage::Account, "settings", what)
    })?;
    let pairs = entries
        .iter()
        .map(|entry| (entry.key.as_str(), entry.value.as_str()));
    Account::from_layers([pairs], false)
}

fn texts(to: &[&[u8]]) -> Result<Vec<String>, Error> {
    let text = |one: &&[u8]| std::str::from_utf8(one).map(str::to_owned);
    let texts: Result<Vec<_>, _> = to.iter().map(text).collect();
    texts.map_err(|_| Error::input(Stage::Message, "to", "not UTF-8"))
}

/// Everybody in To, Cc and Bcc. Anything else in them is an error, so that nobody is left out.
fn recipients(head: &Head) -> Result<Vec<String>, Error> {
    let (mailboxes, wrong) = head.recipients();
    let what = match (mailboxes.as_slice(), wrong.into_iter().next()) {
        (_, Some(what)) => what,
        ([], None) => "no recipient in To, Cc or Bcc".into(),
        _ => return Ok(mailboxes.into_iter().map(|mailbox| mailbox.spec).collect()),
    };
    Err(Error::input(Stage::Message, "to", what))
}

/// Removes Bcc, and adds the fields that every message needs and this one lacks. Returns its Message-ID.
fn complete(head: &mut Head, mailbox: &str, body: &[u8]) -> String {
    head.remove_bcc();
    let domain = mailbox
        .rsplit_once('@')
        .map_or(mailbox, |(_, domain)| domain);
    let id = format!("<{}@{domain}>", crypto::random::<16>());
    head.add_missing("From", mailbox);
    head.add_missing("Date", &date::rfc5322(SystemTime::now()));
    head.add_missing("Message-ID", &id);
    let mut charset = Charset::default();
    body.chunks(64 * 1024).for_each(|piece| charset.feed(piece));
    if let Some(charset) = charset.end().charset() {
        head.declare(charset);
    }
    head.get("Message-ID").map_or(id, |id| id.trim().to_owned())
}

/// As much of the text as there is room for, cut at a character, and a NUL.
///
/// # Safety
///
/// `report` is NULL or valid for writing `room` bytes.
unsafe fn write(text: &str, report: *mut c_char, room: usize) {
    let Some(most) = room.checked_sub(1).filter(|_| !report.is_null()) else {
        return;
    };
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // SAFETY: `end` is less than `room`, and no more than the text has.
    unsafe {
        report.copy_from_nonoverlapping(text.as_ptr().cast(), end);
        report.add(end).write(0);
    }
}

#[cfg(test)]
mod tests {
    use std::iter::successors;

    use super::*;
    use crate::stage::ErrorKind;

    const HEADER: &str = include_str!("exosend.h");

    fn defined(name: &str) -> &'static str {
        let start = format!("#define EXOSEND_{name} ");
        let line = HEADER.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap().split(' ').next().unwrap()
    }

    #[test]
    fn the_header_defines_the_codes_that_are_returned() {
        use ErrorKind::{Auth, Body, Deferred, Input, Network, Protocol, Refused, Tls, Token};
        let next = |kind: &ErrorKind| match kind {
            Input => Some(Token),
            Token => Some(Network),
            Network => Some(Tls),
            Tls => Some(Protocol),
            Protocol => Some(Auth),
            Auth => Some(Deferred),
            Deferred => Some(Refused),
            Refused => Some(Body),
            Body => None,
        };
        for kind in successors(Some(Input), next) {
            let name = kind.to_string().to_uppercase();
            assert_eq!(defined(&name), (kind as u8).to_string());
        }
        assert_eq!(defined("BUG"), (BUG & 0xff).to_string());
        assert_eq!(defined("TRANSIENT"), format!("{TRANSIENT:#x}"));
        assert_eq!(defined("IN_DOUBT"), format!("{IN_DOUBT:#x}"));
        assert_eq!(
            defined("VERSION"),
            format!("\"{}\"", env!("CARGO_PKG_VERSION"))
        );
    }

    #[test]
    fn a_panic_is_in_doubt() {
        let (code, text) = guarded(|| panic!("on purpose"));
        assert_eq!(code, 15 | IN_DOUBT);
        assert!(text.contains("may have been sent"), "{text}");
    }

    #[test]
    fn an_error_becomes_a_code_and_a_line() {
        let lost = || Error::io(Stage::Accept, std::io::ErrorKind::UnexpectedEof.into());
        assert_eq!(code(&lost()), 3 | TRANSIENT);
        let doubt = lost().doubtful().of_message("<1@contoso.com>");
        assert_eq!(code(&doubt), 3 | IN_DOUBT);
        let text = told(&doubt);
        assert!(text.contains("(hint: ") && text.ends_with(", Message-ID <1@contoso.com>"));
        assert!(!text.contains('\n'));
    }

    #[test]
    fn missing_fields_are_added_once() {
        let body = "\u{e4}\n".as_bytes();
        let (mut head, _) = head::split(b"Subject: x\nBcc: hidden@example.com\n\n", true).unwrap();
        let id = complete(&mut head, "robot@contoso.com", body);
        let added = head.clone();
        assert_eq!(complete(&mut head, "robot@contoso.com", body), id);
        assert_eq!(head, added);
        let text = String::from_utf8(head.text()).unwrap();
        for line in [
            "From: robot@contoso.com".to_owned(),
            format!("Message-ID: {id}"),
            "Content-Type: text/plain; charset=utf-8".to_owned(),
        ] {
            assert_eq!(text.lines().filter(|l| **l == line).count(), 1, "{text}");
        }
        assert!(id.ends_with("@contoso.com>") && !text.contains("hidden"));
    }
}
