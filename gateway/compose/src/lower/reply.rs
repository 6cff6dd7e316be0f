//! How a resolver's reply is read.

use apollo_compiler::ast::Type;

use super::connection;
use super::follow::End;
use super::input::Input;
use super::read::Object;
use super::rest::Lowered;
use super::scope::is_composite;
use super::site::{On, Site};
use super::view::{self, With};
use super::{Lowering, at};
use crate::contract::{Kind, TypeId};
use crate::diagnostic::Diagnostic;
use crate::mapping::{Entry, Mapping, MappingKind, Spot, names};
use crate::model::{Connection, Read, ReplyRule, SourceId, UpstreamPath, ViewField};

/// A reply's rule and what the contract says of it.
pub(super) struct Reply {
    pub(super) rule: ReplyRule,
    /// The contract's type of what `result:` unwraps.
    pub(super) result: Option<TypeId>,
    /// The contract's type of a batch's item.
    pub(super) item: Option<TypeId>,
    /// In a batch, each parent gets a list of items.
    pub(super) to_many: bool,
}

/// What is known of a reply before its value is lowered.
struct Whole<'w, 'd> {
    site: &'w Site<'d>,
    input: &'w Input<'d>,
    source: SourceId,
    ty: Type,
    /// The contract's type of the value, or of a batch's item.
    contract: Option<TypeId>,
    batched: bool,
    positional: bool,
}

impl<'a> Lowering<'a> {
    pub(super) fn reply(
        &mut self,
        site: &Site<'a>,
        input: &Input<'a>,
        source: SourceId,
        lowered: &Lowered,
        batched: bool,
    ) -> Option<Reply> {
        let written = match input.has("result") {
            true => names(&self.path(input, "result")?),
            false => Vec::new(),
        };
        let upstream = self.lowered.upstreams[source.index()].clone();
        let (inner, end) = upstream.follow(lowered.reply, &written);
        let mut unwrap = [&lowered.prefix[..], &inner[..]].concat();
        let result = end.ty();
        let ty = match site.on {
            On::Entity { ty } => Type::Named(ty.clone()),
            On::Root { field, .. } | On::Field { field, .. } => field.ty.clone(),
        };
        let item = match lowered.streamed {
            true => result,
            false => upstream.item(result),
        };
        let order = input.nested("batch").and_then(|it| it.word("order"));
        let whole = Whole {
            site,
            input,
            source,
            ty,
            contract: if batched { item } else { result },
            batched,
            positional: order == Some("POSITIONAL") || site.is_key(),
        };
        let shape = connection::shape(site.document, &whole.ty).filter(|_| input.has("page"));
        if shape.is_none() {
            self.check_paged(&whole);
        }
        let (value, connection, to_many) = match shape {
            Some(shape) => self.connection(&whole, shape, item)?,
            None => {
                let (mut value, to_many) = self.whole_value(&whole, lowered.streamed)?;
                self.begin_at_value(&whole, &mut unwrap, &mut value)?;
                (value, None, to_many)
            }
        };
        let rule = ReplyRule {
            unwrap,
            ty: whole.ty,
            value,
            connection,
        };
        self.settle_views();
        Some(Reply {
            rule,
            result,
            item,
            to_many,
        })
    }

    fn connection(
        &mut self,
        whole: &Whole<'_, 'a>,
        shape: connection::Shape,
        item: Option<TypeId>,
    ) -> Option<(ViewField, Option<Connection>, bool)> {
        if whole.batched {
            self.connection_of_many(whole);
            return None;
        }
        let object = whole.object(item);
        let end = item.map_or(End::Unstated, End::Type);
        let mut node = self.read_value(whole, &object, &shape.node, end)?;
        // Where the list stands is for `result:` to say, so a node is read as a whole.
        self.begin_at_value(whole, &mut Vec::new(), &mut node)?;
        let value = ViewField {
            ty: shape.node.clone().list(),
            ..node.clone()
        };
        let connection = Connection {
            ty: shape.ty,
            edge_type: shape.edge_type,
            has_nodes: shape.has_nodes,
            has_total: shape.has_total,
            page_info_type: shape.page_info_type,
            node,
        };
        Some((value, Some(connection), true))
    }

    fn check_paged(&mut self, whole: &Whole<'_, 'a>) {
        if !whole.input.has("page") || whole.batched || whole.ty.is_list() {
            return;
        }
        let message = format!(
            "`{}` is neither a list nor a connection, so it has no pages",
            whole.ty
        );
        self.push(
            Diagnostic::error("INVALID_VALUE", message)
                .at(whole.input.at_name("page"))
                .help("a connection has `pageInfo` and `edges` or `nodes`"),
        );
    }

    fn connection_of_many(&mut self, whole: &Whole<'_, 'a>) {
        let message = "a connection for many parents in one call is not supported by this release";
        self.push(
            Diagnostic::error("UNSUPPORTED", message)
                .at(whole.input.at_name("page"))
                .help("return a list with batch: { limit: \"$args.first\" }, or make one call per parent with $this and fanout"),
        );
    }

    /// Makes the reply begin at the value: the way to it is unwrapped with the envelope. The items
    /// of a batch are read as a whole, since they carry their parents' keys.
    fn begin_at_value(
        &mut self,
        whole: &Whole<'_, 'a>,
        unwrap: &mut UpstreamPath,
        value: &mut ViewField,
    ) -> Option<()> {
        match &value.read {
            Read::Path(path) if path.is_empty() || whole.batched => return Some(()),
            Read::Path(path) => unwrap.extend_from_slice(path),
            Read::ListOf(path) if !whole.batched => unwrap.extend_from_slice(path),
            Read::Embedded => {}
            _ => {
                self.not_a_path(whole);
                return None;
            }
        }
        value.read = Read::Path(Vec::new());
        Some(())
    }

    fn not_a_path(&mut self, whole: &Whole<'_, 'a>) {
        let document = whole.site.document;
        let field = whole.site.on.field();
        let map = field.and_then(|it| self.map_of(document, whole.source, &it.directives));
        let place = map.map_or_else(|| whole.site.place(), |map| map.at_value("from"));
        self.push(
            Diagnostic::error(
                "INVALID_VALUE",
                "what a call answers is one value of its reply",
            )
            .at(place)
            .help("name it: @map(from: \"score\")"),
        );
    }

    /// The value of a reply, and whether a batch gives each parent a list of items.
    fn whole_value(&mut self, whole: &Whole<'_, 'a>, streamed: bool) -> Option<(ViewField, bool)> {
        let object = whole.object(whole.contract);
        if whole.reads_property() {
            return self.property_value(whole, &object);
        }
        let to_many = whole.batched && whole.ty.is_list() && !whole.positional;
        // One level of the type's lists is what the stream or the batch is made of.
        let is_outer = to_many || (streamed && !whole.batched && whole.ty.is_list());
        let inner = whole.item_type_if(is_outer);
        let end = whole.contract.map_or(End::Unstated, End::Type);
        let mut value = self.read_value(whole, &object, &inner, end)?;
        value.ty = whole.ty.clone();
        Some((value, to_many))
    }

    /// A leaf in a keyed batch: the item that carries the key carries the value beside it.
    fn property_value(
        &mut self,
        whole: &Whole<'_, 'a>,
        object: &Object<'a>,
    ) -> Option<(ViewField, bool)> {
        let field = whole.site.on.field()?;
        if whole.input.has("selection") {
            self.selection_of_leaf(whole);
            return None;
        }
        let map = self.map_of(object.document, whole.source, &field.directives);
        let (read, end) = match self.own_from(whole)? {
            Some(mapping) => {
                let read = self.read(object, &mapping)?;
                let place = at(object.document, &mapping.spot);
                self.check_selectable(whole.source, &read.0, place);
                read
            }
            None => {
                let naming = self.lowered.sources[whole.source.index()].naming;
                let upstream = &self.lowered.upstreams[whole.source.index()];
                let name = upstream.spelled(&field.name, naming, object.contract);
                let (path, end) = upstream.follow(object.contract, &[name]);
                (Read::Path(path), end)
            }
        };
        let upstream = &self.lowered.upstreams[whole.source.index()];
        let contract = upstream.contract().zip(end.ty());
        let is_single = contract
            .is_some_and(|(contract, ty)| !matches!(contract[ty].kind, Kind::List(_) | Kind::Any));
        let to_many = whole.ty.is_list() && is_single;
        let inner = whole.item_type_if(to_many);
        let mut value = self.value(object, &inner, read, end, map.as_ref(), With::default());
        value.ty = whole.ty.clone();
        Some((value, to_many))
    }

    fn selection_of_leaf(&mut self, whole: &Whole<'_, 'a>) {
        let message = format!(
            "a selection maps the fields of a type, and `{}` has none",
            whole.ty
        );
        self.push(
            Diagnostic::error("INVALID_VALUE", message)
                .at(whole.input.at_name("selection"))
                .help("say where an item carries the value: @map(from: \"score\")"),
        );
    }

    /// The value of a type where the reply, or an item of it, is that value.
    fn read_value(
        &mut self,
        whole: &Whole<'_, 'a>,
        object: &Object<'a>,
        ty: &Type,
        end: End,
    ) -> Option<ViewField> {
        if whole.input.has("selection") {
            return self.selected(whole, object, ty, end);
        }
        let with = self.provided(whole);
        let field = whole.site.on.field();
        let map = field.and_then(|it| self.map_of(object.document, whole.source, &it.directives));
        let (read, end) = match self.own_from(whole)? {
            Some(Mapping {
                kind: MappingKind::Object(entries),
                spot,
            }) => return self.literal(object, ty, &entries, &spot),
            Some(mapping) => {
                let read = self.read(object, &mapping)?;
                let place = at(object.document, &mapping.spot);
                self.check_selectable(whole.source, &read.0, place);
                read
            }
            None => (Read::Path(Vec::new()), end),
        };
        Some(self.value(object, ty, read, end, map.as_ref(), with))
    }

    /// `@map(from:)` on the resolved field itself.
    fn own_from(&mut self, whole: &Whole<'_, 'a>) -> Option<Option<Mapping>> {
        let document = whole.site.document;
        let field = whole.site.on.field();
        let map = field.and_then(|it| self.map_of(document, whole.source, &it.directives));
        match map.filter(|map| map.has("from")) {
            Some(map) => self.mapping(&map, "from").map(Some),
            None => Some(None),
        }
    }

    fn selected(
        &mut self,
        whole: &Whole<'_, 'a>,
        object: &Object<'a>,
        ty: &Type,
        end: End,
    ) -> Option<ViewField> {
        let mapping = self.mapping(whole.input, "selection")?;
        let MappingKind::Object(entries) = &mapping.kind else {
            self.push(
                Diagnostic::error("INVALID_VALUE", "a selection maps the fields of the type")
                    .at(at(whole.site.document, &mapping.spot))
                    .help("write selection: { id: \"user_id\", name: \"full_name\" }"),
            );
            return None;
        };
        let view = self.selection_view(object, ty, end, entries, &mapping.spot)?;
        Some(ViewField {
            ty: ty.clone(),
            read: Read::Path(Vec::new()),
            format: None,
            default: None,
            view: Some(view),
            enum_values: None,
            args: Vec::new(),
            requires: None,
        })
    }

    fn selection_view(
        &mut self,
        object: &Object<'a>,
        ty: &Type,
        end: End,
        entries: &[Entry],
        spot: &Spot,
    ) -> Option<crate::model::ViewId> {
        let upstream = &self.lowered.upstreams[object.source.index()];
        let (mut inner, mut contract) = (ty, end.ty());
        while inner.is_list() {
            inner = inner.item_type();
            contract = upstream.item(contract);
        }
        let object = Object {
            contract,
            ..*object
        };
        self.literal_view(&object, inner.inner_named_type(), entries, spot)
    }

    /// What the reply holds beyond the subgraph's own fields.
    fn provided(&self, whole: &Whole<'_, 'a>) -> With {
        let (ty, field) = match whole.site.on {
            On::Entity { .. } => {
                return With {
                    provides: Vec::new(),
                    own: true,
                };
            }
            On::Root { ty, field, .. } | On::Field { ty, field } => (ty, field),
        };
        let declared = self.declared(whole.site.document, ty, &field.name);
        With {
            provides: view::provided(declared.and_then(|it| it.provided.as_deref())),
            own: false,
        }
    }
}

impl<'d> Whole<'_, 'd> {
    fn object(&self, contract: Option<TypeId>) -> Object<'d> {
        Object {
            document: self.site.document,
            source: self.source,
            contract,
        }
    }

    /// The type, or what its list holds.
    fn item_type_if(&self, is_outer: bool) -> Type {
        match is_outer {
            true => self.ty.item_type().clone(),
            false => self.ty.clone(),
        }
    }

    fn reads_property(&self) -> bool {
        let is_leaf = !is_composite(self.site.document, self.ty.inner_named_type());
        self.batched && !self.positional && is_leaf && self.site.on.field().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{printed, said};

    fn reply(declarations: &str) -> String {
        let shown = printed(declarations);
        let reply = shown
            .lines()
            .find_map(|line| line.strip_prefix("  reply   "));
        reply.expect("a reply").to_owned()
    }

    #[test]
    fn a_reply_begins_where_its_value_is() {
        assert_eq!(
            reply("type Query { a: Int @rest(GET: \"/a\", result: \"data\") @map(from: \"x.y\") }"),
            "data.x.y → Int"
        );
        assert_eq!(
            reply(
                "type Query { a: A @rest(GET: \"/a\") @map(from: { id: \"a_id\" }) } type A { id: ID! b: Int }"
            ),
            "A { id: a_id }"
        );
        assert_eq!(
            reply(
                "type Query { a: [A!] @rest(GET: \"/a\") @map(from: { id: \"ids\" }) } type A { id: ID! }"
            ),
            "ids → [A!] { id: it }"
        );
        let text = said("type Query { a: String @rest(GET: \"/a\") @map(from: \"{x}-{y}\") }");
        assert!(
            text.starts_with("error[INVALID_VALUE] shop.graphql:2:52\n"),
            "{text}"
        );
    }

    #[test]
    fn a_leaf_of_an_item_is_named_by_map_and_not_by_a_selection() {
        assert!(said("type Query { a: [A!] @rest(GET: \"/a\") } type A @key(fields: \"id\") { id: ID! score: Int @rest(GET: \"/s\", query: { id: \"$batch.id\" }, batch: { by: { id: \"a_id\" } }, selection: \"points\") }").contains("a selection maps the fields of a type, and `Int` has none"));
    }

    #[test]
    fn a_selection_replaces_what_the_type_would_read() {
        assert_eq!(
            reply(
                "type Query { a: [A!] @rest(GET: \"/a\", selection: { id: \"no\", b: { c: \"x.c\" } }) } type A { id: ID! b: B d: Int } type B { c: Int }"
            ),
            "[A!] { id: no, b: the same object { c: x.c } }"
        );
        let unknown = said(
            "type Query { a: A @rest(GET: \"/a\", selection: { idd: \"no\" }) } type A { id: ID! }",
        );
        assert!(
            unknown.starts_with("error[UNKNOWN_FIELD] shop.graphql:2:49\n"),
            "{unknown}"
        );
    }
}
