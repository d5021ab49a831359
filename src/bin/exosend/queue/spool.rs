//! The folders of the queue. How a message moves between them: `queue.rs`.
//!
//! ```text
//! exosend         0755  the service's home
//!   run                 modified by each run; `login.seen`, by the daily look at a login
//!   drop/         3733  any user can add a file, and cannot list, read or remove those of others
//!   queue/        0700  messages that wait
//!   work/1 ...    0700  the message that connection 1 sends; the process that locks the folder has the connection
//!   held/         0700  messages that somebody has held
//!   failed/       0700  messages that were given up
//!   state/        0700  what may be lost: ID, a message's attempts; mailbox, configuration, why nothing is sent;
//!                       digest, digested, the mail to the administrator; tokens
//! ```
//!
//! A user's own spool has the same folders, all 0700.

use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::{crypto, files, process};

pub(crate) const DROP: &str = "drop";
pub(crate) const QUEUE: &str = "queue";
pub(crate) const HELD: &str = "held";
pub(crate) const FAILED: &str = "failed";
pub(crate) const STATE: &str = "state";

/// How often a message that may have been delivered is sent again.
pub(crate) const MOST_DOUBTS: u32 = 2;

#[derive(Clone, Debug)]
pub(crate) struct Spool {
    root: PathBuf,
    /// It is a user's, for an account of his own, and not the machine's.
    pub(crate) own: bool,
}

impl Spool {
    pub(crate) fn new(root: impl Into<PathBuf>, own: bool) -> Self {
        Self {
            root: root.into(),
            own,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, folder: &str) -> PathBuf {
        self.root.join(folder)
    }

    /// The folder of connection `n`.
    pub(crate) fn work(&self, n: u32) -> PathBuf {
        self.root.join(format!("work/{n}"))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.path(DROP).is_dir()
    }

    pub(crate) fn owner(&self) -> io::Result<Metadata> {
        std::fs::metadata(&self.root)
    }

    pub(crate) fn is_mine(&self) -> bool {
        self.owner()
            .is_ok_and(|owner| owner.uid() == process::uid())
    }

    /// Whether this user may list and manage its messages.
    pub(crate) fn may_manage(&self) -> bool {
        process::uid() == 0 || self.is_mine()
    }

    /// Makes the folders that are missing. The machine's `drop`, and the folder it is in, are made by the package.
    pub(crate) fn make(&self) -> io::Result<()> {
        let mut folders = vec![QUEUE, "work", HELD, FAILED, STATE];
        if self.own {
            folders.insert(0, DROP);
        }
        for folder in folders {
            let mut maker = DirBuilder::new();
            maker
                .recursive(true)
                .mode(0o700)
                .create(self.path(folder))?;
        }
        Ok(())
    }

    /// The commands that give the machine's folders their owner and mode.
    pub(crate) fn mend(&self) -> String {
        let (root, drop) = (self.root.display(), self.path(DROP));
        let drop = drop.display();
        format!("chown exosend:exosend {root} {drop} && chmod 3733 {drop}")
    }

    /// Whether the queue's owner can read this file, and it has no other name by which another user keeps it. A folder that
    /// others write to marks its files by its group; how the caller came to this folder does not matter.
    pub(crate) fn trusts(&self, file: &Metadata) -> bool {
        let belongs = match std::fs::metadata(self.path(DROP)) {
            Ok(drop) if drop.mode() & 0o022 != 0 => drop.gid() == file.gid(),
            Ok(drop) => drop.uid() == file.uid(),
            Err(_) => false,
        };
        belongs && file.is_file() && file.nlink() == 1
    }

    /// Moves a file to `folder`. If its name is taken there, it gets another: a user who knows the id of a message could
    /// name his own so, and must not replace it.
    pub(crate) fn put(&self, from: &Path, name: &Name, folder: &str) -> io::Result<Name> {
        let mut name = name.clone();
        loop {
            let to = self.path(folder).join(name.to_string());
            match rustix::fs::renameat_with(CWD, from, CWD, &to, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) => name.id = new_id(),
                // A file system without RENAME_NOREPLACE.
                Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_ok() => {
                    name.id = new_id();
                }
                Err(Errno::INVAL | Errno::NOSYS) => {
                    std::fs::rename(from, &to)?;
                    return Ok(name);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The messages in a folder; none if there is no folder.
    pub(crate) fn names(&self, folder: &Path) -> io::Result<Vec<Name>> {
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().to_str().and_then(Name::parse));
        }
        Ok(names)
    }

    /// Gives an empty file the time of now.
    pub(crate) fn mark(&self, name: &str) -> io::Result<()> {
        let file = files::create(&self.path(name))?;
        file.set_permissions(PermissionsExt::from_mode(0o644))?;
        file.set_modified(std::time::SystemTime::now())
    }

    /// Whether the machine's spool has had no run for a day.
    pub(crate) fn is_deserted(&self) -> bool {
        // Before the first run, since the folder was made.
        let run = std::fs::metadata(self.path("run")).or_else(|_| self.owner());
        let last = run.and_then(|run| run.modified());
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        !self.own && last.map_or(true, |last| last.elapsed().is_ok_and(|passed| passed > day))
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        const TMPFS: u64 = 0x0102_1994;
        const RAMFS: u64 = 0x8584_58f6;
        self.kind()
            .is_some_and(|kind| [TMPFS, RAMFS].contains(&kind))
    }

    pub(crate) fn is_remote(&self) -> bool {
        const NFS: u64 = 0x6969;
        const SMB2: u64 = 0xfe53_4d42;
        const CIFS: u64 = 0xff53_4d42;
        self.kind()
            .is_some_and(|kind| [NFS, SMB2, CIFS].contains(&kind))
    }

    /// The magic number of its file system (statfs(2)). `f_type` is signed or not, of 32 or 64 bits, by machine.
    fn kind(&self) -> Option<u64> {
        let kind = rustix::fs::statfs(self.path(DROP)).ok()?;
        Some(kind.f_type as u64 & 0xffff_ffff)
    }
}

/// The name of a message's file: `ID`, or `ID.d1` after one attempt whose outcome is in doubt. The count is in the name,
/// and not in the state, because it must not be lost: otherwise a firewall that cuts each connection after the final dot
/// would deliver a copy with each attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) id: String,
    pub(crate) doubts: u32,
}

impl Name {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (id, doubts) = match name.split_once(".d") {
            Some((id, doubts)) => (id, doubts.parse().ok()?),
            None => (name, 0),
        };
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (id.len() == 32 && id.bytes().all(hex)).then(|| Self {
            id: id.to_owned(),
            doubts,
        })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.doubts {
            0 => f.write_str(&self.id),
            doubts => write!(f, "{}.d{doubts}", self.id),
        }
    }
}

/// 128 random bits: nobody can guess the name of another's message.
pub(crate) fn new_id() -> String {
    crypto::random::<16>()
}

/// This machine's name, made valid as a domain.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .collect();
    match name.trim_matches(['.', '-']) {
        "" => "localhost".into(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_spool_where_nobody_runs_is_deserted_after_a_day() {
        let root = std::env::temp_dir().join(format!("exosend-new-{}", std::process::id()));
        std::fs::create_dir(&root).unwrap();
        let spool = Spool::new(&root, false);
        assert!(!spool.is_deserted(), "just installed");
        let long_ago = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
        let folder = File::open(&root).unwrap();
        folder.set_modified(long_ago).unwrap();
        assert!(spool.is_deserted());
        spool.mark("run").unwrap();
        folder.set_modified(long_ago).unwrap();
        assert!(!spool.is_deserted());
        std::fs::remove_dir_all(root).unwrap();
    }
}
