//! One message in one file.
//!
//! ```text
//! exosend 1
//! time <boot id> <milliseconds since boot> <milliseconds since 1970>
//! to ann@example.com                 one line for each recipient, as the caller named them
//! from ops@contoso.com               -f, if it was given
//! name Night Job                     -F, if it was given
//!                                    an empty line
//! To: Ann <ann@example.com>          the message, header mended, body as it came
//! ...
//! end <SHA-256 of all before, in hexadecimal>
//! ```
//!
//! No setting: a caller names neither server nor secret nor file. The name is final from the beginning, because who may
//! not list a folder cannot make a rename in it last; that the owner may execute it means that it is complete. `flock`
//! tells a slow writer from a dead one. What is written is on the disk when `commit` returns.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustls::SupportedCipherSuite;
use rustls::crypto::hash;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

use super::clock::Moment;
use super::fault;
use super::spool::{self, DROP, Spool};
use crate::crypto;
use crate::exit::{self, Failure};
use crate::octets::Length;
use crate::wishes::Wishes;

/// Written by its owner, read by the service, which may look whether it is locked.
const BEGUN: u32 = 0o640;
/// The same, and complete.
const COMMITTED: u32 = 0o740;
/// `end `, 64 digits and a line end.
const TRAILER: u64 = 4 + 64 + 1;
/// In the error of a message that is not what it was.
pub(crate) const CHANGED: &str = "changed while it was sent";
/// What Exchange takes at most of one message (facts.md, "Limits").
pub(crate) const LARGEST: u64 = 157_286_400;
/// What is read of a file at once: recipients and header, each of which has its bound, fit in.
const IN_MEMORY: u64 = 4 * 1024 * 1024;
/// What is left to root's mail on a full disk.
const SPARE: u64 = 8 * 1024 * 1024;

pub(crate) fn is_committed(mode: u32) -> bool {
    mode & 0o100 != 0
}

/// A message on its way into the queue. Dropped before it is committed, it is gone.
pub(crate) struct Draft<'s> {
    spool: &'s Spool,
    id: String,
    path: PathBuf,
    out: BufWriter<Bounded>,
    committed: bool,
}

impl<'s> Draft<'s> {
    pub(crate) fn begin(spool: &'s Spool, id: &str, wishes: &Wishes) -> Result<Self, Failure> {
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
            limit: getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX),
            spare: match spool::whoami() {
                0 => 0,
                _ => SPARE,
            },
            file,
            hash: sha256(),
            written: 0,
        };
        let mut draft = Self {
            spool,
            id: id.to_owned(),
            path,
            out: BufWriter::with_capacity(64 * 1024, bounded),
            committed: false,
        };
        fault::point("after open");
        draft.head(wishes).map_err(|error| refusal(spool, &error))?;
        Ok(draft)
    }

    fn head(&mut self, wishes: &Wishes) -> io::Result<()> {
        let file = &self.out.get_ref().file;
        // A umask may have taken from the mode.
        file.set_permissions(Permissions::from_mode(BEGUN))?;
        rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)?;
        self.out.get_ref().check_space()?;
        write!(self.out, "exosend 1\ntime {}\n", Moment::now())?;
        let to = wishes.to.iter().map(|to| ("to", to));
        let from = wishes.sender.iter().map(|from| ("from", from));
        let name = wishes.full_name.iter().map(|name| ("name", name));
        for (key, value) in to.chain(from).chain(name) {
            // A line of its own is what it must not begin.
            let value = value.replace(char::is_control, " ");
            writeln!(self.out, "{key} {value}")?;
        }
        self.out.write_all(b"\n")
    }

    /// Adds to the message.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out
            .write_all(bytes)
            .map_err(|error| refusal(self.spool, &error))
    }

    /// From here on it is ours to deliver.
    pub(crate) fn commit(mut self) -> Result<String, Failure> {
        self.complete()
            .map_err(|error| refusal(self.spool, &error))?;
        let file = &self.out.get_ref().file;
        let made = file
            .metadata()
            .map_err(|error| refusal(self.spool, &error))?;
        if !self.spool.trusts(&made).unwrap_or(false) {
            return Err(disowned(self.spool));
        }
        let marked = file
            .set_permissions(Permissions::from_mode(COMMITTED))
            .and_then(|()| {
                fault::point("after mark");
                file.sync_all()
            });
        marked.map_err(|error| refusal(self.spool, &error))?;
        self.committed = true;
        // Whoever may open the folder makes sure of the name, too. For others the journal does: ext4, xfs, btrfs and
        // f2fs keep the name of a new file that was synced.
        if let Ok(folder) = File::open(self.spool.path(DROP)) {
            let _ = folder.sync_all();
        }
        fault::point("after sync");
        Ok(std::mem::take(&mut self.id))
    }

    fn complete(&mut self) -> io::Result<()> {
        self.out.flush()?;
        fault::point("mid write");
        let sum = self.out.get_ref().hash.fork_finish();
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

/// A file that grows no further than it may. At a limit the kernel would end the process by SIGXFSZ, and no line would
/// say why.
struct Bounded {
    file: File,
    hash: Box<dyn hash::Context>,
    written: u64,
    limit: u64,
    spare: u64,
}

impl Bounded {
    fn check_space(&self) -> io::Result<()> {
        // What is not known here, the write will find out.
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
        self.hash.update(bytes.get(..length).unwrap_or_default());
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sha256() -> Box<dyn hash::Context> {
    let provider = match TLS13_AES_128_GCM_SHA256 {
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
    };
    provider.start()
}

/// Why the queue takes nothing, and what to do about it. Always "try again": the caller has the message, and no other way.
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
        Some(Errno::ACCESS | Errno::PERM) => mend(spool),
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

/// The folder has lost its setgid bit, as in a restored backup: the service could not read what is put there.
fn disowned(spool: &Spool) -> Failure {
    let drop = spool.path(DROP);
    let what = "not queued: the service could not read what is put here";
    Failure::new(exit::TRY_AGAIN, exit::file(&drop, what)).with_hint(mend(spool))
}

/// The commands that make the machine's drop folder what it has to be.
pub(crate) fn mend(spool: &Spool) -> String {
    let (root, drop) = (spool.root().display(), spool.path(DROP));
    let drop = drop.display();
    format!("chown exosend:exosend {root} {drop} && chmod 3733 {drop}")
}

/// A message out of the queue.
pub(crate) struct Stored {
    pub(crate) wishes: Wishes,
    /// The message's first piece, all of it unless there is a rest.
    pub(crate) start: Vec<u8>,
    pub(crate) rest: Option<(Verified, Length)>,
}

/// Why a file is no message.
pub(crate) enum Unreadable {
    /// It never will be.
    Damaged(&'static str),
    Disk(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl Stored {
    /// Opens a file and reads it to its end: what is damaged is found before anybody connects.
    pub(crate) fn open(path: &Path) -> Result<Self, Unreadable> {
        let mut file = read_only(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.nlink() != 1 {
            return Err(Unreadable::Damaged("not a file of its own"));
        }
        let length = metadata
            .len()
            .checked_sub(TRAILER)
            .ok_or(Unreadable::Damaged("cut off"))?;
        // Such as one that is mostly a hole, which a run would read for hours.
        if length > LARGEST + IN_MEMORY {
            return Err(Unreadable::Damaged("longer than Exchange takes"));
        }
        let mut start = Vec::new();
        (&file)
            .take(length.min(IN_MEMORY))
            .read_to_end(&mut start)?;
        let mut hash = sha256();
        hash.update(&start);
        let behind = hash.fork();
        let head = Head::parse(&start).ok_or(Unreadable::Damaged("not written by exosend"))?;
        let first = start.len() as u64;
        start.drain(..head.length);
        let mut rest = None;
        if first < length {
            let mut counted = Length::behind(&start);
            let mut block = vec![0; 64 * 1024];
            let mut more = (&file).take(length - first);
            loop {
                let n = more.read(&mut block)?;
                let piece = block.get(..n).filter(|piece| !piece.is_empty());
                let Some(piece) = piece else { break };
                hash.update(piece);
                counted.feed(piece);
            }
            rest = Some(counted);
        }
        let mut trailer = Vec::new();
        (&file).take(TRAILER).read_to_end(&mut trailer)?;
        let sum = crypto::hex(hash.finish().as_ref());
        if trailer != format!("end {sum}\n").as_bytes() {
            return Err(Unreadable::Damaged("damaged: its check sum is another"));
        }
        file.seek(SeekFrom::Start(first))?;
        let left = length - first;
        let verified = Verified {
            text: file.take(left),
            hash: Some(behind),
            sum,
        };
        Ok(Self {
            wishes: head.wishes,
            start,
            rest: rest.map(|counted| (verified, counted)),
        })
    }
}

/// Opens without waiting for anybody: it could be a pipe by now.
pub(crate) fn read_only(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}

/// The rest of a message. Its owner may still have it open for writing: what has changed since it was opened is an error
/// at its end, before the final dot.
pub(crate) struct Verified {
    text: io::Take<File>,
    hash: Option<Box<dyn hash::Context>>,
    sum: String,
}

impl Read for Verified {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.text.read(into)?;
        if length > 0 {
            if let Some(hash) = &mut self.hash {
                hash.update(into.get(..length).unwrap_or_default());
            }
            return Ok(length);
        }
        let sum = self
            .hash
            .take()
            .map(|hash| crypto::hex(hash.finish().as_ref()));
        match sum.is_none_or(|sum| sum == self.sum) {
            true => Ok(0),
            false => Err(io::Error::other(CHANGED)),
        }
    }
}

/// What stands before the message.
pub(crate) struct Head {
    pub(crate) wishes: Wishes,
    pub(crate) created: Moment,
    length: usize,
}

impl Head {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(b"exosend 1\n")?;
        let end = memchr::memmem::find(rest, b"\n\n")? + 1;
        let lines = std::str::from_utf8(rest.get(..end)?).ok()?;
        let mut wishes = Wishes::default();
        let mut created = Moment::default();
        for line in lines.lines() {
            let (key, value) = line.split_once(' ')?;
            // None is ever written.
            if value.contains(char::is_control) {
                return None;
            }
            match key {
                "time" => created = Moment::parse(value)?,
                "to" => wishes.to.push(value.to_owned()),
                "from" => wishes.sender = Some(value.to_owned()),
                "name" => wishes.full_name = Some(value.to_owned()),
                _ => return None,
            }
        }
        let length = text.len() - rest.len() + end + 1;
        Some(Self {
            wishes,
            created,
            length,
        })
    }

    /// That of a file, without its message.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let file = read_only(path).ok()?;
        let start = |most: usize| {
            let mut text = vec![0; most];
            let length = file.read_at(&mut text, 0).ok()?;
            Self::parse(text.get(..length)?)
        };
        start(2 * 1024).or_else(|| start(4 * 1024 * 1024))
    }
}
