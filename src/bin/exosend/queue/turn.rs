//! The limits of `governor` for a message that is sent at once: it waits for its turn like those in the queue. Only root
//! and the owner of the spool can read the queue's state; other users' messages do not wait.

use std::time::{Duration, Instant};

use exosend::Error;

use super::clock;
use super::governor::{Governor, Slot};
use super::route;
use super::trouble;
use crate::config::Config;
use crate::exit::{self, Failure};

/// The right to use one connection.
pub(crate) struct Turn {
    governor: Governor,
    until: Instant,
    _slot: Slot,
}

impl Turn {
    /// Waits for a connection as long as `timeout` allows. `None` if there is no limit, or this user cannot read it.
    pub(crate) fn wait(config: &Config) -> Result<Option<Self>, Failure> {
        const OFTEN: Duration = Duration::from_millis(100);
        let spool = route::spool(config).filter(|spool| spool.is_there() && spool.may_manage());
        let Some(spool) = spool else { return Ok(None) };
        let governor = Governor::new(&spool, config.account.mailbox(), config.settings.limits);
        let day = Duration::from_secs(24 * 60 * 60);
        let until = Instant::now() + config.patience.min(day);
        if config.settings.limits.connections == 0 {
            return Ok(None);
        }
        loop {
            let mailbox = governor.read();
            let left = mailbox.held();
            // Only a throttle is waited for. With other troubles, such as a refused login, this message makes an attempt.
            let throttled = mailbox.trouble.filter(|trouble| trouble.is_a_throttle());
            if let Some(trouble) = throttled.filter(|_| Instant::now() + left > until) {
                return Err(too_soon(config.account.mailbox(), left, trouble.name()));
            }
            // No run has been here yet to make the folders of the connections.
            let Ok(slot) = governor.connection(&mailbox) else {
                return Ok(None);
            };
            match slot.filter(|_| throttled.is_none() || left.is_zero()) {
                Some(slot) => {
                    return Ok(Some(Self {
                        governor,
                        until,
                        _slot: slot,
                    }));
                }
                None if Instant::now() + OFTEN > until => {
                    return Err(too_soon(
                        config.account.mailbox(),
                        OFTEN,
                        "all connections are in use",
                    ));
                }
                None => drop(clock::sleep(OFTEN)),
            }
        }
    }

    /// Waits for the rate. To be called when the connection is open.
    pub(crate) fn begin(&self) -> Result<(), Failure> {
        while let Err(left) = self.governor.begin_message() {
            if Instant::now() + left > self.until || !clock::sleep(left) {
                return Err(too_soon(self.governor.address(), left, "rate"));
            }
        }
        Ok(())
    }

    /// Makes a throttle known to all processes.
    pub(crate) fn learn(&self, error: &Error) {
        let trouble = trouble::of(error).filter(|trouble| trouble.is_a_throttle());
        if let Some(trouble) = trouble {
            let words = error.to_string();
            self.governor.hold(trouble, &words, error.retry_after());
        }
    }
}

fn too_soon(mailbox: &str, left: Duration, why: &str) -> Failure {
    let seconds = left.as_secs() + 1;
    let what = format!("{mailbox}: not before {seconds} s from now: {why}");
    Failure::new(exit::TRY_AGAIN, what)
        .with_hint("exosend queue; the keys are `connections`, `rate`, `timeout`")
}
