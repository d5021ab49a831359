//! The one connection that a run has: whose account, at which pace, and the session over it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use exosend::{Envelope, Error, Receipt, Session};

use super::clock;
use super::governor::{Governor, Slot};
use super::helper::Helper;
use super::log::Log;
use super::trouble::Trouble;
use crate::config::Config;
use crate::exit::Failure;
use crate::local::Here;

pub(super) struct Line<'a> {
    pub(super) config: &'a Config,
    pub(super) here: Here,
    pub(super) governor: Governor,
    pub(super) log: Log,
    pub(super) slot: Slot,
    pub(super) session: Option<Session>,
    pub(super) helper: Arc<Helper>,
}

impl Line<'_> {
    pub(super) fn session(&mut self) -> Result<&mut Session, Error> {
        match &mut self.session {
            Some(session) => Ok(session),
            none => Ok(none.insert(Session::open(&self.config.account)?)),
        }
    }

    /// Sends over it, and lets another run see to the others if that takes long.
    pub(super) fn send(&mut self, envelope: &Envelope, text: impl Read) -> Result<Receipt, Error> {
        let helper = Arc::clone(&self.helper);
        let session = self.session()?;
        helper.during(|| session.send_raw(envelope, text))
    }

    /// Waits until the rate allows the message that is in hand. `false` where a test holds the clock.
    pub(super) fn pace(&self) -> bool {
        while let Err(wait) = self.governor.begin_message() {
            if !clock::sleep(wait) {
                return false;
            }
        }
        true
    }
}

/// Leaves the mailbox alone for a while, says why, and returns how long.
pub(super) fn hold(governor: &Governor, log: &Log, trouble: Trouble, why: &Failure) -> Duration {
    let asked = why.error().and_then(Error::retry_after);
    let length = governor.suffer(trouble, why.what(), asked);
    log.held(Some(trouble), length, governor.address(), why);
    length
}
