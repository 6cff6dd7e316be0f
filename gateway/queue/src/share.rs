//! Who owns which partition. Pure: everyone who sees the same members comes to the same answer.

use std::collections::HashMap;

use crate::partition::fnv1a;

/// The owner of each partition of a queue, one of the members: evenly, and so that few move when one comes or goes.
///
/// By rendezvous: of all members, each partition prefers the one with the highest hash; one that has
/// its share already is passed over.
pub(crate) fn share<'m>(queue: &str, partitions: u32, members: &[&'m str]) -> Vec<&'m str> {
    let share = partitions.div_ceil(u32::try_from(members.len()).unwrap_or(1).max(1));
    let mut owned: HashMap<&str, u32> = HashMap::new();
    let choose = |partition| {
        let mut ranked: Vec<_> = members
            .iter()
            .map(|member| (weight(queue, partition, member), *member))
            .collect();
        ranked.sort_unstable_by(|one, other| other.cmp(one));
        let (_, chosen) = ranked
            .into_iter()
            .find(|(_, member)| owned.get(member).is_none_or(|count| *count < share))?;
        *owned.entry(chosen).or_default() += 1;
        Some(chosen)
    };
    (0..partitions).map_while(choose).collect()
}

fn weight(queue: &str, partition: u32, member: &str) -> u64 {
    let named = [queue.as_bytes(), &[0], member.as_bytes(), &[0]].concat();
    let named = [&named[..], &partition.to_be_bytes()].concat();
    // The hash of short names differs in its low bits mostly: spread over all of them.
    let hash = fnv1a(&named);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts<'m>(owners: &[&'m str], members: &[&'m str]) -> Vec<usize> {
        let count = |member| owners.iter().filter(|owner| *owner == member).count();
        members.iter().map(count).collect()
    }

    #[test]
    fn all_partitions_are_shared_evenly() {
        for (members, expected) in [
            (&["a"][..], &[32][..]),
            (&["a", "b"], &[16, 16]),
            (&["a", "b", "c", "d"], &[8, 8, 8, 8]),
        ] {
            let owners = share("email", 32, members);
            assert_eq!(counts(&owners, members), expected);
        }
        let owners = share("email", 32, &["a", "b", "c"]);
        assert_eq!(owners.len(), 32);
        assert!(
            counts(&owners, &["a", "b", "c"])
                .iter()
                .all(|count| (10..=11).contains(count))
        );
        assert!(share("email", 32, &[]).is_empty());
    }

    #[test]
    fn more_members_than_partitions_leave_some_without() {
        let members = ["a", "b", "c"];
        let owners = share("email", 2, &members);
        assert_eq!(owners.len(), 2);
        assert_ne!(owners[0], owners[1]);
    }

    #[test]
    fn the_order_of_the_members_does_not_matter() {
        assert_eq!(
            share("q", 32, &["a", "b", "c"]),
            share("q", 32, &["c", "a", "b"])
        );
    }

    #[test]
    fn few_move_when_one_goes() {
        let before = share("email", 32, &["a", "b", "c", "d"]);
        let after = share("email", 32, &["a", "b", "c"]);
        let moved = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after && **before != "d")
            .count();
        assert!(
            moved <= 8,
            "{moved} moved besides those of the one that went"
        );
    }
}
