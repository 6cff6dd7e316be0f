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
