//! Random identifiers.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

/// `n` random octets.
pub(super) fn bytes(n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    SystemRandom::new().fill(&mut bytes).expect("random bytes");
    bytes
}

/// `n` random octets in base64url, as tokens have them.
pub(super) fn base64url(n: usize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes(n))
}

/// "08DE2B1F6A0C9D47", the form of Exchange's session identifiers.
pub(super) fn hex(n: usize) -> String {
    bytes(n).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// "7f9a2c54-…", the form of Entra's trace and correlation identifiers.
pub(super) fn guid() -> String {
    let hex = hex(16).to_lowercase();
    [0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|part| &hex[part])
        .join("-")
}
