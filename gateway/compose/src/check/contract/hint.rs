//! What a person may have meant by a name that a contract does not have.

use crate::suggest::{closest, did_you_mean};

/// Names that a message lists; a type may have hundreds.
const SHOWN: usize = 8;

/// "did you mean `a`?", else what there is, else `nothing`.
pub(super) fn hint<'n>(
    wanted: &str,
    known: impl IntoIterator<Item = &'n str>,
    nothing: &str,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(question) = did_you_mean(&closest(wanted, known.iter().copied())) {
        return question;
    }
    match known.as_slice() {
        [] => nothing.to_owned(),
        known => format!("it has {}", listed(known)),
    }
}

/// `a`, `b` and `c`
pub(super) fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|it| format!("`{it}`"))
        .collect();
    match (shown.as_slice(), names.len().saturating_sub(SHOWN)) {
        (shown, more @ 1..) => format!("{} and {more} more", shown.join(", ")),
        ([others @ .., last], 0) if !others.is_empty() => {
            format!("{} and {last}", others.join(", "))
        }
        (shown, _) => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_asked_for_and_otherwise_all_are_named() {
        assert_eq!(
            hint("emial", ["email", "name"], ""),
            "did you mean `email`?"
        );
        assert_eq!(
            hint("x", ["email", "name"], ""),
            "it has `email` and `name`"
        );
        assert_eq!(hint("x", [], "it has nothing"), "it has nothing");
        let many: Vec<String> = (10..20).map(|n| format!("field{n}")).collect();
        let listed = hint("x", many.iter().map(String::as_str), "");
        assert!(listed.ends_with("`field17` and 2 more"), "{listed}");
    }
}
