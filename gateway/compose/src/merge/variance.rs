//! One type for several declarations.
//!
//! Owns the two directions: what is read may be any of the declared types, what
//! is sent must satisfy all of them.

use apollo_compiler::Name;
use apollo_compiler::ast::Type;

use super::declared::Declared;

/// The narrowest type that covers every declaration of an output: nullable when one of them
/// is, an interface or union when another is one of its members.
pub(super) fn covering<'t>(
    declared: &Declared<'_>,
    types: impl Iterator<Item = &'t Type>,
) -> Option<Type> {
    let wider = |a: &Name, b: &Name| match () {
        () if a == b || declared.is_subtype(b, a) => Some(a.clone()),
        () if declared.is_subtype(a, b) => Some(b.clone()),
        () => None,
    };
    fold(types, &|a, b| join(a, b, &|a, b| a && b, &wider))
}

/// The widest type that satisfies every declaration of an input: required when one of them is.
pub(super) fn satisfying<'t>(types: impl Iterator<Item = &'t Type>) -> Option<Type> {
    let same = |a: &Name, b: &Name| (a == b).then(|| a.clone());
    fold(types, &|a, b| join(a, b, &|a, b| a || b, &same))
}

fn fold<'t>(
    mut types: impl Iterator<Item = &'t Type>,
    join: &dyn Fn(&Type, &Type) -> Option<Type>,
) -> Option<Type> {
    let first = types.next()?.clone();
    types.try_fold(first, |merged, ty| join(&merged, ty))
}

fn join(
    a: &Type,
    b: &Type,
    required: &dyn Fn(bool, bool) -> bool,
    named: &dyn Fn(&Name, &Name) -> Option<Name>,
) -> Option<Type> {
    let merged = match (a, b) {
        (Type::Named(a) | Type::NonNullNamed(a), Type::Named(b) | Type::NonNullNamed(b)) => {
            Type::Named(named(a, b)?)
        }
        (Type::List(a) | Type::NonNullList(a), Type::List(b) | Type::NonNullList(b)) => {
            Type::List(Box::new(join(a, b, required, named)?))
        }
        _ => return None,
    };
    let required = required(a.is_non_null(), b.is_non_null());
    Some(if required { merged.non_null() } else { merged })
}

/// Whether a value of `sub` can stand where `sup` is declared.
pub(super) fn covers(declared: &Declared<'_>, sup: &Type, sub: &Type) -> bool {
    covering(declared, [sup, sub].into_iter()).as_ref() == Some(sup)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn an_output_is_nullable_when_one_declaration_is() {
        assert_eq!(
            printed(&[
                "type A @shareable { a: [Int!]! }",
                "type A @shareable { a: [Int]! }"
            ]),
            "type A { a: [Int]! }"
        );
    }

    #[test]
    fn an_output_is_the_interface_that_covers_every_declaration() {
        let sdl = printed(&[
            "interface I { x: Int } type X implements I @shareable { x: Int } type A @shareable { a: X! }",
            "interface I { x: Int } type X implements I @shareable { x: Int } type A @shareable { a: I }",
        ]);
        assert!(sdl.ends_with("type A { a: I }"), "{sdl}");
    }

    #[test]
    fn an_input_is_required_when_one_declaration_is() {
        assert_eq!(
            printed(&[
                "input A { a: [Int] b: Int }",
                "input A { a: [Int!] b: Int! }"
            ]),
            "input A { a: [Int!] b: Int! }"
        );
    }
}
