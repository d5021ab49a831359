//! A token of another identity provider: workload identity federation.

use std::path::PathBuf;

use crate::account::Account;
use crate::credential::{Credential, Secret, read_line, wrong};
use crate::error::Error;
use crate::timeouts::Deadline;
use crate::token::request::{Proof, request};
use crate::token::{Failure, Token};

const KEY: &str = "federated_token_file";
/// Such tokens have 1 to 2 KB.
const MAX_FILE: u64 = 16 * 1024;

/// Its file is read at every token request: its owner replaces the token about once an hour, and an old one is refused
/// with AADSTS700024 (F§2.2).
#[derive(Debug)]
pub(crate) struct FederatedToken(PathBuf);

impl FederatedToken {
    pub(crate) fn file(path: PathBuf) -> Self {
        Self(path)
    }

    fn read(&self) -> Result<Secret, Error> {
        let token = read_line(&self.0, MAX_FILE).map_err(|what| wrong(KEY, what))?;
        if token.expose().is_empty() || !token.expose().bytes().all(|b| b.is_ascii_graphic()) {
            let path = self.0.display();
            return Err(wrong(KEY, format!("{path}: does not hold one token")));
        }
        Ok(token)
    }
}

impl Credential for FederatedToken {
    fn key(&self) -> &'static str {
        KEY
    }

    fn check(&self) -> Result<(), Error> {
        self.read().map(drop)
    }

    /// Not of the token, which changes every hour for the same subject.
    fn fingerprint(&self) -> Result<String, Error> {
        Ok(format!("{KEY} {}", self.0.display()))
    }

    fn request(&self, account: &Account, attempt: u32, total: Deadline) -> Result<Token, Failure> {
        let proof = Proof::Assertion(self.read()?);
        request(account, &proof, attempt, total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_something_else() {
        let path = std::env::temp_dir().join(format!("exosend-{}", crate::random::hex::<8>()));
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
