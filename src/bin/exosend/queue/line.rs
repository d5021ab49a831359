//! The one connection that a run has: whose account, at which pace, and the session over it.

use exosend::{Error, Session};

use super::clock;
use super::governor::{Governor, Slot};
use super::log::Log;
use crate::config::Config;

pub(super) struct Line<'a> {
    pub(super) config: &'a Config,
    pub(super) governor: Governor,
    pub(super) log: Log,
    pub(super) slot: Slot,
    pub(super) session: Option<Session>,
}

impl Line<'_> {
    pub(super) fn session(&mut self) -> Result<&mut Session, Error> {
        match &mut self.session {
            Some(session) => Ok(session),
            none => Ok(none.insert(Session::open(&self.config.account)?)),
        }
    }

    /// Waits for the rate's sake, in hand of the message. `false` where a test holds the clock.
    pub(super) fn pace(&self) -> bool {
        while let Err(wait) = self.governor.begin_message() {
            if !clock::sleep(wait) {
                return false;
            }
        }
        true
    }
}
