//! What a run looks for before it sends: whether there is anything to do, which messages wait, and once a day what
//! nobody needs any more.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::clock::Moment;
use super::log::Log;
use super::notices;
use super::spool::{DROP, FAILED, Name, QUEUE, STATE, Spool};
use super::state::{State, States};
use super::takeover::{Entry, is_known};

/// How long a message that was given up is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A state is removed if its message is gone and it is older than this. A message that is just being moved, which
/// `is_known` could miss, has a younger one.
const FORGOTTEN: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Whether there is nothing to do, by looking into three folders only: timers start a run each minute.
pub(super) fn is_idle(spool: &Spool) -> io::Result<bool> {
    let is_empty = |path: PathBuf| match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        // A file beside the folders of the connections, such as an editor leaves.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        Err(error) => Err(error),
    };
    if !is_empty(spool.path(DROP))? || !is_empty(spool.path(QUEUE))? {
        return Ok(false);
    }
    for entry in std::fs::read_dir(spool.path("work"))? {
        if !is_empty(entry?.path())? {
            return Ok(false);
        }
    }
    Ok(!notices::is_due(spool))
}

/// The messages in `queue`, and when each is due.
pub(super) fn waiting(spool: &Spool, all_now: bool) -> io::Result<Vec<(Entry, Instant)>> {
    let (now, moment) = (Instant::now(), Moment::now());
    let mut waiting = Vec::new();
    let names = spool.names(&spool.path(QUEUE))?;
    let states = States::read(spool)?;
    for name in names {
        // Another run may have claimed it by now.
        let Ok(metadata) = spool.path(QUEUE).join(name.to_string()).symlink_metadata() else {
            continue;
        };
        let wait = match all_now {
            true => Duration::ZERO,
            false => states.of(&name.id).left_to_wait(&moment),
        };
        waiting.push((Entry::new(name, &metadata), now + wait));
    }
    Ok(waiting)
}

/// Once a day: removes what was given up a month ago, and the state of messages that are gone.
pub(super) fn sweep(spool: &Spool, log: &Log) -> io::Result<()> {
    if !notices::once_a_day(spool, "swept") {
        return Ok(());
    }
    let now = Moment::now();
    let changed = |path: &Path| {
        let ctime = path.symlink_metadata().ok()?.ctime();
        Some(Moment::by_wall(u64::try_from(ctime).ok()?))
    };
    let is_past = |then: Option<Moment>, age: Duration| {
        let passed = then.and_then(|then| now.since(&then));
        passed.is_some_and(|passed| passed > age)
    };
    for name in spool.names(&spool.path(FAILED))? {
        let path = spool.path(FAILED).join(name.to_string());
        let given_up = State::of(spool, &name.id).given_up;
        if is_past(given_up.or_else(|| changed(&path)), KEPT) && std::fs::remove_file(path).is_ok()
        {
            log.note(&format!(
                "event=removed id={} text=\"given up a month ago\"",
                name.id
            ));
        }
    }
    for entry in std::fs::read_dir(spool.path(STATE))?.flatten() {
        let path = entry.path();
        // Also of `ID.new`, which a run that was killed may leave.
        let id = path.file_stem().and_then(OsStr::to_str);
        let gone = id
            .and_then(Name::parse)
            .filter(|name| !is_known(spool, &name.id));
        if gone.is_some() && is_past(changed(&path), FORGOTTEN) {
            let _ = std::fs::remove_file(path);
        }
    }
    Ok(())
}
