//! A token that the caller got elsewhere.

use std::time::SystemTime;

use crate::account::Account;
use crate::credential::{Credential, Secret, wrong};
use crate::error::Error;
use crate::timeouts::Deadline;
use crate::token::{Failure, Token};

const KEY: &str = "access_token";

#[derive(Debug)]
pub(crate) struct AccessToken(Secret);

impl AccessToken {
    pub(crate) fn new(token: String) -> Self {
        Self(Secret::new(token))
    }

    /// When it ends is its owner's business.
    fn token(&self) -> Token {
        let now = SystemTime::now();
        Token::new(self.0.clone(), now, now)
    }
}

impl Credential for AccessToken {
    fn key(&self) -> &'static str {
        KEY
    }

    fn check(&self) -> Result<(), Error> {
        let token = self.0.expose();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong(KEY, "empty, or has characters that no token has"));
        }
        Ok(())
    }

    fn stands_alone(&self) -> bool {
        true
    }

    fn fingerprint(&self) -> Result<String, Error> {
        Err(wrong(KEY, "is not kept"))
    }

    fn ready(&self) -> Option<Token> {
        Some(self.token())
    }

    fn request(&self, _: &Account, _: u32, _: Deadline) -> Result<Token, Failure> {
        Ok(self.token())
    }
}
