//! Opens files without waiting, and reads those that have to be trusted only if no other user could have written them.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, StatVfsMountFlags, statvfs};
use zeroize::Zeroizing;

use crate::process;

/// The longest file that is read as text.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The flag that opens a FIFO at once, so that it can be refused.
pub(crate) const WITHOUT_WAITING: i32 = OFlags::NONBLOCK.bits() as i32;

/// Opens a regular file. Checked after it is open, because before that another file could take its name.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(WITHOUT_WAITING)
        .open(path)?;
    let found = file.metadata()?;
    match found.is_file() {
        true => Ok((file, found)),
        false => Err(io::Error::other("not a regular file")),
    }
}

pub(crate) fn read(path: &Path) -> io::Result<String> {
    open(path).and_then(|(file, _)| io::read_to_string(file))
}

/// Standard input, not through std's buffer, which is not wiped.
pub(crate) fn stdin() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true);
    options.custom_flags(WITHOUT_WAITING).open(path)
}

/// Why a file is not read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) what: String,
    /// It is there, and this user may not read it.
    pub(crate) denied: bool,
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self {
            denied: error.kind() == io::ErrorKind::PermissionDenied,
            what: format!("cannot be read: {error}"),
        }
    }
}

/// Reads a file that decides where mail or secrets go. Returns its mode, too.
pub(crate) fn read_trusted(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), Unread> {
    let (file, found) = open(path)?;
    let distrust = distrust(found.uid(), found.mode(), process::uid());
    if let Some(what) = distrust.or_else(|| replaceable(path)) {
        let denied = false;
        return Err(Unread { what, denied });
    }
    // With room for all of it: a vector that grows leaves copies of a secret behind.
    let room = found.len().min(LONGEST) + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(
        usize::try_from(room).unwrap_or_default(),
    ));
    (&file).take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other("longer than 4 MiB").into());
    }
    Ok((text, found.mode() & 0o7777))
}

/// Why a file is not trusted, by the rules of sshd and cron. Otherwise root with another user's HOME, as under sudo, would
/// send the machine's secret to the server that this user's file names.
fn distrust(owner: u32, mode: u32, me: u32) -> Option<String> {
    if owner != me && owner != 0 {
        return Some(format!(
            "not believed, for it is of user {owner}: chown {me}, or let that user send"
        ));
    }
    (mode & 0o022 != 0).then(|| {
        let mode = mode & 0o7777;
        format!("not believed, for others may write it (mode {mode:04o}): chmod go-w")
    })
}

/// Why a file is not trusted if others can write to its folder: they could put a link in its place, to a file that they had
/// this user write. A group may, because it is the user's own (umask 002), or root's in a container; and so may all on a
/// read-only mount, as Kubernetes mounts a ConfigMap.
fn replaceable(path: &Path) -> Option<String> {
    let places = [std::path::absolute(path), path.canonicalize()];
    let mut folders = places.iter().flatten().filter_map(|place| place.parent());
    // In a sticky folder, such as /tmp, users cannot replace each other's files.
    let anybodys = |folder: &&Path| {
        let found = folder.metadata();
        let disk = statvfs(*folder).map(|disk| disk.f_flag);
        found.is_ok_and(|found| found.mode() & 0o1002 == 0o002)
            && !disk.is_ok_and(|flags| flags.contains(StatVfsMountFlags::RDONLY))
    };
    folders.find(anybodys).map(|folder| {
        let folder = folder.display();
        format!("not believed, for anybody may replace it: chmod o-w {folder}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_root_and_of_the_user_are_trusted() {
        for (owner, mode, me, believed) in [
            (0, 0o100644, 33, true),
            (33, 0o100600, 33, true),
            (0, 0o100640, 0, true),
            (1000, 0o100600, 0, false),
            (1000, 0o100644, 33, false),
            (33, 0o100664, 33, false),
            (0, 0o100602, 0, false),
        ] {
            assert_eq!(
                distrust(owner, mode, me).is_none(),
                believed,
                "{owner} {mode:o} {me}"
            );
        }
    }
}
