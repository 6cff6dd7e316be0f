//! Who may see what: `@authenticated`, `@requiresScopes` and `@policy`.
//!
//! Owns what each type and field demands of a caller once all subgraphs, types,
//! interfaces and `@requires` have had their say. Every demand of every subgraph
//! holds: nothing that is said anywhere is weakened by what is said elsewhere.
//! Must not know callers, nor how a demand is decided.
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#security-directives>

use std::collections::HashMap;

use apollo_compiler::ast::{Directive, DirectiveList, FieldDefinition, Value};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node, Schema};
use indexmap::{IndexMap, IndexSet};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, first};
use crate::merge::Merged;
use crate::model::{Demand, DemandId, Demanded, FieldDef, SubgraphId, TypeDef};

/// Tells each type and field what it demands, and returns every distinct demand.
pub(crate) fn demand(
    merged: &mut Merged,
    documents: &[Document],
    diagnostics: &mut Diagnostics,
) -> Vec<Demand> {
    let written = Written::gather(documents, diagnostics);
    if written.demands.is_empty() {
        return Vec::new();
    }
    for ty in merged.types.values_mut() {
        ty.demands = written.of_type(&merged.schema, &ty.name);
        for field in ty.fields.values_mut() {
            field.demands = written.of_field(&merged.schema, &ty.name, field);
        }
    }
    let demands: Vec<Demand> = written.demands.into_iter().collect();
    require(&mut merged.types, documents, &demands, diagnostics);
    demands
}

/// What the files say, each element for itself.
#[derive(Default)]
struct Written {
    demands: IndexSet<Demand>,
    types: HashMap<Name, Vec<Demanded>>,
    fields: HashMap<(Name, Name), Vec<Demanded>>,
}

impl Written {
    fn gather(documents: &[Document], diagnostics: &mut Diagnostics) -> Self {
        let mut written = Self::default();
        for document in documents {
            for ty in document
                .schema
                .types
                .values()
                .filter(|ty| !ty.is_built_in())
            {
                written.add(document, ty, diagnostics);
            }
        }
        written
    }

    fn add(&mut self, document: &Document, ty: &ExtendedType, diagnostics: &mut Diagnostics) {
        let name = ty.name();
        let own = self.read(document, name.as_str(), ty.directives(), diagnostics);
        self.types.entry(name.clone()).or_default().extend(own);
        for field in fields(ty) {
            let element = format!("{name}.{}", field.name);
            let own = self.read(document, &element, &field.directives, diagnostics);
            let coordinate = (name.clone(), field.name.clone());
            self.fields.entry(coordinate).or_default().extend(own);
        }
    }

    fn read(
        &mut self,
        document: &Document,
        element: &str,
        directives: &DirectiveList,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Demanded> {
        let mut found = Vec::new();
        for directive in directives.iter() {
            let demand = match directive.name.as_str() {
                "authenticated" => Demand::Authenticated,
                "requiresScopes" => Demand::Scopes(lists(directive, "scopes")),
                "policy" => Demand::Policies(lists(directive, "policies")),
                _ => continue,
            };
            if says_nothing(&demand) {
                diagnostics.push(empty(document, directive));
                continue;
            }
            found.push(Demanded {
                demand: DemandId(self.demands.insert_full(demand).0 as u32),
                element: element.to_owned(),
                place: document.places.directive(directive).to_string(),
            });
        }
        found
    }

    /// What an element of this type demands: its own, and that of every interface it implements.
    fn of_type(&self, schema: &Schema, ty: &Name) -> Vec<Demanded> {
        let own = std::iter::once(ty).chain(interfaces(schema, ty));
        united(own.filter_map(|name| self.types.get(name)))
    }

    /// Its own, that of the same field of every interface, that of its type, and that of its value's type.
    fn of_field(&self, schema: &Schema, ty: &Name, field: &FieldDef) -> Vec<Demanded> {
        let own = std::iter::once(ty)
            .chain(interfaces(schema, ty))
            .filter_map(|ty| self.fields.get(&(ty.clone(), field.name.clone())));
        let types = [
            self.of_type(schema, ty),
            self.of_type(schema, field.ty.inner_named_type()),
        ];
        united(own.chain(&types))
    }
}

fn fields(ty: &ExtendedType) -> Box<dyn Iterator<Item = &Node<FieldDefinition>> + '_> {
    match ty {
        ExtendedType::Object(it) => Box::new(it.fields.values()),
        ExtendedType::Interface(it) => Box::new(it.fields.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// All interfaces of a type: the language wants those of its interfaces named too.
fn interfaces<'a>(schema: &'a Schema, ty: &Name) -> impl Iterator<Item = &'a Name> {
    let named = match schema.types.get(ty) {
        Some(ExtendedType::Object(it)) => Some(&it.implements_interfaces),
        Some(ExtendedType::Interface(it)) => Some(&it.implements_interfaces),
        _ => None,
    };
    named.into_iter().flatten().map(|name| &**name)
}

fn united<'a>(of: impl Iterator<Item = &'a Vec<Demanded>>) -> Vec<Demanded> {
    let mut united: Vec<Demanded> = Vec::new();
    for demanded in of.flatten() {
        if !united.contains(demanded) {
            united.push(demanded.clone());
        }
    }
    united
}

/// `[["a", "b"], ["c"]]`, sorted, each once; a text or a list of texts is coerced as the language says.
fn lists(directive: &Node<Directive>, argument: &str) -> Vec<Vec<String>> {
    let Some(value) = directive.specified_argument_by_name(argument) else {
        return Vec::new();
    };
    let mut lists: Vec<Vec<String>> = items(value).iter().map(texts).collect();
    lists.sort();
    lists.dedup();
    lists
}

fn texts(list: &Node<Value>) -> Vec<String> {
    let texts = items(list).iter().filter_map(|it| it.as_str());
    let mut texts: Vec<String> = texts.map(str::to_owned).collect();
    texts.sort();
    texts.dedup();
    texts
}

fn items(value: &Node<Value>) -> &[Node<Value>] {
    value.as_list().unwrap_or(std::slice::from_ref(value))
}

/// No list can never be met, and an empty list always is: neither can be meant.
fn says_nothing(demand: &Demand) -> bool {
    match demand {
        Demand::Authenticated => false,
        Demand::Scopes(lists) | Demand::Policies(lists) => {
            lists.is_empty() || lists.iter().any(Vec::is_empty)
        }
    }
}

fn empty(document: &Document, directive: &Node<Directive>) -> Diagnostic {
    let message = format!("@{} with an empty list protects nothing", directive.name);
    Diagnostic::error("ACCESS_EMPTY", message)
        .at(document.places.directive(directive))
        .help("name at least one in each list, or write @authenticated")
}

/// A field that reads others by `@requires` demands what they demand, however long the chain.
fn require(
    types: &mut IndexMap<Name, TypeDef>,
    documents: &[Document],
    demands: &[Demand],
    diagnostics: &mut Diagnostics,
) {
    loop {
        let missing = missing(types);
        if missing.is_empty() {
            return;
        }
        for it in missing {
            diagnostics.push(it.warning(types, documents, demands));
            let field = types
                .get_mut(&it.ty)
                .and_then(|ty| ty.fields.get_mut(&it.field));
            field
                .into_iter()
                .for_each(|field| field.demands.push(it.demanded.clone()));
        }
    }
}

/// A demand of what a field reads, which the field does not make itself.
struct Missing {
    ty: Name,
    field: Name,
    subgraph: SubgraphId,
    demanded: Demanded,
}

fn missing(types: &IndexMap<Name, TypeDef>) -> Vec<Missing> {
    let mut missing: Vec<Missing> = Vec::new();
    for ty in types.values() {
        for field in ty.fields.values() {
            for (subgraph, demanded) in read_by(types, ty, field) {
                let known = |it: &Demanded| it.demand == demanded.demand;
                let told = |it: &Missing| {
                    it.ty == ty.name && it.field == field.name && known(&it.demanded)
                };
                if !field.demands.iter().any(known) && !missing.iter().any(told) {
                    missing.push(Missing {
                        ty: ty.name.clone(),
                        field: field.name.clone(),
                        subgraph,
                        demanded: demanded.clone(),
                    });
                }
            }
        }
    }
    missing
}

/// Everything that the fields demand which a field reads by `@requires`.
fn read_by<'t>(
    types: &'t IndexMap<Name, TypeDef>,
    ty: &TypeDef,
    field: &FieldDef,
) -> Vec<(SubgraphId, &'t Demanded)> {
    let paths = field
        .subgraphs
        .iter()
        .flat_map(|it| it.requires.iter().map(|path| (it.subgraph, path)));
    paths
        .flat_map(|(subgraph, path)| {
            let demands = along(types, &ty.name, path).into_iter();
            demands.map(move |demanded| (subgraph, demanded))
        })
        .collect()
}

/// What the fields of a path demand, whatever the objects on the way turn out to be.
pub(crate) fn along<'t>(
    types: &'t IndexMap<Name, TypeDef>,
    ty: &str,
    path: &[Name],
) -> Vec<&'t Demanded> {
    let mut at = IndexSet::from([ty]);
    let mut found = Vec::new();
    for name in path {
        let defs: Vec<&TypeDef> = at.iter().filter_map(|ty| types.get(*ty)).collect();
        let possible = defs.iter().flat_map(|def| &def.possible_types);
        let possible = possible.filter_map(|ty| types.get(ty));
        let all = defs.iter().copied().chain(possible);
        let fields: Vec<&FieldDef> = all.filter_map(|def| def.fields.get(name)).collect();
        found.extend(fields.iter().flat_map(|field| &field.demands));
        let values = fields.iter().map(|field| field.ty.inner_named_type());
        at = values.map(|ty| ty.as_str()).collect();
    }
    found
}

impl Missing {
    fn warning(
        &self,
        types: &IndexMap<Name, TypeDef>,
        documents: &[Document],
        demands: &[Demand],
    ) -> Diagnostic {
        let Self {
            ty,
            field,
            demanded,
            ..
        } = self;
        let demand = &demands[demanded.demand.index()];
        let message = format!(
            "`{ty}.{field}` reads by @requires what `{}` protects: it demands {demand} too",
            demanded.element
        );
        let found = Diagnostic::warning("MISSING_TRANSITIVE_AUTH_REQUIREMENTS", message).help(
            format!("write {demand} on `{ty}.{field}`, so that its readers see it"),
        );
        let document = &documents[self.subgraph.index()];
        match requires(document, types, ty, field) {
            Some(directive) => found.at(document.places.directive(directive)),
            None => found,
        }
    }
}

fn requires<'d>(
    document: &'d Document,
    types: &IndexMap<Name, TypeDef>,
    ty: &Name,
    field: &Name,
) -> Option<&'d Node<Directive>> {
    let name = &types.get(ty)?.name;
    let mut declared = fields(document.schema.types.get(name)?);
    let field = declared.find(|it| it.name == *field)?;
    first(&field.directives, "requires")
}

#[cfg(test)]
mod tests {
    use crate::merge::testing::files;
    use crate::model::{Demanded, Supergraph};

    fn graph(sdl: &[&str]) -> Supergraph {
        crate::compose(&files(sdl)).unwrap_or_else(|found| panic!("{found}"))
    }

    /// `User`, or `User.email`: what it demands, each once.
    fn demands(graph: &Supergraph, element: &str) -> Vec<String> {
        let (ty, field) = element.split_once('.').unwrap_or((element, ""));
        let ty = graph.type_def(ty).expect("a type");
        let demanded: &[Demanded] = match ty.fields.get(field) {
            Some(field) => &field.demands,
            None => &ty.demands,
        };
        let mut demands: Vec<String> = demanded
            .iter()
            .map(|it| graph.demand(it.demand).to_string())
            .collect();
        demands.sort();
        demands.dedup();
        demands
    }

    const AUTHENTICATED: &str = "@authenticated";

    fn scopes(lists: &str) -> String {
        format!("@requiresScopes(scopes: {lists})")
    }

    #[test]
    fn a_field_demands_its_own_its_types_and_its_values() {
        let graph = graph(&[r#"
            type Query { user: User @rest(GET: "/user") }
            type User @authenticated { id: ID! email: Email @requiresScopes(scopes: [["read:email"]]) role: Role }
            scalar Email @policy(policies: [["pii"]])
            enum Role @requiresScopes(scopes: [["staff"], ["admin", "audit"]]) { X }"#]);
        assert_eq!(demands(&graph, "User"), [AUTHENTICATED]);
        assert_eq!(demands(&graph, "Query.user"), [AUTHENTICATED]);
        assert_eq!(demands(&graph, "User.id"), [AUTHENTICATED]);
        assert_eq!(
            demands(&graph, "User.email"),
            [
                AUTHENTICATED.to_owned(),
                r#"@policy(policies: [["pii"]])"#.to_owned(),
                scopes(r#"[["read:email"]]"#)
            ]
        );
        assert_eq!(
            demands(&graph, "User.role"),
            [
                AUTHENTICATED.to_owned(),
                scopes(r#"[["admin","audit"],["staff"]]"#)
            ]
        );
    }

    #[test]
    fn every_demand_of_every_subgraph_holds() {
        let graph = graph(&[
            r#"type Query { a: A @rest(GET: "/a") } type A @key(fields: "id") @rest(GET: "/a/{$this.id}") { id: ID! x: Int @shareable @requiresScopes(scopes: [["a"], ["b"]]) }"#,
            r#"type A @key(fields: "id") @rest(GET: "/a/{$this.id}") { id: ID! x: Int @shareable @requiresScopes(scopes: [["c"]]) y: Int }
               extend type A @authenticated"#,
        ]);
        assert_eq!(
            demands(&graph, "A.x"),
            [
                AUTHENTICATED.to_owned(),
                scopes(r#"[["a"],["b"]]"#),
                scopes(r#"[["c"]]"#)
            ]
        );
        assert_eq!(demands(&graph, "A.y"), [AUTHENTICATED]);
    }

    #[test]
    fn what_an_interface_demands_its_implementers_demand() {
        let graph = graph(&[r#"
            type Query { node: Node @rest(GET: "/node") open: Open @rest(GET: "/open") }
            interface Node @authenticated @discriminator(from: "kind") { id: ID! @requiresScopes(scopes: "ids") }
            type A implements Node @variant(value: "a") { id: ID! a: Int }
            type B implements Node & Open @variant(value: "b") @requiresScopes(scopes: "b") { id: ID! o: Int }
            interface Open @discriminator(from: "kind") { o: Int }"#]);
        assert_eq!(demands(&graph, "Query.node"), [AUTHENTICATED]);
        assert_eq!(demands(&graph, "A"), [AUTHENTICATED]);
        assert_eq!(demands(&graph, "A.a"), [AUTHENTICATED]);
        assert_eq!(
            demands(&graph, "A.id"),
            [AUTHENTICATED.to_owned(), scopes(r#"[["ids"]]"#)]
        );
        // An interface that demands nothing says nothing of its implementers: that is known object by object.
        assert!(demands(&graph, "Query.open").is_empty());
        assert_eq!(
            demands(&graph, "B"),
            [AUTHENTICATED.to_owned(), scopes(r#"[["b"]]"#)]
        );
    }

    #[test]
    fn what_a_field_requires_it_demands_too_and_is_told() {
        let graph = graph(&[
            r#"type Query { a: A @rest(GET: "/a") } type A @key(fields: "id") @rest(GET: "/a/{$this.id}") { id: ID! tax: Int @requiresScopes(scopes: [["tax"]]) }"#,
            r#"type A @key(fields: "id") @rest(GET: "/b/{$this.id}") { id: ID! tax: Int @external
               b: Int @requires(fields: "tax") @rest(GET: "/b?t={$this.tax}") }"#,
            r#"type A @key(fields: "id") @rest(GET: "/c/{$this.id}") { id: ID! b: Int @external
               c: Int @requires(fields: "b") @rest(GET: "/c?b={$this.b}") }"#,
        ]);
        assert_eq!(demands(&graph, "A.b"), [scopes(r#"[["tax"]]"#)]);
        assert_eq!(demands(&graph, "A.c"), [scopes(r#"[["tax"]]"#)]);
        let warnings = graph.warnings().to_string();
        assert!(
            warnings.contains(
                "warning[MISSING_TRANSITIVE_AUTH_REQUIREMENTS] b.graphql:3:23\n  \
                 3 |                b: Int @requires(fields: \"tax\") @rest(GET: \"/b?t={$this.tax}\") }\n    \
                 |                       ^^^^^^^^^ `A.b` reads by @requires what `A.tax` protects: it demands @requiresScopes(scopes: [[\"tax\"]]) too\n  \
                 help: write @requiresScopes(scopes: [[\"tax\"]]) on `A.b`, so that its readers see it\n"
            ),
            "{warnings}"
        );
    }

    #[test]
    fn an_empty_list_is_refused() {
        for empty in ["[]", "[[]]", "[[\"a\"], []]"] {
            let sdl = format!(
                "type Query {{ a: Int @requiresScopes(scopes: {empty}) @rest(GET: \"/a\") }}"
            );
            let said = crate::compose(&files(&[&sdl])).expect_err("an empty list");
            assert_eq!(
                said.to_string().lines().next(),
                Some("error[ACCESS_EMPTY] a.graphql:2:21"),
                "{said}"
            );
        }
    }

    #[test]
    fn clients_are_not_shown_what_is_demanded() {
        let graph = graph(&[
            r#"type Query @authenticated { a: Int @policy(policies: "p") @rest(GET: "/a") }"#,
        ]);
        assert_eq!(
            graph.api().serialize().no_indent().to_string(),
            "type Query { a: Int }"
        );
        assert_eq!(graph.demands().len(), 2);
    }

    #[test]
    fn a_link_may_rename_the_directives() {
        let link = r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.6",
            import: [{ name: "@authenticated", as: "@login" }, "@policy"])"#;
        let graph = graph(&[&format!(
            "{link} type Query {{ a: Int @login @federation__requiresScopes(scopes: \"s\") @policy(policies: \"p\") @rest(GET: \"/a\") }}"
        )]);
        assert_eq!(demands(&graph, "Query.a").len(), 3);
    }
}
