//! What a run finds when it begins: messages that wait, what a dead run had in hand, and what nobody needs any more.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::clock::{Moment, Wait};
use super::drop::{Entry, is_known};
use super::fault;
use super::file::Head;
use super::governor::Slot;
use super::log::Log;
use super::spool::{DROP, FAILED, MOST_DOUBTS, Name, QUEUE, STATE, Spool};
use super::state::{State, States};
use super::told;
use crate::config::settings::MOST_CONNECTIONS;

/// Before a message whose fate is not known is sent again.
pub(super) const DOUBTFUL: Duration = Duration::from_secs(15 * 60);
/// How long what was given up is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The state of a message that is gone is of no use, and a message that is not gone is tried more often.
const FORGOTTEN: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Nothing to do: found out by looking into three folders.
pub(super) fn is_idle(spool: &Spool) -> io::Result<bool> {
    let is_empty = |path: PathBuf| match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        // No connection's folder, such as what an editor has left beside them.
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
    Ok(!told::is_due(spool))
}

/// What is in the queue, and when each is due.
pub(super) fn waiting(spool: &Spool, all_now: bool) -> io::Result<Vec<(Entry, Instant)>> {
    let (now, moment) = (Instant::now(), Moment::now());
    let mut waiting = Vec::new();
    let names = spool.names(&spool.path(QUEUE))?;
    let states = States::read(spool)?;
    for name in names {
        // Another run may have it by now.
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

/// What a dead run had in hand goes back; what may have arrived is sent again, but not at once, nor for ever.
pub(super) fn clear_work(spool: &Spool, log: &Log) -> io::Result<()> {
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
                _ => doubt(spool, log, &path, &name).map(drop),
            };
            if let Err(error) = moved {
                // It may be this file's alone.
                log.foreign(&path, &error.to_string());
            }
        }
    }
    Ok(())
}

/// A message that may have arrived: nobody can know (RFC 1047), and to lose it would be worse. Its name, if it waits for
/// another attempt.
pub(super) fn doubt(
    spool: &Spool,
    log: &Log,
    path: &Path,
    name: &Name,
) -> io::Result<Option<Name>> {
    let mut state = State::of(spool, &name.id);
    if name.doubts > MOST_DOUBTS {
        let uid = path.symlink_metadata()?.uid();
        let to = match state.left.is_empty() {
            true => Head::of(path)
                .map(|head| head.wishes.to)
                .unwrap_or_default(),
            false => state.left.clone(),
        };
        let why = "may have been delivered: each attempt ended without an answer to its last dot";
        log.failed(&name.id, uid, to, why);
        give_up(spool, path, name, state)?;
        return Ok(None);
    }
    state.wait = Some(Wait {
        since: Moment::now(),
        length: DOUBTFUL,
    });
    state.words = "may have been delivered: no answer to the last dot".into();
    // Without a state it is due at once, which is no worse than a duplicate can be.
    let _ = state.save(spool, &name.id);
    spool.put(path, name, QUEUE).map(Some)
}

/// Moves what has been told of: a run that dies in between tells twice, and nothing is given up untold. What stays of its
/// state is what a release needs, who has not got it yet, and when this was.
pub(super) fn give_up(spool: &Spool, path: &Path, name: &Name, state: State) -> io::Result<()> {
    fault::point("after telling");
    let State { words, left, .. } = state;
    let state = State {
        words,
        left,
        given_up: Some(Moment::now()),
        ..State::default()
    };
    // What is there instead names the same recipients.
    let _ = state.save(spool, &name.id);
    spool.put(path, name, FAILED).map(drop)
}

/// Once a day: removes what was given up a month ago, and the state of what is gone.
pub(super) fn sweep(spool: &Spool, log: &Log) -> io::Result<()> {
    if !log.once_a_day("swept") {
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
        // What a run that was killed has written beside it, too.
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
