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
//! It has no settings: a caller names neither server nor secret nor file. The file has its final name from the beginning,
//! because a rename would have to be synced in the folder, which callers cannot open. The owner's execute bit means that
//! the message is complete. Its writer holds a `flock`, which tells a slow writer from a dead one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use ring::digest::{Context, SHA256};
use rustix::fs::OFlags;

use super::clock::Moment;
use crate::addressing::Addressing;
use crate::crypto;
use crate::octets::Length;

/// `end `, 64 digits and a line end.
const TRAILER: u64 = 4 + 64 + 1;
/// The error of a message that its owner has changed meanwhile.
pub(crate) const CHANGED: &str = "changed while it was sent";
/// What Exchange takes at most of one message (facts.md, "Limits").
pub(crate) const LARGEST: u64 = 157_286_400;
/// The part of a file that is kept in memory. Recipients and header are bounded, and fit in.
const IN_MEMORY: u64 = 4 * 1024 * 1024;
/// The longest file that is read. A sparse file of terabytes would keep a run busy for hours.
const LONGEST: u64 = LARGEST + IN_MEMORY;
pub(super) const TOO_LONG: &str = "longer than Exchange takes";
/// The recipients that a mailbox may have in a day (facts.md, "Limits"). Duplicates are searched for in quadratic time: a
/// file with a million recipients would keep a run busy for hours.
pub(super) const MOST_RECIPIENTS: usize = 10_000;
pub(super) const TOO_MANY: &str = "more recipients than a mailbox may have in a day";

/// Whether the message is complete, by its file's mode.
pub(crate) fn is_committed(mode: u32) -> bool {
    mode & 0o100 != 0
}

/// A message read from the queue.
pub(crate) struct Stored {
    pub(crate) addressing: Addressing,
    /// The beginning of the message; all of it if there is no rest.
    pub(crate) start: Vec<u8>,
    pub(crate) rest: Option<(Verified, Length)>,
}

/// Why a file cannot be read as a message.
pub(crate) enum Unreadable {
    /// For good.
    Damaged(&'static str),
    Disk(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl Stored {
    /// Reads the file to its end and checks its sum, before anything connects.
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
        if length > LONGEST {
            return Err(Unreadable::Damaged(TOO_LONG));
        }
        let mut start = Vec::new();
        (&file)
            .take(length.min(IN_MEMORY))
            .read_to_end(&mut start)?;
        let mut hash = Context::new(&SHA256);
        hash.update(&start);
        let behind = hash.clone();
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
            hash: behind,
            sum,
        };
        Ok(Self {
            addressing: head.addressing,
            start,
            rest: rest.map(|counted| (verified, counted)),
        })
    }
}

/// The bytes of a file.
pub(crate) fn raw(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = read_only(path)?;
    match (&file).take(LONGEST).read_to_end(&mut text)? as u64 {
        LONGEST => Err(io::Error::other(TOO_LONG)),
        _ => Ok(text),
    }
}

/// Opens without waiting for a writer: a user can put a FIFO into `drop`.
pub(crate) fn read_only(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}

/// The rest of a message. Its owner may still have it open for writing: if it has changed since it was checked, reading its
/// end is an error, so the final dot is not sent.
pub(crate) struct Verified {
    text: io::Take<File>,
    hash: Context,
    sum: String,
}

impl Read for Verified {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.text.read(into)?;
        self.hash.update(into.get(..length).unwrap_or_default());
        // Reading into an empty buffer is no end.
        let ended = length == 0 && !into.is_empty();
        match ended && crypto::hex(self.hash.clone().finish().as_ref()) != self.sum {
            true => Err(io::Error::other(CHANGED)),
            false => Ok(length),
        }
    }
}

/// The lines before the message.
pub(crate) struct Head {
    pub(crate) addressing: Addressing,
    pub(crate) created: Moment,
    length: usize,
}

impl Head {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(b"exosend 1\n")?;
        let end = memchr::memmem::find(rest, b"\n\n")? + 1;
        let lines = std::str::from_utf8(rest.get(..end)?).ok()?;
        let mut addressing = Addressing::default();
        let mut created = Moment::default();
        for line in lines.lines() {
            let (key, value) = line.split_once(' ')?;
            // `draft` writes none.
            if value.contains(char::is_control) {
                return None;
            }
            match key {
                "time" => created = Moment::parse(value)?,
                "to" => addressing.to.push(value.to_owned()),
                "from" => addressing.sender = Some(value.to_owned()),
                "name" => addressing.full_name = Some(value.to_owned()),
                _ => return None,
            }
        }
        let length = text.len() - rest.len() + end + 1;
        Some(Self {
            addressing,
            created,
            length,
        })
    }

    /// Reads the head of a file only.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let file = read_only(path).ok()?;
        let start = |most: usize| {
            let mut text = vec![0; most];
            let length = file.read_at(&mut text, 0).ok()?;
            Self::parse(text.get(..length)?)
        };
        start(2 * 1024).or_else(|| start(IN_MEMORY as usize))
    }
}
