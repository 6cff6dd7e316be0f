//! Mappings of requests to [`Expr`].

use apollo_compiler::Node;
use apollo_compiler::ast::{InputValueDefinition, Type};
use serde_json::Value as Json;

use super::encoding::From;
use super::origin::{Destination, Value};
use super::scope::{Argument, Scope, Slot};
use super::{Lowering, at};
use crate::contract::TypeId;
use crate::diagnostic::Diagnostic;
use crate::mapping::{
    Mapping, MappingKind, Reference, Root, Segment, Spot, SyntaxError, TemplatePiece, dotted,
};
use crate::mapping::{mapping, names};
use crate::model::{EncodingId, Expr, Piece};

use super::input::Input;

impl<'a> Lowering<'a> {
    /// A mapping of a request as it stands in a directive; in a bare text, `'text'` was meant.
    pub(super) fn request_mapping(&mut self, input: &Input<'_>, name: &str) -> Option<Mapping> {
        match mapping(input.get(name)?) {
            Ok(mapping) => Some(mapping),
            Err(error) if error.bare_text => {
                self.bare_text(input, error);
                None
            }
            Err(error) => {
                self.syntax(input.document, error);
                None
            }
        }
    }

    fn bare_text(&mut self, input: &Input<'_>, error: SyntaxError) {
        let place = at(input.document, &error.spot);
        let text = match &error.spot {
            Spot::Part(node, range) => node.as_str().unwrap_or_default()[range.clone()].to_owned(),
            Spot::Whole(_) => String::new(),
        };
        self.push(
            Diagnostic::error(
                "BARE_NAME_IN_REQUEST",
                "this is neither an expression nor a quoted text",
            )
            .at(place)
            .help(format!("did you mean `'{text}'`?")),
        );
    }

    /// A value that goes out.
    pub(super) fn expression(
        &mut self,
        scope: &mut Scope<'a>,
        mapping: &Mapping,
        slot: &Slot,
    ) -> Option<Expr> {
        self.check_keys_stand_alone(scope, mapping)?;
        match &mapping.kind {
            MappingKind::Const(json) => Some(self.constant(scope, &mapping.spot, json, slot)),
            MappingKind::Reference(reference) => {
                self.reference(scope, reference, &mapping.spot, slot)
            }
            MappingKind::Bare(path) => self.bare_name(scope, path, &mapping.spot),
            MappingKind::FirstOf(all) => self.first_of_values(scope, all, slot),
            MappingKind::Template(pieces) => {
                let pieces = self.pieces(scope, pieces, &Slot::untyped(slot.to.clone()));
                pieces.map(Expr::Template)
            }
            MappingKind::Object(_) => self.object(scope, mapping, slot).map(Expr::Object),
            MappingKind::List(items) => self.list(scope, items, slot),
        }
    }

    /// The keys of many parents are a list, which is no part of a text and never null.
    fn check_keys_stand_alone(&mut self, scope: &Scope<'a>, mapping: &Mapping) -> Option<()> {
        let is_text = matches!(
            mapping.kind,
            MappingKind::Template(_) | MappingKind::FirstOf(_)
        );
        let references = mapping.references().into_iter();
        let mut keys = references.filter(|(it, _)| is_text && it.root == Root::Batch);
        let Some((_, spot)) = keys.next() else {
            return Some(());
        };
        self.push(
            Diagnostic::error(
                "EXPRESSION_NOT_HERE",
                "the keys of many parents stand alone",
            )
            .at(at(scope.document, spot))
            .help("send them as they are: \"$batch.id\""),
        );
        None
    }

    fn constant(&self, scope: &mut Scope<'a>, spot: &Spot, json: &Json, slot: &Slot) -> Expr {
        scope.sends(spot, slot, Value::Constant(json.clone()));
        Expr::Const(json.clone())
    }

    /// `a ?? b`: only the last may not be null where a value is needed.
    fn first_of_values(
        &mut self,
        scope: &mut Scope<'a>,
        all: &[Mapping],
        slot: &Slot,
    ) -> Option<Expr> {
        let (last, others) = all.split_last()?;
        let outer = std::mem::replace(&mut scope.guarded, true);
        let lowered = self.all(scope, others, slot);
        scope.guarded = outer;
        let last = self.expression(scope, last, slot);
        let mut lowered = lowered?;
        lowered.push(last?);
        Some(Expr::FirstOf(lowered))
    }

    /// Every one of them; none where one is wrong, after all have been looked at.
    fn all(&mut self, scope: &mut Scope<'a>, all: &[Mapping], slot: &Slot) -> Option<Vec<Expr>> {
        let lowered: Vec<_> = all
            .iter()
            .map(|it| self.expression(scope, it, slot))
            .collect();
        lowered.into_iter().collect()
    }

    /// The pieces of a text. In a hole a bare name is an argument.
    pub(super) fn pieces(
        &mut self,
        scope: &mut Scope<'a>,
        pieces: &[TemplatePiece],
        slot: &Slot,
    ) -> Option<Vec<Piece>> {
        let lowered: Vec<_> = pieces
            .iter()
            .map(|piece| match piece {
                TemplatePiece::Text(text) => Some(Piece::Text(text.clone())),
                TemplatePiece::Hole(hole) => self.hole(scope, hole, slot).map(Piece::Hole),
            })
            .collect();
        lowered.into_iter().collect()
    }

    pub(super) fn hole(
        &mut self,
        scope: &mut Scope<'a>,
        hole: &Mapping,
        slot: &Slot,
    ) -> Option<Expr> {
        self.expression(scope, &with_arguments(hole), slot)
    }

    fn reference(
        &mut self,
        scope: &mut Scope<'a>,
        reference: &Reference,
        spot: &Spot,
        slot: &Slot,
    ) -> Option<Expr> {
        let expr = match reference.root {
            Root::Args => return self.argument_value(scope, &reference.path, spot, slot),
            Root::This => return self.parent_value(scope, &reference.path, spot, slot),
            Root::Batch => return self.batch_value(scope, &reference.path, spot, slot),
            Root::Env | Root::Config => {
                let value = self.known_value(scope.document, reference, spot)?;
                return Some(self.constant(scope, spot, &Json::String(value), slot));
            }
            Root::Claims => Expr::Claim(names(&reference.path)),
            Root::Headers => Expr::Header(names(&reference.path).join(".").to_lowercase()),
            Root::Response | Root::Status => {
                self.not_in_request(scope, reference, spot);
                return None;
            }
        };
        scope.sends(spot, slot, Value::Opaque);
        Some(expr)
    }

    fn argument_value(
        &mut self,
        scope: &mut Scope<'a>,
        path: &[Segment],
        spot: &Spot,
        slot: &Slot,
    ) -> Option<Expr> {
        let argument = self.argument(scope, path)?;
        if matches!(slot.to, Destination::Path(_)) {
            let nullable = argument.nullable && !scope.guarded;
            self.check_path_argument(scope, &argument.ty, nullable, spot);
        }
        let encode = self.argument_encoding(scope, &argument, slot.wants);
        let value = Value::Argument(argument.path.clone(), argument.ty);
        scope.sends(spot, slot, value);
        Some(Expr::Arg {
            path: argument.path,
            encode,
        })
    }

    fn parent_value(
        &mut self,
        scope: &mut Scope<'a>,
        path: &[Segment],
        spot: &Spot,
        slot: &Slot,
    ) -> Option<Expr> {
        let input = self.parent_input(scope, path, spot, false)?;
        scope.this.get_or_insert_with(|| spot.clone());
        let ty = scope.inputs[input].ty.clone();
        if matches!(slot.to, Destination::Path(_)) && ty.is_list() {
            self.list_in_path(scope, spot);
        }
        let encode = self.parent_encoding(scope, &ty, slot.wants);
        scope.sends(spot, slot, Value::Parent(ty));
        Some(Expr::Parent { input, encode })
    }

    fn batch_value(
        &mut self,
        scope: &mut Scope<'a>,
        path: &[Segment],
        spot: &Spot,
        slot: &Slot,
    ) -> Option<Expr> {
        let input = self.parent_input(scope, path, spot, true)?;
        match &slot.to {
            Destination::Path(_) => {
                self.list_in_path(scope, spot);
                return None;
            }
            Destination::Header(_) => {
                self.keys_in_header(scope, spot);
                return None;
            }
            _ => {}
        }
        let wants = match scope.each {
            true => slot.wants,
            false => {
                scope.columns.push((input, spot.clone()));
                let upstream = &self.lowered.upstreams[scope.source.index()];
                upstream.item(slot.wants).or(slot.wants)
            }
        };
        let ty = scope.inputs[input].ty.clone();
        let encode = self.parent_encoding(scope, &ty, wants);
        let value = if scope.each {
            Value::Parent(ty)
        } else {
            Value::Keys(ty)
        };
        scope.sends(spot, slot, value);
        Some(Expr::Batch { input, encode })
    }

    fn keys_in_header(&mut self, scope: &Scope<'a>, spot: &Spot) {
        let message = "a header cannot hold the keys of many parents";
        self.push(
            Diagnostic::error("EXPRESSION_NOT_HERE", message)
                .at(at(scope.document, spot))
                .help("send them in the query string or the body"),
        );
    }

    /// `[{ id: "$batch.id" }]` is rendered once for each key, any other list as it stands.
    fn list(&mut self, scope: &mut Scope<'a>, items: &[Mapping], slot: &Slot) -> Option<Expr> {
        let upstream = &self.lowered.upstreams[scope.source.index()];
        let item = Slot::new(slot.to.clone(), upstream.item(slot.wants));
        match items {
            [one] if one.uses(Root::Batch) => {
                let outer = std::mem::replace(&mut scope.each, true);
                let each = self.expression(scope, one, &item);
                scope.each = outer;
                each.map(|each| Expr::Each(Box::new(each)))
            }
            _ => self.all(scope, items, &item).map(Expr::List),
        }
    }

    /// The entries of an object literal, under the contract's names.
    pub(super) fn object(
        &mut self,
        scope: &mut Scope<'a>,
        mapping: &Mapping,
        slot: &Slot,
    ) -> Option<Vec<(String, Expr)>> {
        let MappingKind::Object(entries) = &mapping.kind else {
            return None;
        };
        let lowered: Vec<_> = entries
            .iter()
            .map(|entry| {
                let (name, inner) = self.entry(scope, &entry.key, slot)?;
                Some((name, self.expression(scope, &entry.value, &inner)?))
            })
            .collect();
        lowered.into_iter().collect()
    }

    /// The contract's name of an entry and what it wants there.
    fn entry(&mut self, scope: &Scope<'a>, key: &Segment, slot: &Slot) -> Option<(String, Slot)> {
        let upstream = self.lowered.upstreams[scope.source.index()].clone();
        let below = |name: &str| match &slot.to {
            Destination::Body(path) => Destination::Body([&path[..], &[name.to_owned()]].concat()),
            other => other.clone(),
        };
        let property = slot
            .wants
            .and_then(|object| upstream.property(object, &key.name));
        match (property, slot.wants) {
            (Some((name, property)), _) => {
                Some((name.to_owned(), Slot::new(below(name), Some(property.ty))))
            }
            (None, Some(object)) if self.is_unknown_key(scope, object, key) => None,
            _ => Some((key.name.clone(), Slot::untyped(below(&key.name)))),
        }
    }

    fn is_unknown_key(&mut self, scope: &Scope<'a>, object: TypeId, key: &Segment) -> bool {
        self.check_message_field(scope.document, scope.source, object, &key.name, &key.spot)
    }

    fn bare_name(&mut self, scope: &Scope<'a>, path: &[Segment], spot: &Spot) -> Option<Expr> {
        let name = dotted(path);
        let first = path.first().map_or("", |segment| segment.name.as_str());
        let parent = scope
            .parent
            .and_then(|ty| super::scope::field_of(scope.document, ty, first));
        let is_argument = scope.argument(first).is_some() || parent.is_none();
        let expression = if is_argument { "$args" } else { "$this" };
        self.push(
            Diagnostic::error(
                "BARE_NAME_IN_REQUEST",
                "a bare name says nothing in a request",
            )
            .at(at(scope.document, spot))
            .help(format!("did you mean `{expression}.{name}` or `'{name}'`?")),
        );
        None
    }

    fn not_in_request(&mut self, scope: &Scope<'a>, reference: &Reference, spot: &Spot) {
        let message = format!(
            "`{}` is not known before the reply",
            reference.root.as_str()
        );
        self.push(
            Diagnostic::error("EXPRESSION_NOT_HERE", message)
                .at(at(scope.document, spot))
                .help("requests read $args, $this, $batch, $env, $config, $claims and $request.headers"),
        );
    }

    /// An argument or a field of one that is sent because nothing else was said of it.
    pub(super) fn whole_argument(
        &mut self,
        scope: &mut Scope<'a>,
        path: Vec<String>,
        definition: &Node<InputValueDefinition>,
        slot: &Slot,
        spot: &Spot,
    ) -> Expr {
        let (document, directives) = (scope.document, &definition.directives);
        let encode = self.input_encoding(
            document,
            scope.source,
            &definition.ty,
            directives,
            slot.wants,
        );
        scope.sends(
            spot,
            slot,
            Value::Argument(path.clone(), (*definition.ty).clone()),
        );
        Expr::Arg { path, encode }
    }

    /// The encoding of an argument's value.
    fn argument_encoding(
        &mut self,
        scope: &Scope<'a>,
        argument: &Argument<'a>,
        wants: Option<TypeId>,
    ) -> EncodingId {
        let (document, source) = (scope.document, scope.source);
        match argument.directives {
            Some(directives) => {
                self.input_encoding(document, source, &argument.ty, directives, wants)
            }
            None => self.encoding(document, source, &argument.ty, wants, From::Argument),
        }
    }

    pub(super) fn parent_encoding(
        &mut self,
        scope: &Scope<'a>,
        ty: &Type,
        wants: Option<TypeId>,
    ) -> EncodingId {
        self.encoding(scope.document, scope.source, ty, wants, From::Parent)
    }
}

/// `{id}` is short for `{$args.id}`.
fn with_arguments(hole: &Mapping) -> Mapping {
    let kind = match &hole.kind {
        MappingKind::Bare(path) => MappingKind::Reference(Reference {
            root: Root::Args,
            path: path.clone(),
        }),
        MappingKind::FirstOf(all) => MappingKind::FirstOf(all.iter().map(with_arguments).collect()),
        other => other.clone(),
    };
    Mapping {
        kind,
        spot: hole.spot.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{printed, said};

    #[test]
    fn a_bare_name_in_a_request_was_meant_as_something_else() {
        assert_eq!(
            said("type Query { a(name: ID): Int @rest(GET: \"/a\", query: { n: \"name\" }) }"),
            "error[BARE_NAME_IN_REQUEST] shop.graphql:2:61\n  \
             2 | type Query { a(name: ID): Int @rest(GET: \"/a\", query: { n: \"name\" }) }\n    \
             |                                                             ^^^^ a bare name says nothing in a request\n  \
             help: did you mean `$args.name` or `'name'`?\n"
        );
        let text = said("type Query { a: Int @rest(GET: \"/a\", query: { n: \"hello world\" }) }");
        assert!(text.contains("did you mean `'hello world'`?"), "{text}");
        let parent = said(
            "type User @key(fields: \"id\") @rest(GET: \"/a\", query: { n: \"id\" }) { id: ID! }",
        );
        assert!(
            parent.contains("did you mean `$this.id` or `'id'`?"),
            "{parent}"
        );
    }

    #[test]
    fn what_is_known_after_the_reply_is_not_sent() {
        let said = said("type Query { a: Int @rest(GET: \"/a\", query: { n: \"$response.b\" }) }");
        assert!(
            said.starts_with("error[EXPRESSION_NOT_HERE] shop.graphql:2:51\n"),
            "{said}"
        );
    }

    #[test]
    fn a_text_that_is_not_in_the_language_is_underlined_where_it_breaks() {
        let said = said(
            "type Query { a(b: ID!): Int @rest(GET: \"/a/{b}\", query: { n: \"$args.b ?? $arsg.b\" }) }",
        );
        assert!(
            said.starts_with("error[MAPPING_SYNTAX] shop.graphql:2:74\n"),
            "{said}"
        );
        assert!(said.contains("help: did you mean `$args`?"), "{said}");
    }

    #[test]
    fn each_form_of_a_value_is_lowered() {
        let shown = printed(
            "type Query { a(b: ID, y: Int!): Int @rest(POST: \"/a\", body: \"{ x: $args.b ?? $claims.sub ?? 'none', \\\"z\\\": [{ d: $request.headers.x-d }], t: \\\"{y}-{$args.b}\\\" }\") }",
        );
        assert!(
            shown.contains("body { x: $args.b as string ?? $claims.sub ?? \"none\", z: [{ d: $request.headers.x-d }], t: '{$args.y}-{$args.b as string}' }"),
            "{shown}"
        );
    }
}
