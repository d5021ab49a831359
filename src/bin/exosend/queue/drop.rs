//! What people put into `drop`, taken over by the service. Anybody may make anything there, under any name.

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
use super::spool::{self, DROP, FAILED, HELD, MOST_DOUBTS, Name, QUEUE, Spool};

use crate::config::settings::MOST_CONNECTIONS;

/// A message whose writer is dead was never promised to anybody.
const DEAD: Duration = Duration::from_secs(60 * 60);
/// One that cannot even be opened to see whether its writer lives.
const DEAD_FOR_SURE: Duration = Duration::from_secs(36 * 60 * 60);
/// A writer that has just begun is soon done, and worth waiting for.
const MOMENT: Duration = Duration::from_secs(2);

/// A message that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When it was written, to keep the order. First, for it is what tells most of ten thousand apart.
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

/// One look into `drop`.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) taken: Vec<Entry>,
    /// A writer is at work: there will be more in a moment.
    pub(crate) writing: bool,
}

/// Takes over all that is complete, and clears away what never will be.
pub(crate) fn look(spool: &Spool, log: &Log) -> io::Result<Look> {
    let mut look = Look::default();
    let now = Moment::now().wall();
    for entry in std::fs::read_dir(spool.path(DROP))? {
        // Another run may have been quicker.
        let Ok(entry) = entry else { continue };
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            // Perhaps full of things, and nothing that we make.
            let path = entry.path();
            if log.once_a_day("folder") {
                log.foreign(&path, "a folder in drop: rm -r it");
            }
        } else if !metadata.is_file() {
            log.foreign(&entry.path(), "no file: removed");
            let _ = std::fs::remove_file(entry.path());
        } else if file::is_committed(metadata.mode()) {
            match take(spool, log, &entry) {
                Ok(taken) => look.taken.extend(taken),
                // It may be this file's alone.
                Err(error) => log.foreign(&entry.path(), &error.to_string()),
            }
        } else {
            look.writing |= clear_away(&entry.path(), &metadata, now);
        }
    }
    Ok(look)
}

/// Moves a message to where its writer reaches it no more, and only then looks at it.
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
    let trusted = opened
        .as_ref()
        .is_ok_and(|opened| spool.trusts(opened).unwrap_or(false));
    let (Ok(metadata), true) = (opened, trusted) else {
        let uid = path.symlink_metadata()?.uid();
        let why = "not a file that exosend made for the service";
        // Told first: a run that dies in between tells twice.
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

/// Whether a message of that id waits already: ids are random, but those of old messages stand in their Message-IDs.
pub(super) fn is_known(spool: &Spool, id: &str) -> bool {
    let folders = [QUEUE, HELD, FAILED].map(|folder| spool.path(folder));
    let work = (1..=MOST_CONNECTIONS).map(|n| spool.work(n));
    // Once more at the end: it may go back from `work` while this looks.
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

/// Removes what is unfinished and has nobody who writes it. Whether somebody has just begun.
fn clear_away(path: &Path, metadata: &Metadata, now: SystemTime) -> bool {
    let changed = UNIX_EPOCH + Duration::from_secs(metadata.ctime().try_into().unwrap_or(0));
    let Ok(age) = now.duration_since(changed) else {
        // The clock has been set back. Who waited for the writer could wait for years.
        return false;
    };
    let dead = match file::read_only(path) {
        Ok(_) if age < DEAD => return age < MOMENT,
        // Never waited for: its owner may hold it for ever.
        Ok(file) => is_abandoned(&file),
        Err(_) => age > DEAD_FOR_SURE,
    };
    if dead {
        let _ = std::fs::remove_file(path);
    }
    false
}

/// Asked behind the lock, not before: its writer may have committed it since the folder was read.
fn is_abandoned(file: &File) -> bool {
    let free = flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
    let unfinished = |now: Metadata| !file::is_committed(now.mode());
    free && file.metadata().is_ok_and(unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_committed_a_moment_ago_is_not_abandoned() {
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

    /// A run that waited for its writer would have no end.
    #[test]
    fn nobody_waits_for_what_was_begun_in_a_time_to_come() {
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
