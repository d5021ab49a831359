//! Writes the configuration file.

use std::ffi::OsStr;
use std::fs::{DirBuilder, DirEntry, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::config::check;
use crate::{crypto, process};

/// Writes it whole or not at all, and never readable by others. The machine's file is readable by the group of the queue's
/// owner, who sends what waits.
pub(super) fn write(path: &Path, text: &[u8], spool: &Path) -> io::Result<()> {
    let path = resolved(path);
    let found = path.metadata().ok();
    let machines = check::is_machines(&path) && process::uid() == 0;
    let queues = spool.metadata().ok().filter(|_| machines);
    let old = found
        .as_ref()
        .map(|found| (found.gid(), found.mode() & 0o640));
    let (group, mode) = match (old, queues.map(|queue| queue.gid())) {
        (Some((group, mode)), queues) if group != 0 && queues != Some(group) => (Some(group), mode),
        (_, Some(group)) => (Some(group), 0o640),
        (old, None) => (None, old.map_or(0, |(_, mode)| mode)),
    };
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    remove_left_behind(&path);
    let mut new = path.clone().into_os_string();
    new.push(format!(".{}", crypto::random::<8>()));
    let new = PathBuf::from(new);
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(text)?;
            let owner = found
                .map(|found| found.uid())
                .filter(|_| process::uid() == 0);
            fchown(&file, owner, group)?;
            file.set_permissions(Permissions::from_mode(mode | 0o600))?;
            file.sync_all()?;
            std::fs::rename(&new, &path)
        });
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

/// Where the file is, whatever links to it.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Removes what a process that was killed has left beside the file, with the secret in it. A fixed name would need no
/// search, but of two processes at once one could rename what the other has written half; with random names, one fails.
pub(super) fn remove_left_behind(path: &Path) {
    let path = resolved(path);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
    else {
        return;
    };
    let is_left = |entry: &DirEntry| {
        let found = entry.file_name();
        let end = found.to_str().and_then(|found| found.strip_prefix(name));
        let random = end.and_then(|end| end.strip_prefix('.'));
        random.is_some_and(|end| end.len() == 16 && end.bytes().all(|b| b.is_ascii_hexdigit()))
            && entry
                .metadata()
                .is_ok_and(|left| left.is_file() && left.uid() == process::uid())
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for left in entries.filter(is_left) {
        let _ = std::fs::remove_file(left.path());
    }
}
