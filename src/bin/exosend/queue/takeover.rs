//! The takeover of messages from `drop`, where any user may make anything under any name.

use std::fs::{DirEntry, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};

use super::clock::Moment;
use super::fault;
use super::file::{self, Head};
use super::log::Log;
use super::notices;
use super::spool::{self, DROP, FAILED, HELD, MOST_DOUBTS, Name, QUEUE, Spool};
use crate::config::settings::MOST_CONNECTIONS;

/// The age at which an unfinished message is removed if no writer holds its lock. Its caller was never told that it was
/// queued.
const ABANDONED: Duration = Duration::from_secs(60 * 60);
/// The same for one that cannot be opened, whose lock is not known.
const ABANDONED_UNREADABLE: Duration = Duration::from_secs(36 * 60 * 60);
/// A run waits for the end of a message that was begun within this time.
const JUST_BEGUN: Duration = Duration::from_secs(2);

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When it was written. The first field, because comparing it is enough for most of ten thousand.
    pub(crate) written: (i64, i64),
    pub(crate) uid: u32,
    pub(crate) name: Name,
}

impl Entry {
    pub(crate) fn new(name: Name, metadata: &Metadata) -> Self {
        Self {
            name,
            uid: metadata.uid(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Takeover {
    pub(crate) taken: Vec<Entry>,
    /// Somebody has just begun to write another message.
    pub(crate) writing: bool,
}

/// Takes over the messages that are complete, and removes those that never will be.
pub(crate) fn take_over(spool: &Spool, log: &Log) -> io::Result<Takeover> {
    let mut takeover = Takeover::default();
    let now = Moment::now().wall();
    for entry in std::fs::read_dir(spool.path(DROP))? {
        // Another run may have taken it.
        let Ok(entry) = entry else { continue };
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            // Not ours, and perhaps full of files: it is reported, not removed.
            let path = entry.path();
            if notices::once_a_day(spool, "folder") {
                log.foreign(&path, "a folder in drop: rm -r it");
            }
        } else if !metadata.is_file() {
            log.foreign(&entry.path(), "no file: removed");
            let _ = std::fs::remove_file(entry.path());
        } else if file::is_committed(metadata.mode()) {
            match take(spool, log, &entry) {
                Ok(taken) => takeover.taken.extend(taken),
                // Perhaps only this file cannot be moved: go on with the next.
                Err(error) => log.foreign(&entry.path(), &error.to_string()),
            }
        } else {
            takeover.writing |= clear_away(&entry.path(), &metadata, now);
        }
    }
    Ok(takeover)
}

/// Moves a message out of its writer's reach, and only then checks what it is.
fn take(spool: &Spool, log: &Log, entry: &DirEntry) -> io::Result<Option<Entry>> {
    let fresh = || Name {
        id: spool::new_id(),
        doubts: 0,
    };
    let name = entry.file_name().to_str().and_then(Name::parse);
    let name = name
        .filter(|name| name.doubts == 0 && !is_known(spool, &name.id))
        .unwrap_or_else(fresh);
    let name = match spool.put(&entry.path(), &name, QUEUE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        name => name?,
    };
    fault::point("after takeover");
    let path = spool.path(QUEUE).join(name.to_string());
    let opened = file::read_only(&path).and_then(|file| file.metadata());
    let Some(metadata) = opened.ok().filter(|opened| spool.trusts(opened)) else {
        let uid = path.symlink_metadata()?.uid();
        let why = "not a file that exosend made for the service";
        // Reported before it is moved: a run that dies in between reports it twice, but never not at all.
        log.failed(&name.id, uid, Vec::new(), why);
        fault::point("after telling");
        spool.put(&path, &name, FAILED)?;
        return Ok(None);
    };
    if let Some(head) = Head::of(&path) {
        log.queued(&name.id, metadata.uid(), head, metadata.len());
    }
    Ok(Some(Entry::new(name, &metadata)))
}

/// Whether a message of that id is in the queue already. Ids are random, but a user can copy one from a Message-ID.
pub(super) fn is_known(spool: &Spool, id: &str) -> bool {
    let folders = [QUEUE, HELD, FAILED].map(|folder| spool.path(folder));
    let work = (1..=MOST_CONNECTIONS).map(|n| spool.work(n));
    // `queue` once more at the end: the message may go back there from `work` meanwhile.
    let again = spool.path(QUEUE);
    folders
        .into_iter()
        .chain(work)
        .chain([again])
        .any(|folder| {
            let mut names = (0..=MOST_DOUBTS + 1).map(|doubts| Name {
                id: id.to_owned(),
                doubts,
            });
            names.any(|name| folder.join(name.to_string()).symlink_metadata().is_ok())
        })
}

/// Removes an unfinished message that nobody writes any more. Returns whether it has just been begun.
fn clear_away(path: &Path, metadata: &Metadata, now: SystemTime) -> bool {
    let changed = UNIX_EPOCH + Duration::from_secs(metadata.ctime().try_into().unwrap_or(0));
    let Ok(age) = now.duration_since(changed) else {
        // The clock has been set back: the file could count as just begun for years.
        return false;
    };
    let abandoned = match file::read_only(path) {
        Ok(_) if age < ABANDONED => return age < JUST_BEGUN,
        Ok(file) => is_abandoned(&file),
        Err(_) => age > ABANDONED_UNREADABLE,
    };
    if abandoned {
        let _ = std::fs::remove_file(path);
    }
    false
}

fn is_abandoned(file: &File) -> bool {
    // Never waited for: its owner may hold the lock for ever.
    let free = flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
    // Looked at under the lock: its writer may have committed it since the folder was read.
    let unfinished = |now: Metadata| !file::is_committed(now.mode());
    free && file.metadata().is_ok_and(unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_message_that_was_committed_just_now_is_not_abandoned() {
        let name = format!("exosend-draft-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let writer = File::create(&path).unwrap();
        flock(&writer, FlockOperation::LockExclusive).unwrap();
        let seen = file::read_only(&path).unwrap();
        assert!(!is_abandoned(&seen), "its writer is at work");
        let mode = |mode| writer.set_permissions(PermissionsExt::from_mode(mode));
        mode(0o740).unwrap();
        flock(&writer, FlockOperation::Unlock).unwrap();
        assert!(!is_abandoned(&seen), "it is complete");
        mode(0o640).unwrap();
        assert!(is_abandoned(&seen));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_run_does_not_wait_for_a_message_that_was_begun_in_the_future() {
        let name = format!("exosend-begun-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, "exosend 1\n").unwrap();
        let begun = path.metadata().unwrap();
        let then = SystemTime::now();
        assert!(clear_away(&path, &begun, then), "just now");
        let year = Duration::from_secs(365 * 86_400);
        assert!(!clear_away(&path, &begun, then - year) && path.exists());
        assert!(!clear_away(&path, &begun, then + year) && !path.exists());
    }
}
