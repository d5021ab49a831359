//! MAIL, RCPT, DATA for each message, RSET between, QUIT at the end.

use std::io;

use crate::error::Error;
use crate::flow::Sink;
use crate::message::envelope::{Content, Route};
use crate::receipt::{Receipt, Refusal};
use crate::reply::Reply;
use crate::smtp::dots::DotWriter;
use crate::smtp::flight::{Accepted, Command, Next, Over, Stop, judge};
use crate::smtp::login::{Extensions, LoggedIn};
use crate::smtp::wire::Wire;
use crate::stage::Stage;
use crate::timeouts::{Deadline, Timeouts};

/// Most commands in one flight. Their replies are read before the next goes out, so that neither side's buffers can fill
/// while both write.
const MAX_FLIGHT: usize = 128;

/// What writes a message.
type Writer<'w> = dyn FnMut(&mut dyn Sink) -> io::Result<()> + 'w;

/// The conversation after the login.
pub(crate) struct Dialogue {
    wire: Wire,
    offers: Extensions,
    over: Option<Over>,
}

impl Dialogue {
    pub(crate) fn new(logged_in: LoggedIn) -> Self {
        let LoggedIn { wire, offers } = logged_in;
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
        write: &mut Writer<'_>,
    ) -> Result<Receipt, Error> {
        let mail = self.begin(route, content, total)?;
        let sent = self.open_envelope(&mail, route).and_then(|refused| {
            let reply = self.send_body(write)?;
            Ok(Receipt {
                reply,
                message_id: None,
                refused,
            })
        });
        self.settle(sent, Next::Nothing)
    }

    /// MAIL and RCPT, and RSET instead of a message.
    pub(crate) fn probe(
        &mut self,
        route: &Route,
        content: Content<'_>,
        total: Deadline,
    ) -> Result<Vec<Refusal>, Error> {
        let mail = self.begin(route, content, total)?;
        let asked = self.ask(&mail, route, Then::Nothing);
        self.settle(asked.map(|accepted| accepted.refused), Next::Reset)
    }

    /// Starts the clock for one message, and returns the command it begins with. Until the message is settled, the
    /// session is over: a panic of the caller's reader leaves the server waiting for the rest of the message, and whatever
    /// was said next would be taken for it.
    fn begin(
        &mut self,
        route: &Route,
        content: Content<'_>,
        total: Deadline,
    ) -> Result<String, Error> {
        if let Some(Over { stage, text }) = &self.over {
            return Err(Error::broken(*stage, text));
        }
        self.wire.set_total(total);
        let mail = self.mail_command(route, content)?;
        self.over = Some(Over {
            stage: Stage::Body,
            text: "a panic in the middle of a message".into(),
        });
        Ok(mail)
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
        let mut addresses = std::iter::once(&route.from)
            .chain(&route.to)
            .map(String::as_str)
            .chain(content.international);
        let foreign = addresses.find(|address| !address.is_ascii());
        // Bytes over 127 go out even where 8BITMIME is not offered, against RFC 6152 3: every server in use takes them, and
        // to refuse or to re-encode somebody's ready text would be worse. A header with an address beyond ASCII has such bytes.
        if (content.maybe_8bit || foreign.is_some()) && self.offers.eight_bit_mime {
            command.push_str(" BODY=8BITMIME");
        }
        if let Some(address) = foreign {
            if !self.offers.smtp_utf8 {
                let what = "the server takes ASCII addresses only (no SMTPUTF8); a domain can be written in its xn-- form";
                return Err(Error::input(Stage::Message, &format!("<{address}>"), what));
            }
            command.push_str(" SMTPUTF8");
        }
        Ok(command)
    }

    /// MAIL, RCPT and DATA. Ends with the server waiting for the message, and returns the recipients it refused.
    fn open_envelope(&mut self, mail: &str, route: &Route) -> Result<Vec<Refusal>, Stop> {
        let Accepted { refused, go_ahead } = self.ask(mail, route, Then::Message)?;
        if !go_ahead {
            self.wire
                .command(Stage::Data, "DATA")?
                .expect(Stage::Data, 3)?;
        }
        Ok(refused)
    }

    /// MAIL and RCPT, and DATA where it can go along.
    ///
    /// Once the server has said 354 there is no way back but to send something. So DATA goes along only where the
    /// recipients' replies cannot change what is sent: one recipient, or delivery to those accepted.
    fn ask(&mut self, mail: &str, route: &Route, then: Then) -> Result<Accepted, Stop> {
        let pipelining = self.offers.pipelining;
        let along = pipelining && then == Then::Message && (route.partial || route.to.len() == 1);
        let commands: Vec<_> = std::iter::once(Command::Mail(mail))
            .chain(route.to.iter().map(|address| Command::Rcpt(address)))
            .chain(along.then_some(Command::Data))
            .collect();
        let (mut heard, mut lost) = (Vec::new(), None);
        for flight in commands.chunks(if pipelining { MAX_FLIGHT } else { 1 }) {
            lost = self.converse(flight, &mut heard).err();
            let sender_refused = heard.first().is_some_and(|reply| reply.class() != 2);
            if lost.is_some() || sender_refused {
                break;
            }
        }
        judge(route, heard, lost)
    }

    /// Says the commands of one flight, and reads a reply to each.
    fn converse(&mut self, flight: &[Command<'_>], heard: &mut Vec<Reply>) -> Result<(), Error> {
        for command in flight {
            self.wire.say(command.stage(), &command.to_string())?;
        }
        let stage = flight.first().map_or(Stage::Data, Command::stage);
        self.wire.send(stage)?;
        for command in flight {
            let reply = self.wire.reply(command.stage());
            let reply = reply.and_then(|reply| command.answered(reply));
            heard.push(reply.map_err(|error| command.named_in(error))?);
        }
        Ok(())
    }

    /// The message, its final dot, and the reply to it.
    fn send_body(&mut self, write: &mut Writer<'_>) -> Result<Reply, Stop> {
        // An unfinished message ends the session: the server could take a command for a line of it.
        self.write_body(write).map_err(Stop::for_good)?;
        let reply = self.wire.reply(Stage::Accept).map_err(Error::doubtful)?;
        if let Some(more) = self.wire.surplus() {
            // One of them was said before the final dot was read, and nobody can tell which.
            let what = format!("two replies to one message: {reply}, and {more}");
            return Err(Error::protocol(Stage::Accept, what).doubtful().into());
        }
        match reply.class() {
            3 => Err(Error::reply_to(Stage::Accept, reply).doubtful().into()),
            _ => Ok(reply.expect(Stage::Accept, 2)?),
        }
    }

    /// The message to its final dot.
    fn write_body(&mut self, write: &mut Writer<'_>) -> Result<(), Error> {
        self.wire.expect_silence(Stage::Body)?;
        let total = self.wire.total();
        let mut blocks = BlockWriter {
            wire: &mut self.wire,
            length: 0,
            failure: None,
        };
        let mut body = DeadlineWriter {
            to: DotWriter::new(&mut blocks),
            total,
        };
        let written = write(&mut body);
        let last = body.to.finish();
        let length = blocks.length + last.len() as u64;
        if let Some(error) = blocks.failure.take().or(total.remaining().err()) {
            return Err(self
                .wire
                .last_words(Stage::Body, &error)
                .unwrap_or_else(|| Error::io(Stage::Body, error)));
        }
        // Without the final dot the server discards what it has.
        written.map_err(Error::body)?;
        // A reply that is there already would be taken for the one to the final dot.
        self.wire.look_for_silence(Stage::Body)?;

        // From here until the reply, a lost connection leaves the outcome unknown.
        if let Err(error) = self.wire.send_block(&last) {
            let refusal = self.wire.last_words(Stage::Accept, &error);
            return Err(refusal.unwrap_or_else(|| Error::io(Stage::Accept, error).doubtful()));
        }
        self.wire.sent_message(length);
        Ok(())
    }

    /// Does what the end of a message leaves to do, after which the next one may follow, or the session is over.
    fn settle<T>(&mut self, result: Result<T, Stop>, done: Next) -> Result<T, Error> {
        let (result, next) = match result {
            Ok(value) => (Ok(value), done),
            Err(Stop { why, next }) => (Err(why), next),
        };
        let settled = match next {
            Next::Nothing => Ok(()),
            Next::Reset => self.reset(),
            Next::LoneDot => self.lone_dot(),
            Next::End(over) => Err(over),
        };
        self.over = settled.err();
        if self.is_over() {
            self.wire.close();
        }
        result
    }

    fn reset(&mut self) -> Result<(), Over> {
        self.wire
            .command(Stage::Reset, "RSET")
            .and_then(|reply| reply.expect(Stage::Reset, 2))
            .map(drop)
            .map_err(|error| Over::from(&error))
    }

    fn lone_dot(&mut self) -> Result<(), Over> {
        self.wire
            .command(Stage::Accept, ".")
            .map_err(|error| Over::from(&error))?;
        self.reset()
    }
}

/// What follows the recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Message,
    Nothing,
}

/// Sends a message's blocks. Keeps a failure of the wire, to tell it from one of the message's source.
struct BlockWriter<'a> {
    wire: &'a mut Wire,
    length: u64,
    failure: Option<io::Error>,
}

impl Sink for &mut BlockWriter<'_> {
    fn write_all(&mut self, block: &[u8]) -> io::Result<()> {
        if let Err(error) = self.wire.send_block(block) {
            let kind = error.kind();
            self.failure = Some(error);
            return Err(kind.into());
        }
        self.length += block.len() as u64;
        Ok(())
    }
}

/// Looks at the clock before each piece of a message: a slow reader may take long to fill a block.
struct DeadlineWriter<W> {
    to: W,
    total: Deadline,
}

impl<W: Sink> Sink for DeadlineWriter<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.total.remaining()?;
        self.to.write_all(bytes)
    }
}

#[cfg(test)]
#[path = "../../tests/transcripts/memory.rs"]
mod transcripts;
