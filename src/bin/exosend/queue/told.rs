//! What is kept for a person to read, and when something was last told: in `state`, which may be lost.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::clock::Moment;
use super::spool::{STATE, Spool};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody reads more in a day, and one user's nonsense is not to fill the disk.
const LONGEST: usize = 64 * 1024;
/// Of what is said of one message.
const LONGEST_LINE: usize = 1000;

/// What is to be told.
pub(super) fn told(spool: &Spool) -> PathBuf {
    spool.path(STATE).join("digest")
}

/// Whose text says when something was.
pub(super) const TIME: &str = "digested";

/// Keeps a line for the next one. The log has it, too.
pub(super) fn add(spool: &Spool, line: &str) {
    let line = line.replace(char::is_control, " ");
    let line: String = line.chars().take(LONGEST_LINE).chain(['\n']).collect();
    let length = std::fs::metadata(told(spool)).map_or(0, |digest| digest.len());
    if usize::try_from(length).unwrap_or(LONGEST) + line.len() <= LONGEST {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(told(spool));
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Whether there is something to tell, and the last telling is a day ago.
pub(super) fn is_due(spool: &Spool) -> bool {
    let some = std::fs::metadata(told(spool)).is_ok_and(|digest| digest.len() > 0);
    some && is_a_day_ago(spool, TIME)
}

/// Whether what is told once a day has not been for as long. Its time is in `state`.
pub(super) fn is_a_day_ago(spool: &Spool, what: &str) -> bool {
    let last = std::fs::read_to_string(spool.path(STATE).join(what)).ok();
    let last = last.and_then(|last| Moment::parse(&last));
    let passed = last.and_then(|last| Moment::now().since(&last));
    passed.is_none_or(|passed| passed >= DAY)
}
