//! MAIL, RCPT, DATA for each message, RSET between, QUIT at the end.

use std::io::{self, Write};
use std::time::Duration;

use crate::error::Error;
use crate::message::envelope::{Content, Route};
use crate::receipt::{Receipt, Refusal};
use crate::reply::Reply;
use crate::smtp::dots::DotWriter;
use crate::smtp::login::Extensions;
use crate::smtp::wire::{Wire, is_mere_refusal};
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::{Deadline, Timeouts};

/// Most recipients in one flight. Their replies are read before the next goes out, so that neither side's buffers can
/// fill while both write.
const MAX_FLIGHT: usize = 100;

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

    pub(crate) fn timeouts(&self) -> &Timeouts {
        self.wire.timeouts()
    }

    /// There can be no further message.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_some()
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
    pub(crate) fn probe(
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
#[path = "../../tests/transcripts/memory.rs"]
mod transcripts;
