//! What went wrong with mail through Exchange Online, and what mends it: for a line of any program's log, for an error,
//! and for an account as it is configured.
//!
//! Advice, for people. Microsoft changes texts, codes and menus, so no program should decide anything by it. It is behind
//! the feature `advice`, which brings no crate along.
//!
#![doc = include_str!("advice/troubleshooting.md")]

pub(crate) mod doctor;
mod explain;
mod powershell;

pub use doctor::check::{Advice, Cause, Check, CheckState, Place};
pub use doctor::{diagnose, send_test};
pub use explain::{Explanation, explain, general_page};
pub use powershell::Setup;

pub use crate::hint::table::Condition;

use crate::error::Error;
use crate::hint::table;
use crate::token::{Token, claims};

/// What an error is known to mean. [`Error::hint`] says it in words.
///
/// ```
/// use exosend::advice::{Condition, condition};
///
/// # fn tell_whoever_renews_secrets() {}
/// # fn act(error: &exosend::Error) {
/// if condition(error) == Some(Condition::SecretExpired) {
///     tell_whoever_renews_secrets();
/// }
/// # }
/// ```
pub fn condition(error: &Error) -> Option<Condition> {
    error.condition()
}

/// Every condition, and the AADSTS numbers that mean it: for tests.
#[doc(hidden)]
pub fn conditions() -> impl Iterator<Item = (Condition, &'static [u64])> {
    table::ALL.iter().copied()
}

/// What a token says of itself, its claims, as JSON in several lines; `None` for one that is no JWT. Nothing is verified:
/// that is for the server.
///
/// ```
/// use exosend::{Account, Token, advice};
///
/// # let account = Account::new("robot@contoso.com").access_token("e30.eyJyb2xlcyI6WyJTTVRQLlNlbmRBc0FwcCJdfQ.c2ln");
/// let claims = advice::claims(&Token::get(&account)?).unwrap_or_default();
/// assert!(claims.contains("SMTP.SendAsApp"));
/// # Ok::<(), exosend::Error>(())
/// ```
pub fn claims(token: &Token) -> Option<String> {
    claims::pretty(token)
}
