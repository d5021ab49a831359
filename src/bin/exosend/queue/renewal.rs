//! The renewal of a user's login, which expires when it is not used for 90 days: a machine that seldom sends has to renew
//! it. One run a day looks whether it is a week old; the other idle runs need not read the configuration.

use std::time::{Duration, SystemTime};

use exosend::{Token, login};

use super::log::Log;
use super::spool::Spool;
use crate::config::{Config, LOGIN};
use crate::exit::Failure;

/// The file in the spool whose time says when a run has looked.
const SEEN: &str = "login.seen";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whether this run has to look, which is once a day; the first run of all only begins the day.
pub(super) fn is_due(spool: &Spool) -> bool {
    let seen = std::fs::metadata(spool.path(SEEN)).and_then(|mark| mark.modified());
    let due = seen.map(|last| is_past(last, DAY));
    if !matches!(due, Ok(false)) {
        let _ = spool.mark(SEEN);
    }
    due.unwrap_or(false)
}

/// A time in the future counts, too: the clock was wrong.
fn is_past(time: SystemTime, age: Duration) -> bool {
    time.elapsed().map_or(true, |passed| passed >= age)
}

/// A failure is logged, and the renewal tried again the next day.
pub(super) fn renew(config: &Config, log: &Log) {
    if config.credential() != Some(LOGIN) {
        return;
    }
    let old = |login: &login::Login| is_past(login.renewed(), WEEK);
    let renewed = match login::kept(&config.account) {
        Ok(login) if !login.as_ref().is_some_and(old) => return,
        Ok(_) => Token::fetch(&config.account),
        Err(error) => Err(error),
    };
    match renewed {
        Ok(_) => log.note("event=login text=\"renewed\""),
        Err(error) => {
            let failure = config.blame(Failure::from(error));
            log.failure("login", "", &failure, true);
        }
    }
}
