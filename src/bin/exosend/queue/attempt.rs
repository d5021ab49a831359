//! One attempt at one message: from the file in hand to what has become of it.
//!
//! Who it goes to, From, and what depends on the server are decided here and each time anew, so that a mended
//! configuration mends what waits. Date, Message-ID and the text are as they were when it was put in.

use std::io::{self, Read};
use std::path::PathBuf;

use exosend::{Envelope, Error, ErrorKind, Refusal, Stage};

use super::drop::Entry;
use super::fault;
use super::file::{MOST_RECIPIENTS, Stored, TOO_MANY, Unreadable};
use super::line::Line;
use super::log::Log;
use super::spool::{Name, Spool};
use super::state::State;
use super::trouble::{self, Trouble};
use crate::complete::complete;
use crate::exit::{self, Failure};
use crate::recipients::Recipients;
use crate::report::{Facts, Outcome};
use crate::wishes::could_be_right;
use crate::{head, input};

/// A message in hand.
pub(super) struct Attempt {
    /// As it was when it was claimed.
    pub(super) entry: Entry,
    work: PathBuf,
    spool: Spool,
    /// The message is in the server's hands, or on its way there: the file's name says so, should we die.
    over: bool,
    pub(super) state: State,
    pub(super) facts: Facts,
}

/// A message that can go out.
struct Ready {
    header: Vec<u8>,
    stored: Stored,
    /// Where it begins in what is stored.
    body: usize,
    to: Vec<String>,
    later: Vec<String>,
}

/// What has become of it.
pub(super) enum Fate {
    /// With recipients who have to wait for another attempt.
    Sent(Outcome, Vec<String>),
    Later(Failure),
    Never(Failure),
    /// By each of its recipients, all of whom have been told of.
    Refused(Failure),
    Doubtful(Failure),
    /// The connection had ended while it was not used: not the message's fault, nor the mailbox's.
    Broken,
    Mailbox(Trouble, Failure),
}

impl Attempt {
    pub(super) fn new(entry: Entry, work: PathBuf, spool: &Spool, mailbox: &str) -> Self {
        let facts = Facts {
            uid: Some(entry.uid),
            from: mailbox.to_owned(),
            ..Facts::default()
        };
        let state = State::of(spool, &entry.name.id);
        Self {
            entry,
            work,
            spool: spool.clone(),
            over: false,
            state,
            facts,
        }
    }

    /// A line in the log.
    pub(super) fn log(
        &self,
        log: &Log,
        event: &str,
        outcome: Option<&Outcome>,
        why: Option<&Failure>,
    ) {
        log.event(event, &self.entry.name.id, &self.facts, outcome, why);
    }

    /// Its name when the outcome of this attempt is in doubt.
    pub(super) fn in_doubt(&self) -> Name {
        let Name { id, doubts } = self.entry.name.clone();
        Name {
            id,
            doubts: doubts + 1,
        }
    }

    /// Where it is now.
    pub(super) fn path(&self) -> PathBuf {
        let name = match self.over {
            true => self.in_doubt(),
            false => self.entry.name.clone(),
        };
        self.work.join(name.to_string())
    }

    pub(super) fn make(&mut self, line: &mut Line<'_>) -> Fate {
        self.read(line)
            .and_then(|ready| self.send(line, ready))
            .unwrap_or_else(|fate| fate)
    }

    /// The message, and where its recipients are now.
    fn read(&mut self, line: &Line<'_>) -> Result<Ready, Fate> {
        let stored = Stored::open(&self.path()).map_err(|why| match why {
            Unreadable::Damaged(what) => Fate::Never(Failure::data(what)),
            Unreadable::Disk(error) => {
                Fate::Later(Failure::new(exit::TRY_AGAIN, error.to_string()))
            }
        })?;
        let (mut head, body) = head::split(&stored.start, stored.rest.is_none())
            .map_err(|what| Fate::Never(Failure::data(what)))?;
        let to = match self.state.left.is_empty() {
            true => &stored.wishes.to,
            false => &self.state.left,
        };
        if to.len() > MOST_RECIPIENTS {
            return Err(Fate::Never(Failure::data(TOO_MANY)));
        }
        let mut recipients = Recipients::new(line.config, &line.here);
        let reached = Reached::by(to, &mut recipients)
            .map_err(|failure| Fate::Mailbox(Trouble::Configuration, failure))?;
        self.facts.to.clone_from(&reached.now);
        if !reached.never.is_empty() {
            for (address, why) in &reached.never {
                self.refused(line, address, why);
            }
            let left = [reached.now.as_slice(), &reached.later].concat();
            if !left.is_empty() {
                // Once, whatever becomes of the others now.
                self.state.left = left;
                let _ = self.state.save(&self.spool, &self.entry.name.id);
            }
        }
        match (reached.now.is_empty(), reached.why) {
            (false, _) => {}
            (true, Some(why)) => return Err(Fate::Later(why)),
            (true, None) if reached.never.is_empty() => {
                return Err(Fate::Sent(Outcome::ThrownAway, Vec::new()));
            }
            (true, None) => return Err(Fate::Refused(Failure::data("no recipient is left"))),
        }
        let wishes = &stored.wishes;
        self.facts.original_from =
            complete(&mut head, wishes, line.config, &line.here, &mut recipients);
        self.facts.message_id = head.get("Message-ID").map(|id| id.trim().to_owned());
        Ok(Ready {
            header: head.text(),
            stored,
            body,
            to: reached.now,
            later: reached.later,
        })
    }

    fn send(&mut self, line: &mut Line<'_>, ready: Ready) -> Result<Fate, Fate> {
        let start = ready.stored.start.get(ready.body..).unwrap_or_default();
        let (size, text) = input::behind(ready.header, start, ready.stored.rest);
        self.facts.size = Some(size);
        let envelope = Envelope::new(line.config.account.mailbox());
        let envelope = envelope.partial(true).size(size);
        let envelope = ready.to.iter().fold(envelope, Envelope::to);
        let used = line.session.is_some();
        let mut later = ready.later;
        let fits = line.config.account.check_envelope(&envelope);
        if let Err(error) = fits.and_then(|()| line.session().map(drop)) {
            return Err(self.judge(line, error, used, later));
        }
        if !line.pace() {
            return Err(Fate::Broken);
        }
        if self.entry.name.doubts > 0 {
            self.log(&line.log, "possible_duplicate", None, None);
        }
        fault::point("before mail");
        let text = LastDot {
            text,
            from: self.path(),
            to: self.work.join(self.in_doubt().to_string()),
            over: &mut self.over,
        };
        match line.send(&envelope, text) {
            Ok(receipt) => {
                fault::point("after 250");
                let refused = |to: &String| receipt.refused().iter().any(|no| no.address() == to);
                self.facts.to.retain(|to| !refused(to));
                later.extend(self.sort(line, receipt.refused()));
                Ok(Fate::Sent(Outcome::Sent(receipt), later))
            }
            Err(error) => Err(self.judge(line, error, used, later)),
        }
    }

    /// What an error makes of the message. `used`: the session has sent before.
    fn judge(
        &mut self,
        line: &mut Line<'_>,
        error: Error,
        used: bool,
        mut later: Vec<String>,
    ) -> Fate {
        if error.in_doubt() {
            return Fate::Doubtful(error.into());
        }
        let between = matches!(
            error.stage(),
            Stage::Sender | Stage::Recipient | Stage::Data | Stage::Reset
        );
        if used && between && error.kind() == ErrorKind::Network {
            return Fate::Broken;
        }
        if let Some(trouble) = trouble::of(&error) {
            return Fate::Mailbox(trouble, line.config.blame(error.into()));
        }
        // The others go on over this connection if a refusal was all.
        let refusal = matches!(
            error.kind(),
            ErrorKind::Refused | ErrorKind::Deferred | ErrorKind::Input
        );
        if !refusal {
            line.session = None;
        }
        if !error.refused().is_empty() {
            later.extend(self.sort(line, error.refused()));
            if later.is_empty() {
                return Fate::Refused(error.into());
            }
            self.state.left = later;
            return Fate::Later(error.into());
        }
        match error.is_transient() || error.kind() == ErrorKind::Body && !is_changed(&error) {
            true => Fate::Later(error.into()),
            false => Fate::Never(error.into()),
        }
    }

    /// Tells of those who are refused for good, and returns those who are not.
    fn sort(&self, line: &Line<'_>, refused: &[Refusal]) -> Vec<String> {
        let mut later = Vec::new();
        for refusal in refused {
            match refusal.reply().is_transient() {
                true => later.push(refusal.address().to_owned()),
                false => {
                    let why = Failure::new(exit::NO_USER, format!("recipient {refusal}"));
                    self.refused(line, refusal.address(), &why);
                }
            }
        }
        later
    }

    fn refused(&self, line: &Line<'_>, address: &str, why: &Failure) {
        let facts = Facts {
            to: vec![address.to_owned()],
            ..self.facts.clone()
        };
        line.log
            .give_up("refused", &self.entry.name.id, &facts, why);
    }
}

fn is_changed(error: &Error) -> bool {
    error.to_string().contains(super::file::CHANGED)
}

/// Where the recipients are, as the configuration has it now.
#[derive(Default)]
struct Reached {
    now: Vec<String>,
    /// Names that lead nowhere, for as long as nobody says where to.
    later: Vec<String>,
    why: Option<Failure>,
    /// What is no address.
    never: Vec<(String, Failure)>,
}

impl Reached {
    fn by(to: &[String], recipients: &mut Recipients<'_>) -> Result<Self, Failure> {
        let mut reached = Self::default();
        for to in to {
            match recipients.resolve(std::slice::from_ref(to)) {
                Ok(addresses) => addresses
                    .into_iter()
                    .for_each(|address| reached.add(address)),
                Err(failure) if failure.code() == exit::CONFIG && !recipients.know_aliases() => {
                    return Err(failure);
                }
                // One alias that cannot be right is no reason for the others to wait.
                Err(failure) if [exit::NO_USER, exit::CONFIG].contains(&failure.code()) => {
                    reached.later.push(to.clone());
                    reached.why = Some(failure);
                }
                Err(failure) => reached.never.push((to.clone(), failure)),
            }
        }
        Ok(reached)
    }

    fn add(&mut self, address: String) {
        match could_be_right(&address) {
            Err(error) => self.never.push((address, error.into())),
            Ok(()) if self.now.contains(&address) => {}
            Ok(()) => self.now.push(address),
        }
    }
}

/// A text whose end is the last moment before the final dot. From there on nobody can know whether the message has
/// arrived, so the file's name says it first: a run that dies leaves it behind.
struct LastDot<'a, R> {
    text: R,
    from: PathBuf,
    to: PathBuf,
    over: &'a mut bool,
}

impl<R: Read> Read for LastDot<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.text.read(into)?;
        fault::point("mid data");
        if length == 0 && !into.is_empty() && !*self.over {
            fault::point("before dot");
            // Within our own folder, where no other name can be in the way.
            std::fs::rename(&self.from, &self.to)?;
            *self.over = true;
            fault::point("after rename");
        }
        Ok(length)
    }
}
