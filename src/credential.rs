//! What proves who the application is.

pub(crate) mod certificate;
pub(crate) mod federated;
pub(crate) mod identity;
pub(crate) mod ready;
pub(crate) mod secret;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::account::Account;
use crate::credential::certificate::Certificate;
use crate::credential::secret::ClientSecret;
use crate::error::{Error, Stage};
use crate::timeouts::Deadline;
use crate::token::{Failure, Token};

/// One way to prove it, and to get a token with that.
///
/// Behind a pointer, not an enum, so that a small program carries the code of the way that it uses, and no other.
pub(crate) trait Credential: fmt::Debug + Send + Sync {
    /// The key it is set by.
    fn key(&self) -> &'static str;

    /// What can be known to be wrong with it before it is used.
    fn check(&self) -> Result<(), Error>;

    /// It needs neither a tenant nor a client id.
    fn stands_alone(&self) -> bool {
        false
    }

    /// What tells it from others where tokens are kept. Nobody can learn it from this.
    fn fingerprint(&self) -> Result<String, Error>;

    /// A token that needs no request.
    fn ready(&self) -> Option<Token> {
        None
    }

    /// Asks for a token, once. `attempt` counts from 0.
    fn request(&self, account: &Account, attempt: u32, total: Deadline) -> Result<Token, Failure>;

    /// Which one it is, for those who look for what may be wrong with one way in particular: code that a program which
    /// only sends does not carry.
    fn kind(&self) -> Kind<'_> {
        Kind::Other
    }

    /// When it ends, if it says so.
    fn expires(&self) -> Result<Option<SystemTime>, Error> {
        Ok(None)
    }
}

/// The ways that are looked into.
pub(crate) enum Kind<'a> {
    Secret(&'a ClientSecret),
    Certificate(&'a Certificate),
    Other,
}

/// A text nobody gets to see: wiped when dropped, absent from `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Whoever calls this answers for where it goes.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A whole file of at most `limit` bytes, wiped when dropped. The error begins with the path.
///
/// Not a pipe or a device: they are read more than once, and outside every deadline.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(format!("{}: not a regular file", path.display()));
    }
    // As much room as it needs: one that grows leaves copies behind.
    let length = found.len().min(limit).saturating_add(1);
    let room = usize::try_from(length).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(format!("{}: longer than {limit} bytes", path.display()));
    }
    Ok(bytes)
}

/// A file that holds one line of text and nothing else, which editors and `echo` end with a line break.
fn read_line(path: &Path, limit: u64) -> Result<Secret, String> {
    let bytes = read_file(path, limit)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| format!("{}: stream did not contain valid UTF-8", path.display()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// For the errors of the credential with this key.
fn wrong(key: &'static str, what: impl Into<String>) -> Error {
    Error::input(Stage::Account, key, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let read = |path: &str| read_file(Path::new(path), 10).map_err(|e| e.to_string());
        assert_eq!(
            read("/dev/zero").unwrap_err(),
            "/dev/zero: not a regular file"
        );
        assert_eq!(read("/").unwrap_err(), "/: not a regular file");
        assert!(
            read("/nowhere")
                .unwrap_err()
                .starts_with("/nowhere: No such file")
        );
        assert_eq!(
            read("Cargo.toml").unwrap_err(),
            "Cargo.toml: longer than 10 bytes"
        );
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        let secret = Secret::new("hush".into());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
