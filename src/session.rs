//! MAIL, RCPT, DATA for each message, RSET between, QUIT at the end.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use crate::account::Account;
use crate::connection::dial::Interrupt;
use crate::connection::{self, Extensions};
use crate::data::DotWriter;
use crate::envelope::Envelope;
use crate::envelope::Route;
use crate::error::{Error, ErrorKind, Stage};
use crate::message::Message;
use crate::receipt::{Receipt, Refusal};
use crate::reply::Reply;
use crate::timeouts::Deadline;
use crate::token::{Pending, Token};
use crate::wire::{Wire, is_mere_refusal};

/// Most recipients in one flight. Their replies are read before the next goes out, so that neither side's buffers can
/// fill while both write.
const MAX_FLIGHT: usize = 100;

/// A connection that is logged in, for more than one message.
///
/// You get one from [`open`](Self::open). Send as many messages as you like with [`send`](Self::send) or
/// [`send_raw`](Self::send_raw), then [`quit`](Self::quit). Exchange Online ends a connection that is idle for long, and
/// takes 30 messages a minute and 3 connections at once from a mailbox.
///
/// After a refusal (kinds [`Refused`](ErrorKind::Refused) and [`Deferred`](ErrorKind::Deferred)) the session goes on
/// with the next message. After any other error, and after a 421, it is over: each further `send` returns an error of the
/// same kind at once.
///
/// ```no_run
/// use exosend::{Account, Message, Session};
///
/// let mut session = Session::open(&Account::from_env()?)?;
/// for name in ["ann", "bob"] {
///     let message = Message::new().to(format!("{name}@example.com")).subject("hello").text("hello\n");
///     println!("{}", session.send(&message)?);
/// }
/// session.quit();
/// # Ok::<(), exosend::Error>(())
/// ```
pub struct Session {
    mailbox: String,
    dialogue: Dialogue,
}

impl Session {
    /// Gets a token, connects, and logs in.
    ///
    /// The token is fetched while the connection is made, unless one is kept from before. If either fails, the other is
    /// not waited for.
    ///
    /// # Errors
    ///
    /// [`Input`](ErrorKind::Input), [`Token`](ErrorKind::Token), [`Network`](ErrorKind::Network),
    /// [`Tls`](ErrorKind::Tls), [`Protocol`](ErrorKind::Protocol), [`Auth`](ErrorKind::Auth), and
    /// [`Deferred`](ErrorKind::Deferred) or [`Refused`](ErrorKind::Refused) if the server says no before the login. Never
    /// [in doubt](Error::in_doubt).
    pub fn open(account: &Account) -> Result<Self, Error> {
        account.check()?;
        Self::connect(account, Deadline::total(account.limits()))
    }

    /// The same for an account that has been checked.
    pub(crate) fn connect(account: &Account, total: Deadline) -> Result<Self, Error> {
        let kept = Token::kept(account);
        let worn = kept.clone().filter(Token::is_worn);
        match (Self::log_in(account, total, kept), worn) {
            // What the token allows may have changed since it was issued. Once: blind repeats get a mailbox blocked
            // (F§3.3).
            (Err(refused), Some(token))
                if refused.kind() == ErrorKind::Auth && refused.is_permanent() =>
            {
                log::info!("{refused}; once more with a fresh token");
                Token::forget(account, &token);
                Self::log_in(account, total, None)
            }
            (result, _) => result,
        }
    }

    fn log_in(account: &Account, total: Deadline, kept: Option<Token>) -> Result<Self, Error> {
        let interrupt = Interrupt::default();
        let no_token = interrupt.clone();
        let pending = match kept {
            Some(token) => Pending::Kept(token),
            None => Pending::start(account, total, move || no_token.raise())?,
        };
        let secured = connection::open(account, total, &interrupt)
            .map_err(|connection| pending.failure().unwrap_or(connection))?;
        let token = pending.wait(total)?;
        interrupt.disarm();
        let mailbox = account.mailbox().to_owned();
        let (wire, offers) = secured.authenticate(&mailbox, &token, account.auth_policy())?;
        Ok(Self {
            mailbox,
            dialogue: Dialogue::new(wire, offers),
        })
    }

    /// Sends one message.
    ///
    /// # Errors
    ///
    /// [`Input`](ErrorKind::Input) if the message cannot be sent as it is, to this server;
    /// [`Refused`](ErrorKind::Refused) and [`Deferred`](ErrorKind::Deferred) if the server says no to the sender, to a
    /// recipient (to all, with [`partial`](Message::partial)) or to the message; [`Body`](ErrorKind::Body) if what the
    /// message is made from cannot be read; [`Network`](ErrorKind::Network) and [`Protocol`](ErrorKind::Protocol),
    /// which may be [in doubt](Error::in_doubt).
    pub fn send(&mut self, message: &Message) -> Result<Receipt, Error> {
        let timeouts = self.dialogue.wire.timeouts();
        let total = Deadline::total(timeouts);
        self.send_by(message, total)
    }

    pub(crate) fn send_by(&mut self, message: &Message, total: Deadline) -> Result<Receipt, Error> {
        let letter = message.letter(&self.mailbox)?;
        let content = Content {
            size: Some(letter.size()),
            maybe_8bit: false,
            international: letter.international.as_deref(),
        };
        let receipt = self
            .dialogue
            .send(&letter.route, content, total, |out| letter.write_to(out))?;
        Ok(Receipt {
            message_id: Some(letter.message_id),
            ..receipt
        })
    }

    /// Sends a message that is ready: RFC 5322 text, headers and all, read once from `message` and passed on as it is,
    /// but for line endings: any become CRLF, and a missing last one is added.
    ///
    /// Nothing is added and nothing removed: `Bcc` fields stay, so take them out before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). [`Body`](ErrorKind::Body) if reading fails; the connection is then ended before the
    /// message's end, and nothing is delivered. A read that blocks is not interrupted: the total time is looked at
    /// between reads.
    ///
    /// ```no_run
    /// # let mut session = exosend::Session::open(&exosend::Account::from_env()?)?;
    /// use exosend::Envelope;
    ///
    /// let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    /// let text = "From: robot@contoso.com\nTo: ann@example.com\nSubject: hello\n\nhello\n";
    /// session.send_raw(&envelope, text.as_bytes())?;
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn send_raw(&mut self, envelope: &Envelope, message: impl Read) -> Result<Receipt, Error> {
        let total = Deadline::total(self.dialogue.wire.timeouts());
        let route = envelope.route()?;
        self.dialogue
            .send(&route, envelope.content(), total, |out| copy(message, out))
    }

    /// Asks whether the server would take a message, and sends none: MAIL and RCPT, then RSET. Returns the recipients it
    /// refuses, which are none unless [`partial`](Envelope::partial) delivery is allowed.
    ///
    /// Exchange Online judges much only when it has the message, `From` above all: that nothing is refused here does not
    /// promise that nothing will be.
    ///
    /// # Errors
    ///
    /// Those of [`send_raw`](Self::send_raw) up to DATA, never [in doubt](Error::in_doubt).
    ///
    /// ```no_run
    /// # let mut session = exosend::Session::open(&exosend::Account::from_env()?)?;
    /// use exosend::Envelope;
    ///
    /// let envelope = Envelope::new("robot@contoso.com").to("ann@example.com").to("bob@example.com");
    /// for refusal in session.check(&envelope.partial(true))? {
    ///     println!("{refusal}");
    /// }
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn check(&mut self, envelope: &Envelope) -> Result<Vec<Refusal>, Error> {
        let total = Deadline::total(self.dialogue.wire.timeouts());
        let route = envelope.route()?;
        self.dialogue.check(&route, envelope.content(), total)
    }

    /// Says QUIT, and does not wait for the answer: every message has had its own.
    pub fn quit(self) {
        let timeouts = self.dialogue.wire.timeouts();
        let total = Deadline::total(timeouts);
        self.quit_by(total);
    }

    pub(crate) fn quit_by(self, total: Deadline) {
        self.dialogue.quit(total);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("mailbox", &self.mailbox)
            .field("over", &self.dialogue.over)
            .finish_non_exhaustive()
    }
}

/// `io::copy` with a block of its own, small enough to look at the clock often.
fn copy(mut from: impl Read, to: &mut dyn Write) -> io::Result<()> {
    let mut block = vec![0; 8 * 1024];
    loop {
        match from.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(n) => match block.get(..n) {
                Some(piece) => to.write_all(piece)?,
                None => return Err(io::Error::other("the reader says more than there is")),
            },
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// What is known of a message before it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'m> {
    /// Its length as RFC 1870 counts it: lines end in CRLF, no dots doubled.
    pub(crate) size: Option<u64>,
    /// It may hold bytes over 127.
    pub(crate) maybe_8bit: bool,
    /// An address in its headers that is not ASCII.
    pub(crate) international: Option<&'m str>,
}

/// The conversation behind the login.
pub(crate) struct Dialogue {
    wire: Wire,
    offers: Extensions,
    /// Why there can be no further message.
    over: Option<(ErrorKind, Stage, String)>,
}

impl Dialogue {
    pub(crate) fn new(wire: Wire, offers: Extensions) -> Self {
        Self {
            wire,
            offers,
            over: None,
        }
    }

    /// One message, from MAIL to the reply after the final dot.
    pub(crate) fn send(
        &mut self,
        route: &Route,
        content: Content<'_>,
        total: Deadline,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Receipt, Error> {
        let mail = self.begin(route, content, total)?;
        let result = self.open_envelope(&mail, route).and_then(|refused| {
            let reply = self.body(write)?;
            Ok(Receipt {
                reply,
                message_id: None,
                refused,
            })
        });
        match &result {
            Err(error) if is_mere_refusal(error) => self.reset(),
            Err(error) => self.end(error),
            Ok(_) => {}
        }
        result
    }

    /// No message, but the questions before it.
    pub(crate) fn check(
        &mut self,
        route: &Route,
        content: Content<'_>,
        total: Deadline,
    ) -> Result<Vec<Refusal>, Error> {
        let mail = self.begin(route, content, total)?;
        let result = self.ask(&mail, route, Then::Nothing);
        match &result {
            Err(error) if !is_mere_refusal(error) => self.end(error),
            _ => self.reset(),
        }
        result.map(|(refused, _)| refused)
    }

    /// Starts the clock for one message, and returns the command it begins with.
    fn begin(
        &mut self,
        route: &Route,
        content: Content<'_>,
        total: Deadline,
    ) -> Result<String, Error> {
        if let Some((kind, stage, what)) = &self.over {
            return Err(Error::broken(*kind, *stage, what));
        }
        self.wire.set_total(total);
        self.mail_command(route, content)
    }

    /// `MAIL FROM:<robot@contoso.com> SIZE=1234 BODY=8BITMIME SMTPUTF8`, or why this server cannot take the message.
    fn mail_command(&self, route: &Route, content: Content<'_>) -> Result<String, Error> {
        let mut command = format!("MAIL FROM:<{}>", route.from);
        if let (Some(size), Some(limit)) = (content.size, self.offers.size) {
            if let Some(limit) = limit.filter(|&limit| size > limit) {
                let what = format!("{size} bytes, the server takes {limit}");
                return Err(Error::input(Stage::Message, "size", what));
            }
            command.push_str(&format!(" SIZE={size}"));
        }
        // Bytes over 127 go out even where 8BITMIME is not offered: every server in use takes them, and to refuse or to
        // re-encode somebody's ready text would be worse.
        if content.maybe_8bit && self.offers.eight_bit_mime {
            command.push_str(" BODY=8BITMIME");
        }
        let mut addresses = std::iter::once(&route.from)
            .chain(&route.to)
            .map(String::as_str)
            .chain(content.international);
        if let Some(address) = addresses.find(|address| !address.is_ascii()) {
            if !self.offers.smtp_utf8 {
                let what = "the server takes ASCII addresses only (no SMTPUTF8); a domain can be written in its xn-- form";
                return Err(Error::input(Stage::Message, &format!("<{address}>"), what));
            }
            command.push_str(" SMTPUTF8");
        }
        Ok(command)
    }

    /// MAIL, RCPT and DATA. Ends with the server waiting for the message, and returns the recipients it refused.
    fn open_envelope(&mut self, mail: &str, route: &Route) -> Result<Vec<Refusal>, Error> {
        let (refused, data) = self.ask(mail, route, Then::Message)?;
        let data = data.unwrap_or_else(|| self.wire.command(Stage::Data, "DATA"))?;
        data.expect(Stage::Data, 3)?;
        Ok(refused)
    }

    /// MAIL and RCPT, and DATA where it can go along. Returns the recipients the server refused, and what it said to
    /// DATA.
    #[allow(clippy::type_complexity)] // two things that come together here and nowhere else
    fn ask(
        &mut self,
        mail: &str,
        route: &Route,
        then: Then,
    ) -> Result<(Vec<Refusal>, Option<Result<Reply, Error>>), Error> {
        let mut sender = None;
        let mut refused = Vec::new();
        let mut data = None;
        'flights: for flight in self.flights(route, then) {
            for step in &flight {
                match step {
                    Step::Mail => self.wire.say(Stage::Sender, mail)?,
                    Step::Rcpt(address) => self
                        .wire
                        .say(Stage::Recipient, &format!("RCPT TO:<{address}>"))?,
                    Step::Data => self.wire.say(Stage::Data, "DATA")?,
                }
            }
            self.wire
                .send(flight.first().map_or(Stage::Data, Step::stage))?;
            for step in &flight {
                let answer = self.answer(step);
                match (step, answer) {
                    // What is said to the rest of a flight whose sender was refused follows from that.
                    (_, Err(error)) if sender.is_some() => {
                        self.end(&error);
                        break 'flights;
                    }
                    (Step::Mail, Err(error)) if is_mere_refusal(&error) => sender = Some(error),
                    (Step::Rcpt(address), Ok(reply)) if reply.class() != 2 && sender.is_none() => {
                        refused.push(Refusal {
                            address: (*address).to_owned(),
                            reply,
                        });
                    }
                    (Step::Data, answer) => data = Some(answer),
                    (_, answer) => drop(answer?),
                }
            }
            if sender.is_some() {
                break;
            }
        }

        let nobody = refused.len() == route.to.len() || (!refused.is_empty() && !route.partial);
        if let Some(no) = sender.or_else(|| nobody.then(|| Error::recipients(refused.clone()))) {
            match data {
                Some(Ok(go_ahead)) if go_ahead.class() == 3 => self.lone_dot(),
                Some(Err(error)) => self.end(&error),
                _ => {}
            }
            return Err(no);
        }
        Ok((refused, data))
    }

    /// What is said before each wait for an answer.
    ///
    /// Once the server has said 354 there is no way back but to send something. So DATA goes along with the recipients
    /// only where their replies cannot change what is sent: one recipient, or delivery to those accepted.
    fn flights<'r>(&self, route: &'r Route, then: Then) -> Vec<Vec<Step<'r>>> {
        let rcpt = |address: &'r String| Step::Rcpt(address);
        if !self.offers.pipelining {
            return std::iter::once(Step::Mail)
                .chain(route.to.iter().map(rcpt))
                .map(|step| vec![step])
                .collect();
        }
        let mut flights: Vec<Vec<_>> = route
            .to
            .chunks(MAX_FLIGHT)
            .map(|c| c.iter().map(rcpt).collect())
            .collect();
        if let Some(first) = flights.first_mut() {
            first.insert(0, Step::Mail);
        }
        if let Some(last) = flights
            .last_mut()
            .filter(|_| then == Then::Message && (route.partial || route.to.len() == 1))
        {
            last.push(Step::Data);
        }
        flights
    }

    /// One reply of a flight. What ends the conversation or makes no sense is an error, and so is a sender's refusal; a
    /// recipient's is not.
    fn answer(&mut self, step: &Step<'_>) -> Result<Reply, Error> {
        let stage = step.stage();
        let about = |error: Error| match step {
            Step::Mail | Step::Data => error,
            Step::Rcpt(address) => error.about(&format!("<{address}>")),
        };
        let reply = self.wire.reply(stage).map_err(about)?;
        match (step, reply.class()) {
            (Step::Rcpt(_), 2 | 4 | 5) if reply.code() != 421 => Ok(reply),
            (Step::Mail | Step::Rcpt(_), _) => reply.expect(stage, 2).map_err(about),
            (Step::Data, _) if reply.code() == 421 => Err(Error::reply_to(stage, reply)),
            (Step::Data, _) => Ok(reply),
        }
    }

    /// Nobody is to get a message, and the server waits for one (RFC 2920 3.1). It gets an empty one, which RFC 5321
    /// lets it refuse with 554. If it says 250, that counts for nobody; if it says nothing, nobody was to be reached.
    fn lone_dot(&mut self) {
        if let Err(error) = self.wire.command(Stage::Accept, ".") {
            self.end(&error);
        }
    }

    /// The message and the reply to it.
    fn body(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Reply, Error> {
        // Whatever stops a message on its way: the server may still take a command for a line of it.
        self.message(write).inspect_err(|error| self.end(error))?;
        let reply = self.wire.reply(Stage::Accept).map_err(Error::doubtful)?;
        match reply.class() {
            3 => Err(Error::reply_to(Stage::Accept, reply).doubtful()),
            _ => reply.expect(Stage::Accept, 2),
        }
    }

    /// The message to its final dot.
    fn message(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Error> {
        self.wire.expect_silence(Stage::Body)?;
        let total = self.wire.total();
        let mut blocks = Blocks {
            wire: &mut self.wire,
            length: 0,
            failure: None,
        };
        let mut body = Punctual {
            to: DotWriter::new(&mut blocks),
            total,
        };
        // Undone below: should the caller's reader panic, and the caller go on, the server waits for the rest of a message,
        // and would take what is said next for it.
        let unfinished = "a panic in the middle of a message".to_owned();
        self.over = Some((ErrorKind::Body, Stage::Body, unfinished));
        let written = write(&mut body);
        self.over = None;
        let last = body.to.finish();
        let length = blocks.length + last.len() as u64;
        if let Some(error) = blocks.failure.take().or(total.remaining().err()) {
            return Err(self
                .wire
                .last_words(Stage::Body)
                .unwrap_or_else(|| Error::io(Stage::Body, error)));
        }
        // No final dot: the server throws away what it has.
        written.map_err(Error::body)?;

        // From here until the reply, a lost connection leaves the outcome unknown.
        if let Err(error) = self.wire.send_block(&last) {
            let unknown = || Error::io(Stage::Accept, error).doubtful();
            return Err(self.wire.last_words(Stage::Accept).unwrap_or_else(unknown));
        }
        self.wire.sent_message(length);
        Ok(())
    }

    fn reset(&mut self) {
        if self.over.is_some() {
            return;
        }
        let reset = self
            .wire
            .command(Stage::Reset, "RSET")
            .and_then(|reply| reply.expect(Stage::Reset, 2));
        if let Err(error) = reset {
            self.end(&error);
        }
    }

    /// Closes the connection: what was said last can no longer be taken back or completed.
    fn end(&mut self, why: &Error) {
        self.over = Some((why.kind(), why.stage(), why.to_string()));
        self.wire.close();
    }

    pub(crate) fn quit(mut self, total: Deadline) {
        const PATIENCE: Duration = Duration::from_secs(2);
        // A server that has begun to say something else gets no QUIT: one does not wait to hear it out.
        if self.over.is_none() && self.wire.is_silent() {
            self.wire.set_total(total.step(PATIENCE, "quit"));
            // Waiting for the answer to it "is just too ridiculous" (qmail).
            let _ = self
                .wire
                .say(Stage::Reset, "QUIT")
                .and_then(|()| self.wire.send(Stage::Reset));
        }
    }
}

/// What follows the recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Message,
    Nothing,
}

/// One command of a flight.
enum Step<'r> {
    Mail,
    Rcpt(&'r str),
    Data,
}

impl Step<'_> {
    fn stage(&self) -> Stage {
        match self {
            Step::Mail => Stage::Sender,
            Step::Rcpt(_) => Stage::Recipient,
            Step::Data => Stage::Data,
        }
    }
}

/// Blocks of a message on their way out. Remembers that the wire failed, to tell it from what the message is made of.
struct Blocks<'a> {
    wire: &'a mut Wire,
    length: u64,
    failure: Option<io::Error>,
}

impl Write for Blocks<'_> {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.wire.send_block(block) {
            let kind = error.kind();
            self.failure = Some(error);
            return Err(kind.into());
        }
        self.length += block.len() as u64;
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Looks at the clock before each piece of a message, which may come from a slow reader.
struct Punctual<W> {
    to: W,
    total: Deadline,
}

impl<W: Write> Write for Punctual<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.total.remaining()?;
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
#[path = "../tests/transcripts/memory.rs"]
mod transcripts;
