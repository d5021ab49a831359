//! Recovers the messages of a run that died, and settles those of which nobody knows whether they were delivered.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::clock::{Moment, Wait};
use super::fault;
use super::file::Head;
use super::governor::Slot;
use super::log::Log;
use super::spool::{FAILED, MOST_DOUBTS, Name, QUEUE, Spool};
use super::state::State;
use crate::config::settings::MOST_CONNECTIONS;

/// How long a message in doubt waits before it is sent again.
pub(super) const DOUBTFUL: Duration = Duration::from_secs(15 * 60);

/// Puts back what a run that died had claimed.
pub(super) fn recover_work(spool: &Spool, log: &Log) -> io::Result<()> {
    for number in 1..=MOST_CONNECTIONS {
        let work = spool.work(number);
        if spool.names(&work)?.is_empty() {
            continue;
        }
        let Some(_slot) = Slot::take(spool, number)? else {
            continue;
        };
        for name in spool.names(&work)? {
            let path = work.join(name.to_string());
            let moved = match name.doubts {
                0 => spool.put(&path, &name, QUEUE).map(drop),
                _ => settle_in_doubt(spool, log, &path, &name).map(drop),
            };
            if let Err(error) = moved {
                // Perhaps only this file cannot be moved: go on with the next.
                log.foreign(&path, &error.to_string());
            }
        }
    }
    Ok(())
}

/// A message that may have been delivered, which nobody can find out (RFC 1047), is sent again, because a lost message is
/// worse than a duplicate; but not at once, nor for ever. Returns its name if it waits for another attempt.
pub(super) fn settle_in_doubt(
    spool: &Spool,
    log: &Log,
    path: &Path,
    name: &Name,
) -> io::Result<Option<Name>> {
    let mut state = State::of(spool, &name.id);
    if name.doubts > MOST_DOUBTS {
        let uid = path.symlink_metadata()?.uid();
        let all = Head::of(path).map(|head| head.addressing.to);
        let to = state.recipients(all.unwrap_or_default());
        let why = "may have been delivered: each attempt ended without a reply to the final dot";
        log.failed(&name.id, uid, to, why);
        give_up(spool, path, name, state)?;
        return Ok(None);
    }
    state.wait = Some(Wait {
        since: Moment::now(),
        length: DOUBTFUL,
    });
    state.words = "may have been delivered: no reply to the final dot".into();
    // If it cannot be saved, the message is due at once.
    let _ = state.save(spool, &name.id);
    spool.put(path, name, QUEUE).map(Some)
}

/// Moves a message to `failed`. The caller has reported it before: a run that dies in between reports it twice, but no
/// message is given up unreported. Its state keeps what a release needs: the recipients who have not got it.
pub(super) fn give_up(spool: &Spool, path: &Path, name: &Name, state: State) -> io::Result<()> {
    fault::point("after telling");
    let State { words, left, .. } = state;
    let state = State {
        words,
        left,
        given_up: Some(Moment::now()),
        ..State::default()
    };
    // If it cannot be saved, the older state names the same recipients.
    let _ = state.save(spool, &name.id);
    spool.put(path, name, FAILED).map(drop)
}
