//! Which partition a key belongs to.

use std::num::NonZeroU32;

/// The partition of a key, below `partitions`.
///
/// Stored messages depend on it: the hash is 64-bit FNV-1a over the key's
/// UTF-8, modulo the number of partitions, on every machine and in every
/// release. A queue whose number of partitions changes must be empty, or its
/// keys lose their order.
pub fn partition(key: &str, partitions: NonZeroU32) -> u32 {
    (fnv1a(key.as_bytes()) % u64::from(partitions.get())) as u32
}

/// <https://datatracker.ietf.org/doc/draft-eastlake-fnv/>
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(partitions: u32) -> NonZeroU32 {
        NonZeroU32::new(partitions).unwrap()
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_key_keeps_its_partition() {
        assert_eq!(partition("order-1", of(16)), partition("order-1", of(16)));
        assert_eq!(partition("", of(1)), 0);
        assert_eq!(partition("foobar", of(16)), 8);
        assert_eq!(partition("a", of(16)), 12);
    }

    #[test]
    fn keys_spread_over_all_partitions() {
        let mut counts = [0_u32; 16];
        for order in 0..16_000 {
            counts[partition(&format!("order-{order}"), of(16)) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }
}
