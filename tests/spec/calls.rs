//! The `text calls` block: which upstream calls were made, and in which order.
//!
//! Lines below `parallel:` may come in any order; there, `- ` begins a chain whose own lines keep theirs:
//!
//! ```text
//! products GET /products
//! parallel:
//!   - reviews GET /reviews?product_id=1
//!     users GET /users?id=7
//!   - stock GET /stock?id=1
//! ```

use std::collections::VecDeque;

/// Calls that come in one place of the order: chains that run beside each other.
type Group = Vec<VecDeque<String>>;

/// Whether these calls, in the order in which they arrived, are what the block says.
pub(crate) fn agree(expected: &str, actual: &[String]) -> bool {
    let mut actual = actual.iter();
    groups(expected)
        .into_iter()
        .all(|group| take(group, &mut actual))
        && actual.next().is_none()
}

fn take<'a>(mut group: Group, actual: &mut impl Iterator<Item = &'a String>) -> bool {
    let count = group.iter().map(VecDeque::len).sum::<usize>();
    (0..count).all(|_| {
        let Some(call) = actual.next() else {
            return false;
        };
        let chain = group.iter_mut().find(|chain| chain.front() == Some(call));
        chain.and_then(VecDeque::pop_front).is_some()
    })
}

fn groups(expected: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in expected.lines().filter(|line| !line.trim().is_empty()) {
        let call = line.trim_start();
        let group = groups.last_mut();
        match (call.strip_prefix("- "), line.starts_with(' '), group) {
            _ if call == "parallel:" => groups.push(Group::new()),
            (Some(first), true, Some(group)) => group.push([first.to_owned()].into()),
            (None, true, Some(group)) if !group.is_empty() => {
                group
                    .last_mut()
                    .expect("not empty")
                    .push_back(call.to_owned());
            }
            _ => groups.push(vec![[call.to_owned()].into()]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str = "a\nparallel:\n  - b\n    c\n  - d\ne\n";

    fn arrive(calls: &str) -> bool {
        let calls: Vec<String> = calls.chars().map(String::from).collect();
        agree(EXPECTED, &calls)
    }

    #[test]
    fn chains_run_beside_each_other_and_keep_their_own_order() {
        assert!(arrive("abcde") && arrive("adbce") && arrive("abdce"));
        assert!(!arrive("acbde"));
    }

    #[test]
    fn what_is_missing_too_many_or_too_early_does_not_agree() {
        assert!(!arrive("abcd") && !arrive("abcdee") && !arrive("eabcd") && !arrive("abbcde"));
    }
}
