//! Tokens kept between calls and between processes.
//!
//! A text file, one line a token: a check sum, which account it is for, when it was issued and when it ends, the token.
//! There is no lock: whoever has a new token reads the file, and puts a whole new one in its place by a rename. Of two that
//! do so at once, one's token is lost, which costs one request.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::crypto::{self, hex, sha256};
use crate::secret::Secret;
use crate::token::answer::MAX_LIFETIME;
use crate::token::{Keep, Token};

/// The first line. Another version of this crate may write another one, and then starts afresh.
const TITLE: &str = "exosend tokens 1";
/// A hundred accounts' worth. A file that is longer is not ours.
const MAX_FILE: u64 = 256 * 1024;
/// A file of a process that was killed while it wrote.
const ABANDONED: Duration = Duration::from_secs(60);

/// The file, and nothing of what is in it.
#[derive(Debug)]
pub(crate) struct CacheFile(PathBuf);

/// One line.
struct Entry {
    account: String,
    token: Token,
}

impl CacheFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// What the file holds; nothing if it is not there or damaged. An error is a reason to leave it alone.
    fn read(&self) -> Result<Vec<Entry>, String> {
        let path = &self.0;
        let mut tries = 0;
        let (file, opened) = loop {
            let at_path = match fs::symlink_metadata(path) {
                Ok(at_path) => at_path,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(e) => return Err(e.to_string()),
            };
            if !at_path.is_file() {
                return Err("not a file".into());
            }
            let file = File::open(path).map_err(|e| e.to_string())?;
            let opened = file.metadata().map_err(|e| e.to_string())?;
            if (opened.dev(), opened.ino()) == (at_path.dev(), at_path.ino()) {
                break (file, opened);
            }
            // Another process has put a new file in its place, or somebody a link: that shows when it is looked at again.
            tries += 1;
            if tries == 5 {
                return Err("replaced while it was opened".into());
            }
        };
        if opened.mode() & 0o077 != 0 {
            let mode = opened.mode() & 0o777;
            return Err(format!("others may use it (mode {mode:o}): chmod 600"));
        }
        // Only a file just made tells who we are: std has no geteuid.
        let mine = Draft::beside(path).and_then(|draft| draft.file.metadata());
        if mine.map_err(|e| e.to_string())?.uid() != opened.uid() {
            return Err("it belongs to somebody else".into());
        }
        // As much room as it needs: one that grows leaves copies behind.
        let room = usize::try_from(opened.len().min(MAX_FILE) + 1).unwrap_or_default();
        let mut text = Zeroizing::new(String::with_capacity(room));
        match file.take(MAX_FILE + 1).read_to_string(&mut text) {
            Ok(length) if length as u64 <= MAX_FILE => Ok(parse(&text)),
            Ok(_) => Ok(Vec::new()),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(Vec::new()),
            Err(e) => Err(e.to_string()),
        }
    }

    fn write(&self, entries: &[Entry]) -> io::Result<()> {
        let directory = directory(&self.0);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        sweep(directory, &self.0);
        let mut text = Zeroizing::new(String::with_capacity(entries.iter().map(room).sum()));
        text.push_str(TITLE);
        text.push('\n');
        for entry in entries {
            let line = line(entry);
            text.push_str(&check_sum(&line));
            text.push(' ');
            text.push_str(&line);
            text.push('\n');
        }
        let mut draft = Draft::beside(&self.0)?;
        draft.file.write_all(text.as_bytes())?;
        fs::rename(&draft.path, &self.0)
    }

    /// Without that token, if there is a reason to change the file.
    fn forget_in(&self, account: &str, refused: &Token) -> Result<(), String> {
        let mut entries = self.read()?;
        let before = entries.len();
        entries.retain(|e| e.account != account || e.token.secret != refused.secret);
        match entries.len() == before {
            true => Ok(()),
            false => self.write(&entries).map_err(|e| e.to_string()),
        }
    }

    /// With a new token in the place of the account's old one.
    fn store_in(&self, account: String, token: &Token) -> Result<(), String> {
        let mut entries = self.read()?;
        entries.retain(|e| e.account != account && !e.token.expires_in().is_zero());
        // The newest last, so that the oldest make room.
        entries.push(Entry {
            account,
            token: token.clone(),
        });
        while entries.iter().map(room).sum::<usize>() as u64 > MAX_FILE {
            entries.remove(0);
        }
        self.write(&entries).map_err(|e| e.to_string())
    }

    fn leave_alone(&self, why: &str) {
        log::warn!("token_cache {}: not used: {why}", self.0.display());
    }
}

impl Keep for CacheFile {
    fn load(&self, name: &str) -> Option<Token> {
        let account = account(name);
        let entries = self.read().map_err(|why| self.leave_alone(&why)).ok()?;
        let entry = entries.into_iter().find(|entry| entry.account == account)?;
        log::debug!("token from {}", self.0.display());
        Some(entry.token)
    }

    fn store(&self, name: &str, token: &Token) {
        if token.expires_in().is_zero() {
            return;
        }
        if let Err(why) = self.store_in(account(name), token) {
            self.leave_alone(&why);
        }
    }

    fn forget(&self, name: &str, refused: &Token) {
        if let Err(why) = self.forget_in(&account(name), refused) {
            self.leave_alone(&why);
        }
    }
}

/// What a name becomes in the file, which shows nobody whose tokens it keeps.
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
    let secret = words.next()?;
    // Issued in the time to come: the clock was wrong, and so is the end.
    let early = issued > SystemTime::now() + Duration::from_secs(60);
    if early || expires.duration_since(issued).ok()? > MAX_LIFETIME {
        return None;
    }
    Some(Entry {
        account,
        token: Token::new(Secret::new(secret.to_owned()), issued, expires),
    })
}

fn line(entry: &Entry) -> Zeroizing<String> {
    let seconds = |time: SystemTime| {
        time.duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
    };
    let token = &entry.token;
    let mut line = Zeroizing::new(String::with_capacity(room(entry)));
    for time in [token.issued, token.expires] {
        if line.is_empty() {
            line.push_str(&entry.account);
        }
        line.push_str(&format!(" {}", seconds(time)));
    }
    line.push(' ');
    line.push_str(token.secret());
    line
}

/// More than the entry's line takes, and the title: a string that grows leaves copies behind.
fn room(entry: &Entry) -> usize {
    256 + entry.token.secret().len()
}

/// So that a line that was cut off does not pass for one with a shorter token.
fn check_sum(line: &str) -> String {
    let mut sum = hex(&sha256(line.as_bytes()));
    sum.truncate(16);
    sum
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A new file of mode 0600 beside the cache, removed when dropped unless it was renamed.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn beside(path: &Path) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", crypto::random::<8>()));
        let path = PathBuf::from(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes what processes left that were killed while they wrote: it holds tokens. Nothing hangs on its success.
fn sweep(directory: &Path, path: &Path) {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    for found in fs::read_dir(directory).into_iter().flatten().flatten() {
        let found_name = found.file_name();
        let rest = found_name.as_encoded_bytes().strip_prefix(name);
        // Sixteen digits between two dots: somebody else's file is not ours to remove.
        let middle = rest.and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(b".tmp"));
        let is_draft =
            middle.is_some_and(|name| name.len() == 16 && name.iter().all(u8::is_ascii_hexdigit));
        let modified = found.metadata().and_then(|of| of.modified()).ok();
        let age = modified.and_then(|then| then.elapsed().ok());
        if is_draft && age.is_some_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(found.path());
        }
    }
}
