//! Labels of `@override(label:)`: who answers a field is decided for each request.
//!
//! Owns which labels a graph has, which fields each of them moves, and the graph as it is while
//! some of them are active. Who decides that they are is not known here.
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/migrate-fields>

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apollo_compiler::Name;
use indexmap::IndexMap;

use crate::model::{FieldDef, LabelId, Resolver, SubgraphId, TypeDef, View, ViewId, paths_of};

/// A label, and what it moves.
#[derive(Debug, Clone)]
pub struct OverrideLabel {
    /// As it is written: `percent(20)`, or any other name.
    pub name: String,
    /// Of `percent(n)`, how likely it is to be active: 0 to 1.
    pub share: Option<f64>,
    moves: Vec<Moved>,
    /// Whether one of the fields is used without being selected: in a key, or as what a call needs.
    hidden: bool,
}

/// One field that a label moves.
#[derive(Debug, Clone)]
struct Moved {
    ty: Name,
    field: Name,
    from: SubgraphId,
    to: SubgraphId,
}

impl OverrideLabel {
    /// Whether the plan of an operation that selects these fields may depend on it.
    pub fn concerns(&self, selected: &HashSet<&str>) -> bool {
        let mut moves = self.moves.iter();
        self.hidden || moves.any(|moved| selected.contains(moved.field.as_str()))
    }
}

/// The labels of a graph, in the order in which its fields name them.
pub(crate) fn labels_of(
    types: &IndexMap<Name, TypeDef>,
    resolvers: &[Resolver],
    subgraph: impl Fn(&str) -> Option<SubgraphId>,
) -> Vec<OverrideLabel> {
    let mut labels: IndexMap<&str, Vec<Moved>> = IndexMap::new();
    for (ty, field) in types.values().flat_map(fields_of) {
        for it in &field.subgraphs {
            let Some(taken) = &it.overrides else { continue };
            let (Some(label), Some(from)) = (&taken.label, subgraph(&taken.from)) else {
                continue;
            };
            labels.entry(label).or_default().push(Moved {
                ty: ty.name.clone(),
                field: field.name.clone(),
                from,
                to: it.subgraph,
            });
        }
    }
    if labels.is_empty() {
        return Vec::new();
    }
    let needed = needed(types, resolvers);
    let label = |(name, moves): (&str, Vec<Moved>)| OverrideLabel {
        name: name.to_owned(),
        share: share(name),
        hidden: moves.iter().any(|moved| needed.contains(&moved.field)),
        moves,
    };
    labels.into_iter().map(label).collect()
}

fn fields_of(ty: &TypeDef) -> impl Iterator<Item = (&TypeDef, &FieldDef)> {
    ty.fields.values().map(move |field| (ty, field))
}

/// The names of what calls need of an object, whoever selects it.
fn needed(types: &IndexMap<Name, TypeDef>, resolvers: &[Resolver]) -> HashSet<Name> {
    let required = types.values().flat_map(fields_of);
    let required = required.flat_map(|(_, field)| &field.subgraphs);
    let required = required.flat_map(|it| &it.requires).flatten().cloned();
    let sent = |it: &Resolver| it.sends.as_deref().map(paths_of).unwrap_or_default();
    let inputs = resolvers.iter().flat_map(|it| it.inputs.clone());
    let inputs = inputs.chain(resolvers.iter().flat_map(sent)).flatten();
    required.chain(inputs).collect()
}

fn share(label: &str) -> Option<f64> {
    let number = label.strip_prefix("percent(")?.strip_suffix(')')?;
    Some(number.parse::<f64>().ok()? / 100.0)
}

/// A graph's tables that depend on who answers a field.
pub(crate) struct Tables<'g> {
    pub(crate) types: &'g IndexMap<Name, TypeDef>,
    pub(crate) views: &'g [View],
    pub(crate) resolvers: &'g [Resolver],
}

/// The types and views that are different while some labels are active and the others are not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decided {
    pub(crate) types: HashMap<Name, TypeDef>,
    pub(crate) views: HashMap<ViewId, View>,
}

/// What differs from a graph in which both subgraphs answer each field that a label moves.
pub(crate) fn decide(tables: &Tables<'_>, labels: &[OverrideLabel], active: &[LabelId]) -> Decided {
    let mut decided = Decided::default();
    for (index, label) in labels.iter().enumerate() {
        let active = active.iter().any(|it| it.index() == index);
        for moved in &label.moves {
            let loser = if active { moved.from } else { moved.to };
            decided.take_from(tables, loser, moved);
        }
    }
    decided
}

impl Decided {
    fn take_from(&mut self, tables: &Tables<'_>, loser: SubgraphId, moved: &Moved) {
        for (index, view) in tables.views.iter().enumerate() {
            let known = view.subgraph == loser && view.ty == moved.ty;
            if known && view.fields.contains_key(&moved.field) {
                let view = self.views.entry(ViewId(index as u32));
                let view = view.or_insert_with(|| tables.views[index].clone());
                view.fields.shift_remove(&moved.field);
            }
        }
        let Some(known) = tables.types.get(&moved.ty) else {
            return;
        };
        let ty = self.types.entry(moved.ty.clone());
        let ty = ty.or_insert_with(|| known.clone());
        if let Some(field) = ty.fields.get_mut(&moved.field) {
            let resolvers = &mut field.resolvers;
            resolvers.retain(|id| tables.resolvers[id.index()].subgraph != loser);
        }
    }
}

/// The states in which every field must be satisfiable: with none of the labels and with all.
pub(crate) fn states(labels: &[OverrideLabel]) -> [Vec<LabelId>; 2] {
    let all = (0..labels.len()).map(|index| LabelId(index as u32));
    [Vec::new(), all.collect()]
}

/// The tables of a graph in one of its states.
pub(crate) fn in_state(
    types: &IndexMap<Name, TypeDef>,
    views: &[View],
    decided: Decided,
) -> (IndexMap<Name, TypeDef>, Vec<View>) {
    let (mut types, mut views) = (types.clone(), views.to_vec());
    for (name, ty) in decided.types {
        types.insert(name, ty);
    }
    for (id, view) in decided.views {
        views[id.index()] = view;
    }
    (types, views)
}

impl crate::Supergraph {
    /// The labels of its `@override`s; mostly none. The graph is as it is while none is active.
    pub fn labels(&self) -> &[OverrideLabel] {
        &self.labels
    }

    /// The graph, of which none is active, while exactly these labels are.
    pub fn while_active(&self, active: &[LabelId]) -> Self {
        if active.is_empty() {
            return self.clone();
        }
        let tables = Tables {
            types: &self.types,
            views: &self.views,
            resolvers: &self.resolvers,
        };
        Self {
            decided: Arc::new(decide(&tables, &self.labels, active)),
            version: crate::version::of_labels(self.version, active),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SchemaFiles, SubgraphFile, Supergraph, compose};

    const LINK: &str = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.7\", import: [\"@key\", \"@override\", \"@external\", \"@requires\"])";

    fn composed(files: &[&str]) -> Result<Supergraph, crate::Diagnostics> {
        let names = ["a", "b", "c"];
        let subgraph = |(name, sdl): (&&str, &&str)| SubgraphFile {
            name: (*name).to_owned(),
            file: format!("{name}.graphql"),
            sdl: format!("{LINK} {sdl}"),
            url: Some(format!("http://{name}")),
            ..SubgraphFile::default()
        };
        compose(&SchemaFiles {
            subgraphs: names.iter().zip(files).map(subgraph).collect(),
            ..SchemaFiles::default()
        })
    }

    const A: &str =
        "type Query { t: T a: Int } type T @key(fields: \"id\") { id: ID! n: Int m: Int }";
    const B: &str = "type Query { a: Int @override(from: \"a\", label: \"new\") } type T @key(fields: \"id\") { id: ID! n: Int @override(from: \"a\", label: \"percent(12.5)\") }";

    /// The subgraphs that answer a field of `T` by a view, or a root field by a resolver.
    fn who(graph: &Supergraph, ty: &str, field: &str) -> Vec<String> {
        let ids = (0..graph.views().len()).map(|id| ViewId(id as u32));
        let views = ids.map(|id| graph.view(id));
        let views = views.filter(|view| view.ty == ty && view.fields.contains_key(field));
        let by_view = views.map(|view| view.subgraph);
        let resolvers = &graph.type_def(ty).unwrap().fields[field].resolvers;
        let by_call = resolvers.iter().map(|id| graph.resolver(*id).subgraph);
        let mut names: Vec<String> = by_view
            .chain(by_call)
            .map(|id| graph.subgraphs()[id.index()].name.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn who_answers_is_decided_by_the_labels_that_are_active() {
        let graph = composed(&[A, B]).unwrap();
        let names: Vec<_> = graph.labels().iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["new", "percent(12.5)"]);
        let shares: Vec<_> = graph.labels().iter().map(|it| it.share).collect();
        assert_eq!(shares, [None, Some(0.125)]);
        let [new, percent] = [LabelId(0), LabelId(1)];
        for (active, root, n) in [
            (vec![], "a", "a"),
            (vec![new], "b", "a"),
            (vec![percent], "a", "b"),
            (vec![new, percent], "b", "b"),
        ] {
            let decided = graph.while_active(&active);
            assert_eq!(who(&decided, "Query", "a"), [root], "{active:?}");
            assert_eq!(who(&decided, "T", "n"), [n], "{active:?}");
            assert_eq!(who(&decided, "T", "m"), ["a"], "{active:?}");
            assert_eq!(decided.version() == graph.version(), active.is_empty());
        }
    }

    #[test]
    fn an_operation_is_concerned_by_labels_of_what_it_selects_and_of_what_calls_need() {
        let graph = composed(&[A, B]).unwrap();
        let concerned = |graph: &Supergraph, selected: &[&str]| -> Vec<bool> {
            let selected = selected.iter().copied().collect();
            let labels = graph.labels().iter();
            labels.map(|label| label.concerns(&selected)).collect()
        };
        assert_eq!(concerned(&graph, &["t", "n"]), [false, true]);
        assert_eq!(concerned(&graph, &["m"]), [false, false]);
        let c = "type T @key(fields: \"id\") { id: ID! n: Int @external x: Int @requires(fields: \"n\") }";
        let graph = composed(&[A, B, c]).unwrap();
        assert_eq!(concerned(&graph, &["x"]), [false, true]);
        assert_eq!(composed(&[A]).unwrap().labels().len(), 0);
    }

    #[test]
    fn every_field_must_be_reachable_while_the_labels_are_active_and_while_they_are_not() {
        let b = "type T @key(fields: \"other\") { other: ID! n: Int @override(from: \"a\", label: \"new\") }";
        let said = composed(&[A, b]).unwrap_err().to_string();
        assert!(said.contains("UNSATISFIABLE"), "{said}");
        assert!(said.contains("`T.n`"), "{said}");
    }
}
