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
//! tells a slow writer from a dead one. How it is written: `draft`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use ring::digest::{Context, SHA256};
use rustix::fs::OFlags;

use super::clock::Moment;
use crate::crypto;
use crate::octets::Length;
use crate::wishes::Wishes;

/// `end `, 64 digits and a line end.
const TRAILER: u64 = 4 + 64 + 1;
/// In the error of a message that is not what it was.
pub(crate) const CHANGED: &str = "changed while it was sent";
/// What Exchange takes at most of one message (facts.md, "Limits").
pub(crate) const LARGEST: u64 = 157_286_400;
/// What is read of a file at once: recipients and header, each of which has its bound, fit in.
const IN_MEMORY: u64 = 4 * 1024 * 1024;
/// What is longer is nothing that Exchange takes, such as a file that is mostly a hole, which a run would read for hours.
const LONGEST: u64 = LARGEST + IN_MEMORY;
pub(super) const TOO_LONG: &str = "longer than Exchange takes";
/// What a mailbox may have in a day (facts.md, "Limits"). Each is looked up among all before it: who writes a million of
/// them into `drop` would keep a connection busy for hours.
pub(super) const MOST_RECIPIENTS: usize = 10_000;
pub(super) const TOO_MANY: &str = "more recipients than a mailbox may have in a day";

pub(crate) fn is_committed(mode: u32) -> bool {
    mode & 0o100 != 0
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
            wishes: head.wishes,
            start,
            rest: rest.map(|counted| (verified, counted)),
        })
    }
}

/// A file as it is.
pub(crate) fn raw(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match read_only(path)?.take(LONGEST).read_to_end(&mut text)? as u64 {
        LONGEST => Err(io::Error::other(TOO_LONG)),
        _ => Ok(text),
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
    hash: Context,
    sum: String,
}

impl Read for Verified {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.text.read(into)?;
        self.hash.update(into.get(..length).unwrap_or_default());
        // A reader may ask for nothing, which is no end.
        let ended = length == 0 && !into.is_empty();
        match ended && crypto::hex(self.hash.clone().finish().as_ref()) != self.sum {
            true => Err(io::Error::other(CHANGED)),
            false => Ok(length),
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
        start(2 * 1024).or_else(|| start(IN_MEMORY as usize))
    }
}
