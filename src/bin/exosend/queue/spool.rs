//! The folders of the queue, and how a message moves between them.
//!
//! ```text
//! exosend         0755  the service's; `run` tells when it was last here, `login.seen` when it last looked at a login
//!   drop/         3733  anybody puts a message in, nobody lists, reads or removes another's
//!   queue/        0700  taken over: in nobody's reach but the service's
//!   work/1 ...    0700  what connection 1 has in hand; whoever locks the folder has the connection
//!   held/         0700  not before somebody says so
//!   failed/       0700  given up
//!   state/        0700  attempts, waits, the rate: what may be lost
//! ```
//!
//! A user's own spool is the same, 0700 throughout.

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

/// A message whose fate is not known is sent again as often.
pub(crate) const MOST_DOUBTS: u32 = 2;

/// A queue's place on disk.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    root: PathBuf,
    /// A user's, for the account of his own, not the machine's.
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

    /// What connection `n` has in hand.
    pub(crate) fn work(&self, n: u32) -> PathBuf {
        self.root.join(format!("work/{n}"))
    }

    /// Whether anybody can put a message there.
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

    /// Whether this user looks into it.
    pub(crate) fn may_steer(&self) -> bool {
        process::uid() == 0 || self.is_mine()
    }

    /// Makes what is missing. Of the machine's spool only what lies in the service's own folder: the folder and `drop`
    /// are the package's.
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

    /// The commands that make the machine's folders what they have to be.
    pub(crate) fn mend(&self) -> String {
        let (root, drop) = (self.root.display(), self.path(DROP));
        let drop = drop.display();
        format!("chown exosend:exosend {root} {drop} && chmod 3733 {drop}")
    }

    /// Whether a file in `drop` is one that the service can read and nobody else has.
    pub(crate) fn trusts(&self, file: &Metadata) -> io::Result<bool> {
        let belongs = match self.own {
            true => file.uid() == self.owner()?.uid(),
            false => file.gid() == std::fs::metadata(self.path(DROP))?.gid(),
        };
        Ok(belongs && file.is_file() && file.nlink() == 1)
    }

    /// Moves a file to `folder`, under its own name, or another where that is taken: whoever knows the id of a message
    /// could give it to one of his, and must not put that in its place.
    pub(crate) fn put(&self, from: &Path, name: &Name, folder: &str) -> io::Result<Name> {
        let mut name = name.clone();
        loop {
            let to = self.path(folder).join(name.to_string());
            match rustix::fs::renameat_with(CWD, from, CWD, &to, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) => name.id = new_id(),
                // A file system that cannot promise it.
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

    /// The names in a folder. One that is not there is empty.
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

    /// Marks that a run has been here; submitters warn where none has for long.
    pub(crate) fn mark_run(&self) -> io::Result<()> {
        let file = files::create(&self.path("run"))?;
        file.set_permissions(PermissionsExt::from_mode(0o644))?;
        file.set_modified(std::time::SystemTime::now())
    }

    /// Whether a submitter has to fear that nobody comes.
    pub(crate) fn is_deserted(&self) -> bool {
        // Before the first run the folder says when it was installed.
        let run = std::fs::metadata(self.path("run")).or_else(|_| self.owner());
        let last = run.and_then(|run| run.modified());
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        !self.own && last.map_or(true, |last| last.elapsed().is_ok_and(|passed| passed > day))
    }

    /// Whether it is gone when the machine is switched off.
    pub(crate) fn is_in_memory(&self) -> bool {
        const TMPFS: u64 = 0x0102_1994;
        const RAMFS: u64 = 0x8584_58f6;
        self.kind()
            .is_some_and(|kind| [TMPFS, RAMFS].contains(&kind))
    }

    /// Whether other machines have it, too.
    pub(crate) fn is_remote(&self) -> bool {
        const NFS: u64 = 0x6969;
        const SMB2: u64 = 0xfe53_4d42;
        const CIFS: u64 = 0xff53_4d42;
        self.kind()
            .is_some_and(|kind| [NFS, SMB2, CIFS].contains(&kind))
    }

    /// The kernel's number for the kind of file system, whose type differs by machine.
    fn kind(&self) -> Option<u64> {
        let kind = rustix::fs::statfs(self.path(DROP)).ok()?;
        Some(kind.f_type as u64 & 0xffff_ffff)
    }
}

/// The name of a message's file: `id`, or `id.d1` after one attempt whose outcome is in doubt. The count stands in the
/// name because it must not be lost: without it, a firewall that cuts connections after the dot would make a copy with
/// each attempt.
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

/// This machine's name, as it may stand in an address.
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
        spool.mark_run().unwrap();
        folder.set_modified(long_ago).unwrap();
        assert!(!spool.is_deserted());
        std::fs::remove_dir_all(root).unwrap();
    }
}
