//! `@queue`: calls that are made durable instead of being made.
//!
//! Owns what of a directive cannot hold where nobody waits for a reply, what
//! may be stored of a client, and how the answer is read that the gateway
//! gives in the service's place.

use std::time::Duration;

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, FieldDefinition, Type};
use apollo_compiler::schema::ExtendedType;

use super::Lowering;
use super::header::SECRETS;
use super::input::Input;
use super::origin::Destination;
use super::read::Object;
use super::reply::Reply;
use super::rest::Lowered;
use super::scope::{Scope, Slot};
use super::site::{On, Site, with_fields};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Document, first};
use crate::model::{
    Expr, HeaderRule, Piece, QueueRule, Read, ReplyRule, Request, SourceId, ViewField,
};

/// How long a message is tried where nobody says it.
const TTL: Duration = Duration::from_secs(24 * 3600);

/// Arguments that say what becomes of a reply, or of a call that somebody waits for.
const OF_THE_REPLY: [&str; 8] = [
    "result",
    "selection",
    "page",
    "batch",
    "notFound",
    "errors",
    "staleIfError",
    "maxMessages",
];
/// Arguments that say how a call is repeated while somebody waits.
const OF_ATTEMPTS: [&str; 4] = ["retry", "hedge", "fanout", "idempotent"];

/// A field's `@queue`.
#[derive(Clone, Copy)]
pub(super) struct Queued<'a> {
    directive: &'a Node<Directive>,
    field: &'a Node<FieldDefinition>,
}

impl<'a> Site<'a> {
    /// The field's `@queue`, where it is a field of Mutation; elsewhere it is refused.
    pub(super) fn queue(&self) -> Option<Queued<'a>> {
        match self.on {
            On::Root {
                field,
                mutation: true,
                ..
            } => Some(Queued {
                directive: first(&field.directives, "queue")?,
                field,
            }),
            _ => None,
        }
    }
}

impl<'a> Lowering<'a> {
    /// `@queue` stands on fields of Mutation, and nowhere else.
    pub(super) fn check_queues(&mut self, document: &Document) {
        let types = document.schema.types.values();
        for ty in types.filter(|ty| !ty.is_built_in()) {
            let Some((name, _, fields)) = with_fields(ty) else {
                continue;
            };
            for field in fields.filter(|_| name != "Mutation") {
                if let Some(directive) = first(&field.directives, "queue") {
                    self.push(
                        Diagnostic::error("QUEUE_NOT_MUTATION", "only mutations can be queued")
                            .at(document.places.directive(directive))
                            .help("a query's caller waits for its data: remove @queue"),
                    );
                }
            }
        }
    }

    pub(super) fn queue(
        &mut self,
        site: &Site<'a>,
        queued: &Queued<'a>,
        call: &Input<'a>,
        scope: &mut Scope<'a>,
    ) -> Option<QueueRule> {
        let input = Input::of(site.document, queued.directive);
        if site.directive.name == "graphql" {
            let message = "@queue beside @graphql is not supported by this release";
            let place = site.document.places.directive(queued.directive);
            self.push(Diagnostic::error("UNSUPPORTED", message).at(place));
        }
        self.check_nobody_waits(site, queued, call);
        let ttl = self.duration(&input, "ttl").unwrap_or(TTL);
        let window = self.duration(&input, "dedupeWindow");
        if window.is_some_and(|window| window < ttl) {
            let message = "a duplicate is to be known for as long as the first is tried";
            self.refuse(&input, "dedupeWindow", message);
        }
        Some(QueueRule {
            name: self.queue_name(&input)?,
            key: self.text_of(&input, "key", scope),
            dedupe: self.text_of(&input, "dedupe", scope),
            dedupe_window: window.unwrap_or(ttl),
            delay: self.duration(&input, "delay"),
            ttl,
            retry: input.nested("retry").map(|retry| self.retry(&retry)),
            blocks: input.word("onDeadLetter") == Some("BLOCK"),
        })
    }

    /// A queue's name becomes part of subjects, files and addresses.
    fn queue_name(&mut self, input: &Input<'_>) -> Option<String> {
        let name = input.text("name").unwrap_or("default");
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let message = "a queue's name has 1 to 64 letters, digits, `-` and `_`";
            self.refuse(input, "name", message);
            return None;
        }
        Some(name.to_owned())
    }

    /// A text of what the client sent; null where a hole is.
    fn text_of(&mut self, input: &Input<'_>, name: &str, scope: &mut Scope<'a>) -> Option<Expr> {
        if !input.has(name) {
            return None;
        }
        let pieces = self.template(input, name)?;
        let slot = Slot::untyped(Destination::Gateway);
        Some(Expr::Template(self.pieces(scope, &pieces, &slot)?))
    }

    /// What a directive says of replies and attempts says nothing where nobody waits.
    fn check_nobody_waits(&mut self, site: &Site<'_>, queued: &Queued<'_>, call: &Input<'_>) {
        for name in OF_THE_REPLY.into_iter().filter(|name| call.has(name)) {
            self.reads_response(call.at_name(name), &format!("`{name}`"));
        }
        if let Some(map) = first(&queued.field.directives, "map") {
            self.reads_response(site.document.places.directive(map), "`@map`");
        }
        for name in OF_ATTEMPTS.into_iter().filter(|name| call.has(name)) {
            let message = format!("`{name}` says nothing of a call that the queue makes");
            let help = match name {
                "retry" => "say it of the queue: @queue(retry: { attempts: 5 })",
                _ => {
                    "remove it: a queued call is made again until it succeeds, with one Idempotency-Key"
                }
            };
            self.push(
                Diagnostic::error("INVALID_VALUE", message)
                    .at(call.at_name(name))
                    .help(help),
            );
        }
    }

    fn reads_response(&mut self, place: Place, what: &str) {
        let message =
            format!("{what} reads the reply, and nobody waits for the reply of a queued call");
        self.push(
            Diagnostic::error("QUEUE_READS_RESPONSE", message)
                .at(place)
                .help("remove it, or remove @queue"),
        );
    }

    /// The answer that the gateway gives in the service's place.
    pub(super) fn accepted(
        &mut self,
        site: &Site<'a>,
        queued: &Queued<'a>,
        source: SourceId,
        lowered: &Lowered,
    ) -> Option<Reply> {
        self.check_captured(site, queued, source, &lowered.request);
        let ty = &queued.field.ty;
        let name = ty.inner_named_type();
        let accepted = format!("{}Accepted", self.files.queue.prefix);
        let (unwrap, view) = match ty {
            Type::NonNullNamed(name) if **name == *accepted => {
                let object = Object {
                    document: site.document,
                    source,
                    contract: None,
                };
                (Vec::new(), Some(self.view_of_accepted(&object, name)))
            }
            Type::NonNullNamed(name) if name == "ID" => (vec!["id".to_owned()], None),
            Type::NonNullNamed(name) if name == "Boolean" => (vec!["accepted".to_owned()], None),
            _ => {
                let message =
                    format!("a queued call is answered before it is made, so not with `{ty}`");
                self.push(
                    Diagnostic::error("QUEUE_RETURN_TYPE", message)
                        .at(site.document.places.name(name))
                        .help(format!("return `{accepted}!`, `ID!` or `Boolean!`")),
                );
                return None;
            }
        };
        let value = ViewField {
            view,
            ..plain(ty, Vec::new())
        };
        Some(Reply {
            rule: ReplyRule {
                unwrap,
                ty: ty.clone(),
                value,
                connection: None,
            },
            result: None,
            item: None,
            to_many: false,
        })
    }

    /// The gateway spells its own type as the schema does, however the source spells names.
    fn view_of_accepted(
        &mut self,
        object: &Object<'a>,
        name: &apollo_compiler::Name,
    ) -> crate::model::ViewId {
        let id = self.views.reserve(object, name);
        if let Some(ExtendedType::Object(ty)) = object.document.schema.types.get(name) {
            for field in ty.fields.values() {
                let read = plain(&field.ty, vec![field.name.to_string()]);
                let fields = &mut self.views.get_mut(id).fields;
                fields.insert(field.name.clone(), read);
            }
        }
        id
    }

    /// What identifies a client is not stored unless the operator allows it.
    fn check_captured(
        &mut self,
        site: &Site<'_>,
        queued: &Queued<'_>,
        source: SourceId,
        request: &Request,
    ) {
        if self.files.queue.captures_credentials {
            return;
        }
        let outer = &self.lowered.sources[source.index()].headers;
        let Some(header) = captured(request, outer) else {
            return;
        };
        let message = format!("the client's `{header}` would be stored with the call");
        self.push(
            Diagnostic::error("QUEUE_CAPTURES_CREDENTIALS", message)
                .at(site.document.places.directive(queued.directive))
                .help("give the source credentials of its own in the configuration, take the rule away for this field with an empty value, or allow it: queue: { capture_credentials: true }"),
        );
    }
}

fn plain(ty: &Type, path: Vec<String>) -> ViewField {
    ViewField {
        ty: ty.clone(),
        read: Read::Path(path),
        args: Vec::new(),
        requires: None,
        format: None,
        default: None,
        view: None,
        enum_values: None,
    }
}

/// The first header that identifies a client and would be stored.
fn captured(request: &Request, outer: &[HeaderRule]) -> Option<String> {
    let (own, mut values): (_, Vec<&Expr>) = match request {
        Request::Rest(rest) => {
            let holes = rest.path.iter().filter_map(Piece::hole);
            let query = rest.query.iter().map(|parameter| &parameter.value);
            (
                &rest.headers,
                holes.chain(query).chain(&rest.body).collect(),
            )
        }
        Request::Grpc(grpc) => (&grpc.metadata, vec![&grpc.message]),
        // Refused already.
        Request::Graphql(_) => return None,
    };
    let own_has = |rule: &&HeaderRule| !own.iter().any(|own| own.name == rule.name);
    let rules = own.iter().chain(outer.iter().filter(own_has));
    for rule in rules {
        if SECRETS.contains(&rule.name.as_str()) && rule.value.depends_on_client() {
            return Some(rule.name.clone());
        }
        values.push(&rule.value);
    }
    values.into_iter().find_map(secret_in)
}

fn secret_in(expr: &Expr) -> Option<String> {
    let mut found = None;
    expr.visit(&mut |part| {
        if let Expr::Header(name) = part
            && SECRETS.contains(&name.as_str())
        {
            found.get_or_insert_with(|| name.clone());
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, printed, said, said_of};

    fn queued(field: &str) -> String {
        said(&format!("type Mutation {{ {field} }}"))
    }

    #[test]
    fn a_queued_call_is_answered_with_what_the_gateway_says() {
        let shown = printed(
            "type Mutation { a(id: ID!, to: String): Accepted! @rest(POST: \"/a/{id}\") @queue(name: \"email\", key: \"{id}\", dedupe: \"{id}-{to}\", delay: \"5s\", ttl: \"1h\", retry: { attempts: 3 }, onDeadLetter: BLOCK) }",
        );
        assert!(
            shown.contains("  queue   email, key '{$args.id as string}', dedupe '{$args.id as string}-{$args.to}' for 3600s, after 5s, for at most 3600s, 3 attempts, blocks its key\n"),
            "{shown}"
        );
        assert!(
            shown.contains("reply   Accepted! { id, status, acceptedAt, duplicate }"),
            "{shown}"
        );
        let id = printed("type Mutation { a: ID! @rest(POST: \"/a\") @queue }");
        assert!(
            id.contains("  queue   default, for at most 86400s\n"),
            "{id}"
        );
        assert!(id.contains("reply   id → ID!"), "{id}");
    }

    #[test]
    fn nobody_waits_for_the_reply_of_a_queued_call() {
        assert_eq!(
            queued("a: ID! @rest(POST: \"/a\", result: \"data\") @queue"),
            "error[QUEUE_READS_RESPONSE] shop.graphql:2:42\n  \
             2 | type Mutation { a: ID! @rest(POST: \"/a\", result: \"data\") @queue }\n    \
             |                                          ^^^^^^ `result` reads the reply, and nobody waits for the reply of a queued call\n  \
             help: remove it, or remove @queue\n"
        );
        let map = queued("a: ID! @rest(POST: \"/a\") @map(from: \"x\") @queue");
        assert!(map.starts_with("error[QUEUE_READS_RESPONSE]"), "{map}");
        let retry = queued("a: ID! @rest(POST: \"/a\", retry: { attempts: 1 }) @queue");
        assert!(retry.contains("@queue(retry: { attempts: 5 })"), "{retry}");
    }

    #[test]
    fn a_queued_call_returns_what_is_known_before_it_is_made() {
        for ty in ["User", "ID", "[ID!]!", "Int!", "Accepted"] {
            let said = said(&format!(
                "type User {{ a: Int }} type Mutation {{ a: {ty} @rest(POST: \"/a\") @queue }}"
            ));
            assert!(
                said.starts_with("error[QUEUE_RETURN_TYPE] shop.graphql:2:"),
                "{ty}: {said}"
            );
            assert!(said.contains("help: return `Accepted!`, `ID!` or `Boolean!`"));
        }
    }

    #[test]
    fn only_mutations_are_queued() {
        let query = said("type Query { a: ID! @rest(GET: \"/a\") @queue }");
        assert!(
            query.starts_with("error[QUEUE_NOT_MUTATION] shop.graphql:2:"),
            "{query}"
        );
    }

    #[test]
    fn what_identifies_a_client_is_not_stored_unless_it_is_allowed() {
        let sdl = |rules: &str, own: &str| {
            format!(
                "extend schema @source(name: \"shop\", http: {{ baseURL: \"http://shop\" }}, headers: [{rules}])\n\
                 type Mutation {{ a(t: String): ID! @rest(POST: \"/a\", headers: [{own}]) @queue }}"
            )
        };
        let forwarded = "{ name: \"authorization\", from: \"authorization\" }";
        for (rules, own) in [
            (forwarded, ""),
            ("", forwarded),
            (
                "",
                "{ name: \"x-a\", value: \"a-{$request.headers.cookie}\" }",
            ),
            ("", "{ name: \"x-api-key\", value: \"{t}\" }"),
        ] {
            let mut files = file(&sdl(rules, own));
            let said = said_of(&files);
            assert!(
                said.starts_with("error[QUEUE_CAPTURES_CREDENTIALS] shop.graphql:2:"),
                "{rules} {own}: {said}"
            );
            files.queue.captures_credentials = true;
            assert_eq!(said_of(&files), "");
        }
        let overridden = "{ name: \"authorization\", value: \"\" }";
        assert_eq!(said_of(&file(&sdl(forwarded, overridden))), "");
        let harmless = "{ name: \"x-tenant\", from: \"x-tenant\" }";
        assert_eq!(said_of(&file(&sdl(harmless, ""))), "");
    }

    #[test]
    fn a_duplicate_is_known_for_as_long_as_the_first_is_tried() {
        let said = queued(
            "a(i: ID!): ID! @rest(POST: \"/a\") @queue(dedupe: \"{i}\", dedupeWindow: \"1h\")",
        );
        assert!(said.starts_with("error[INVALID_VALUE]"), "{said}");
        assert_eq!(
            queued(
                "a(i: ID!): ID! @rest(POST: \"/a\") @queue(dedupe: \"{i}\", dedupeWindow: \"48h\")"
            ),
            ""
        );
        let name = queued("a: ID! @rest(POST: \"/a\") @queue(name: \"a.b\")");
        assert!(name.contains("letters, digits, `-` and `_`"), "{name}");
    }

    #[test]
    fn the_built_in_types_take_the_prefix_of_the_configuration() {
        let mut files = file(
            "extend schema @source(name: \"shop\", http: { baseURL: \"http://shop\" })\ntype Mutation { a: SbAccepted! @rest(POST: \"/a\") @queue }",
        );
        files.queue.prefix = "Sb".into();
        assert_eq!(said_of(&files), "");
    }
}
