//! Random bytes, from the generator that TLS uses anyway.

/// `N` random bytes in lower-case hexadecimal.
pub(crate) fn hex<const N: usize>() -> String {
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
    crate::digest::hex(&bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn twice_is_never_the_same() {
        let (one, two) = (super::hex::<12>(), super::hex::<12>());
        assert_eq!(one.len(), 24);
        assert_ne!(one, two);
    }
}
