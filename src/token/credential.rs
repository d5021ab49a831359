//! What proves who the application is.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
#[cfg(feature = "advice")]
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::crypto::{self, hex};
use crate::error::Error;
use crate::secret::{Secret, read_line};
use crate::stage::Stage;
use crate::text::is_word;
#[cfg(feature = "login")]
use crate::token::login::file::LoginFile;
use crate::token::request::{Proof, request};
use crate::token::{Attempt, Failure, Token};

/// One way to prove it, and to get a token by that.
///
/// Used as a trait object, not an enum, so that a small program carries the code of no other way than its own.
pub(crate) trait Credential: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The key it is set by.
    fn key(&self) -> &'static str;

    /// What can be known to be wrong with it before it is used.
    fn check(&self) -> Result<(), Error>;

    /// Whether it needs neither a tenant nor a client id.
    fn stands_alone(&self) -> bool {
        false
    }

    /// Tells it from other credentials where tokens are kept. It could confirm a guessed secret, but the file is private, and
    /// nobody guesses the secrets that Entra makes.
    fn fingerprint(&self) -> Result<String, Error>;

    /// A token that needs no request.
    fn ready(&self) -> Option<Token> {
        None
    }

    /// Asks for a token, once.
    fn request(&self, attempt: &Attempt<'_>) -> Result<Token, Failure>;

    /// When it ends, if it says so.
    fn expires(&self) -> Result<Option<SystemTime>, Error> {
        Ok(None)
    }

    /// The file that holds it, if the user has to protect that.
    #[cfg(feature = "advice")]
    fn file(&self) -> Option<&Path> {
        None
    }

    /// The file that keeps a user's login, if it is a user who sends.
    #[cfg(feature = "login")]
    fn login_file(&self) -> Option<&LoginFile> {
        None
    }

    /// The client secret, for the doctor to look at its form.
    #[cfg(feature = "advice")]
    fn secret(&self) -> Option<Secret> {
        None
    }
}

/// An error in a field of the account.
pub(crate) fn wrong(key: &str, what: impl Into<String>) -> Error {
    Error::input(Stage::Account, key, what)
}

const ACCESS_TOKEN: &str = "access_token";
const FEDERATED: &str = "federated_token_file";

#[derive(Debug)]
pub(crate) enum ClientSecret {
    Value(Secret),
    /// Read at every token request: systemd credentials, Docker secrets.
    File(PathBuf),
}

/// A secret is 40 characters; a file that holds more than this is some other file.
const MAX_SECRET: u64 = 4096;

impl ClientSecret {
    pub(crate) fn value(secret: String) -> Self {
        ClientSecret::Value(Secret::new(secret))
    }

    pub(crate) fn file(path: PathBuf) -> Self {
        ClientSecret::File(path)
    }

    fn read(&self) -> Result<Secret, Error> {
        let wrong = |what: String| wrong(self.key(), what);
        let secret = match self {
            ClientSecret::Value(secret) => secret.clone(),
            ClientSecret::File(path) => read_line(path, MAX_SECRET).map_err(wrong)?,
        };
        if secret.expose().is_empty() {
            return Err(wrong("empty".into()));
        }
        if secret.expose().contains(['\r', '\n', '\0']) {
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

    fn fingerprint(&self) -> Result<String, Error> {
        let digest = crypto::sha256(self.read()?.expose().as_bytes());
        Ok(format!("client_secret {}", hex(&digest)))
    }

    fn request(&self, attempt: &Attempt<'_>) -> Result<Token, Failure> {
        request(attempt, &Proof::Secret(self.read()?))
    }

    #[cfg(feature = "advice")]
    fn file(&self) -> Option<&Path> {
        match self {
            ClientSecret::Value(_) => None,
            ClientSecret::File(path) => Some(path),
        }
    }

    #[cfg(feature = "advice")]
    fn secret(&self) -> Option<Secret> {
        self.read().ok()
    }
}

/// Such tokens have 1 to 2 KB.
const MAX_TOKEN: u64 = 16 * 1024;

/// Its file is read at every token request: its owner replaces the token about once an hour, and an old one is refused
/// with AADSTS700024 (facts.md, "Token endpoint").
#[derive(Debug)]
pub(crate) struct FederatedToken(PathBuf);

impl FederatedToken {
    pub(crate) fn file(path: PathBuf) -> Self {
        Self(path)
    }

    fn read(&self) -> Result<Secret, Error> {
        let token = read_line(&self.0, MAX_TOKEN).map_err(|what| wrong(FEDERATED, what))?;
        if !is_word(token.expose()) {
            let path = self.0.display();
            return Err(wrong(FEDERATED, format!("{path}: does not hold one token")));
        }
        Ok(token)
    }
}

impl Credential for FederatedToken {
    fn key(&self) -> &'static str {
        FEDERATED
    }

    fn check(&self) -> Result<(), Error> {
        self.read().map(drop)
    }

    /// Of the path, not of the token, which changes every hour for the same subject.
    fn fingerprint(&self) -> Result<String, Error> {
        Ok(format!("{FEDERATED} {}", self.0.display()))
    }

    fn request(&self, attempt: &Attempt<'_>) -> Result<Token, Failure> {
        request(attempt, &Proof::Assertion(self.read()?))
    }
}

#[derive(Debug)]
pub(crate) struct AccessToken(Secret);

impl AccessToken {
    pub(crate) fn new(token: String) -> Self {
        Self(Secret::new(token))
    }

    /// The token, as if it had expired: only its owner knows when it does.
    fn token(&self) -> Token {
        let now = SystemTime::now();
        Token::new(self.0.clone(), now, now)
    }
}

impl Credential for AccessToken {
    fn key(&self) -> &'static str {
        ACCESS_TOKEN
    }

    fn check(&self) -> Result<(), Error> {
        let what = "empty, or has characters that no token has";
        match is_word(self.0.expose()) {
            true => Ok(()),
            false => Err(wrong(ACCESS_TOKEN, what)),
        }
    }

    fn stands_alone(&self) -> bool {
        true
    }

    fn fingerprint(&self) -> Result<String, Error> {
        Err(wrong(ACCESS_TOKEN, "is not kept"))
    }

    fn ready(&self) -> Option<Token> {
        Some(self.token())
    }

    fn request(&self, _: &Attempt<'_>) -> Result<Token, Failure> {
        Ok(self.token())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_from_a_file_loses_the_line_break_of_its_editor() {
        let path = std::env::temp_dir().join(format!("exosend-{}", crypto::random::<8>()));
        let secret = |content: &str| {
            std::fs::write(&path, content).unwrap();
            ClientSecret::file(path.clone())
                .read()
                .map(|s| s.expose().to_owned())
        };
        let text = |content: &str| secret(content).unwrap_err().to_string();
        assert_eq!(secret("a b~c \r\n").unwrap(), "a b~c ");
        assert_eq!(secret("\u{feff}abc").unwrap(), "abc", "a byte order mark");
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
        assert!(fingerprint("abc").starts_with("client_secret ba7816bf8f01cfea"));
        assert_ne!(fingerprint("abc"), fingerprint("abd"));
    }

    #[test]
    fn a_federated_token_file_holds_one_token_or_is_an_error() {
        let path = std::env::temp_dir().join(format!("exosend-{}", crypto::random::<8>()));
        let text = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            FederatedToken::file(path.clone())
                .check()
                .map_err(|e| e.to_string())
        };
        assert_eq!(text(b"ey.J0.x\n"), Ok(()));
        for no in [&b""[..], b"a b", b"a\nb", b"a\0b"] {
            assert!(text(no).unwrap_err().contains("one token"));
        }
        assert!(text(&[0xff]).unwrap_err().contains("UTF-8"));
        assert!(
            text(&[b'x'; 17 << 10])
                .unwrap_err()
                .contains("longer than 16384 bytes")
        );
        std::fs::remove_file(&path).unwrap();
    }
}
