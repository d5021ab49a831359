//! One attempt to send one message, from its file to its fate.
//!
//! Recipients, From, and what depends on the server are decided in each attempt anew, so that a corrected configuration
//! counts for the messages that wait. Date, Message-ID and text are as `submit` wrote them.

use std::io::{self, Read};
use std::path::PathBuf;

use exosend::{Envelope, Error, ErrorKind, Refusal, Stage};

use super::connection::Connection;
use super::fault;
use super::file::{MOST_RECIPIENTS, Stored, TOO_MANY, Unreadable};
use super::log::Log;
use super::spool::{Name, Spool};
use super::state::State;
use super::takeover::Entry;
use super::trouble::{self, Trouble};
use crate::addressing::check_address;
use crate::complete::complete;
use crate::exit::{self, Failure};
use crate::recipients::Recipients;
use crate::report::{Facts, Outcome};
use crate::{head, input};

pub(super) struct Attempt {
    /// The message as it was when it was claimed.
    pub(super) entry: Entry,
    work: PathBuf,
    spool: Spool,
    /// The final dot is about to be sent, or has been: the file has its name `in_doubt` now.
    dot_sent: bool,
    pub(super) state: State,
    pub(super) facts: Facts,
}

/// A message that can be sent.
struct Ready {
    header: Vec<u8>,
    stored: Stored,
    /// Where the body begins in `stored.start`.
    body: usize,
    to: Vec<String>,
    /// Recipients for another attempt.
    later: Vec<String>,
}

/// How an attempt ended.
pub(super) enum Fate {
    /// With the recipients that are left for another attempt.
    Sent(Outcome, Vec<String>),
    Later(Failure),
    Never(Failure),
    /// For good, for each of its recipients; each has been reported.
    Refused(Failure),
    Doubtful(Failure),
    /// The connection had ended between two messages: neither the message's fault nor the mailbox's.
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
            dot_sent: false,
            state,
            facts,
        }
    }

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

    pub(super) fn path(&self) -> PathBuf {
        let name = match self.dot_sent {
            true => self.in_doubt(),
            false => self.entry.name.clone(),
        };
        self.work.join(name.to_string())
    }

    pub(super) fn make(&mut self, connection: &mut Connection<'_>) -> Fate {
        self.read(connection)
            .and_then(|ready| self.send(connection, ready))
            .unwrap_or_else(|fate| fate)
    }

    /// Reads the message and resolves its recipients.
    fn read(&mut self, connection: &Connection<'_>) -> Result<Ready, Fate> {
        let stored = Stored::open(&self.path()).map_err(|why| match why {
            Unreadable::Damaged(what) => Fate::Never(Failure::data(what)),
            Unreadable::Disk(error) => {
                Fate::Later(Failure::new(exit::TRY_AGAIN, error.to_string()))
            }
        })?;
        let (mut head, body) = head::split(&stored.start, stored.rest.is_none())
            .map_err(|what| Fate::Never(Failure::data(what)))?;
        let to = match self.state.left.is_empty() {
            true => &stored.addressing.to,
            false => &self.state.left,
        };
        if to.len() > MOST_RECIPIENTS {
            return Err(Fate::Never(Failure::data(TOO_MANY)));
        }
        let mut recipients = Recipients::new(connection.config, &connection.here);
        let reached = Reached::by(to, &mut recipients)
            .map_err(|failure| Fate::Mailbox(Trouble::Configuration, failure))?;
        self.facts.to.clone_from(&reached.now);
        if !reached.never.is_empty() {
            for (address, why) in &reached.never {
                self.refused(connection, address, why);
            }
            let left = [reached.now.as_slice(), &reached.later].concat();
            if !left.is_empty() {
                // The others are reported now, and must not be again.
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
        let addressing = &stored.addressing;
        self.facts.original_from = complete(
            &mut head,
            addressing,
            connection.config,
            &connection.here,
            &mut recipients,
        );
        self.facts.message_id = head.get("Message-ID").map(|id| id.trim().to_owned());
        Ok(Ready {
            header: head.text(),
            stored,
            body,
            to: reached.now,
            later: reached.later,
        })
    }

    fn send(&mut self, connection: &mut Connection<'_>, ready: Ready) -> Result<Fate, Fate> {
        let start = ready.stored.start.get(ready.body..).unwrap_or_default();
        let (size, text) = input::behind(ready.header, start, ready.stored.rest);
        self.facts.size = Some(size);
        let envelope = Envelope::new(connection.config.account.mailbox());
        let envelope = envelope.partial(true).size(size);
        let envelope = ready.to.iter().fold(envelope, Envelope::to);
        let used = connection.session.is_some();
        let mut later = ready.later;
        let fits = connection.config.account.check_envelope(&envelope);
        if let Err(error) = fits.and_then(|()| connection.session().map(drop)) {
            return Err(self.fate_of(connection, error, used, later));
        }
        if !connection.pace() {
            return Err(Fate::Broken);
        }
        if self.entry.name.doubts > 0 {
            self.log(&connection.log, "possible_duplicate", None, None);
        }
        fault::point("before mail");
        let text = FinalDot {
            text,
            from: self.path(),
            to: self.work.join(self.in_doubt().to_string()),
            dot_sent: &mut self.dot_sent,
        };
        match connection.send(&envelope, text) {
            Ok(receipt) => {
                fault::point("after 250");
                let refused = |to: &String| receipt.refused().iter().any(|no| no.address() == to);
                self.facts.to.retain(|to| !refused(to));
                later.extend(self.sort(connection, receipt.refused()));
                Ok(Fate::Sent(Outcome::Sent(receipt), later))
            }
            Err(error) => Err(self.fate_of(connection, error, used, later)),
        }
    }

    /// The fate that an error means. `used`: the session has sent a message before.
    fn fate_of(
        &mut self,
        connection: &mut Connection<'_>,
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
            return Fate::Mailbox(trouble, connection.config.blame(error.into()));
        }
        // After a refusal, the next message can use this connection.
        let refusal = matches!(
            error.kind(),
            ErrorKind::Refused | ErrorKind::Deferred | ErrorKind::Input
        );
        if !refusal {
            connection.session = None;
        }
        if !error.refused().is_empty() {
            later.extend(self.sort(connection, error.refused()));
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

    /// Reports the recipients that are refused for good, and returns the others.
    fn sort(&self, connection: &Connection<'_>, refused: &[Refusal]) -> Vec<String> {
        let mut later = Vec::new();
        for refusal in refused {
            match refusal.reply().is_transient() {
                true => later.push(refusal.address().to_owned()),
                false => {
                    let why = Failure::new(exit::NO_USER, format!("recipient {refusal}"));
                    self.refused(connection, refusal.address(), &why);
                }
            }
        }
        later
    }

    fn refused(&self, connection: &Connection<'_>, address: &str, why: &Failure) {
        let facts = Facts {
            to: vec![address.to_owned()],
            ..self.facts.clone()
        };
        connection
            .log
            .give_up("refused", &self.entry.name.id, &facts, why);
    }
}

fn is_changed(error: &Error) -> bool {
    error.to_string().contains(super::file::CHANGED)
}

/// The recipients, as aliases and configuration resolve them now.
#[derive(Default)]
struct Reached {
    now: Vec<String>,
    /// Names that lead nowhere until somebody corrects aliases or configuration.
    later: Vec<String>,
    /// Why the last of `later` leads nowhere.
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
                Err(failure) if failure.code() == exit::CONFIG && !recipients.have_aliases() => {
                    return Err(failure);
                }
                // A mistake in one alias does not hold up the other recipients.
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
        match check_address(&address) {
            Err(error) => self.never.push((address, error.into())),
            Ok(()) if self.now.contains(&address) => {}
            Ok(()) => self.now.push(address),
        }
    }
}

/// The text of the message. Its end is read just before the final dot is sent, from when on nobody can know whether the
/// message was delivered. So the end renames the file: if this run dies then, the next one sees it by the name.
struct FinalDot<'a, R> {
    text: R,
    from: PathBuf,
    to: PathBuf,
    dot_sent: &'a mut bool,
}

impl<R: Read> Read for FinalDot<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.text.read(into)?;
        if length == 0 && !into.is_empty() && !*self.dot_sent {
            fault::point("before dot");
            // Replaces no other message: nobody else writes into `work`.
            std::fs::rename(&self.from, &self.to)?;
            *self.dot_sent = true;
            fault::point("after rename");
        }
        fault::point("mid data");
        Ok(length)
    }
}
