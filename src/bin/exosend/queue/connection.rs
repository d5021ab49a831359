//! The connection that a run sends over: the account, its limits, and the session.

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

pub(super) struct Connection<'a> {
    pub(super) config: &'a Config,
    pub(super) here: Here,
    pub(super) governor: Governor,
    pub(super) log: Log,
    pub(super) slot: Slot,
    pub(super) session: Option<Session>,
    pub(super) helper: Arc<Helper>,
}

impl Connection<'_> {
    pub(super) fn session(&mut self) -> Result<&mut Session, Error> {
        match &mut self.session {
            Some(session) => Ok(session),
            none => Ok(none.insert(Session::open(&self.config.account)?)),
        }
    }

    /// Sends a message. If that takes long, another run is started for those that wait.
    pub(super) fn send(&mut self, envelope: &Envelope, text: impl Read) -> Result<Receipt, Error> {
        let helper = Arc::clone(&self.helper);
        let session = self.session()?;
        helper.during(|| session.send_raw(envelope, text))
    }

    /// Waits until the rate allows another message. `false` if a test holds the clock.
    pub(super) fn pace(&self) -> bool {
        while let Err(wait) = self.governor.begin_message() {
            if !clock::sleep(wait) {
                return false;
            }
        }
        true
    }
}

/// Lets nothing be sent from the mailbox for a while, logs why, and returns how long.
pub(super) fn hold(governor: &Governor, log: &Log, trouble: Trouble, why: &Failure) -> Duration {
    let asked = why.error().and_then(Error::retry_after);
    let length = governor.hold(trouble, why.what(), asked);
    log.held(Some(trouble), length, governor.address(), why);
    length
}
