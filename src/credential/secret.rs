//! The client secret.

use std::path::PathBuf;

use crate::account::Account;
use crate::credential::{Credential, Kind, Secret, read_line, wrong};
use crate::digest::{self, hex};
use crate::error::Error;
use crate::timeouts::Deadline;
use crate::token::request::{Proof, request};
use crate::token::{Failure, Token};

#[derive(Debug)]
pub(crate) enum ClientSecret {
    Value(Secret),
    /// Read at every token request: systemd credentials, Docker secrets.
    File(PathBuf),
}

/// A secret is 40 characters; a file that holds more than this is some other file.
const MAX_FILE: u64 = 4096;

impl ClientSecret {
    pub(crate) fn value(secret: String) -> Self {
        ClientSecret::Value(Secret::new(secret))
    }

    pub(crate) fn file(path: PathBuf) -> Self {
        ClientSecret::File(path)
    }

    /// Whether it has a form; `false` if it cannot be read.
    pub(crate) fn is(&self, form: fn(&str) -> bool) -> bool {
        self.read().is_ok_and(|secret| form(secret.expose()))
    }

    fn read(&self) -> Result<Secret, Error> {
        let wrong = |what: String| wrong(self.key(), what);
        let secret = match self {
            ClientSecret::Value(secret) => secret.clone(),
            ClientSecret::File(path) => read_line(path, MAX_FILE).map_err(wrong)?,
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

impl Credential for ClientSecret {
    fn key(&self) -> &'static str {
        match self {
            ClientSecret::Value(_) => "client_secret",
            ClientSecret::File(_) => "client_secret_file",
        }
    }

    fn check(&self) -> Result<(), Error> {
        self.read().map(drop)
    }

    /// Cut off: 64 bits tell secrets apart, and are too few to try guesses on.
    fn fingerprint(&self) -> Result<String, Error> {
        let digest = digest::sha256(self.read()?.expose().as_bytes());
        let (short, _) = digest.split_at(8);
        Ok(format!("client_secret {}", hex(short)))
    }

    fn request(&self, account: &Account, attempt: u32, total: Deadline) -> Result<Token, Failure> {
        let proof = Proof::Secret(self.read()?);
        request(account, &proof, attempt, total)
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Secret(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_from_a_file_loses_the_line_break_of_its_editor() {
        let path = std::env::temp_dir().join(format!("exosend-{}", crate::random::hex::<8>()));
        let secret = |content: &str| {
            std::fs::write(&path, content).unwrap();
            ClientSecret::file(path.clone())
                .read()
                .map(|s| s.expose().to_owned())
        };
        let text = |content: &str| secret(content).unwrap_err().to_string();
        assert_eq!(secret("a b~c \r\n").unwrap(), "a b~c ");
        assert_eq!(text("\n"), "account client_secret_file: empty");
        assert!(text("a\nb").contains("a line break"));
        assert!(text(&"x".repeat(5000)).contains("longer than 4096 bytes"));
        std::fs::remove_file(&path).unwrap();
        let gone = ClientSecret::file(path).check().unwrap_err().to_string();
        assert!(gone.starts_with("account client_secret_file: "), "{gone}");
    }

    #[test]
    fn another_secret_has_another_fingerprint() {
        let fingerprint = |secret: &str| ClientSecret::value(secret.into()).fingerprint().unwrap();
        assert_eq!(fingerprint("abc"), "client_secret ba7816bf8f01cfea");
        assert_ne!(fingerprint("abc"), fingerprint("abd"));
    }
}
