//! `$batch`: one call for many parents, and how its items find them.

use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use indexmap::IndexMap;

use super::entity::dotted;
use super::follow::End;
use super::input::Input;
use super::origin::{Destination, Value};
use super::rest::METHODS;
use super::scope::{Scope, Slot};
use super::site::{On, Site};
use super::{Lowering, at};
use crate::contract::TypeId;
use crate::diagnostic::Diagnostic;
use crate::mapping::{Entry, Mapping, MappingKind, Root, Spot, TemplatePiece, names};
use crate::model::{
    Batch, BatchBy, BatchOrder, Expr, Format, Read, SourceId, UpstreamPath, ViewField,
};

const DEFAULT_MAX: usize = 100;

/// Arguments that cut a list: sent upstream they would cut it for all parents together.
const PAGING: [&str; 14] = [
    "first",
    "last",
    "after",
    "before",
    "limit",
    "offset",
    "skip",
    "take",
    "page",
    "size",
    "perPage",
    "pageSize",
    "cursor",
    "pageToken",
];

/// What a batch's reply looks like.
pub(super) struct Items<'v> {
    /// The contract's type of one item.
    pub(super) contract: Option<TypeId>,
    /// How one item is read.
    pub(super) value: &'v ViewField,
    /// Each parent gets a list of items.
    pub(super) to_many: bool,
}

/// Where an item carries a part of its parent's key, as written.
struct By {
    field: Vec<String>,
    path: UpstreamPath,
    spot: Spot,
}

impl<'a> Lowering<'a> {
    /// Whether the directive's request reads `$batch`.
    pub(super) fn is_batched(&mut self, input: &Input<'_>) -> bool {
        self.path_reads_batch(input)
            || ["query", "body", "request", "args"]
                .into_iter()
                .any(|name| {
                    let mapping = input
                        .has(name)
                        .then(|| self.request_mapping(input, name))
                        .flatten();
                    mapping.is_some_and(|mapping| mapping.uses(Root::Batch))
                })
    }

    fn path_reads_batch(&mut self, input: &Input<'_>) -> bool {
        let given = METHODS.into_iter().find(|(name, _)| input.has(name));
        let pieces = given.and_then(|(name, _)| self.template(input, name));
        pieces
            .into_iter()
            .flatten()
            .any(|piece| matches!(piece, TemplatePiece::Hole(hole) if hole.uses(Root::Batch)))
    }

    /// The expression that cuts each parent's list.
    pub(super) fn batch_limit(&mut self, input: &Input<'_>, scope: &mut Scope<'a>) -> Option<Expr> {
        let batch = input.nested("batch")?;
        let mapping = self.request_mapping(&batch, "limit")?;
        self.check_limit(&batch, &mapping)?;
        self.expression(scope, &mapping, &Slot::untyped(Destination::Gateway))
    }

    fn check_limit(&mut self, batch: &Input<'_>, mapping: &Mapping) -> Option<()> {
        let references = mapping.references().into_iter();
        let mut of_parents =
            references.filter(|(it, _)| matches!(it.root, Root::This | Root::Batch));
        let Some((_, spot)) = of_parents.next() else {
            return Some(());
        };
        self.push(
            Diagnostic::error("EXPRESSION_NOT_HERE", "one limit holds for all parents")
                .at(at(batch.document, spot))
                .help("read an argument: limit: \"$args.first\""),
        );
        None
    }

    pub(super) fn batch(
        &mut self,
        site: &Site<'_>,
        input: &Input<'_>,
        scope: &Scope<'a>,
        items: &Items<'_>,
        limit: Option<Expr>,
    ) -> Option<Batch> {
        let given = input.nested("batch");
        if !scope.is_batch() {
            if let Some(given) = given {
                self.nothing_to_batch(&given);
            }
            return None;
        }
        self.check_columns(scope);
        self.check_paging(input, scope, items, limit.as_ref());
        let order = match given.as_ref().and_then(|it| it.word("order")) {
            Some("POSITIONAL") => BatchOrder::Positional,
            _ => BatchOrder::Keyed,
        };
        let max = given.as_ref().and_then(|it| self.count(it, "max"));
        let window = given.as_ref().and_then(|it| self.duration(it, "window"));
        let by = match order {
            BatchOrder::Positional => Vec::new(),
            // What is wrong with the keys has been said; a batch it is all the same.
            BatchOrder::Keyed => self
                .by(site, given.as_ref(), scope, items)
                .unwrap_or_default(),
        };
        Some(Batch {
            order,
            by,
            max: max.map_or(DEFAULT_MAX, |max| max as usize),
            window,
            limit,
            to_many: items.to_many,
        })
    }

    fn nothing_to_batch(&mut self, batch: &Input<'_>) {
        self.push(
            Diagnostic::error(
                "BATCH_KEY_NOT_A_KEY",
                "the request sends no keys of many parents",
            )
            .at(batch.place.clone())
            .help("send them with $batch: query: { id: \"$batch.id\" }"),
        );
    }

    /// Two lists side by side would lose which value belongs to which.
    fn check_columns(&mut self, scope: &Scope<'a>) {
        let fields = scope.inputs.iter().map(|input| {
            let name = dotted(&input.path);
            let key = input.path.last().map_or("", Name::as_str);
            format!("{key}: \"$batch.{name}\"")
        });
        let fields: Vec<String> = fields.collect();
        if let Some(this) = &scope.this {
            self.push(
                Diagnostic::error(
                    "BATCH_COLUMNS",
                    "one call for many parents cannot hold a value of one",
                )
                .at(at(scope.document, this))
                .help("read it of all of them with $batch"),
            );
        }
        let first = scope.columns.first().map(|(input, _)| *input);
        let second = scope
            .columns
            .iter()
            .find(|(input, _)| Some(*input) != first);
        let apart = second.or_else(|| scope.columns.first().filter(|_| scope.inputs.len() > 1));
        if let Some((_, spot)) = apart.filter(|_| scope.this.is_none()) {
            self.push(
                Diagnostic::error(
                    "BATCH_COLUMNS",
                    "the parts of a key are lists of their own here, and lose their pairing",
                )
                .at(at(scope.document, spot))
                .help(format!(
                    "send one object for each key: keys: [{{ {} }}]",
                    fields.join(", ")
                )),
            );
        }
    }

    /// A limit that is sent with many keys would cut the items of all parents together.
    fn check_paging(
        &mut self,
        input: &Input<'_>,
        scope: &Scope<'a>,
        items: &Items<'_>,
        limit: Option<&Expr>,
    ) {
        if let Some(page) = input.nested("page")
            && !page.has("follow")
        {
            self.push(
                Diagnostic::error(
                    "BATCH_UPSTREAM_PAGED",
                    "the first page holds the items of some parents only",
                )
                .at(input.at_name("page"))
                .help("read on: page: { follow: 10 }"),
            );
        }
        let cut_here =
            |name: &str| matches!(limit, Some(Expr::Arg { path, .. }) if path[0] == name);
        let paging = scope.sent.iter().find_map(|sent| match &sent.value {
            Value::Argument(path, _) if sent.to != Destination::Gateway => {
                let name = path.last().filter(|name| PAGING.contains(&name.as_str()))?;
                (!cut_here(&path[0])).then_some((sent, name))
            }
            _ => None,
        });
        if let Some((sent, name)) = paging.filter(|_| items.to_many) {
            self.push(
                Diagnostic::error(
                    "BATCH_WITH_PAGING_ARG",
                    format!("`{name}` would cut the items of all parents together"),
                )
                .at(at(scope.document, &sent.spot))
                .help(format!(
                    "cut each parent's list here: batch: {{ limit: \"$args.{name}\" }}"
                )),
            );
        }
    }

    fn by(
        &mut self,
        site: &Site<'_>,
        given: Option<&Input<'_>>,
        scope: &Scope<'a>,
        items: &Items<'_>,
    ) -> Option<Vec<BatchBy>> {
        let written = match given.filter(|it| it.has("by")) {
            Some(given) => Some(self.written_by(given)?),
            None => None,
        };
        if let Some(written) = &written {
            self.check_by(site, scope, written)?;
        }
        let mut by = Vec::new();
        for (index, input) in scope.inputs.iter().enumerate() {
            let names: Vec<String> = input.path.iter().map(Name::to_string).collect();
            let found = written
                .as_ref()
                .and_then(|it| it.iter().find(|by| by.field == names));
            let (path, format, spot) = match (found, site.on, &written) {
                (Some(by), ..) => (by.path.clone(), None, by.spot.clone()),
                (None, On::Entity { .. }, None) => {
                    let (path, format) = self.key_path(site, scope, items, &names)?;
                    (path, format, input.spot.clone())
                }
                _ => {
                    self.by_missing(site, given, &names);
                    return None;
                }
            };
            let path = self.check_item(scope.source, items, path, || at(site.document, &spot))?;
            by.push(BatchBy {
                input: index,
                path,
                ty: input.ty.clone(),
                format,
                enum_values: self.enum_of_key(scope, &input.ty),
            });
        }
        Some(by)
    }

    /// `by: { id: "user_id", org: { id: "org_id" } }`
    fn written_by(&mut self, batch: &Input<'_>) -> Option<Vec<By>> {
        let mapping = self.mapping(batch, "by")?;
        let mut found = Vec::new();
        let complete = match &mapping.kind {
            MappingKind::Object(entries) => collect_by(entries, &[], &mut found),
            _ => false,
        };
        if !complete {
            self.push(
                Diagnostic::error(
                    "INVALID_VALUE",
                    "this says where an item carries each part of its parent's key",
                )
                .at(at(batch.document, &mapping.spot))
                .help("write by: { id: \"user_id\" }"),
            );
        }
        complete.then_some(found)
    }

    fn check_by(&mut self, site: &Site<'_>, scope: &Scope<'a>, written: &[By]) -> Option<()> {
        let is_sent = |by: &&By| {
            scope.inputs.iter().any(|input| {
                input
                    .path
                    .iter()
                    .map(Name::as_str)
                    .eq(by.field.iter().map(String::as_str))
            })
        };
        let Some(foreign) = written.iter().find(|by| !is_sent(by)) else {
            return Some(());
        };
        let sent: Vec<String> = scope.inputs.iter().map(|it| dotted(&it.path)).collect();
        let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
        let message = format!(
            "the request does not send `$batch.{}`",
            foreign.field.join(".")
        );
        self.push(
            Diagnostic::error("BATCH_KEY_NOT_A_KEY", message)
                .at(at(site.document, &foreign.spot))
                .help(format!("it sends {}", super::listed(&sent))),
        );
        None
    }

    fn by_missing(&mut self, site: &Site<'_>, given: Option<&Input<'_>>, key: &[String]) {
        let place = match given {
            Some(given) => given.at_name("by"),
            None => site.place(),
        };
        let name = key.join(".");
        let message = format!("nothing says where an item carries its parent's `{name}`");
        self.push(
            Diagnostic::error("BATCH_BY_MISSING", message)
                .at(place)
                .help(format!(
                    "name the property: batch: {{ by: {{ {name}: \"parent_{name}\" }} }}"
                )),
        );
    }

    /// How the source spells a part of a key that is an enum.
    fn enum_of_key(&self, scope: &Scope<'a>, ty: &Type) -> Option<Arc<IndexMap<String, Name>>> {
        match scope.document.schema.types.get(ty.inner_named_type()) {
            Some(ExtendedType::Enum(it)) => self.enum_values(scope.document, scope.source, it),
            _ => None,
        }
    }

    /// Where the entity itself reads a part of its key, and how.
    fn key_path(
        &mut self,
        site: &Site<'_>,
        scope: &Scope<'a>,
        items: &Items<'_>,
        key: &[String],
    ) -> Option<(UpstreamPath, Option<Format>)> {
        let found = self.path_in_view(items.value, key);
        if found.is_none() {
            self.no_key_in_item(scope, site, key);
        }
        found
    }

    fn path_in_view(
        &self,
        value: &ViewField,
        key: &[String],
    ) -> Option<(UpstreamPath, Option<Format>)> {
        let mut path = read_path(value)?;
        let mut view = value.view;
        let mut format = None;
        for name in key {
            let field = self.views.get(view?).fields.get(name.as_str())?;
            path.extend(read_path(field)?);
            view = field.view;
            format = field.format;
        }
        Some((path, format))
    }

    fn no_key_in_item(&mut self, scope: &Scope<'a>, site: &Site<'_>, key: &[String]) {
        let input = scope.inputs.iter().find(|it| {
            it.path
                .iter()
                .map(Name::as_str)
                .eq(key.iter().map(String::as_str))
        });
        let place = input.map_or_else(|| site.place(), |it| at(site.document, &it.spot));
        let name = key.join(".");
        self.push(
            Diagnostic::error("BATCH_ITEM_HAS_NO_KEY", format!("an item does not carry its `{name}`"))
                .at(place)
                .help(format!("name the property that does: batch: {{ by: {{ {name}: \"…\" }} }}, or order: POSITIONAL")),
        );
    }

    /// The path as the contract spells it, if its items have it.
    fn check_item(
        &mut self,
        source: SourceId,
        items: &Items<'_>,
        path: UpstreamPath,
        place: impl FnOnce() -> crate::diagnostic::Place,
    ) -> Option<UpstreamPath> {
        let upstream = self.lowered.upstreams[source.index()].clone();
        let (spelled, end) = upstream.follow(items.contract, &path);
        if end != End::Missing {
            return Some(spelled);
        }
        let (contract, ty) = upstream.contract().zip(items.contract)?;
        let known = upstream
            .object(ty)
            .map(|it| it.properties.keys().map(String::as_str));
        let known: Vec<&str> = known.into_iter().flatten().collect();
        let help = super::did_you_mean(&path.join("."), known, |known| {
            format!("an item has {}", super::listed(known))
        });
        self.push(
            Diagnostic::error(
                "BATCH_ITEM_HAS_NO_KEY",
                format!("an item has no `{}`", path.join(".")),
            )
            .at(place())
            .contract(contract[ty].place.to_string())
            .help(help),
        );
        None
    }
}

fn read_path(field: &ViewField) -> Option<UpstreamPath> {
    match &field.read {
        Read::Path(path) => Some(path.clone()),
        Read::Embedded => Some(Vec::new()),
        _ => None,
    }
}

/// The leaves of `by`; false where one is no path.
fn collect_by(entries: &[Entry], above: &[String], found: &mut Vec<By>) -> bool {
    entries.iter().all(|entry| {
        let field = [above, std::slice::from_ref(&entry.key.name)].concat();
        match &entry.value.kind {
            MappingKind::Object(inner) => collect_by(inner, &field, found),
            MappingKind::Bare(path) => {
                found.push(By {
                    field,
                    path: names(path),
                    spot: entry.value.spot.clone(),
                });
                true
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{printed, said};

    /// A field of User that is resolved by this directive.
    fn field(ty: &str, rest: &str) -> String {
        format!(
            "type User @key(fields: \"id\") {{ id: ID! org: ID! a(first: Int, after: ID): {ty} @rest(GET: \"/a\", {rest}) }} type A {{ id: ID! userId: ID! }}"
        )
    }

    #[test]
    fn an_entity_finds_its_items_by_its_own_key() {
        let shown = printed(
            "type User @key(fields: \"id org { code }\") @rest(POST: \"/users\", body: { keys: [{ id: \"$batch.id\", org: \"$batch.org.code\" }] }, result: \"users\", batch: { max: 7, window: \"2ms\" })
             { id: ID! @map(from: \"user.no\") org: Org! } type Org { code: String! @map(from: \"the_code\") }",
        );
        assert_eq!(
            shown,
            "User by id org.code\n  \
             call    shop: POST /users body { keys: [each { id: $batch.id, org: $batch.org.code }] }\n  \
             batch   by id=user.no ID! and org.code=org.the_code String!, at most 7, window 2ms\n  \
             reply   users → User { id: user.no, org { code: the_code } }\n"
        );
    }

    #[test]
    fn a_field_gets_a_list_an_object_or_a_value_of_its_item() {
        let many = printed(&field("[A!]", "query: { u: \"$batch.id\", f: \"$args.after\" }, batch: { by: { id: \"user_id\" }, limit: \"$args.first\" }").replace("after", "since"));
        assert!(
            many.contains("by id=user_id ID!, at most 100, limit $args.first, to many"),
            "{many}"
        );
        let one = printed(&field(
            "A",
            "query: { u: \"$batch.id\", f: \"$args.first\", g: \"$args.after\" }, batch: { by: { id: \"user_id\" } }",
        ));
        assert!(
            !one.contains("to many") && one.contains("reply   A { id, userId: user_id }"),
            "{one}"
        );
        let value = printed(&field(
            "[Int!]",
            "query: { u: \"$batch.id\", f: \"$args.first\", g: \"$args.after\" }, batch: { by: { id: \"user_id\" } }",
        ));
        assert!(
            !value.contains("to many") && value.contains("reply   [Int!] a\n"),
            "{value}"
        );
        let position = printed(&field(
            "A",
            "query: { u: \"$batch.id\", f: \"$args.first\", g: \"$args.after\" }, batch: { order: POSITIONAL }",
        ));
        assert!(position.contains("batch   by position"), "{position}");
    }

    #[test]
    fn a_field_says_where_an_item_carries_its_parents_key() {
        let sdl = "type User @key(fields: \"id\") { id: ID! a: [A!] @rest(GET: \"/a\", query: { u: \"$batch.id\" }) } type A { id: ID! }";
        assert_eq!(
            said(sdl),
            "error[BATCH_BY_MISSING] shop.graphql:2:48\n  \
             2 | type User @key(fields: \"id\") { id: ID! a: [A!] @rest(GET: \"/a\", query: { u: \"$batch.id\" }) } type A { id: ID! }\n    \
             |                                                ^^^^^ nothing says where an item carries its parent's `id`\n  \
             help: name the property: batch: { by: { id: \"parent_id\" } }\n"
        );
        let foreign = said(&sdl.replace("\" }) }", "\" }, batch: { by: { ix: \"x\" } }) }"));
        assert!(
            foreign.contains("[BATCH_KEY_NOT_A_KEY]")
                && foreign.contains("does not send `$batch.ix`"),
            "{foreign}"
        );
        let unused = said("type Query { a: Int @rest(GET: \"/a\", batch: { max: 3 }) }");
        assert!(
            unused.contains("the request sends no keys of many parents"),
            "{unused}"
        );
    }

    #[test]
    fn an_entity_whose_reply_leaves_its_key_out_cannot_be_batched() {
        let said = said(
            "type User @key(fields: \"id\") @rest(GET: \"/u\", query: { id: \"$batch.id\" }, selection: { name: \"name\" }) { id: ID! name: String }",
        );
        assert!(
            said.starts_with("error[BATCH_ITEM_HAS_NO_KEY] shop.graphql:2:61\n"),
            "{said}"
        );
    }

    #[test]
    fn the_contracts_item_carries_the_key() {
        let proto = "syntax = \"proto3\"; package v1; service S { rpc Get(Keys) returns (Items); } message Keys { repeated int64 ids = 1; } message Items { repeated Item items = 1; } message Item { int64 owner_id = 1; string name = 2; }";
        let sdl = "extend schema @source(name: \"s\", grpc: { url: \"http://a\", protos: [\"s.proto\"] })\ntype User @key(fields: \"id\") { id: ID! a: Item @grpc(method: \"v1.S/Get\", request: { ids: \"$batch.id\" }, result: \"items\", batch: { by: { id: \"KEY\" } }) } type Item { name: String! }";
        let files = |key: &str| {
            let mut files = super::super::tests::file(&sdl.replace("KEY", key));
            files.files.insert("s.proto".into(), proto.into());
            files
        };
        let shown = super::super::tests::printed_files(&files("ownerId"));
        assert!(shown.contains("by id=owner_id ID!"), "{shown}");
        let said = super::super::tests::said_of(&files("owner"));
        assert!(said.starts_with("error[BATCH_ITEM_HAS_NO_KEY]"), "{said}");
        assert!(said.contains("contract: s.proto: v1.Item"), "{said}");
    }

    #[test]
    fn parts_of_a_key_stay_together() {
        let by = "batch: { by: { id: \"i\", org: \"o\" } }";
        let ok = field(
            "A",
            &format!(
                "query: {{ f: \"$args.first\", g: \"$args.after\", k: [{{ id: \"$batch.id\", org: \"$batch.org\" }}] }}, {by}"
            ),
        );
        assert_eq!(said(&ok), "");
        let apart = said(&field(
            "A",
            &format!(
                "query: {{ f: \"$args.first\", g: \"$args.after\", id: \"$batch.id\", org: \"$batch.org\" }}, {by}"
            ),
        ));
        assert!(apart.starts_with("error[BATCH_COLUMNS]"), "{apart}");
        assert!(
            apart.contains("keys: [{ id: \"$batch.id\", org: \"$batch.org\" }]"),
            "{apart}"
        );
        let mixed = said(&field(
            "A",
            "query: { f: \"$args.first\", g: \"$args.after\", id: \"$batch.id\", org: \"$this.org\" }, batch: { by: { id: \"i\", org: \"o\" } }",
        ));
        assert!(
            mixed.contains("one call for many parents cannot hold a value of one"),
            "{mixed}"
        );
    }

    #[test]
    fn a_limit_for_each_parent_is_not_sent_for_all() {
        let sent = said(&field("[A!]", "query: { u: \"$batch.id\", limit: \"$args.first\", s: \"$args.after\" }, batch: { by: { id: \"user_id\" } }").replace("after", "since"));
        assert!(sent.starts_with("error[BATCH_WITH_PAGING_ARG]"), "{sent}");
        assert!(
            sent.contains("help: cut each parent's list here: batch: { limit: \"$args.first\" }"),
            "{sent}"
        );
        let cut = said(&field("[A!]", "query: { u: \"$batch.id\", limit: \"$args.first\", s: \"$args.after\" }, batch: { by: { id: \"user_id\" }, limit: \"$args.first\" }").replace("after", "since"));
        assert_eq!(cut, "");
    }

    #[test]
    fn keys_travel_in_the_query_or_the_body() {
        let inline = printed(
            "type User @key(fields: \"id\") @rest(GET: \"/users?id={$batch.id}\") { id: ID! }",
        );
        assert!(
            inline.contains("GET /users?id=$batch.id\n  batch   by id=id"),
            "{inline}"
        );
        let path =
            said("type User @key(fields: \"id\") @rest(GET: \"/users/{$batch.id}\") { id: ID! }");
        assert!(path.starts_with("error[LIST_IN_PATH]"), "{path}");
        let header = said(
            "type User @key(fields: \"id\") @rest(GET: \"/users\", query: { id: \"$batch.id\" }, headers: [{ name: \"x\", value: \"{$batch.id}\" }]) { id: ID! }",
        );
        assert!(
            header.contains("a header cannot hold the keys of many parents"),
            "{header}"
        );
        let text = said(
            "type User @key(fields: \"id\") @rest(GET: \"/users\", query: { id: \"x-{$batch.id}\" }) { id: ID! }",
        );
        assert!(
            text.starts_with("error[EXPRESSION_NOT_HERE] shop.graphql:2:68\n"),
            "{text}"
        );
        let limit = said(&field(
            "[A!]",
            "query: { u: \"$batch.id\", a: \"$args.first\", s: \"$args.after\" }, batch: { by: { id: \"u\" }, limit: \"$this.org\" }",
        ));
        assert!(limit.contains("one limit holds for all parents"), "{limit}");
    }

    #[test]
    fn a_paged_list_is_read_on_for_many_parents() {
        let page = |follow: &str| {
            let rest = format!(
                "query: {{ u: \"$batch.id\", s: \"$args.after\" }}, batch: {{ by: {{ id: \"user_id\" }}, limit: \"$args.first\" }}, page: {{ style: CURSOR, at: \"c\", next: \"n\"{follow} }}"
            );
            said(&field("[A!]", &rest).replace("after", "since"))
        };
        assert_eq!(page(", follow: 3"), "");
        assert!(
            page("").starts_with("error[BATCH_UPSTREAM_PAGED]"),
            "{}",
            page("")
        );
    }
}
