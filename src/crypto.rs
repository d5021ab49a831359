//! Random bytes and SHA-256, by the code that TLS brings along.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

/// `N` random bytes in lower-case hexadecimal.
pub(crate) fn random<const N: usize>() -> String {
    let mut bytes = [0; N];
    if rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .is_err()
    {
        // The kernel has no random bytes to give. These name things and hide nothing, so the hasher's keys and the
        // clock do for uniqueness, and TLS will say what is wrong with the machine.
        use std::hash::{BuildHasher, Hasher, RandomState};
        for chunk in bytes.chunks_mut(8) {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u128(
                std::time::UNIX_EPOCH
                    .elapsed()
                    .map_or(0, |now| now.as_nanos()),
            );
            let random = hasher.finish().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(random) {
                *byte = random;
            }
        }
    }
    hex(&bytes)
}

/// The 32 bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    let hash = match TLS13_AES_128_GCM_SHA256 {
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
    };
    hash.hash(bytes).as_ref().to_vec()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_is_never_the_same() {
        let (one, two) = (random::<12>(), random::<12>());
        assert_eq!(one.len(), 24);
        assert_ne!(one, two);
    }

    #[test]
    fn the_example_of_fips_180() {
        assert_eq!(
            hex(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
