//! What went wrong, for the person who must act. All user-facing wording; no control flow.

mod tls;

use std::error::Error as StdError;
#[cfg(feature = "graph")]
use std::time::Duration;
use std::{fmt, io};

use crate::hint;
use crate::hint::table::{self, Condition};
use crate::receipt::Refusal;
use crate::reply::{Malformed, Reply};
use crate::stage::{ErrorKind, Stage};
use crate::text::{lower_case, printable};

/// Why a message was not sent, or may not have been.
///
/// - [`kind`](Self::kind) is for programs: who has to act.
/// - [`stage`](Self::stage) is for support: where in the conversation it happened.
/// - `Display` is for people: one line, `stage object: what happened`, the server's words verbatim.
/// - [`hint`](Self::hint) says what to do about it, where exosend knows. It is advice; texts and numbers of Entra and
///   Exchange change, so no program should decide anything by it.
///
/// Exactly one of [`is_transient`](Self::is_transient), [`is_permanent`](Self::is_permanent) and
/// [`in_doubt`](Self::in_doubt) is true:
///
/// ```
/// # fn queue_again() {} fn look_before_repeating() {} fn call_somebody() {}
/// # fn act(error: exosend::Error) {
/// if error.is_transient() {
///     queue_again()               // nothing was sent, and later it may be
/// } else if error.in_doubt() {
///     look_before_repeating()     // the message may have been delivered
/// } else {
///     call_somebody()             // it will fail again until somebody changes something
/// }
/// # }
/// ```
///
/// The hint comes along where a program shows `{error:?}`, as `fn main() -> Result<(), exosend::Error>` does, or `{error:#}`;
/// and as the error's [`source`](StdError::source), for what prints a chain of them.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    stage: Stage,
    object: String,
    what: String,
    reply: Option<Reply>,
    refused: Vec<Refusal>,
    /// Entra's `error_codes`, the numbers behind `AADSTS`.
    codes: Vec<u64>,
    /// The `Date` of the HTTP answer that refused the token.
    answered_at: Option<String>,
    transient: bool,
    in_doubt: bool,
    message_id: Option<String>,
    #[cfg(feature = "graph")]
    retry_after: Option<Duration>,
    behind: Behind,
}

/// The source of an error in a chain: the hint, and behind that the error of a lower layer.
#[derive(Debug, Default)]
struct Behind {
    condition: Option<Condition>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Who has to act.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where in the conversation it happened.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// What is wrong, if the kind is [`Input`](ErrorKind::Input): the key of an account, `tenant`, or the field of a
    /// message, `to`. Keys that are missing stand beside each other: `tenant, client_id`.
    pub fn field(&self) -> Option<&str> {
        (self.kind() == ErrorKind::Input).then_some(&self.0.object)
    }

    /// The server's reply, if one decided.
    pub fn reply(&self) -> Option<&Reply> {
        self.0.reply.as_ref()
    }

    /// Every recipient that was refused, if that is the reason.
    pub fn refused(&self) -> &[Refusal] {
        &self.0.refused
    }

    /// The same call may succeed later, and no byte of the message was accepted: 4yz replies; failures of names (but not
    /// a name that does not exist), connections, reads and writes before the message's end; TLS, but for a certificate that
    /// is wrong and a server that has no TLS in common with us; timeouts, 408, 429 and 5xx of the token request.
    ///
    /// Never true together with [`in_doubt`](Self::in_doubt). Repeat with pauses: Exchange blocks a mailbox that
    /// repeats the same failure (550 5.2.251 to 5.2.255).
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// The same call will fail again until somebody changes something: neither transient nor in doubt.
    pub fn is_permanent(&self) -> bool {
        !self.0.transient && !self.0.in_doubt
    }

    /// The message may have been accepted: the write with its final dot had begun, and no well-formed final reply
    /// came. It may be true when the server never saw the dot; it is never false when the server accepted. By Microsoft
    /// Graph, from the first byte of the message until the answer, and for one that says neither yes nor no: 500, 502,
    /// 504, or a 2xx that is not 202.
    ///
    /// A repeat may deliver twice. The same [`Message`](crate::Message) carries the same `Message-ID` each time, so
    /// that a duplicate can be recognised.
    pub fn in_doubt(&self) -> bool {
        self.0.in_doubt
    }

    /// The `Message-ID` of a message that [may have been accepted](Self::in_doubt), angle brackets included: to look for
    /// before it is sent again. `None` after [`send_raw`](crate::Session::send_raw), which does not read what it sends.
    pub fn message_id(&self) -> Option<&str> {
        self.0.message_id.as_deref()
    }

    /// How long the server wants nothing of us, where it says so: Microsoft Graph with 408, 429, 503 and 509. A day at most.
    #[cfg(feature = "graph")]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What it most often means and what to do, where exosend knows.
    pub fn hint(&self) -> Option<&str> {
        self.0.behind.condition.map(table::words)
    }

    /// What it is known to mean.
    #[cfg(any(test, feature = "advice", feature = "graph", feature = "login"))]
    pub(crate) fn condition(&self) -> Option<Condition> {
        self.0.behind.condition
    }
}

/// How errors are made. Whether one is transient, and what it is known to mean, is decided here and nowhere
/// else.
impl Error {
    pub(crate) fn new(kind: ErrorKind, stage: Stage, what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            stage,
            object: String::new(),
            what: what.into(),
            reply: None,
            refused: Vec::new(),
            codes: Vec::new(),
            answered_at: None,
            transient: false,
            in_doubt: false,
            message_id: None,
            #[cfg(feature = "graph")]
            retry_after: None,
            behind: Behind::default(),
        }))
    }

    /// A field that cannot be right.
    pub(crate) fn input(stage: Stage, field: &str, what: impl Into<String>) -> Self {
        // It may quote what was given, a path among it: a line break in that must not begin another line of a log.
        Self::new(ErrorKind::Input, stage, printable(&what.into())).about(field)
    }

    /// The server said no, or something that is no answer to the question.
    pub(crate) fn reply_to(stage: Stage, reply: Reply) -> Self {
        let kind = match (reply.class(), stage) {
            (4, _) => ErrorKind::Deferred,
            (5, Stage::Auth) => ErrorKind::Auth,
            (5, _) => ErrorKind::Refused,
            _ => ErrorKind::Protocol,
        };
        let mut error = match kind {
            ErrorKind::Protocol => {
                Self::new(kind, stage, format!("no answer to what was asked: {reply}"))
            }
            _ => Self::new(kind, stage, reply.to_string()),
        };
        error.0.transient = reply.is_transient();
        error.0.behind.condition = hint::of_own_reply(stage, &reply);
        error.0.reply = Some(reply);
        error
    }

    /// `None` if no recipient was refused. A single permanent refusal makes the error permanent.
    pub(crate) fn recipients(refused: Vec<Refusal>) -> Option<Self> {
        let permanent = refused.iter().find(|r| r.reply.is_permanent());
        let first = permanent.or(refused.first())?;
        let more = match refused.len() {
            1 => String::new(),
            2 => " (and 1 more refused)".into(),
            n => format!(" (and {} more refused)", n - 1),
        };
        let mut error = Self::reply_to(Stage::Recipient, first.reply.clone())
            .about(&format!("<{}>", first.address));
        error.0.what.push_str(&more);
        error.0.refused = refused;
        Some(error)
    }

    /// The server broke the rules.
    pub(crate) fn protocol(stage: Stage, what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, stage, what)
    }

    pub(crate) fn malformed(stage: Stage, malformed: &Malformed) -> Self {
        Self::protocol(stage, malformed.to_string())
    }

    /// A read, a write or a connect failed. Errors of rustls arrive here too, wrapped by its stream.
    pub(crate) fn io(stage: Stage, error: io::Error) -> Self {
        let error = match error.downcast() {
            Ok(tls) => return Self::tls(stage, tls),
            Err(error) => error,
        };
        let what = match error.kind() {
            // Linux says "Resource temporarily unavailable (os error 11)" when a socket's timeout passes.
            io::ErrorKind::WouldBlock => "timed out".into(),
            io::ErrorKind::UnexpectedEof => "the server closed the connection".into(),
            _ => lower_case(&error.to_string()),
        };
        let mut made = Self::new(ErrorKind::Network, stage, what);
        made.0.transient = true;
        made.0.behind.condition = hint::of_network(stage, &error);
        made.0.behind.source = Some(Box::new(error));
        made
    }

    /// TLS failed, most often because of a certificate.
    pub(crate) fn tls(stage: Stage, error: rustls::Error) -> Self {
        let mut made = Self::new(ErrorKind::Tls, stage, tls::text(&error));
        made.0.transient = !tls::is_permanent(&error);
        made.0.behind.condition = hint::of_tls(stage, &error);
        made.0.behind.source = Some(Box::new(error));
        made
    }

    /// What the message is made from could not be read to its end.
    pub(crate) fn body(error: io::Error) -> Self {
        let what = lower_case(&printable(&error.to_string()));
        let mut made = Self::new(ErrorKind::Body, Stage::Body, what);
        made.0.behind.source = Some(Box::new(error));
        made
    }

    /// The session ended at an earlier call. Nothing of this message was sent, and a new session may take it.
    pub(crate) fn broken(stage: Stage, earlier: &str) -> Self {
        let what = format!("the session ended earlier: {earlier}");
        Self::new(ErrorKind::Network, stage, what).transient()
    }

    /// Names what the stage was about.
    pub(crate) fn about(mut self, object: &str) -> Self {
        self.0.object = printable(object);
        self
    }

    /// Appends to the text of what happened.
    pub(crate) fn with(mut self, more: &str) -> Self {
        self.0.what.push_str(more);
        self
    }

    pub(crate) fn with_condition(mut self, condition: Condition) -> Self {
        self.0.behind.condition = Some(condition);
        self
    }

    /// Moves it to the step that the failed one was a part of.
    pub(crate) fn at(mut self, stage: Stage) -> Self {
        self.0.stage = stage;
        self
    }

    /// Entra's numbers for what went wrong, so that nobody looks for them in a text; the first that is known says what
    /// it means.
    pub(crate) fn with_codes(mut self, codes: Vec<u64>) -> Self {
        let known = codes.iter().find_map(|&code| table::of_entra(code));
        self.0.behind.condition = known.or(self.0.behind.condition);
        self.0.codes = codes;
        self
    }

    /// Entra's numbers for what went wrong; empty where another said no.
    #[cfg(feature = "advice")]
    pub(crate) fn codes(&self) -> &[u64] {
        &self.0.codes
    }

    /// When the answer was written, by the clock of whoever wrote it.
    pub(crate) fn with_answered_at(mut self, date: Option<String>) -> Self {
        self.0.answered_at = date;
        self
    }

    /// When the token request was refused, by Entra's clock.
    #[cfg(feature = "advice")]
    pub(crate) fn answered_at(&self) -> Option<&str> {
        self.0.answered_at.as_deref()
    }

    /// Adds the Message-ID, if the message may have been delivered.
    pub(crate) fn of_message(mut self, id: &str) -> Self {
        // Another program's id may hold anything.
        self.0.message_id = Some(printable(id)).filter(|_| self.in_doubt());
        self
    }

    /// The same call may succeed later.
    pub(crate) fn transient(mut self) -> Self {
        self.0.transient = true;
        self
    }

    /// `Retry-After`, if that was a number of seconds.
    #[cfg(feature = "graph")]
    pub(crate) fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
        let pause = pause.filter(|pause| *pause < Duration::MAX);
        self.0.retry_after = pause.map(|pause| pause.min(LONGEST));
        self
    }

    /// The same call will fail again.
    pub(crate) fn permanent(mut self) -> Self {
        self.0.transient = false;
        self
    }

    /// The message may have been delivered.
    pub(crate) fn doubtful(mut self) -> Self {
        self.0.transient = false;
        self.0.in_doubt = true;
        self.0.behind.condition = Some(Condition::InDoubt);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            stage,
            object,
            what,
            behind,
            ..
        } = &*self.0;
        match object.as_str() {
            "" => write!(f, "{stage}: {what}")?,
            object => write!(f, "{stage} {object}: {what}")?,
        }
        match behind.condition {
            Some(_) if f.alternate() => write!(f, " ({behind})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if self.0.behind.condition.is_some() {
            write!(f, "\n{}", self.0.behind)?;
        }
        match self.message_id() {
            Some(id) => write!(f, "\nMessage-ID: {id}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.behind.condition {
            Some(_) => Some(&self.0.behind),
            None => self.0.behind.source(),
        }
    }
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hint: {}", self.condition.map_or("", table::words))
    }
}

impl StdError for Behind {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.source.as_ref()?;
        Some(&**source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Parser;

    fn reply(text: &str) -> Reply {
        Parser::default()
            .push(text.as_bytes(), false)
            .unwrap()
            .unwrap()
    }

    fn refusal(address: &str, text: &str) -> Refusal {
        Refusal {
            address: address.into(),
            reply: reply(text),
        }
    }

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    }

    #[test]
    fn one_permanent_refusal_makes_the_whole_permanent() {
        let later = refusal("a@example.com", "450 4.2.1 later");
        let never = refusal("b@example.com", "550 5.1.1 never");
        let all = |refused| Error::recipients(refused).unwrap();
        let error = all(vec![later.clone(), never, later.clone()]);
        assert_eq!(
            error.to_string(),
            "recipient <b@example.com>: 550 5.1.1 never (and 2 more refused)"
        );
        assert!(error.kind() == ErrorKind::Refused && error.is_permanent());
        assert_eq!(error.refused().len(), 3);
        assert!(all(vec![later.clone(), later]).is_transient());
    }

    #[test]
    fn kind_follows_the_code_and_the_stage() {
        let kind = |stage, text| Error::reply_to(stage, reply(text)).kind();
        assert_eq!(kind(Stage::Auth, "535 5.7.3 no"), ErrorKind::Auth);
        assert_eq!(kind(Stage::Auth, "454 4.7.0 later"), ErrorKind::Deferred);
        assert_eq!(kind(Stage::Sender, "530 5.7.57 no"), ErrorKind::Refused);
        assert_eq!(kind(Stage::Data, "250 ok"), ErrorKind::Protocol);
    }

    #[test]
    fn an_input_error_names_its_field() {
        let error = Error::input(Stage::Account, "tenant", "missing");
        assert_eq!(error.field(), Some("tenant"));
        let error = Error::protocol(Stage::Auth, "x").about("robot@contoso.com");
        assert_eq!(error.field(), None);
    }

    #[test]
    fn failures_that_look_alike_have_their_own_conditions() {
        use Condition::{EntraUnreachable, NameUnknown, NoCommonTls, NoNameServer};
        use Stage::{Greeting, Resolve, StartTls, Token};
        use io::ErrorKind as Is;
        use rustls::{AlertDescription as Alert, Error as Tls, InvalidMessage};
        for (stage, kind, condition) in [
            (Resolve, Is::NotFound, Some(NameUnknown)),
            (Resolve, Is::Other, Some(NoNameServer)),
            (Token, Is::ConnectionRefused, Some(EntraUnreachable)),
            (Greeting, Is::TimedOut, None),
        ] {
            assert_eq!(Error::io(stage, kind.into()).condition(), condition);
        }
        let no_descriptor = io::Error::from_raw_os_error(libc::EMFILE);
        assert_eq!(Error::io(Resolve, no_descriptor).condition(), None);
        let nonsense = InvalidMessage::InvalidContentType;
        for (error, condition) in [
            (
                Tls::AlertReceived(Alert::HandshakeFailure),
                Some(NoCommonTls),
            ),
            (Tls::AlertReceived(Alert::InternalError), None),
            (Tls::InvalidMessage(nonsense), None),
        ] {
            assert_eq!(Error::tls(StartTls, error).condition(), condition);
        }
    }

    #[test]
    fn the_hint_is_in_the_source_debug_and_long_display() {
        let error = Error::io(Stage::Accept, io::ErrorKind::UnexpectedEof.into());
        let error = error.doubtful().of_message("<1\r\n@contoso.com>");
        let hint = error.hint().unwrap();
        assert_eq!(format!("{error:#}"), format!("{error} (hint: {hint})"));
        assert_eq!(
            format!("{error:?}"),
            format!("{error}\nhint: {hint}\nMessage-ID: <1??@contoso.com>")
        );
        let behind = error.source().unwrap();
        assert_eq!(behind.to_string(), format!("hint: {hint}"));
        assert!(behind.source().unwrap().is::<io::Error>());

        let error = Error::body(io::Error::other("the disk is gone"));
        assert_eq!(format!("{error:#}"), error.to_string());
        assert!(error.source().unwrap().is::<io::Error>());
        assert_eq!(error.of_message("<1@contoso.com>").message_id(), None);
    }
}
