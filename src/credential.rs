//! What proves who the application is.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{Error, Stage};

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

/// One way to prove it.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    ClientSecret(Secret),
    /// A file that holds the client secret, read at every token request: systemd credentials, Docker secrets.
    ClientSecretFile(PathBuf),
}

/// A secret is 40 characters; a file that holds more than this is some other file.
const MAX_SECRET_FILE: u64 = 4096;

impl Credential {
    /// The key it is set by.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Credential::ClientSecret(_) => "client_secret",
            Credential::ClientSecretFile(_) => "client_secret_file",
        }
    }

    /// The client secret, read if it is in a file.
    pub(crate) fn secret(&self) -> Result<Secret, Error> {
        let wrong = |what: String| Error::input(Stage::Account, self.key(), what);
        let secret = match self {
            Credential::ClientSecret(secret) => secret.clone(),
            Credential::ClientSecretFile(path) => {
                let bytes = read_file(path, MAX_SECRET_FILE).map_err(wrong)?;
                let text = std::str::from_utf8(&bytes).map_err(|_| {
                    let path = path.display();
                    wrong(format!("{path}: stream did not contain valid UTF-8"))
                })?;
                // Editors and `echo` end a file with a line break; no secret ends in one.
                Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        if secret.expose().is_empty() {
            return Err(wrong("empty".into()));
        }
        if secret
            .expose()
            .chars()
            .any(|c| matches!(c, '\r' | '\n' | '\0'))
        {
            return Err(wrong("a line break or NUL within the secret".into()));
        }
        Ok(secret)
    }
}

/// A whole file of at most `limit` bytes, wiped when dropped. The error begins with the path.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{}: longer than {limit} bytes", path.display()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_printed() {
        let credential = Credential::ClientSecret(Secret::new("hush".into()));
        assert_eq!(format!("{credential:?}"), "ClientSecret(Secret(..))");
    }

    #[test]
    fn a_secret_from_a_file_loses_the_line_break_of_its_editor() {
        let path = std::env::temp_dir().join(format!("exosend-{}", crate::random::hex::<8>()));
        let secret = |content: &str| {
            std::fs::write(&path, content).unwrap();
            Credential::ClientSecretFile(path.clone())
                .secret()
                .map(|s| s.expose().to_owned())
        };
        assert_eq!(secret("a b~c \r\n").unwrap(), "a b~c ");
        assert!(
            secret("\n")
                .unwrap_err()
                .to_string()
                .ends_with("client_secret_file: empty")
        );
        assert!(secret("a\nb").is_err());
        assert!(
            secret(&"x".repeat(5000))
                .unwrap_err()
                .to_string()
                .contains("longer than 4096 bytes")
        );
        std::fs::remove_file(&path).unwrap();
        assert!(
            Credential::ClientSecretFile(path)
                .secret()
                .unwrap_err()
                .to_string()
                .starts_with("account client_secret_file: ")
        );
    }
}
