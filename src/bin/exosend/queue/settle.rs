//! Where a message goes after an attempt: away, back into `queue` until its next attempt, or to `failed`.

use std::io;
use std::time::{Duration, Instant};

use exosend::{Error, Stage};

use super::attempt::{Attempt, Fate};
use super::clock::{Moment, Wait};
use super::connection::hold;
use super::fault;
use super::recover::{self, DOUBTFUL};
use super::run::Run;
use super::spool::{Name, QUEUE};
use super::state::{self, State};
use super::takeover::Entry;
use super::trouble::Trouble;
use crate::exit::Failure;
use crate::report::Outcome;

impl Run<'_> {
    /// `false` ends the run.
    pub(super) fn settle(&mut self, mut attempt: Attempt, fate: Fate) -> io::Result<bool> {
        let (path, id) = (attempt.path(), attempt.entry.name.id.clone());
        let log = &self.connection.log;
        match fate {
            Fate::Sent(outcome, left) => {
                // A message that the aliases throw away says nothing about the mailbox.
                if matches!(outcome, Outcome::Sent(_)) {
                    self.trouble = None;
                    self.connection.governor.note_success();
                }
                attempt.log(log, "sent", Some(&outcome), None);
                if left.is_empty() {
                    std::fs::remove_file(path)?;
                    fault::point("after unlink");
                    State::forget(self.spool, &id);
                } else {
                    attempt.state.left = left;
                    self.later(attempt, "some recipients are not served yet")?;
                }
            }
            Fate::Later(why) => {
                attempt.log(log, "deferred", None, Some(&why));
                self.later(attempt, why.what())?;
            }
            Fate::Never(why) => {
                log.give_up("failed", &id, &attempt.facts, &why);
                self.give_up(attempt, why.what())?;
            }
            Fate::Refused(why) => {
                attempt.log(log, "failed", None, Some(&why));
                self.give_up(attempt, why.what())?;
            }
            Fate::Doubtful(why) => {
                self.connection.session = None;
                attempt.log(log, "deferred", None, Some(&why));
                let name = recover::settle_in_doubt(self.spool, log, &path, &attempt.in_doubt())?;
                if let Some(name) = name {
                    self.enqueue(&attempt, name, DOUBTFUL);
                }
            }
            Fate::Broken => {
                self.connection.session = None;
                self.put_back(&attempt, Duration::ZERO)?;
            }
            Fate::Mailbox(trouble, why) => {
                self.hold_mailbox(attempt, trouble, why)?;
                // On a full disk the hold could not be written: going on would mean the next login at once.
                let is_held = !self.connection.governor.read().held().is_zero();
                return Ok(is_held && trouble != Trouble::Crowded);
            }
        }
        Ok(true)
    }

    /// Nothing is sent from the mailbox for a while. It does not count as an attempt of this message.
    fn hold_mailbox(
        &mut self,
        mut attempt: Attempt,
        trouble: Trouble,
        why: Failure,
    ) -> io::Result<()> {
        let pause = hold(
            &self.connection.governor,
            &self.connection.log,
            trouble,
            &why,
        );
        let midway = why.error().map(Error::stage) == Some(Stage::Data);
        let wait = match trouble == Trouble::Network && midway {
            // Perhaps it is this message that breaks the connection: others are tried before it.
            true => pause * 2,
            false => Duration::ZERO,
        };
        if !wait.is_zero() {
            attempt.state.wait = Some(Wait {
                since: Moment::now(),
                length: wait,
            });
            let _ = attempt.state.save(self.spool, &attempt.entry.name.id);
        }
        if let Some(session) = self.connection.session.take() {
            session.quit();
        }
        self.trouble = Some((trouble, why));
        self.put_back(&attempt, wait)
    }

    /// Puts a message off that failed for a reason of its own, or gives it up if it is too old.
    fn later(&mut self, mut attempt: Attempt, why: &str) -> io::Result<()> {
        let now = Moment::now();
        let state = &mut attempt.state;
        let age = state.first.as_ref().and_then(|first| now.since(first));
        if age.is_none() {
            state.first = Some(now.clone());
        }
        state.attempts = state.attempts.saturating_add(1);
        let length = state::pause(state.attempts);
        state.wait = Some(Wait { since: now, length });
        why.clone_into(&mut state.words);
        let saved = state.save(self.spool, &attempt.entry.name.id);
        if !attempt.state.left.is_empty() {
            // Without its state the message would go to all recipients again. So it stays in `work`: after a delivery to
            // some it is in doubt there, and sent to all a few times at most.
            saved?;
        }
        if age.is_some_and(|age| age >= self.connection.config.settings.queue_lifetime) {
            let name = &attempt.entry.name;
            let to = attempt.state.recipients(attempt.facts.to.clone());
            let over = format!("too old (queue_lifetime); last error: {why}");
            self.connection
                .log
                .failed(&name.id, attempt.entry.uid, to, &over);
            return self.give_up(attempt, why);
        }
        self.put_back(&attempt, length)
    }

    fn give_up(&self, mut attempt: Attempt, words: &str) -> io::Result<()> {
        words.clone_into(&mut attempt.state.words);
        let name = &attempt.entry.name;
        recover::give_up(self.spool, &attempt.path(), name, attempt.state)
    }

    pub(super) fn put_back(&mut self, attempt: &Attempt, wait: Duration) -> io::Result<()> {
        let name = &attempt.entry.name;
        let name = self.spool.put(&attempt.path(), name, QUEUE)?;
        self.enqueue(attempt, name, wait);
        Ok(())
    }

    /// This run may send it once more.
    fn enqueue(&mut self, attempt: &Attempt, name: Name, wait: Duration) {
        let entry = Entry {
            name,
            ..attempt.entry.clone()
        };
        self.waiting.push((entry, Instant::now() + wait));
    }
}
