//! The file that keeps a login.
//!
//! A few lines of text, the last of which says that none is missing. The file is replaced whole, as the file of tokens is: a
//! draft beside it is on the disk before it takes the old file's place, and the folder before anything else is done. A
//! renewal needs the draft. A new login and the end of one remove the draft of a renewal, so that it undoes neither.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::secret::{self, Secret};
use crate::text::is_word;
use crate::token::cache::{Draft, draft_of, make_folder, open_private, seconds, user};

/// How the first line begins in every version. A file that begins otherwise is not a login.
const KIND: &str = "exosend login ";
/// The first line.
const TITLE: &str = "exosend login 1";
/// The last one.
const END: &str = "end";
/// A refresh token has 1 to 2 KB.
const MAX_FILE: u64 = 64 * 1024;
/// How often a new login is written anew, while others begin to renew the old one.
const TRIES: u32 = 10;

/// What the file says.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Who logged in.
    pub(crate) user: String,
    pub(crate) client_id: String,
    /// The one by which the login was asked for, and is renewed.
    pub(crate) tenant: String,
    /// The scope of the first request, for people who read the file. Each renewal asks for its own.
    pub(crate) scope: String,
    pub(crate) since: SystemTime,
    pub(crate) renewed: SystemTime,
    pub(crate) refresh_token: Secret,
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

    /// `None` if nobody is logged in.
    pub(crate) fn read(&self) -> io::Result<Option<Kept>> {
        let Some((bytes, _)) = self.whole()? else {
            return Ok(None);
        };
        let kept = parse(std::str::from_utf8(&bytes).unwrap_or_default());
        let what = "it is damaged, or of another version: exosend login";
        kept.map(Some).ok_or_else(|| io::Error::other(what))
    }

    /// The content, if it is a login: the configuration may name another file by mistake, a private key even.
    fn whole(&self) -> io::Result<Option<(Zeroizing<Vec<u8>>, Metadata)>> {
        let Some((file, found)) = self.open()? else {
            return Ok(None);
        };
        let bytes = secret::read(file, &found, MAX_FILE)?;
        match bytes.starts_with(KIND.as_bytes()) || KIND.as_bytes().starts_with(&bytes) {
            true => Ok(Some((bytes, found))),
            false => Err(io::Error::other(
                "it is not a login: name a file that is not there yet",
            )),
        }
    }

    /// Opens the file, if it is ours. Root may use a service's, in that service's folder.
    fn open(&self) -> io::Result<Option<(File, Metadata)>> {
        let (file, found) = match open_private(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.raw_os_error() == Some(libc::ELOOP) => {
                return Err(io::Error::other("a symbolic link: name the file itself"));
            }
            opened => opened?,
        };
        let services = || {
            let folder = std::fs::symlink_metadata(folder_of(&self.0));
            user() == Some(0) && folder.is_ok_and(|folder| folder.uid() == found.uid())
        };
        if user().is_some_and(|me| me != found.uid()) && !services() {
            let owner = found.uid();
            let what =
                format!("it belongs to the user with the id {owner}: every user logs in himself");
            return Err(io::Error::other(what));
        }
        Ok(Some((file, found)))
    }

    /// Whether a login can be kept: better known before the user is asked for one.
    pub(crate) fn can_be_written(&self) -> io::Result<()> {
        let old = self.whole()?.map(|(_, found)| found);
        let place = Place::of(&self.0, old.as_ref())?;
        Draft::beside(&place.path).map(drop)
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

    /// Keeps a renewed login in the place of the one with the `old` refresh token, unless another process was faster: its
    /// renewed login is as good.
    pub(crate) fn renew(&self, old: &Secret, new: &Kept) -> io::Result<()> {
        self.write(new, Some(old)).map(drop)
    }

    /// Ends the login here. `false` if there was none; one whose writing was cut off goes all the same.
    pub(crate) fn remove(&self) -> io::Result<bool> {
        let found = self.whole()?.map(|(_, found)| found);
        if found.is_none() && std::fs::symlink_metadata(draft_of(&self.0)).is_err() {
            return Ok(false);
        }
        let place = Place::of(&self.0, found.as_ref())?;
        // The draft first: without it a renewal that has begun cannot put the login there again. One that begins later
        // finds none to renew.
        while remove(&draft_of(&place.path))? | remove(&place.path)? {}
        place.folder.sync_all()?;
        Ok(found.is_some())
    }

    /// Replaces the login with this old refresh token, if it is still there; without `old` whatever is there. `false` while
    /// another process writes.
    fn write(&self, kept: &Kept, old: Option<&Secret>) -> io::Result<bool> {
        let found = self.whole()?.map(|(_, found)| found);
        let place = Place::of(&self.0, found.as_ref())?;
        if old.is_none() {
            remove(&draft_of(&place.path))?;
        }
        let Some(mut draft) = Draft::beside(&place.path)? else {
            return Ok(false);
        };
        point("drafted");
        let now = || self.read().ok().flatten().map(|now| now.refresh_token);
        if old.is_some() && old != now().as_ref() {
            return Ok(true);
        }
        if let Some((uid, gid)) = place.owner {
            fchown(&draft.file, Some(uid), Some(gid))?;
        }
        draft.file.write_all(text(kept).as_bytes())?;
        point("written");
        draft.file.sync_all()?;
        point("synced");
        draft.put_in_place(&place.path)?;
        point("renamed");
        place.folder.sync_all()?;
        Ok(draft.is_in_place())
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
    /// The owner whom root gives it to.
    owner: Option<(u32, u32)>,
}

impl Place {
    /// Where `old` lies, or a first login is to lie. What root writes into a service's folder becomes the service's, which
    /// could not read root's. The service could put a link in the place of its folder, so root writes by way of the folder's
    /// descriptor.
    fn of(path: &Path, old: Option<&Metadata>) -> io::Result<Self> {
        let parent = folder_of(path);
        if old.is_none() {
            make_folder(parent)?;
        }
        let root = user() == Some(0);
        let folder = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | if root { libc::O_NOFOLLOW } else { 0 })
            .open(parent)?;
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
        let owner = old.unwrap_or(&found);
        if owner.uid() != found.uid() {
            return Err(io::Error::other(
                "it and its folder belong to different users",
            ));
        }
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name),
            owner: Some((owner.uid(), owner.gid())),
            folder,
        })
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Joined in one piece: a string that grows leaves copies behind.
fn text(kept: &Kept) -> Zeroizing<String> {
    let text = |time| seconds(time).to_string();
    let (since, renewed) = (text(kept.since), text(kept.renewed));
    let lines = [
        TITLE,
        "\nuser ",
        &kept.user,
        "\nclient_id ",
        &kept.client_id,
        "\ntenant ",
        &kept.tenant,
        "\nscope ",
        &kept.scope,
        "\nsince ",
        &since,
        "\nrenewed ",
        &renewed,
        "\nrefresh_token ",
        kept.refresh_token.expose(),
        "\n",
        END,
        "\n",
    ];
    Zeroizing::new(lines.concat())
}

fn parse(text: &str) -> Option<Kept> {
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) || lines.next_back() != Some(END) {
        return None;
    }
    let mut field = |name: &str| {
        let (found, value) = lines.next()?.split_once(' ')?;
        (found == name && is_word(value)).then(|| value.to_owned())
    };
    let time = |seconds: String| UNIX_EPOCH.checked_add(Duration::from_secs(seconds.parse().ok()?));
    Some(Kept {
        user: field("user")?,
        client_id: field("client_id")?,
        tenant: field("tenant")?,
        scope: field("scope")?,
        since: time(field("since")?)?,
        renewed: time(field("renewed")?)?,
        refresh_token: Secret::new(field("refresh_token")?),
    })
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

    fn kept() -> Kept {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        Kept {
            user: "ann@contoso.com".into(),
            client_id: "6731de76".into(),
            tenant: "common".into(),
            scope: "https://outlook.office.com/SMTP.Send".into(),
            since: at(1_795_521_600),
            renewed: at(1_795_600_000),
            refresh_token: Secret::new("0.AX~hush".into()),
        }
    }

    #[test]
    fn a_login_is_read_as_written_and_a_cut_one_is_not() {
        let text = text(&kept());
        let read = parse(&text).unwrap();
        assert_eq!(read.refresh_token, kept().refresh_token);
        assert_eq!((read.user, read.renewed), (kept().user, kept().renewed));
        assert!(!format!("{:?}", kept()).contains("hush"));
        // Only the last line break may be missing.
        for length in 0..text.len() - 1 {
            assert!(parse(&text[..length]).is_none(), "{length}");
        }
        for other in ["exosend login 2\nend", "exosend login 1\nend", ""] {
            assert!(parse(other).is_none(), "{other}");
        }
    }
}
