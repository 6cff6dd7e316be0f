//! The name that was probably meant, where one is wrong.

/// The most alike of `known`, where any is alike at all.
pub(crate) fn closest<'n>(
    wrong: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let scored = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name));
    let (score, best) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score > 0.75).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["name", "email", "createdAt"];
        assert_eq!(closest("nmae", known), Some("name"));
        assert_eq!(closest("created", known), Some("createdAt"));
        assert_eq!(closest("zzz", known), None);
        assert_eq!(closest("name", []), None);
    }
}
