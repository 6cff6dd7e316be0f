//! How upstream spells names.

use crate::model::Naming;

/// A GraphQL name as upstream spells it.
pub(super) fn spelled(name: &str, naming: Naming) -> String {
    match naming {
        Naming::Exact => name.to_owned(),
        Naming::SnakeCase => words(name).join("_"),
        Naming::KebabCase => words(name).join("-"),
        Naming::PascalCase => words(name).iter().map(|word| capitalised(word)).collect(),
    }
}

/// The words of a name in lower case: `userId2FA` is `user`, `id2`, `fa`.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (index, c) in chars.iter().enumerate() {
        if *c == '_' {
            continue;
        }
        if words.is_empty() || begins_word(&chars, index) {
            words.push(String::new());
        }
        let word = words.last_mut().expect("a word was begun");
        word.extend(c.to_lowercase());
    }
    words
}

/// After an underscore, at a capital after a small letter, and at the last capital of a run
/// (`HTTPServer` is `http`, `server`).
fn begins_word(chars: &[char], index: usize) -> bool {
    let Some(before) = index.checked_sub(1).map(|at| chars[at]) else {
        return true;
    };
    if before == '_' {
        return true;
    }
    let next_is_small = chars.get(index + 1).is_some_and(|c| c.is_lowercase());
    chars[index].is_uppercase() && (!before.is_uppercase() || next_is_small)
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_upstream_does() {
        let snake = |name| spelled(name, Naming::SnakeCase);
        assert_eq!(snake("createdAt"), "created_at");
        assert_eq!(snake("userID"), "user_id");
        assert_eq!(snake("HTTPServer"), "http_server");
        assert_eq!(snake("line2"), "line2");
        assert_eq!(snake("already_snake"), "already_snake");
        assert_eq!(spelled("createdAt", Naming::KebabCase), "created-at");
        assert_eq!(spelled("createdAt", Naming::PascalCase), "CreatedAt");
        assert_eq!(spelled("createdAt", Naming::Exact), "createdAt");
    }
}
