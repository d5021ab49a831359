//! The file that keeps a login.
//!
//! A few lines of text, the last of which says that none is missing. The file is replaced whole, as the file of tokens is: a
//! draft beside it is on the disk before it takes the old file's place, and the folder before anything else is done. A
//! renewal needs the draft. A new login and the end of one remove the draft of a renewal, so that it undoes neither.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::error::Error;
use crate::secret::Secret;
use crate::stage::Stage;
use crate::text::is_word;
use crate::token::Application;
use crate::token::cache::{Draft, Kind, Owner, draft_of, folder_of, make_folder, seconds, user};

/// The key it is set by.
pub(crate) const KEY: &str = "login_file";

const KIND: Kind = Kind {
    title: "exosend login ",
    name: "a login",
    or_services: true,
};
/// The first line.
const TITLE: &str = "exosend login 1";
/// The last one.
const END: &str = "end";
/// How often a new login is written anew, while others begin to renew the old one.
const TRIES: u32 = 10;

/// The lines between them begin so, and go on with one word. The scope is the first request's, for people who read the file; each
/// renewal asks for its own.
const NAMES: &str = "user client_id tenant scope since renewed refresh_token";

/// The text of a login.
#[derive(PartialEq)]
pub(crate) struct Kept(Zeroizing<Vec<u8>>);

impl Kept {
    pub(crate) fn new(user: &str, app: &Application<'_>, refresh_token: &Secret) -> Self {
        let now = SystemTime::now();
        let (client, tenant, scope, since) = (app.client_id, app.tenant, app.scope, seconds(now));
        let head = format!(
            "{TITLE}\nuser {user}\nclient_id {client}\ntenant {tenant}\nscope {scope}\nsince {since}"
        );
        Self::of(&head, now, refresh_token)
    }

    /// The same login, renewed.
    pub(crate) fn renewed(&self, now: SystemTime, refresh_token: &Secret) -> Self {
        let head = self.text().split_once("\nrenewed ");
        Self::of(head.unwrap_or_default().0, now, refresh_token)
    }

    /// Joined in one piece: a string that grows leaves copies behind.
    fn of(head: &str, renewed: SystemTime, refresh_token: &Secret) -> Self {
        let (renewed, token) = (seconds(renewed).to_string(), refresh_token.expose());
        let text = [
            head,
            "\nrenewed ",
            &renewed,
            "\nrefresh_token ",
            token,
            "\n",
            END,
            "\n",
        ];
        Self(Zeroizing::new(text.concat().into_bytes()))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether no line is missing, and none is cut off.
    fn is_whole(&self) -> bool {
        let mut lines = self.text().lines();
        let is_framed = lines.next() == Some(TITLE) && lines.next_back() == Some(END);
        let is_next = |name| {
            let value = lines.next().and_then(|line| value(line, name));
            value.is_some_and(is_word)
        };
        let is_time = |name| self.time(name).is_some();
        is_framed && NAMES.split(' ').all(is_next) && is_time("since") && is_time("renewed")
    }

    pub(super) fn field(&self, name: &str) -> &str {
        let value = self.text().lines().find_map(|line| value(line, name));
        value.unwrap_or_default()
    }

    fn time(&self, name: &str) -> Option<SystemTime> {
        let seconds = self.field(name).parse().ok()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// Who logged in.
    pub(crate) fn user(&self) -> &str {
        self.field("user")
    }

    pub(crate) fn client_id(&self) -> &str {
        self.field("client_id")
    }

    /// The one by which the login was asked for, and is renewed.
    pub(crate) fn tenant(&self) -> &str {
        self.field("tenant")
    }

    pub(crate) fn since(&self) -> SystemTime {
        self.time("since").unwrap_or(UNIX_EPOCH)
    }

    pub(crate) fn last_renewed(&self) -> SystemTime {
        self.time("renewed").unwrap_or(UNIX_EPOCH)
    }

    pub(crate) fn refresh_token(&self) -> &str {
        self.field("refresh_token")
    }
}

fn value<'t>(line: &'t str, name: &str) -> Option<&'t str> {
    let (found, value) = line.split_once(' ')?;
    (found == name).then_some(value)
}

/// The file, and nothing of what is in it.
#[derive(Debug)]
pub(crate) struct LoginFile(PathBuf);

impl LoginFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// An error that names the file.
    pub(crate) fn wrong(&self, what: &dyn Display) -> Error {
        let what = format!("{}: {what}", self.0.display());
        Error::input(Stage::Account, KEY, what)
    }

    /// `None` if nobody is logged in.
    pub(crate) fn read(&self) -> io::Result<Option<Kept>> {
        let kept = KIND.read(&self.0)?.map(|(text, _)| Kept(text));
        if kept.as_ref().is_some_and(|kept| !kept.is_whole()) {
            let what = "it is damaged, or of another version: exosend login";
            return Err(io::Error::other(what));
        }
        Ok(kept)
    }

    fn owner(&self) -> io::Result<Option<Owner>> {
        Ok(KIND.read(&self.0)?.map(|(_, owner)| owner))
    }

    /// Whether a login can be kept: better known before the user is asked for one.
    pub(crate) fn can_be_written(&self) -> io::Result<()> {
        Draft::beside(&self.place()?.path, false).map(drop)
    }

    fn place(&self) -> io::Result<Place> {
        let owner = self.owner()?;
        if owner.is_none() {
            make_folder(folder_of(&self.0))?;
        }
        Place::of(&self.0, owner)
    }

    /// Keeps a new login, whatever was there.
    pub(crate) fn replace(&self, with: &Kept) -> io::Result<()> {
        for _ in 0..TRIES {
            if self.write(with, None)? {
                return Ok(());
            }
        }
        Err(io::Error::other("other processes write it, too"))
    }

    /// Keeps a renewed login in the place of the `old` one, unless another process was faster: its renewed login is as good.
    pub(crate) fn renew(&self, old: &Kept, new: &Kept) -> io::Result<()> {
        self.write(new, Some(old)).map(drop)
    }

    /// Ends the login here. `false` if there was none; one whose writing was cut off goes all the same.
    pub(crate) fn remove(&self) -> io::Result<bool> {
        let owner = self.owner()?;
        // Where there is nothing, nothing is tried: the file system may be read-only.
        if owner.is_none() && std::fs::symlink_metadata(draft_of(&self.0)).is_err() {
            return Ok(false);
        }
        let place = Place::of(&self.0, owner)?;
        // The draft first: without it a renewal that has begun cannot put the login there again. One that begins later
        // finds none to renew.
        while remove(&draft_of(&place.path))? | remove(&place.path)? {}
        place.folder.sync_all()?;
        Ok(owner.is_some())
    }

    /// Replaces the `old` login, if it is still there; without `old` whatever is there. `false` while another process writes.
    fn write(&self, kept: &Kept, old: Option<&Kept>) -> io::Result<bool> {
        let place = self.place()?;
        let Some(mut draft) = Draft::beside(&place.path, old.is_none())? else {
            return Ok(false);
        };
        point("drafted");
        if old.is_some() && old != self.read()?.as_ref() {
            return Ok(true);
        }
        if let Some((uid, gid)) = place.owner {
            fchown(&draft.file, Some(uid), Some(gid))?;
        }
        draft.file.write_all(&kept.0)?;
        point("written");
        draft.file.sync_all()?;
        point("synced");
        let replaced = draft.put_in_place(&place.path)?;
        point("renamed");
        place.folder.sync_all()?;
        Ok(replaced)
    }
}

/// `false` if it is not there.
fn remove(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

/// Where a file goes, and to whom.
struct Place {
    folder: File,
    path: PathBuf,
    /// Whom root gives it to.
    owner: Option<Owner>,
}

impl Place {
    /// Where `old` lies, or a first login is to lie. What root writes into a service's folder becomes the service's, which
    /// could not read root's. The service could put a link in the place of its folder, so root writes by way of the folder's
    /// descriptor.
    fn of(path: &Path, old: Option<Owner>) -> io::Result<Self> {
        let root = user() == Some(0);
        let folder = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | if root { libc::O_NOFOLLOW } else { 0 })
            .open(folder_of(path))?;
        let found = folder.metadata()?;
        if !root || found.uid() == 0 {
            let path = path.to_owned();
            let owner = None;
            return Ok(Self {
                folder,
                path,
                owner,
            });
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let owner = old.unwrap_or((found.uid(), found.gid()));
        if owner.0 != found.uid() {
            return Err(io::Error::other(
                "it and its folder belong to different users",
            ));
        }
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name),
            owner: Some(owner),
            folder,
        })
    }
}

/// Where a test stops this process, to kill it or to let others go first: a file tells that the place is reached, and nothing
/// goes on while it is there.
#[cfg(debug_assertions)]
pub(super) fn point(place: &str) {
    let Ok(wanted) = std::env::var("LOGIN_TEST_STOP") else {
        return;
    };
    if let Some((_, mark)) = wanted.split_once(' ').filter(|(at, _)| *at == place) {
        let _ = File::create(mark);
        while Path::new(mark).exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn point(_: &str) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;

    /// Nothing can be changed in /proc, as on a file system that is mounted read-only.
    #[test]
    fn where_nobody_is_logged_in_nothing_needs_to_be_removed() {
        let file = LoginFile::new("/proc/exosend".into());
        assert!(!file.remove().unwrap());
    }

    #[test]
    fn a_login_is_read_as_written_and_a_cut_one_is_not() {
        let account = Account::new("").tenant("common").client_id("6731de76");
        let secret = |text: &str| Secret::new(text.into());
        let kept = Kept::new("ann@x.y", &account.application(), &secret("0.AX"));
        assert_eq!((kept.user(), kept.client_id()), ("ann@x.y", "6731de76"));
        let at = UNIX_EPOCH + Duration::from_secs(1_795_600_000);
        let renewed = kept.renewed(at, &secret("0.AY"));
        let read = (renewed.user(), renewed.refresh_token());
        assert_eq!(read, ("ann@x.y", "0.AY"));
        let times = (renewed.since(), renewed.last_renewed());
        assert_eq!(times, (kept.since(), at));
        let whole = |text: &[u8]| Kept(text.to_vec().into()).is_whole();
        for kept in [kept, renewed] {
            assert!(whole(&kept.0));
            // Only the last line break may be missing.
            for length in 0..kept.0.len() - 1 {
                assert!(!whole(&kept.0[..length]), "{length}");
            }
            let late = kept.text().replace("\nsince ", "\nsince x");
            assert!(!whole(late.as_bytes()));
        }
        for other in ["exosend login 2\nend", "exosend login 1\nend", ""] {
            assert!(!whole(other.as_bytes()), "{other}");
        }
    }
}
