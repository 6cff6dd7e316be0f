//! What `@key` names.

use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

use super::field_set::{self, Rules};
use crate::diagnostic::Diagnostics;
use crate::document::{Document, all};
use crate::model::Key;

const KEY: Rules = Rules {
    invalid: "KEY_INVALID_FIELDS",
    arguments: "KEY_FIELDS_HAS_ARGS",
    directives: "KEY_DIRECTIVE_IN_FIELDS_ARG",
    without_arguments: true,
    ty: Some("KEY_FIELDS_SELECT_INVALID_TYPE"),
};

/// The keys of a type in one file, and the fields that they name: type and field.
pub(super) fn keys(
    document: &Document,
    ty: &ExtendedType,
    diagnostics: &mut Diagnostics,
) -> (Vec<Key>, Vec<(Name, Name)>) {
    let mut keys = Vec::new();
    let mut fields = Vec::new();
    for directive in all(ty.directives(), "key") {
        let Some(value) = directive.specified_argument_by_name("fields") else {
            continue;
        };
        let set = field_set::read(document, ty.name(), value, &KEY, diagnostics);
        let resolvable = directive.specified_argument_by_name("resolvable");
        if !set.leaves.is_empty() {
            keys.push(Key {
                fields: set.leaves,
                resolvable: resolvable.and_then(|it| it.to_bool()).unwrap_or(true),
            });
        }
        fields.extend(set.fields);
    }
    (keys, fields)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn a_key_is_its_leaf_paths_in_the_order_written() {
        let (merged, diagnostics) = merged(&[
            "type O { id: ID! code: Int } type A @key(fields: \"org { id, code } n\") @key(fields: \"n\", resolvable: false) { n: Int org: O }",
        ]);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let keys = &merged.types["A"].subgraphs[0].keys;
        assert_eq!(
            keys[0].fields,
            [vec!["org", "id"], vec!["org", "code"], vec!["n"]]
        );
        assert!(keys[0].resolvable && !keys[1].resolvable);
    }

    #[test]
    fn a_field_that_does_not_exist_is_underlined_inside_the_text() {
        assert_eq!(
            said(&["type A @key(fields: \"id nmae\") { id: ID! name: Int }"]),
            "error[KEY_INVALID_FIELDS] a.graphql:2:25\n  \
             2 | type A @key(fields: \"id nmae\") { id: ID! name: Int }\n    \
             |                         ^^^^ `A` has no field `nmae` in this file\n  \
             help: did you mean `name`?\n"
        );
    }

    #[test]
    fn what_is_not_a_field_set_is_told_at_the_word() {
        let ty = "type O { id: ID! } interface I { i: Int } type A";
        for (set, column, code, message) in [
            ("", 1, "KEY_INVALID_FIELDS", "no field is named"),
            (
                "o",
                1,
                "KEY_INVALID_FIELDS",
                "`A.o` is an object: say which of its fields, o { ... }",
            ),
            ("o { id", 7, "KEY_INVALID_FIELDS", "a brace is not closed"),
            ("o { }", 4, "KEY_INVALID_FIELDS", "no field is named"),
            ("id }", 4, "KEY_INVALID_FIELDS", "not a field name"),
            (
                "id { x }",
                1,
                "KEY_INVALID_FIELDS",
                "`ID` has no fields to select",
            ),
            (
                "...F",
                1,
                "KEY_INVALID_FIELDS",
                "fragments do not belong in a field set",
            ),
            (
                "id @skip",
                4,
                "KEY_DIRECTIVE_IN_FIELDS_ARG",
                "a field set takes no directives",
            ),
            (
                "id(x: 1)",
                3,
                "KEY_FIELDS_HAS_ARGS",
                "a field set takes no arguments",
            ),
            (
                "i { i }",
                1,
                "KEY_FIELDS_SELECT_INVALID_TYPE",
                "`A.i` is an interface or union, which identifies nothing",
            ),
            ("é", 1, "KEY_INVALID_FIELDS", "not a field name"),
        ] {
            let said = said(&[&format!(
                "{ty} @key(fields: \"{set}\") {{ id: ID o: O l: [ID] i: I }}"
            )]);
            let start = format!("error[{code}] a.graphql:2:{}", ty.len() + 15 + column);
            assert!(
                said.starts_with(&start) && said.contains(message),
                "{set}: {said}"
            );
        }
    }

    #[test]
    fn a_key_that_goes_round_in_circles_ends() {
        let deep = "a { ".repeat(10_000);
        let said = said(&[&format!(
            "type A @key(fields: \"{deep}\") {{ id: ID a: A }}"
        )]);
        assert!(said.contains("nested too deeply"), "{said}");
    }

    #[test]
    fn requires_and_provides_are_leaf_paths() {
        let (merged, diagnostics) = merged(&[
            "type A @key(fields: \"id\") { id: ID! d: D @external w: Int @requires(fields: \"d { x }\") } type D { x: Int @external } \
             type B { a: A @provides(fields: \"d { x }\") }",
            "type A @key(fields: \"id\") { id: ID! d: D @shareable } type D { x: Int @shareable }",
        ]);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        assert_eq!(
            merged.types["A"].fields["w"].subgraphs[0].requires,
            [["d", "x"]]
        );
        assert_eq!(
            merged.types["B"].fields["a"].subgraphs[0].provides,
            [["d", "x"]]
        );
    }

    #[test]
    fn wrong_requires_and_provides_are_told() {
        for (sdl, code) in [
            (
                "type A { a: Int @requires(fields: \"b\") }",
                "REQUIRES_INVALID_FIELDS",
            ),
            (
                "type A { a: Int @provides(fields: \"b\") }",
                "PROVIDES_ON_NON_OBJECT_FIELD",
            ),
            (
                "type A { a: A @provides(fields: \"b\") }",
                "PROVIDES_INVALID_FIELDS",
            ),
            (
                "type A { a: A @provides(fields: \"b\") b(x: Int): Int @external }",
                "PROVIDES_FIELDS_HAS_ARGS",
            ),
        ] {
            assert!(said(&[sdl]).starts_with(&format!("error[{code}]")), "{sdl}");
        }
    }
}
