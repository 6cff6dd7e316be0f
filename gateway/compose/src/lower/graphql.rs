//! `@graphql` to [`GraphqlRequest`], and what a GraphQL source knows of fields below it.

use apollo_compiler::ast::{FieldDefinition, Type, Value as Literal};
use apollo_compiler::{Name, Node};

use super::input::Input;
use super::origin::{Call, Destination};
use super::read::Object;
use super::rest::Lowered;
use super::scope::{Scope, Slot};
use super::site::{On, Site};
use super::{Lowering, at};
use crate::diagnostic::{Diagnostic, Place};
use crate::mapping::{Mapping, MappingKind, Reference, Root, Segment};
use crate::model::{
    Expr, GraphqlRequest, GraphqlValue, Read, ReadPiece, Request, SourceId, UpstreamPath, ViewArg,
};

/// Where every GraphQL response carries what was asked for.
const DATA: &str = "data";

impl<'a> Lowering<'a> {
    pub(super) fn graphql(
        &mut self,
        site: &Site<'a>,
        input: &Input<'a>,
        scope: &mut Scope<'a>,
    ) -> Option<Lowered> {
        let field = self.root_field(site, input, scope.source);
        let args = match input.has("args") {
            true => self.graphql_args(input, scope),
            false => self.default_args(scope),
        };
        self.check_window(input);
        let (field, args) = (field?, args?);
        Some(Lowered {
            prefix: vec![DATA.to_owned(), field.clone()],
            request: Request::Graphql(GraphqlRequest {
                mutation: site.on.is_mutation(),
                field,
                args,
                on: None,
            }),
            call: Call::Unknown,
            reply: None,
            streamed: false,
        })
    }

    /// The field of the service's root type: the one that is named, else that of the same name.
    fn root_field(
        &mut self,
        site: &Site<'_>,
        input: &Input<'_>,
        source: SourceId,
    ) -> Option<String> {
        if let Some(written) = input.text("field") {
            self.check_graphql_name(written, input.at_value("field"))?;
            return Some(written.to_owned());
        }
        match site.on {
            On::Root { field, .. } | On::Field { field, .. } => {
                let place = site.document.places.name(&field.name);
                self.upstream_name(source, &field.name, place)
            }
            On::Entity { ty } => {
                let message = format!("nothing says which root field of the service gives `{ty}`");
                self.push(
                    Diagnostic::error("NO_ROOT_FIELD", message)
                        .at(site.place())
                        .help("name it: @graphql(field: \"users\", args: { ids: \"$batch.id\" })"),
                );
                None
            }
        }
    }

    /// A name under the source's naming.
    fn upstream_name(&mut self, source: SourceId, name: &Name, place: Place) -> Option<String> {
        let naming = self.lowered.sources[source.index()].naming;
        let name = self.lowered.upstreams[source.index()].spelled(name, naming, None);
        self.check_graphql_name(&name, place)?;
        Some(name)
    }

    /// Names go into the operation's text as they are.
    pub(super) fn check_graphql_name(&mut self, name: &str, place: Place) -> Option<()> {
        if Name::new(name).is_ok() {
            return Some(());
        }
        let message = format!("`{name}` is no name in GraphQL");
        self.push(
            Diagnostic::error("INVALID_VALUE", message)
                .at(place)
                .help("a name has letters, digits and underscores, and no digit first"),
        );
        None
    }

    /// Selections of several requests differ, and a call has one.
    fn check_window(&mut self, input: &Input<'_>) {
        let batch = input.nested("batch");
        if let Some(batch) = batch.filter(|batch| batch.has("window")) {
            self.push(
                Diagnostic::error(
                    "UNSUPPORTED",
                    "gathering the keys of several requests in one call is not supported for GraphQL sources by this release",
                )
                .at(batch.at_name("window"))
                .help("leave it out: keys of one request are one call all the same"),
            );
        }
    }
}

/// Arguments of the root field.
impl<'a> Lowering<'a> {
    fn graphql_args(
        &mut self,
        input: &Input<'a>,
        scope: &mut Scope<'a>,
    ) -> Option<Vec<(String, GraphqlValue)>> {
        let mapping = self.request_mapping(input, "args")?;
        if !matches!(mapping.kind, MappingKind::Object(_)) {
            self.push(
                Diagnostic::error("INVALID_VALUE", "arguments have names: this is one value")
                    .at(at(scope.document, &mapping.spot))
                    .help("write args: { id: \"$args.id\" }"),
            );
            return None;
        }
        let literal = input.get("args").map(|node| &**node);
        match self.graphql_value(scope, &mapping, literal, Vec::new())? {
            GraphqlValue::Object(args) => Some(args),
            _ => None,
        }
    }

    /// Every argument of the field, under its own name.
    fn default_args(&mut self, scope: &mut Scope<'a>) -> Option<Vec<(String, GraphqlValue)>> {
        let mut args = Vec::new();
        let mut complete = true;
        for argument in scope.unused() {
            scope.used.insert(argument.name.to_string());
            let (document, source) = (scope.document, scope.source);
            let place = document.places.name(&argument.name);
            let name = self.sent_name(document, source, &argument.name, &argument.directives, None);
            complete &= self.check_graphql_name(&name, place).is_some();
            let slot = Slot::untyped(Destination::Body(vec![name.clone()]));
            let spot = crate::mapping::Spot::Whole(argument.name.location());
            let path = vec![argument.name.to_string()];
            let value = self.whole_argument(scope, path, argument, &slot, &spot);
            let ty = argument.ty.to_string();
            args.push((name, GraphqlValue::Variable { ty, value }));
        }
        complete.then_some(args)
    }

    /// A value of the operation's text: structure stays, what differs from call to call is a variable.
    fn graphql_value(
        &mut self,
        scope: &mut Scope<'a>,
        mapping: &Mapping,
        literal: Option<&Literal>,
        path: Vec<String>,
    ) -> Option<GraphqlValue> {
        if let Some(Literal::Enum(name)) = literal {
            return Some(GraphqlValue::Enum(name.clone()));
        }
        match &mapping.kind {
            MappingKind::Object(entries) => {
                let fields: Vec<_> = entries
                    .iter()
                    .map(|entry| {
                        let name = &entry.key.name;
                        let place = at(scope.document, &entry.key.spot);
                        let named = self.check_graphql_name(name, place);
                        let literal = literal.and_then(|it| literal_field(it, name));
                        let path = [&path[..], std::slice::from_ref(name)].concat();
                        let value = self.graphql_value(scope, &entry.value, literal, path);
                        named.and(value).map(|value| (name.clone(), value))
                    })
                    .collect();
                let fields: Option<Vec<_>> = fields.into_iter().collect();
                fields.map(GraphqlValue::Object)
            }
            MappingKind::List(items) => {
                if let [one] = items.as_slice()
                    && one.uses(Root::Batch)
                {
                    return self.key_objects(scope, mapping);
                }
                let literals = literal.and_then(Literal::as_list).unwrap_or_default();
                let items: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let literal = literals.get(index).map(|node| &**node);
                        self.graphql_value(scope, item, literal, path.clone())
                    })
                    .collect();
                let items: Option<Vec<_>> = items.into_iter().collect();
                items.map(GraphqlValue::List)
            }
            _ => self.graphql_leaf(scope, mapping, path),
        }
    }

    fn graphql_leaf(
        &mut self,
        scope: &mut Scope<'a>,
        mapping: &Mapping,
        path: Vec<String>,
    ) -> Option<GraphqlValue> {
        let slot = Slot::untyped(Destination::Body(path));
        let value = self.expression(scope, mapping, &slot)?;
        if let Expr::Const(json) = value {
            return Some(GraphqlValue::Const(json));
        }
        let ty = self.variable_type(scope, mapping, &value)?;
        Some(GraphqlValue::Variable {
            ty: ty.to_string(),
            value,
        })
    }

    /// The type of what goes out, as the service knows it: it shares the file's names.
    fn variable_type(
        &mut self,
        scope: &mut Scope<'a>,
        mapping: &Mapping,
        value: &Expr,
    ) -> Option<Type> {
        match (&mapping.kind, value) {
            (MappingKind::Reference(reference), Expr::Arg { .. }) => {
                self.type_of_argument(scope, reference, mapping)
            }
            (_, Expr::Parent { input, .. }) => Some(scope.inputs[*input].ty.clone()),
            (_, Expr::Batch { input, .. }) => {
                let key = scope.inputs[*input].ty.clone().non_null();
                Some(key.list().non_null())
            }
            (_, Expr::Claim(_) | Expr::Header(_)) => Some(text_type()),
            (_, Expr::Template(_)) => Some(text_type().non_null()),
            (MappingKind::FirstOf(options), Expr::FirstOf(values)) => {
                let mut types = Vec::new();
                for (option, value) in options.iter().zip(values) {
                    if !matches!(value, Expr::Const(_)) {
                        types.push(self.variable_type(scope, option, value)?);
                    }
                }
                let never_null = types.iter().any(Type::is_non_null)
                    || matches!(values.last(), Some(Expr::Const(last)) if !last.is_null());
                let first = types.into_iter().next()?;
                Some(if never_null { first.non_null() } else { first })
            }
            _ => None,
        }
    }

    fn type_of_argument(
        &mut self,
        scope: &mut Scope<'a>,
        reference: &Reference,
        mapping: &Mapping,
    ) -> Option<Type> {
        let path: &[Segment] = &reference.path;
        let argument = self.argument(scope, path)?;
        if argument.directives.is_none() {
            let message = "nothing says which type this has: it is inside a custom scalar";
            self.type_unknown(scope, mapping, message);
            return None;
        }
        // A part of an object that may be null may be missing, whatever its own type.
        match path.len() > 1 && argument.nullable {
            true => Some(argument.ty.nullable()),
            false => Some(argument.ty),
        }
    }

    /// `[{ id: "$batch.id" }]`: as many objects as there are keys, of a type that nobody names.
    fn key_objects(&mut self, scope: &Scope<'a>, mapping: &Mapping) -> Option<GraphqlValue> {
        let message = "nothing says which input type the service has for these objects";
        self.type_unknown(scope, mapping, message);
        None
    }

    fn type_unknown(&mut self, scope: &Scope<'a>, mapping: &Mapping, message: &str) {
        self.push(
            Diagnostic::error("ARGUMENT_TYPE_UNKNOWN", message)
                .at(at(scope.document, &mapping.spot))
                .help("send one value of a known type, such as $args.id, $this.id or $batch.id"),
        );
    }
}

/// Fields below the root field.
impl<'a> Lowering<'a> {
    /// The arguments of a field that go upstream with it.
    pub(super) fn view_args(
        &mut self,
        object: &Object<'a>,
        field: &'a FieldDefinition,
    ) -> Vec<ViewArg> {
        let (document, source) = (object.document, object.source);
        if !self.takes_selections(source) {
            return Vec::new();
        }
        let args = field.arguments.iter().filter_map(|argument| {
            let place = document.places.name(&argument.name);
            let directives = &argument.directives;
            let upstream = self.sent_name(document, source, &argument.name, directives, None);
            self.check_graphql_name(&upstream, place)?;
            let encode = self.input_encoding(document, source, &argument.ty, directives, None);
            Some(ViewArg {
                name: argument.name.clone(),
                upstream,
                ty: (*argument.ty).clone(),
                encode,
            })
        });
        args.collect()
    }

    /// Where a source takes selections, what is read is selected, and so made of names.
    pub(super) fn check_selectable(&mut self, source: SourceId, read: &Read, place: Place) {
        if !self.takes_selections(source) {
            return;
        }
        let mut paths: Vec<&UpstreamPath> = Vec::new();
        paths_of(read, &mut paths);
        let wrong = paths
            .into_iter()
            .flatten()
            .find(|it| Name::new(it).is_err());
        if let Some(wrong) = wrong {
            self.check_graphql_name(wrong, place);
        }
    }

    pub(super) fn takes_selections(&self, source: SourceId) -> bool {
        self.lowered.sources[source.index()].kind.takes_selections()
    }
}

fn paths_of<'r>(read: &'r Read, paths: &mut Vec<&'r UpstreamPath>) {
    match read {
        Read::Path(path) | Read::ListOf(path) => paths.push(path),
        Read::FirstOf(options) => options.iter().for_each(|it| paths_of(it, paths)),
        Read::Template(pieces) => paths.extend(pieces.iter().filter_map(|piece| match piece {
            ReadPiece::Path(path) => Some(path),
            ReadPiece::Text(_) => None,
        })),
        Read::Embedded | Read::Const(_) | Read::Status => {}
    }
}

fn text_type() -> Type {
    Type::Named(apollo_compiler::name!("String"))
}

fn literal_field<'l>(literal: &'l Literal, name: &str) -> Option<&'l Literal> {
    let fields: &[(Name, Node<Literal>)] = literal.as_object()?;
    let (_, value) = fields.iter().find(|(it, _)| *it == name)?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, lowered_files, printed_files, said_of};
    use crate::SchemaFiles;
    use crate::model::SourceKind;

    const SHOP: &str = "extend schema @source(name: \"shop\", graphql: { url: \"http://shop\" })\n";

    fn shop(declarations: &str) -> SchemaFiles {
        file(&format!("{SHOP}{declarations}"))
    }

    fn said(declarations: &str) -> String {
        said_of(&shop(declarations))
    }

    #[test]
    fn a_field_takes_its_name_and_its_arguments_along() {
        let shown = printed_files(&shop(
            "type Query { users(first: Int = 5, kind: Kind): [User!] @graphql } \
             type User { id: ID! friends(first: Int @map(to: \"limit\")): [User] } \
             enum Kind { A @map(value: \"a\") B }",
        ));
        assert_eq!(
            shown,
            "Query.users\n  \
             call    shop: query users(first: $args.first (Int), kind: $args.kind as (A=a) (Kind))\n  \
             reply   data.users → [User!] { id, friends(first) { id, friends(first) { id, friends(first) { id, friends(first) { id, friends(first) { … } } } } } }\n"
        );
    }

    #[test]
    fn structure_stays_and_values_of_the_request_are_variables() {
        let shown = printed_files(&shop(
            "type Mutation { add(a: ID!, in: In): Int @graphql(field: \"put\", args: { id: \"$args.a\", o: { n: 1, e: NEW, t: \"'x'\", part: \"$args.in.part\", who: \"$claims.sub ?? 'none'\" } }) } \
             input In { part: Int! }",
        ));
        assert!(
            shown.contains(
                "mutation put(id: $args.a as string (ID!), o: { n: 1, e: NEW, t: \"x\", part: $args.in.part (Int), who: $claims.sub ?? \"none\" (String!) })"
            ),
            "{shown}"
        );
        assert!(shown.contains("policy  once only"), "{shown}");
    }

    #[test]
    fn keys_of_many_parents_are_a_list_of_their_type() {
        let shown = printed_files(&shop(
            "type User @key(fields: \"id\") @graphql(field: \"users\", args: { ids: \"$batch.id\" }, staleIfError: \"1m\", timeout: \"2s\") { id: ID! }",
        ));
        assert_eq!(
            shown,
            "User by id\n  \
             call    shop: query users(ids: $batch.id ([ID!]!))\n  \
             batch   by id=id ID!, at most 100\n  \
             reply   data.users → User { id }\n  \
             policy  timeout 2s, stale if error 60s\n"
        );
    }

    #[test]
    fn a_type_says_which_root_field_gives_it() {
        assert_eq!(
            said("type User @key(fields: \"id\") @graphql(args: { id: \"$this.id\" }) { id: ID! }"),
            "error[NO_ROOT_FIELD] shop.graphql:2:30\n  \
             2 | type User @key(fields: \"id\") @graphql(args: { id: \"$this.id\" }) { id: ID! }\n    \
             |                              ^^^^^^^^ nothing says which root field of the service gives `User`\n  \
             help: name it: @graphql(field: \"users\", args: { ids: \"$batch.id\" })\n"
        );
    }

    #[test]
    fn values_of_a_type_that_nobody_names_cannot_be_sent() {
        assert_eq!(
            said(
                "type User @key(fields: \"id\") @graphql(field: \"users\", args: { keys: [{ id: \"$batch.id\" }] }) { id: ID! }"
            )
            .lines()
            .next(),
            Some("error[ARGUMENT_TYPE_UNKNOWN] shop.graphql:2:69")
        );
        let said =
            said("type Query { a(j: J): Int @graphql(args: { a: \"$args.j.b\" }) } scalar J");
        assert_eq!(
            said,
            "error[ARGUMENT_TYPE_UNKNOWN] shop.graphql:2:48\n  \
             2 | type Query { a(j: J): Int @graphql(args: { a: \"$args.j.b\" }) } scalar J\n    \
             |                                                ^^^^^^^^^ nothing says which type this has: it is inside a custom scalar\n  \
             help: send one value of a known type, such as $args.id, $this.id or $batch.id\n"
        );
    }

    #[test]
    fn what_goes_into_the_operations_text_is_a_name() {
        for (declarations, place) in [
            ("type Query { a: Int @graphql(field: \"a { b }\") }", "2:37"),
            (
                "type Query { a: T @graphql } type T { b: Int @map(from: \"c.'d-e'\") }",
                "2:58",
            ),
            (
                "type Query { a: T @graphql } type T { b(c: Int @map(to: \"c-d\")): Int }",
                "2:41",
            ),
            (
                "type Query { a: U @graphql } union U = T type T @variant(of: \"U\", value: \"a b\") { b: Int }",
                "2:74",
            ),
        ] {
            let said = said(declarations);
            let expected = format!("error[INVALID_VALUE] shop.graphql:{place}\n");
            assert!(said.starts_with(&expected), "{declarations}\n{said}");
            assert!(said.contains("is no name in GraphQL"), "{said}");
        }
    }

    #[test]
    fn keys_of_several_requests_are_not_gathered() {
        let said = said(
            "type User @key(fields: \"id\") @graphql(field: \"users\", args: { ids: \"$batch.id\" }, batch: { window: \"5ms\" }) { id: ID! }",
        );
        assert!(
            said.starts_with("error[UNSUPPORTED] shop.graphql:2:92\n"),
            "{said}"
        );
    }

    #[test]
    fn the_checks_of_every_call_hold_for_it() {
        let id = "type User @key(fields: \"id\")";
        for (declarations, code) in [
            (
                "type Query { a: Int @graphql(source: \"shpo\") }",
                "UNKNOWN_SOURCE",
            ),
            ("type Query { a: Int @rest(GET: \"/a\") }", "UNKNOWN_SOURCE"),
            (
                "type Query { a: Int @graphql(args: { b: \"$args.b\" }) }",
                "UNKNOWN_ARGUMENT",
            ),
            (
                "type Query { a(b: ID): Int @graphql(args: { b: \"b\" }) }",
                "BARE_NAME_IN_REQUEST",
            ),
            (
                "type Query { a(b: ID): Int @graphql(args: { c: 1 }) }",
                "UNUSED_ARGUMENT",
            ),
            (
                "type Query { a: Int @graphql @graphql(field: \"b\") }",
                "TWO_RESOLVERS",
            ),
            (
                "type Mutation { a: Int @graphql(retry: { attempts: 3 }) }",
                "RETRY_NOT_IDEMPOTENT",
            ),
            (
                &format!("{id} {{ id: ID! n: Int @graphql(args: {{ i: \"$batch.id\" }}) }}"),
                "BATCH_BY_MISSING",
            ),
            (
                &format!(
                    "{id} @graphql(field: \"u\", args: {{ i: \"$batch.name\" }}) {{ id: ID! name: String }}"
                ),
                "BATCH_KEY_NOT_A_KEY",
            ),
            (
                &format!(
                    "{id} @graphql(field: \"u\", args: {{ n: \"$this.name\" }}) {{ id: ID! name: String }}"
                ),
                "KEY_UNRESOLVABLE",
            ),
            (
                &format!(
                    "{id} {{ id: ID! r(first: Int): [R] @graphql(args: {{ i: \"$batch.id\", first: \"$args.first\" }}, batch: {{ by: {{ id: \"u\" }} }}) }} type R {{ n: Int }}"
                ),
                "BATCH_WITH_PAGING_ARG",
            ),
        ] {
            let said = said(declarations);
            assert!(
                said.contains(&format!("[{code}]")),
                "{declarations}\n{said}"
            );
        }
    }

    #[test]
    fn a_source_within_the_gateway_needs_no_address() {
        let files = file("extend schema @source(name: \"own\", graphql: { url: \"local:\" })");
        let (lowered, diagnostics) = lowered_files(&files);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        assert!(lowered.sources[0].kind.is_local());
        assert!(matches!(
            lowered.sources[0].kind,
            SourceKind::Graphql { .. }
        ));
        let wrong = file("extend schema @source(name: \"own\", graphql: { url: \"shop\" })");
        assert!(said_of(&wrong).contains("an address begins with http:// or https://"));
    }
}
