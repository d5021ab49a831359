//! The cryptography of TLS; random names and SHA-256 by the same code.

// The command uses this module, too (`command.rs`).
#![allow(unreachable_pub)]

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

/// ring's provider without the keys of client certificates: no handshake shows one, and the code that signs with RSA, ECDSA
/// and Ed25519 would be in every program.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        key_provider: &NoKeys,
        ..default_provider()
    })
}

#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(
        &self,
        _key: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("no certificate is shown".into()))
    }
}

/// `N` random bytes in lower-case hexadecimal.
pub fn random<const N: usize>() -> String {
    let mut bytes = [0; N];
    // If the kernel has no random bytes, TLS fails too, and says so.
    let _ = SystemRandom::new().fill(&mut bytes);
    hex(&bytes)
}

/// The 32 bytes.
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte / 16, byte % 16] {
            hex.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_random_texts_differ() {
        let (one, two) = (random::<12>(), random::<12>());
        assert_eq!(one.len(), 24);
        assert_ne!(one, two);
    }

    #[test]
    fn sha256_of_the_example_in_fips_180() {
        assert_eq!(
            hex(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
