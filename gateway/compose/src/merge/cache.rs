//! `@cacheControl` over subgraphs: the strictest word counts.
//!
//! Owns reading hints and making one of several: the least time, and private
//! where anybody says so.
//! <https://www.apollographql.com/docs/apollo-server/performance/caching>

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, DirectiveList};

use crate::document::first;
use crate::model::CacheHint;

/// What all subgraphs together say of one element; nothing where none says anything.
pub(super) fn hint<'d>(all: impl Iterator<Item = &'d DirectiveList>) -> Option<CacheHint> {
    all.filter_map(|directives| first(directives, "cacheControl").map(read))
        .reduce(strictest)
}

fn read(directive: &Node<Directive>) -> CacheHint {
    let argument = |name: &str| directive.specified_argument_by_name(name);
    let seconds = argument("maxAge").and_then(|it| it.to_i32());
    let scope = argument("scope").and_then(|it| it.as_enum());
    let inherit = argument("inheritMaxAge").and_then(|it| it.to_bool());
    CacheHint {
        // Less than nothing is nothing.
        max_age: seconds.map(|it| u32::try_from(it).unwrap_or(0)),
        private: scope.is_some_and(|it| it == "PRIVATE"),
        inherit: inherit.unwrap_or(false),
    }
}

fn strictest(one: CacheHint, other: CacheHint) -> CacheHint {
    CacheHint {
        max_age: match (one.max_age, other.max_age) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        },
        private: one.private || other.private,
        inherit: one.inherit || other.inherit,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::model::CacheHint;

    fn hint(max_age: Option<u32>, private: bool, inherit: bool) -> Option<CacheHint> {
        Some(CacheHint {
            max_age,
            private,
            inherit,
        })
    }

    #[test]
    fn hints_stand_on_types_and_fields() {
        let (merged, _) = merged(&[
            "type A @cacheControl(maxAge: 60) { a: Int @cacheControl(scope: PRIVATE) b: A @cacheControl(inheritMaxAge: true) c: Int @cacheControl(maxAge: -1) d: Int }",
        ]);
        let a = &merged.types["A"];
        assert_eq!(a.cache, hint(Some(60), false, false));
        assert_eq!(a.fields["a"].cache, hint(None, true, false));
        assert_eq!(a.fields["b"].cache, hint(None, false, true));
        assert_eq!(a.fields["c"].cache, hint(Some(0), false, false));
        assert_eq!(a.fields["d"].cache, None);
    }

    #[test]
    fn of_several_subgraphs_the_strictest_counts() {
        let (merged, _) = merged(&[
            "type A @shareable @cacheControl(maxAge: 60) { a: Int @cacheControl(maxAge: 5) }",
            "type A @shareable @cacheControl(maxAge: 30) { a: Int @cacheControl(scope: PRIVATE) }",
        ]);
        let a = &merged.types["A"];
        assert_eq!(a.cache, hint(Some(30), false, false));
        assert_eq!(a.fields["a"].cache, hint(Some(5), true, false));
    }
}
