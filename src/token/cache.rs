//! Tokens kept between calls and between processes.
//!
//! A text file, one line a token: a check sum, which account it is for, when it was issued and when it ends, the token.
//! A process with a new token writes a draft beside the file, and renames it over the file. If another process has a draft
//! there, the token is not stored, which costs one request later.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::crypto::{hex, sha256};
use crate::secret::{self, Secret};
use crate::token::answer::MAX_LIFETIME;
use crate::token::{Keep, Token};

const KIND: Kind = Kind {
    title: "exosend tokens ",
    name: "a token cache",
    or_services: false,
};
/// The first line of this version. A cache of another version counts as empty.
const TITLE: &str = "exosend tokens 1";
/// Room for a hundred accounts, or for any refresh token. A longer file is not ours.
pub(super) const MAX_FILE: u64 = 256 * 1024;
/// A draft of this age was left by a process that was killed while it wrote.
const ABANDONED: Duration = Duration::from_secs(60);

/// The file, and nothing of what is in it.
#[derive(Debug)]
pub(crate) struct CacheFile {
    path: PathBuf,
    /// Whether the log has been warned. Each message meets the same trouble twice, when it reads and when it stores.
    warned: AtomicBool,
}

/// One line.
struct Entry {
    account: String,
    token: Token,
}

impl CacheFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        let warned = AtomicBool::new(false);
        Self { path, warned }
    }

    /// The file's entries; none if it is missing, empty or damaged. An error is a reason to leave the file alone.
    fn read(&self) -> io::Result<Vec<Entry>> {
        Ok(match KIND.read(&self.path)? {
            Some((text, _)) => parse(std::str::from_utf8(&text).unwrap_or_default()),
            None => Vec::new(),
        })
    }

    /// Replaces the file's entries by what `change` makes of them, if that returns `true`. `false` while another process
    /// changes the file.
    fn change(&self, change: &mut dyn FnMut(&mut Vec<Entry>) -> bool) -> bool {
        self.try_change(change).unwrap_or_else(|why| {
            self.leave_alone(&why);
            true
        })
    }

    fn try_change(&self, change: &mut dyn FnMut(&mut Vec<Entry>) -> bool) -> io::Result<bool> {
        // A file that is to be left alone, or stays as it is, is found before anything is made beside it.
        if !change(&mut self.read()?) {
            return Ok(true);
        }
        let Some(mut draft) = Draft::beside(&self.path, false)? else {
            log::debug!("token_cache {}: another writes it", self.path.display());
            return Ok(false);
        };
        // Read again: nobody else can change the file while this draft is there.
        let mut entries = self.read()?;
        if !change(&mut entries) {
            return Ok(true);
        }
        let mut text = Zeroizing::new(String::with_capacity(entries.iter().map(room).sum()));
        text.push_str(TITLE);
        text.push('\n');
        for entry in &entries {
            let line = line(entry);
            text.extend([&check_sum(&line), " ", &line, "\n"]);
        }
        draft.file.write_all(text.as_bytes())?;
        draft.put_in_place(&self.path)?;
        Ok(true)
    }

    fn leave_alone(&self, why: &io::Error) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!("token_cache {}: not used: {why}", self.path.display());
        }
    }
}

impl Keep for CacheFile {
    fn load(&self, name: &str) -> Option<Token> {
        let account = account(name);
        let entries = self.read().map_err(|why| self.leave_alone(&why)).ok()?;
        let entry = entries.into_iter().find(|entry| entry.account == account)?;
        log::debug!("token from {}", self.path.display());
        Some(entry.token)
    }

    fn store(&self, name: &str, token: &Token) {
        if token.expires_in().is_zero() {
            return;
        }
        let account = account(name);
        self.change(&mut |entries| {
            entries.retain(|e| e.account != account && !e.token.expires_in().is_zero());
            // The newest last, so that the oldest make room.
            entries.push(Entry {
                account: account.clone(),
                token: token.clone(),
            });
            while entries.iter().map(room).sum::<usize>() as u64 > MAX_FILE {
                entries.remove(0);
            }
            true
        });
    }

    fn forget(&self, name: &str, refused: Option<&Token>) {
        let account = account(name);
        let mut forget = |entries: &mut Vec<Entry>| {
            let before = entries.len();
            let another = |e: &Entry| refused.is_some_and(|it| e.token.secret != it.secret);
            entries.retain(|e| e.account != account || another(e));
            entries.len() < before
        };
        // Waits a second for other processes, as `store` does not: a refused token that stays would be used again.
        for _ in 0..20 {
            if self.change(&mut forget) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A kind of file that only its owner may use, and that we replace.
pub(super) struct Kind {
    /// How the first line begins in every version.
    pub(super) title: &'static str,
    pub(super) name: &'static str,
    /// Whether root may use a service's, too, in that service's folder.
    pub(super) or_services: bool,
}

/// The ids of a file's user and group.
pub(super) type Owner = (u32, u32);

impl Kind {
    /// The content of such a file, and its owner; `None` if there is none.
    pub(super) fn read(&self, path: &Path) -> io::Result<Option<(Zeroizing<Vec<u8>>, Owner)>> {
        let (file, found) = match secret::open(path, libc::O_NOFOLLOW) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            // Its target is not ours to replace.
            Err(e) if e.raw_os_error() == Some(libc::ELOOP) => {
                return Err(io::Error::other("a symbolic link: name the file itself"));
            }
            opened => opened?,
        };
        let (mode, owner) = (found.mode() & 0o777, found.uid());
        if mode & 0o077 != 0 {
            let what = format!("others may use it (mode {mode:o}): chmod 600");
            return Err(io::Error::other(what));
        }
        let me = user();
        let services = || {
            let folder = fs::symlink_metadata(folder_of(path));
            me == Some(0) && folder.is_ok_and(|folder| folder.uid() == owner)
        };
        // Of mode 0600, so its owner can open it, or root.
        if me.is_some_and(|me| me != owner) && !(self.or_services && services()) {
            let what = format!(
                "it belongs to the user with the id {owner}: every user needs a file of his own"
            );
            return Err(io::Error::other(what));
        }
        let text = secret::read(&file, &found, MAX_FILE)?;
        // The configuration may name another file by mistake, a private key even: that must not be replaced.
        let title = self.title.as_bytes();
        if !text.starts_with(title) && !title.starts_with(&text) {
            let what = format!("it is not {}: name a file that is not there yet", self.name);
            return Err(io::Error::other(what));
        }
        Ok(Some((text, (owner, found.gid()))))
    }
}

/// A name as the file has it: hashed, so that the file does not show whose tokens it keeps.
fn account(name: &str) -> String {
    hex(&sha256(name.as_bytes()))
}

fn parse(text: &str) -> Vec<Entry> {
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Vec::new();
    }
    lines.filter_map(entry).collect()
}

fn entry(text: &str) -> Option<Entry> {
    let (sum, line) = text.split_once(' ')?;
    if sum != check_sum(line) {
        return None;
    }
    let mut words = line.split(' ');
    let account = words.next()?.to_owned();
    let mut time = || UNIX_EPOCH.checked_add(Duration::from_secs(words.next()?.parse().ok()?));
    let (issued, expires) = (time()?, time()?);
    let secret = Secret::new(words.next()?.to_owned());
    // Issued in the future: the clock was wrong, and so is the token's end.
    let early = issued > SystemTime::now() + Duration::from_secs(60);
    if early || expires.duration_since(issued).ok()? > MAX_LIFETIME {
        return None;
    }
    let token = Token::new(secret, issued, expires);
    #[cfg(feature = "login")]
    let token = Token {
        user: words.next().map(str::to_owned),
        ..token
    };
    Some(Entry { account, token })
}

/// Since 1970, as both files have it.
pub(super) fn seconds(time: SystemTime) -> u64 {
    let passed = time.duration_since(UNIX_EPOCH);
    passed.unwrap_or_default().as_secs()
}

fn line(entry: &Entry) -> Zeroizing<String> {
    let Entry { account, token } = entry;
    let (issued, expires) = (seconds(token.issued), seconds(token.expires));
    let mut line = Zeroizing::new(String::with_capacity(room(entry)));
    // Writing into a String does not fail.
    let _ = write!(line, "{account} {issued} {expires} {}", token.secret());
    #[cfg(feature = "login")]
    if let Some(user) = &token.user {
        line.extend([" ", user]);
    }
    line
}

/// More bytes than the entry's line and the title take: a string that grows leaves copies of a secret behind.
fn room(entry: &Entry) -> usize {
    256 + entry.token.secret().len() + entry.token.user_or("").len()
}

/// Tells a line that was cut off from one with a shorter token.
fn check_sum(line: &str) -> String {
    let mut sum = hex(&sha256(line.as_bytes()));
    sum.truncate(16);
    sum
}

/// The user whose rights this process has: the second number of `Uid:` (proc(5)), since std has no geteuid.
pub(super) fn user() -> Option<u32> {
    let (file, found) = secret::open(Path::new("/proc/self/status"), 0).ok()?;
    let status = secret::read(&file, &found, MAX_FILE).ok()?;
    let (_, ids) = std::str::from_utf8(&status).ok()?.split_once("\nUid:")?;
    ids.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The next content of a file, of mode 0600; removed when dropped unless it was renamed.
pub(super) struct Draft {
    path: PathBuf,
    pub(super) file: File,
    in_place: bool,
}

impl Draft {
    /// Makes the draft of a file; `None` while another process has one, unless that is to be removed.
    pub(super) fn beside(path: &Path, remove: bool) -> io::Result<Option<Self>> {
        make_folder(folder_of(path))?;
        let path = draft_of(path);
        let changed = fs::symlink_metadata(&path).and_then(|of| of.modified());
        // A draft from the future was made by a wrong clock, and would never grow old.
        let is_old = |then: SystemTime| then.elapsed().map_or(true, |age| age > ABANDONED);
        if remove || changed.is_ok_and(is_old) {
            let _ = fs::remove_file(&path);
        }
        let mut options = OpenOptions::new();
        let file = match options.write(true).create_new(true).mode(0o600).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            made => made?,
        };
        Ok(Some(Self {
            path,
            file,
            in_place: false,
        }))
    }

    /// `false` if it is not there any more.
    pub(super) fn put_in_place(&mut self, of: &Path) -> io::Result<bool> {
        if self.is_there() {
            fs::rename(&self.path, of)?;
            self.in_place = true;
        }
        Ok(self.in_place)
    }

    /// Whether the draft is still this one. Of two processes that find an abandoned draft, the later one may remove what the
    /// first has just begun; and the end of a login removes the draft of its renewal.
    fn is_there(&self) -> bool {
        let id = |found: Metadata| (found.dev(), found.ino());
        let there = fs::symlink_metadata(&self.path).map(id);
        there.is_ok_and(|there| self.file.metadata().is_ok_and(|own| id(own) == there))
    }
}

/// Where the draft of a file lies.
pub(super) fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The folder and those above it, as far as they are missing.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let make = || DirBuilder::new().mode(0o700).create(folder);
    match make() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make_folder(folder.parent().ok_or(e)?)?;
            make()
        }
        Err(_) if folder.is_dir() => Ok(()),
        made => made,
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it is in place, a file with the draft's name is another process's.
        if !self.in_place && self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_removes_no_later_one_when_dropped() {
        let folder = std::env::temp_dir().join(format!("exosend-{}", crate::crypto::random::<8>()));
        let path = folder.join("tokens");
        let draft = || Draft::beside(&path, false).unwrap();
        let mut first = draft().unwrap();
        assert!(draft().is_none(), "one at a time");
        first.put_in_place(&path).unwrap();
        let second = draft().unwrap();
        drop(first);
        assert!(second.path.exists());
        // Another process has taken the draft for an abandoned one, and writes its own.
        fs::remove_file(&second.path).unwrap();
        let third = draft().unwrap();
        let mut second = second;
        second.put_in_place(&path).unwrap();
        drop(second);
        assert!(third.path.exists());
        drop(third);
        assert!(draft().is_some(), "given up, it is gone");
        fs::remove_dir_all(&folder).unwrap();
    }
}
