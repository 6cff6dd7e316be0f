//! A share of all requests: for what is not wanted of each of them.
//!
//! Owns the choice. It is made by the random part of an id, so that all who
//! look at the same id choose alike.

/// The last bits of an id, which are random in a trace id and in a request id. Before them a UUIDv7 may count.
const BITS: u32 = 32;

/// Between none and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(u64);

impl Share {
    /// 0.01 is one of a hundred. None beyond nought and one.
    pub(crate) fn of(ratio: f64) -> Option<Self> {
        let all = (1_u64 << BITS) as f64;
        (0.0..=1.0)
            .contains(&ratio)
            .then_some(Self((ratio * all) as u64))
    }

    /// Whether what has this id is part of it.
    pub(crate) fn takes(self, id: &[u8; 16]) -> bool {
        let random = u128::from_be_bytes(*id) & ((1 << BITS) - 1);
        random < u128::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn as_many_are_taken_as_are_wanted() {
        let ids: Vec<Uuid> = (0..10_000).map(|_| Uuid::now_v7()).collect();
        let taken = |ratio| {
            let share = Share::of(ratio).unwrap();
            ids.iter().filter(|id| share.takes(id.as_bytes())).count()
        };
        assert_eq!((taken(0.0), taken(1.0)), (0, 10_000));
        assert!((800..1_200).contains(&taken(0.1)), "{}", taken(0.1));
        let (all, ends) = (Share::of(1.0).unwrap(), [[0xff; 16], [0; 16]]);
        assert!(ends.iter().all(|id| all.takes(id)));
    }

    #[test]
    fn a_share_is_no_less_than_nothing_and_no_more_than_all() {
        for wrong in [-0.1, 1.1, f64::NAN] {
            assert_eq!(Share::of(wrong), None);
        }
    }
}
