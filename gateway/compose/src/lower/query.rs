//! The query string of a REST request.

use apollo_compiler::Node;
use apollo_compiler::ast::InputValueDefinition;
use apollo_compiler::schema::InputObjectType;

use super::origin::Destination;
use super::rest::{Rest, input_object};
use super::scope::{Scope, Slot};
use super::{Lowering, at};
use crate::contract::TypeId;
use crate::contract::openapi::{Location, ParameterStyle};
use crate::diagnostic::Diagnostic;
use crate::mapping::{Mapping, MappingKind, Root, Spot, TemplatePiece, names};
use crate::model::{Expr, ListStyle, QueryParam};

impl<'a> Lowering<'a> {
    pub(super) fn explicit_query(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
    ) -> Option<Vec<QueryParam>> {
        if !rest.input.has("query") {
            return Some(Vec::new());
        }
        let mapping = self.request_mapping(rest.input, "query")?;
        match &mapping.kind {
            MappingKind::Object(entries) => {
                let lowered: Vec<_> = entries
                    .iter()
                    .map(|entry| {
                        let slot = rest.query_slot(&entry.key.name);
                        let value = self.expression(scope, &entry.value, &slot)?;
                        Some(rest.parameter(entry.key.name.clone(), value))
                    })
                    .collect();
                lowered.into_iter().collect()
            }
            _ => self.query_of_object(rest, &mapping, scope),
        }
    }

    /// `query: "$args.filter"`: the fields of an input object are the parameters.
    fn query_of_object(
        &mut self,
        rest: &Rest<'_, '_>,
        mapping: &Mapping,
        scope: &mut Scope<'a>,
    ) -> Option<Vec<QueryParam>> {
        if let MappingKind::Reference(reference) = &mapping.kind
            && reference.root == Root::Args
        {
            let argument = self.argument(scope, &reference.path)?;
            if let Some(object) = input_object(scope.document, &argument.ty) {
                let path = names(&reference.path);
                return Some(self.fields_as_query(rest, scope, &path, object, &mapping.spot));
            }
        }
        self.push(
            Diagnostic::error("INVALID_VALUE", "parameters have names: this is one value")
                .at(at(scope.document, &mapping.spot))
                .help("write query: { name: \"$args.name\" }"),
        );
        None
    }

    /// Parameters written into the path: `/users?active=true&id={id}`.
    pub(super) fn inline_query(
        &mut self,
        rest: &Rest<'_, '_>,
        parameters: &[(String, Vec<TemplatePiece>)],
        scope: &mut Scope<'a>,
    ) -> Option<Vec<QueryParam>> {
        let lowered: Vec<_> = parameters
            .iter()
            .map(|(name, pieces)| {
                let slot = rest.query_slot(name);
                let value = match pieces.as_slice() {
                    [TemplatePiece::Hole(hole)] => self.hole(scope, hole, &slot)?,
                    [] => Expr::Const("".into()),
                    [TemplatePiece::Text(text)] => Expr::Const(text.as_str().into()),
                    pieces => Expr::Template(self.pieces(scope, pieces, &slot)?),
                };
                Some(rest.parameter(name.clone(), value))
            })
            .collect();
        lowered.into_iter().collect()
    }

    fn fields_as_query(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
        path: &[String],
        object: &InputObjectType,
        spot: &Spot,
    ) -> Vec<QueryParam> {
        let fields = object.fields.values();
        fields
            .map(|field| {
                let path = [path, &[field.name.to_string()]].concat();
                self.default_parameter(rest, scope, path, field, spot)
            })
            .collect()
    }

    pub(super) fn default_query(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
    ) -> Vec<QueryParam> {
        let mut parameters = Vec::new();
        for argument in scope.unused() {
            scope.used.insert(argument.name.to_string());
            let path = vec![argument.name.to_string()];
            let spot = Spot::Whole(argument.name.location());
            let object = input_object(scope.document, &argument.ty);
            let document = scope.document;
            let name = self.sent_name(
                document,
                scope.source,
                &argument.name,
                &argument.directives,
                None,
            );
            match object.filter(|_| rest.query_type(&name).is_none()) {
                Some(object) => {
                    parameters.extend(self.fields_as_query(rest, scope, &path, object, &spot));
                }
                None => parameters.push(self.default_parameter(rest, scope, path, argument, &spot)),
            }
        }
        parameters
    }

    fn default_parameter(
        &mut self,
        rest: &Rest<'_, '_>,
        scope: &mut Scope<'a>,
        path: Vec<String>,
        definition: &Node<InputValueDefinition>,
        spot: &Spot,
    ) -> QueryParam {
        let (document, directives) = (scope.document, &definition.directives);
        let name = self.sent_name(document, scope.source, &definition.name, directives, None);
        let slot = rest.query_slot(&name);
        let value = self.whole_argument(scope, path, definition, &slot, spot);
        rest.parameter(name, value)
    }
}

impl Rest<'_, '_> {
    fn query_type(&self, name: &str) -> Option<TypeId> {
        Some(self.operation?.parameter(Location::Query, name)?.ty)
    }

    fn query_slot(&self, name: &str) -> Slot {
        Slot::new(Destination::Query(name.to_owned()), self.query_type(name))
    }

    /// A parameter; how its lists travel is for the contract to say.
    fn parameter(&self, name: String, value: Expr) -> QueryParam {
        let operation = self.operation;
        let parameter = operation.and_then(|it| it.parameter(Location::Query, &name));
        let stated = parameter.and_then(|parameter| match parameter.style {
            ParameterStyle::Repeated => Some(ListStyle::Repeated),
            ParameterStyle::Comma => Some(ListStyle::Comma),
            ParameterStyle::Brackets => Some(ListStyle::Brackets),
            _ => None,
        });
        QueryParam {
            name,
            value,
            lists: stated.unwrap_or(self.lists),
        }
    }
}

pub(super) type Parameters = Vec<(String, Vec<TemplatePiece>)>;

/// A template before and after its first `?`, the part after it as parameters.
pub(super) fn split_query(pieces: &[TemplatePiece]) -> (Vec<TemplatePiece>, Parameters) {
    let mut path = Vec::new();
    let mut query: Option<Vec<TemplatePiece>> = None;
    for piece in pieces {
        match (&mut query, piece) {
            (Some(query), piece) => query.push(piece.clone()),
            (None, TemplatePiece::Text(text)) => match text.split_once('?') {
                Some((before, after)) => {
                    push_text(&mut path, before);
                    query = Some(vec![TemplatePiece::Text(after.to_owned())]);
                }
                None => path.push(piece.clone()),
            },
            (None, hole) => path.push(hole.clone()),
        }
    }
    (path, parameters(&query.unwrap_or_default()))
}

fn push_text(pieces: &mut Vec<TemplatePiece>, text: &str) {
    if !text.is_empty() {
        pieces.push(TemplatePiece::Text(text.to_owned()));
    }
}

fn parameters(pieces: &[TemplatePiece]) -> Parameters {
    let mut found: Parameters = Vec::new();
    for piece in pieces {
        match piece {
            TemplatePiece::Text(text) => {
                for (index, part) in text.split('&').enumerate() {
                    let continues = index == 0 && !found.is_empty();
                    match (continues, part.split_once('=')) {
                        (true, _) => push_text(&mut found.last_mut().expect("not empty").1, part),
                        (false, _) if part.is_empty() => {}
                        (false, Some((name, value))) => {
                            found.push((name.to_owned(), Vec::new()));
                            push_text(&mut found.last_mut().expect("just pushed").1, value);
                        }
                        (false, None) => found.push((part.to_owned(), Vec::new())),
                    }
                }
            }
            hole => {
                if let Some((_, value)) = found.last_mut() {
                    value.push(hole.clone());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{call, said};
    use super::*;

    #[test]
    fn unused_arguments_become_parameters_of_a_get() {
        assert_eq!(
            call(
                "type Query { a(id: ID!, pageSize: Int = 3, tags: [String!]): Int @rest(GET: \"/a/{id}\") }"
            ),
            "GET /a/{$args.id as string}?page_size=$args.pageSize&tags=$args.tags"
        );
        assert_eq!(
            call(
                "type Query { a(filter: F, x: Int @map(to: \"X-1\")): Int @rest(GET: \"/a\") } input F { minPrice: Float }"
            ),
            "GET /a?min_price=$args.filter.minPrice&X-1=$args.x"
        );
    }

    #[test]
    fn a_query_may_be_written_out_or_be_an_input_object() {
        assert_eq!(
            call(
                "type Query { a(b: ID!): Int @rest(GET: \"/a?all=true&b={b}\", query: { c: \"$args.b\", d: 5 }) }"
            ),
            "GET /a?all=\"true\"&b=$args.b as string&c=$args.b as string&d=5"
        );
        assert_eq!(
            call(
                "type Query { a(filter: F!): Int @rest(GET: \"/a\", query: \"$args.filter\") } input F { x: Int y: ID }"
            ),
            "GET /a?x=$args.filter.x&y=$args.filter.y as string"
        );
        let one = said("type Query { a(b: Int): Int @rest(GET: \"/a\", query: \"$args.b\") }");
        assert!(
            one.contains("parameters have names: this is one value"),
            "{one}"
        );
    }

    #[test]
    fn a_template_is_split_at_its_question_mark() {
        let pieces = [
            TemplatePiece::Text("/a?x=1&y=".into()),
            TemplatePiece::Text("2&flag".into()),
        ];
        let (path, query) = split_query(&pieces);
        assert_eq!(path, [TemplatePiece::Text("/a".into())]);
        let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x", "y", "flag"]);
    }
}
