//! What is known of a waiting message beside its file. If it is lost, as by a power cut, the message is tried at once, as
//! if it were new.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::clock::{Moment, Wait};
use super::spool::{STATE, Spool};
use crate::files;

/// Minutes between attempts; the last one for good.
const STEPS: [u64; 6] = [1, 2, 5, 15, 30, 60];

/// The pause after attempt `n`, counted from 1.
pub(crate) fn pause(attempt: u32) -> Duration {
    let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let minutes = STEPS.get(step).or(STEPS.last()).copied().unwrap_or(60);
    Duration::from_secs(60 * minutes)
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) attempts: u32,
    /// The first attempt that failed for a reason of the message's own: `queue_lifetime` counts from here.
    pub(crate) first: Option<Moment>,
    /// Until the next attempt.
    pub(crate) wait: Option<Wait>,
    /// The last error.
    pub(crate) words: String,
    /// The recipients that are left, if it is not all of them.
    pub(crate) left: Vec<String>,
    pub(crate) given_up: Option<Moment>,
}

impl State {
    fn path(spool: &Spool, id: &str) -> PathBuf {
        spool.path(STATE).join(id)
    }

    /// One that cannot be read counts as new.
    pub(crate) fn of(spool: &Spool, id: &str) -> Self {
        let text = files::read(&Self::path(spool, id)).unwrap_or_default();
        let mut state = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("attempts", value)) => state.attempts = value.parse().unwrap_or(0),
                Some(("first", value)) => state.first = Moment::parse(value),
                Some(("wait", value)) => state.wait = Wait::parse(value),
                Some(("words", value)) => value.clone_into(&mut state.words),
                Some(("left", value)) => state.left.push(value.to_owned()),
                Some(("given_up", value)) => state.given_up = Moment::parse(value),
                _ => {}
            }
        }
        state
    }

    /// Writes another file and renames it, so that no reader sees half of it.
    pub(crate) fn save(&self, spool: &Spool, id: &str) -> io::Result<()> {
        let mut text = format!("attempts {}\n", self.attempts);
        let first = self.first.iter().map(|first| format!("first {first}\n"));
        let wait = self.wait.iter().map(|wait| format!("wait {wait}\n"));
        let left = self.left.iter().map(|left| format!("left {left}\n"));
        let given_up = self
            .given_up
            .iter()
            .map(|then| format!("given_up {then}\n"));
        text.extend(first.chain(wait).chain(left).chain(given_up));
        let words = self.words.replace(char::is_control, " ");
        text.push_str(&format!("words {words}\n"));
        let path = Self::path(spool, id);
        let beside = path.with_extension("new");
        let mut file = files::create(&beside)?;
        file.write_all(text.as_bytes())?;
        if !self.left.is_empty() {
            // If this were lost, the message would go to all recipients again.
            file.sync_all()?;
        }
        std::fs::rename(beside, path)
    }

    /// The recipients of the next attempt, of all the message's.
    pub(crate) fn recipients(&self, all: Vec<String>) -> Vec<String> {
        match self.left.is_empty() {
            true => all,
            false => self.left.clone(),
        }
    }

    pub(crate) fn forget(spool: &Spool, id: &str) {
        let _ = std::fs::remove_file(Self::path(spool, id));
    }

    pub(crate) fn left_to_wait(&self, now: &Moment) -> Duration {
        self.wait
            .as_ref()
            .map_or(Duration::ZERO, |wait| wait.left(now))
    }
}

/// The states of all messages. Most messages have none, and no file is opened for them.
pub(crate) struct States<'s> {
    spool: &'s Spool,
    known: HashSet<String>,
}

impl<'s> States<'s> {
    /// To be called after the messages are listed: a message has its state before it comes back into `queue`.
    pub(crate) fn read(spool: &'s Spool) -> io::Result<Self> {
        let names = spool.names(&spool.path(STATE))?.into_iter();
        Ok(Self {
            spool,
            known: names.map(|name| name.id).collect(),
        })
    }

    pub(crate) fn of(&self, id: &str) -> State {
        match self.known.contains(id) {
            true => State::of(self.spool, id),
            false => State::default(),
        }
    }
}
