//! REQUIRE_CYCLE: a field that needs itself.
//!
//! Circles between subgraphs are fine; a field whose every way begins with the
//! field itself is not.

use std::collections::{HashMap, HashSet};

use apollo_compiler::Name;

use super::Graph;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{FieldDef, FieldInSubgraph, TypeDef};

/// Each way to a field, as the fields of the same object that it needs.
type Ways<'g> = HashMap<&'g Name, Vec<Vec<&'g Name>>>;

/// Reports each field that needs itself, and says whether there was one.
pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) -> bool {
    let mut any = false;
    for ty in graph.types.values() {
        let ways = ways(graph, ty);
        for circle in circles(&ways) {
            any = true;
            report(graph, ty, &circle, diagnostics);
        }
    }
    any
}

fn ways<'g>(graph: &Graph<'g>, ty: &'g TypeDef) -> Ways<'g> {
    let fields = ty.fields.values();
    fields
        .map(|field| (&field.name, ways_to(graph, field)))
        .collect()
}

fn ways_to<'g>(graph: &Graph<'g>, field: &'g FieldDef) -> Vec<Vec<&'g Name>> {
    let answering = field.subgraphs.iter().filter(|it| !it.external);
    answering.flat_map(|it| ways_in(graph, field, it)).collect()
}

fn ways_in<'g>(
    graph: &Graph<'g>,
    field: &'g FieldDef,
    it: &'g FieldInSubgraph,
) -> Vec<Vec<&'g Name>> {
    let required: Vec<&Name> = it.requires.iter().filter_map(|path| path.first()).collect();
    let resolvers = field
        .resolvers
        .iter()
        .map(|id| &graph.lowered.resolvers[id.index()]);
    let own: Vec<_> = resolvers
        .filter(|resolver| resolver.subgraph == it.subgraph)
        .collect();
    if own.is_empty() {
        return vec![required];
    }
    let needs = |inputs: &'g [Vec<Name>]| {
        required
            .iter()
            .copied()
            .chain(inputs.iter().filter_map(|path| path.first()))
            .collect()
    };
    own.into_iter()
        .map(|resolver| needs(&resolver.inputs))
        .collect()
}

/// One circle through each group of fields that can only be had from each other.
fn circles<'g>(ways: &Ways<'g>) -> Vec<Vec<&'g Name>> {
    let grounded = grounded(ways);
    let mut left: Vec<&Name> = ways
        .keys()
        .copied()
        .filter(|name| !grounded.contains(*name))
        .collect();
    left.sort();
    let mut told: HashSet<&Name> = HashSet::new();
    let mut circles = Vec::new();
    for start in left {
        let circle = circle_from(start, ways, &grounded);
        if circle.iter().all(|name| told.insert(name)) {
            circles.push(circle);
        }
    }
    circles
}

/// The fields that can be had without needing themselves.
fn grounded<'g>(ways: &Ways<'g>) -> HashSet<&'g Name> {
    let mut grounded: HashSet<&Name> = HashSet::new();
    loop {
        let before = grounded.len();
        for (name, ways_to) in ways {
            let met = |needs: &Vec<&Name>| {
                needs
                    .iter()
                    .all(|it| grounded.contains(*it) || !ways.contains_key(*it))
            };
            // A field that nobody answers is another check's to report.
            if ways_to.is_empty() || ways_to.iter().any(met) {
                grounded.insert(name);
            }
        }
        if grounded.len() == before {
            return grounded;
        }
    }
}

/// Follows what is needed until a field comes round again.
fn circle_from<'g>(start: &'g Name, ways: &Ways<'g>, grounded: &HashSet<&Name>) -> Vec<&'g Name> {
    let mut path: Vec<&Name> = vec![start];
    let mut at = start;
    loop {
        let needs = ways.get(at).and_then(|ways| ways.first());
        let open = |name: &&&Name| !grounded.contains(**name) && ways.contains_key(**name);
        let Some(next) = needs.and_then(|needs| needs.iter().find(open)) else {
            return path;
        };
        if let Some(seen) = path.iter().position(|name| name == next) {
            return path.split_off(seen);
        }
        path.push(next);
        at = next;
    }
}

fn report(graph: &Graph<'_>, ty: &TypeDef, circle: &[&Name], diagnostics: &mut Diagnostics) {
    let Some(first) = circle.first() else {
        return;
    };
    let steps: Vec<String> = circle
        .iter()
        .chain([first])
        .map(|name| format!("{}.{name}", ty.name))
        .collect();
    let mut found = Diagnostic::error(
        "REQUIRE_CYCLE",
        format!("`{}.{first}` needs itself", ty.name),
    )
    .note(steps.join(" needs "))
    .help("let one of them need only fields that a reply carries, such as the key");
    let declared = ty
        .fields
        .get(*first)
        .and_then(|field| field.subgraphs.iter().find(|it| !it.external));
    let field =
        declared.and_then(|it| Some((it.subgraph, graph.field(it.subgraph, &ty.name, first)?)));
    if let Some((subgraph, field)) = field {
        found = found.at(graph.documents[subgraph.index()].places.name(&field.name));
    }
    diagnostics.push(found);
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn a_field_that_needs_itself_is_told_with_the_circle() {
        let sdl = "type Query { a: A @rest(GET: \"/a\") }\n\
            type A { id: ID! x: ID @rest(GET: \"/x/{$this.y}\") y: ID @rest(GET: \"/y/{$this.x}\") }";
        let said = said(&[sdl]);
        assert_eq!(
            said,
            "error[REQUIRE_CYCLE] a.graphql:3:18\n  \
             3 | type A { id: ID! x: ID @rest(GET: \"/x/{$this.y}\") y: ID @rest(GET: \"/y/{$this.x}\") }\n    \
             |                  ^ `A.x` needs itself\n    \
             |                  A.x needs A.y needs A.x\n  \
             help: let one of them need only fields that a reply carries, such as the key\n"
        );
    }

    #[test]
    fn a_second_way_breaks_the_circle() {
        let sdl = "type Query { a: A @rest(GET: \"/a\") }\n\
            type A { id: ID! x: ID @rest(GET: \"/x/{$this.y}\") @rest(GET: \"/x2/{$this.id}\") y: ID @rest(GET: \"/y/{$this.x}\") }";
        assert!(!said(&[sdl]).contains("REQUIRE_CYCLE"), "{}", said(&[sdl]));
    }
}
