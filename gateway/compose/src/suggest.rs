//! Did you mean: the candidates nearest to what was written.

use strsim::damerau_levenshtein;

/// How many suggestions a message carries: more would bury the right one.
const SHOWN: usize = 3;

/// Nobody types a longer name; comparing takes the product of two lengths.
const LONGEST_NAME: usize = 200;

/// The candidates that a person may have meant by `wanted`, nearest first.
///
/// Texts further away than a third of their length are somebody else's name, not a slip.
pub(crate) fn closest<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| Some((slip(wanted, candidate)?, candidate)))
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().take(SHOWN).map(|(_, text)| text).collect()
}

/// The edit distance, if it is small enough to be a slip.
fn slip(wanted: &str, candidate: &str) -> Option<usize> {
    let longest = wanted.len().max(candidate.len());
    if longest > LONGEST_NAME {
        return None;
    }
    let accepted = (longest / 3).max(1);
    // The lengths bound the distance from below, which spares most candidates the quadratic work.
    if wanted.len().abs_diff(candidate.len()) > accepted {
        return None;
    }
    let distance = damerau_levenshtein(&wanted.to_lowercase(), &candidate.to_lowercase());
    (distance <= accepted).then_some(distance)
}

/// "did you mean `a`, `b` or `c`?", or nothing where nothing is near.
pub(crate) fn did_you_mean(suggestions: &[impl AsRef<str>]) -> Option<String> {
    let quoted: Vec<String> = suggestions
        .iter()
        .map(|text| format!("`{}`", text.as_ref()))
        .collect();
    let (last, rest) = quoted.split_last()?;
    Some(match rest {
        [] => format!("did you mean {last}?"),
        _ => format!("did you mean {} or {last}?", rest.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_nearest_first_and_far_ones_not_at_all() {
        let names = ["Customers", "Users", "Order", "User"];
        assert_eq!(closest("Userr", names), ["User", "Users"]);
        assert!(closest("Invoice", names).is_empty());
    }

    #[test]
    fn suggestions_read_as_a_question() {
        assert_eq!(did_you_mean(&["a"]).as_deref(), Some("did you mean `a`?"));
        assert_eq!(
            did_you_mean(&["a", "b", "c"]).as_deref(),
            Some("did you mean `a`, `b` or `c`?")
        );
        assert_eq!(did_you_mean(&[""; 0]), None);
    }
}
