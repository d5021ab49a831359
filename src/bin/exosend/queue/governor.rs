//! Keeps Exchange's limits for a mailbox in all processes of this machine: three connections at once, thirty messages in
//! any minute, and less when its replies ask for it (facts.md, "Limits").
//!
//! A connection is a locked folder, which the kernel unlocks when its holder dies. The rest is one small file, locked while
//! it is read and written. What other machines send from the mailbox shows in Exchange's replies only.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};

use super::clock::{Moment, Wait};
use super::fault;
use super::spool::{STATE, Spool};
use super::trouble::Trouble;
use crate::config::settings::Limits;

/// The connections of a queue for which `connections = 0` sets no limit.
const MOST: u32 = 3;
/// How long one connection less is used after a reply that there were too many.
const CROWDED: Duration = Duration::from_secs(10 * 60);
/// The rate is counted over a minute and this fraction of it: we count a message when it begins, Exchange a moment later.
const MARGIN: u32 = 60;
/// How much of a mailbox's file is read: it has some hundred bytes.
const LONGEST: u64 = 64 * 1024;

/// Files in `state`.
const MAILBOX: &str = "mailbox";
const CONFIGURATION: &str = "configuration";

/// The right to use one connection and its folder in `work`.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    /// Holds the lock.
    _folder: File,
}

/// What all processes know of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mailbox {
    /// After a change of the mailbox, what is known of the old one is dropped.
    address: String,
    /// How long nothing is sent.
    pub(crate) wait: Option<Wait>,
    /// How often in a row it was held.
    pub(crate) failures: u32,
    pub(crate) trouble: Option<Trouble>,
    /// What the server said.
    pub(crate) words: String,
    /// How many connections less are used, and how long.
    fewer: u32,
    crowded: Option<Wait>,
    /// When the last messages began.
    sent: Vec<Moment>,
}

#[derive(Clone, Debug)]
pub(crate) struct Governor {
    spool: Spool,
    address: String,
    limits: Limits,
}

impl Governor {
    pub(crate) fn new(spool: &Spool, address: &str, limits: Limits) -> Self {
        Self {
            spool: spool.clone(),
            address: address.to_owned(),
            limits,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What is known of whichever mailbox was used last, to be shown.
    pub(crate) fn last_known(spool: &Spool) -> Mailbox {
        let files = [CONFIGURATION, MAILBOX].map(|name| spool.path(STATE).join(name));
        let text = files.iter().find_map(|file| std::fs::read(file).ok());
        Mailbox::parse(&String::from_utf8_lossy(&text.unwrap_or_default()))
    }

    /// How many connections may be open now.
    pub(crate) fn connections(&self, mailbox: &Mailbox) -> u32 {
        self.most().saturating_sub(mailbox.fewer_now()).max(1)
    }

    fn most(&self) -> u32 {
        match self.limits.connections {
            0 => MOST,
            most => most,
        }
    }

    /// A free connection, if there is one.
    pub(crate) fn connection(&self, mailbox: &Mailbox) -> io::Result<Option<Slot>> {
        for number in 1..=self.connections(mailbox) {
            if let Some(slot) = Slot::take(&self.spool, number)? {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    pub(crate) fn read(&self) -> Mailbox {
        let read = self.file().and_then(|file| Mailbox::read(&file));
        read.ok()
            .filter(|mailbox| mailbox.address == self.address)
            .unwrap_or_default()
    }

    /// Counts a message that begins now, or returns how long it has to wait for the rate.
    pub(crate) fn begin_message(&self) -> Result<(), Duration> {
        if self.limits.rate == 0 {
            return Ok(());
        }
        let most = usize::try_from(self.limits.rate).unwrap_or(usize::MAX);
        let minute = fault::minute();
        let window = minute + minute / MARGIN;
        let mut answer = Ok(());
        let changed = self.change(|mailbox| {
            let now = Moment::now();
            let age = |sent: &Moment| now.since(sent).filter(|age| *age < window);
            mailbox.sent.retain(|sent| age(sent).is_some());
            let full = mailbox.sent.len() >= most;
            let oldest = mailbox.sent.first().and_then(age);
            match oldest.filter(|_| full) {
                Some(oldest) => answer = Err(window - oldest),
                None => mailbox.sent.push(now),
            }
        });
        // If the disk is full, the message is sent uncounted.
        if let Err(error) = changed {
            log::debug!("rate: {}: {error}", self.path().display());
        }
        answer
    }

    /// A message was sent, so the trouble is over; unless another connection has met a new one meanwhile.
    pub(crate) fn note_success(&self) {
        let mailbox = self.read();
        if mailbox.trouble.is_some() && mailbox.held().is_zero() {
            let _ = self.change(Mailbox::release);
        }
    }

    /// Ends the trouble with the configuration.
    pub(crate) fn clear_configuration(&self) {
        let _ = std::fs::remove_file(self.spool.path(STATE).join(CONFIGURATION));
    }

    /// Lets nothing be sent from the mailbox for as long as its trouble or the server asks, and returns how long.
    pub(crate) fn hold(&self, trouble: Trouble, words: &str, asked: Option<Duration>) -> Duration {
        let asked = asked.unwrap_or_default();
        let mut length = trouble.pause(1).max(asked);
        let changed = self.change(|mailbox| {
            let now = Moment::now();
            if trouble == Trouble::Crowded {
                mailbox.fewer = mailbox.fewer_now().saturating_add(1);
                mailbox.crowded = Some(Wait {
                    since: now.clone(),
                    length: CROWDED,
                });
                // One connection less is enough, until only one is left.
                if mailbox.fewer < self.most() {
                    return;
                }
                mailbox.fewer = self.most() - 1;
            }
            mailbox.failures = mailbox.failures.saturating_add(1);
            length = trouble.pause(mailbox.failures).max(asked);
            mailbox.trouble = Some(trouble);
            mailbox.wait = Some(Wait { since: now, length });
            words.clone_into(&mut mailbox.words);
        });
        if let Err(error) = changed {
            log::debug!("{}: {error}", self.path().display());
        }
        length
    }

    /// Ends a hold: somebody says that the trouble is over.
    pub(crate) fn release(&self) {
        let _ = self.change(Mailbox::release);
    }

    fn change(&self, change: impl FnOnce(&mut Mailbox)) -> io::Result<()> {
        let file = self.file()?;
        let mut mailbox = Mailbox::read(&file)?;
        if mailbox.address != self.address {
            mailbox = Mailbox {
                address: self.address.clone(),
                ..Mailbox::default()
            };
        }
        change(&mut mailbox);
        // Written in place and then cut. A process that dies in between leaves old lines behind `end`.
        let text = mailbox.text();
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    }

    /// Without a configuration there is no address; the file of the mailbox is kept for when there is one again.
    fn path(&self) -> PathBuf {
        let name = match self.address.is_empty() {
            true => CONFIGURATION,
            false => MAILBOX,
        };
        self.spool.path(STATE).join(name)
    }

    /// The file, locked. Root may use it, too, but does not make it: it has to belong to the spool's owner.
    fn file(&self) -> io::Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(self.spool.is_mine())
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
            .open(self.path())?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.nlink() != 1 {
            return Err(io::Error::other("not a file of its own"));
        }
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }
}

impl Slot {
    /// The connection of that number, if no process has it.
    pub(crate) fn take(spool: &Spool, number: u32) -> io::Result<Option<Self>> {
        let path = spool.work(number);
        if spool.is_mine() && !path.exists() {
            std::fs::create_dir_all(&path)?;
        }
        let folder = File::open(path)?;
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self {
                number,
                _folder: folder,
            })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Mailbox {
    /// How long from now nothing may be sent.
    pub(crate) fn held(&self) -> Duration {
        let left = |wait: &Wait| wait.left(&Moment::now());
        self.wait.as_ref().map_or(Duration::ZERO, left)
    }

    fn fewer_now(&self) -> u32 {
        let crowded = self.crowded.as_ref();
        let lasts = crowded.is_some_and(|wait| !wait.left(&Moment::now()).is_zero());
        if lasts { self.fewer } else { 0 }
    }

    fn release(&mut self) {
        (self.wait, self.failures, self.trouble) = (None, 0, None);
        self.words.clear();
    }

    fn read(file: &File) -> io::Result<Self> {
        let mut text = Vec::new();
        file.take(LONGEST).read_to_end(&mut text)?;
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    /// Ignores what is damaged.
    fn parse(text: &str) -> Self {
        let mut mailbox = Self::default();
        for line in text.lines().take_while(|line| *line != "end") {
            match line.split_once(' ') {
                Some(("mailbox", value)) => value.clone_into(&mut mailbox.address),
                Some(("wait", value)) => mailbox.wait = Wait::parse(value),
                Some(("failures", value)) => mailbox.failures = value.parse().unwrap_or(0),
                Some(("trouble", value)) => mailbox.trouble = Trouble::parse(value),
                Some(("words", value)) => value.clone_into(&mut mailbox.words),
                Some(("fewer", value)) => mailbox.fewer = value.parse().unwrap_or(0),
                Some(("crowded", value)) => mailbox.crowded = Wait::parse(value),
                Some(("sent", value)) => mailbox.sent.extend(Moment::parse(value)),
                _ => {}
            }
        }
        mailbox
    }

    fn text(&self) -> String {
        let mut text = format!("mailbox {}\n", self.address);
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            text.push_str(&format!("{key} {value}\n"));
        };
        if let (Some(wait), Some(trouble)) = (&self.wait, &self.trouble) {
            line("wait", wait);
            line("trouble", &trouble.name());
            line("failures", &self.failures);
            line("words", &self.words.replace(char::is_control, " "));
        }
        if let Some(crowded) = &self.crowded {
            line("crowded", crowded);
            line("fewer", &self.fewer);
        }
        self.sent.iter().for_each(|sent| line("sent", sent));
        text.push_str("end\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_on_one_connection_does_not_end_a_hold_that_another_has_begun() {
        let folder = std::env::temp_dir().join(format!("exosend-governor-{}", std::process::id()));
        let spool = Spool::new(&folder, true);
        spool.make().unwrap();
        let governor = Governor::new(&spool, "robot@contoso.com", Limits::default());
        assert_eq!(governor.begin_message(), Ok(()));
        governor.hold(Trouble::Blocked, "550 5.2.251", None);
        governor.note_success();
        assert!(!governor.read().held().is_zero());
        // Without a configuration.
        let nobody = Governor::new(&spool, "", Limits::default());
        nobody.hold(Trouble::Configuration, "nonsense", None);
        assert_eq!(governor.read().trouble, Some(Trouble::Blocked));
        assert_eq!(governor.read().sent.len(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
