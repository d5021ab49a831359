//! A message while it is written into `drop`, and why it cannot be.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use ring::digest::{Context, SHA256};
use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::clock::Moment;
use super::fault;
use super::spool::{DROP, Spool};
use crate::addressing::Addressing;
use crate::exit::{self, Failure};
use crate::{crypto, process};

/// The mode of an unfinished message. The service reads it by its group, to see whether it is locked.
const BEGUN: u32 = 0o640;
/// The mode of a complete message: see `file`.
const COMMITTED: u32 = 0o740;
/// Free space that only root's messages may use.
const SPARE: u64 = 8 * 1024 * 1024;

/// Dropped before `commit`, it removes its file.
pub(crate) struct Draft<'s> {
    spool: &'s Spool,
    path: PathBuf,
    hash: Context,
    out: BufWriter<Bounded>,
    committed: bool,
}

impl<'s> Draft<'s> {
    pub(crate) fn begin(
        spool: &'s Spool,
        id: &str,
        addressing: &Addressing,
    ) -> Result<Self, Failure> {
        let path = spool.path(DROP).join(id);
        fault::point("before open");
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(BEGUN)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&path)
            .map_err(|error| refusal(spool, &error))?;
        let bounded = Bounded {
            limit: process::longest_file(),
            spare: if process::uid() == 0 { 0 } else { SPARE },
            file,
            written: 0,
        };
        let mut draft = Self {
            spool,
            path,
            hash: Context::new(&SHA256),
            out: BufWriter::with_capacity(64 * 1024, bounded),
            committed: false,
        };
        fault::point("after open");
        draft
            .head(addressing)
            .map_err(|error| refusal(spool, &error))?;
        Ok(draft)
    }

    fn head(&mut self, addressing: &Addressing) -> io::Result<()> {
        let file = &self.out.get_ref().file;
        // The umask may have taken bits from the mode.
        file.set_permissions(Permissions::from_mode(BEGUN))?;
        rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)?;
        let mut text = format!("exosend 1\ntime {}\n", Moment::now());
        let to = addressing.to.iter().map(|to| ("to", to));
        let from = addressing.sender.iter().map(|from| ("from", from));
        let name = addressing.full_name.iter().map(|name| ("name", name));
        for (key, value) in to.chain(from).chain(name) {
            // A line end in it would begin another line.
            let value = value.replace(char::is_control, " ");
            text.push_str(&format!("{key} {value}\n"));
        }
        text.push('\n');
        self.put(text.as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }

    /// Adds to the message.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let put = self.put(bytes);
        put.map_err(|error| refusal(self.spool, &error))
    }

    /// When this returns, the message is on the disk and will be delivered.
    pub(crate) fn commit(mut self) -> Result<(), Failure> {
        let spool = self.spool;
        let refused = |error: io::Error| refusal(spool, &error);
        self.complete().map_err(refused)?;
        let file = &self.out.get_ref().file;
        let made = file.metadata().map_err(refused)?;
        if !spool.trusts(&made) {
            return Err(disowned(spool));
        }
        let committed = Permissions::from_mode(COMMITTED);
        file.set_permissions(committed).map_err(refused)?;
        fault::point("after mark");
        file.sync_all().map_err(refused)?;
        self.committed = true;
        // Only the spool's owner may open the folder to sync its name. For others the file system has to do that: ext4,
        // xfs, btrfs and f2fs keep the name of a new file that was synced.
        if let Ok(folder) = File::open(spool.path(DROP)) {
            let _ = folder.sync_all();
        }
        fault::point("after sync");
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        fault::point("mid write");
        let sum = self.hash.clone().finish();
        writeln!(self.out, "end {}", crypto::hex(sum.as_ref()))?;
        self.out.flush()?;
        fault::point("after write");
        self.out.get_ref().check_space()
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.committed {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A file that refuses to grow beyond `ulimit -f`, where the kernel would kill the process without a word (SIGXFSZ).
struct Bounded {
    file: File,
    written: u64,
    limit: u64,
    spare: u64,
}

impl Bounded {
    fn check_space(&self) -> io::Result<()> {
        // If this fails, the write finds out.
        let space = rustix::fs::fstatvfs(&self.file);
        let free = space.map_or(u64::MAX, |space| {
            space.f_bavail.saturating_mul(space.f_frsize)
        });
        match free < self.spare {
            true => Err(Errno::NOSPC.into()),
            false => Ok(()),
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const OFTEN: u64 = 1024 * 1024;
        let end = self.written + bytes.len() as u64;
        if end > self.limit {
            return Err(Errno::FBIG.into());
        }
        if end / OFTEN != self.written / OFTEN {
            self.check_space()?;
        }
        let length = self.file.write(bytes)?;
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why the message is not queued, and what to do about it. Always exit code 75, so that the caller keeps the message.
fn refusal(spool: &Spool, error: &io::Error) -> Failure {
    let drop = spool.path(DROP);
    let at = drop.display();
    let hint = match Errno::from_io_error(error) {
        Some(Errno::NOSPC) => match rustix::fs::statvfs(&drop) {
            Ok(space) if space.f_favail == 0 && space.f_files > 0 => {
                format!("no inode is left for another file: df -i {at}")
            }
            _ => format!("make room on this disk (8 MiB of it are root's mail's): df {at}"),
        },
        Some(Errno::DQUOT) => "this user's disk quota is used up: quota".to_owned(),
        Some(Errno::FBIG) => {
            "the message is longer than this process may write: ulimit -f".to_owned()
        }
        Some(Errno::ROFS) => format!("in the unit's [Service]: ReadWritePaths={at}"),
        Some(Errno::ACCESS | Errno::PERM) if spool.own => format!("ls -ld {at}"),
        Some(Errno::ACCESS | Errno::PERM) => spool.mend(),
        Some(Errno::NOENT) => "systemd-tmpfiles --create exosend.conf".to_owned(),
        _ => String::new(),
    };
    let what = format!("not queued: {}", exit::file(&drop, error));
    let failure = Failure::new(exit::TRY_AGAIN, what);
    match hint.is_empty() {
        true => failure,
        false => failure.with_hint(hint),
    }
}

/// `drop` has lost its setgid bit, as after a restored backup, so the service could not read the file.
fn disowned(spool: &Spool) -> Failure {
    let drop = spool.path(DROP);
    let what = "not queued: the service could not read what is put here";
    Failure::disk(&drop, what).with_hint(spool.mend())
}
