//! The agent of Azure Arc, which gives a token to who can read a file of root's.

use std::fs;
use std::path::PathBuf;

use super::super::entra::Answer;
use super::super::http::Request;
use super::super::random;
use super::super::shared::Shared;
use super::imds;

pub(super) const VERSION: &str = "2020-06-01";

/// A key that was written into a file, until it is used.
pub(in super::super) struct Key {
    file: PathBuf,
    content: String,
}

pub(super) fn answer(request: &Request, shared: &Shared) -> Answer {
    // It has the machine's own identity and no other.
    if request.field("client_id").is_some() {
        return imds::refusal("invalid_request", "Identity not found");
    }
    let token = match imds::checked(request, VERSION, shared) {
        Ok(token) => token,
        Err(refusal) => return refusal,
    };
    match request.header("Authorization") {
        None => challenge(shared),
        Some(shown) if take_key(shown, shared) => token,
        Some(_) => Answer::status(401),
    }
}

/// 401 with the name of a new file.
fn challenge(shared: &Shared) -> Answer {
    let tokens = &shared.config.arc_tokens;
    let tokens = tokens.as_ref().expect("a directory given with arc_tokens");
    let key = Key {
        file: tokens.join(format!("{}.key", random::guid())),
        content: random::base64url(64),
    };
    fs::write(&key.file, &key.content).expect("a directory that can be written");
    let realm = format!("Basic realm={}", key.file.display());
    shared.record().arc_keys.push(key);
    Answer::status(401).header("WWW-Authenticate", &realm)
}

/// Whether a key is right. It is so once.
fn take_key(shown: &str, shared: &Shared) -> bool {
    let keys = &mut shared.record().arc_keys;
    let shown = shown.strip_prefix("Basic ").unwrap_or_default();
    let Some(known) = keys.iter().position(|key| key.content == shown) else {
        return false;
    };
    // A test may have removed it, or its directory.
    let _ = fs::remove_file(keys.remove(known).file);
    true
}
