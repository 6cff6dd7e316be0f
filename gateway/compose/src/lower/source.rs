//! `@source` to [`Source`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::environment;
use super::input::Input;
use super::rest::list_style_named;
use super::scope::Scope;
use super::upstream::Upstream;
use super::{Lowering, at, did_you_mean, listed};
use crate::SourceOverride;
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::mapping::{MappingKind, TemplatePiece};
use crate::model::{LOCAL, Limits, ListStyle, Naming, Source, SourceId, SourceKind};

impl<'a> Lowering<'a> {
    pub(super) fn sources_of(&mut self, document: &'a Document) {
        for directive in document.schema_directives("source") {
            let input = Input::of(document, directive);
            self.source(&input);
        }
    }

    /// What the configuration says of sources that nobody declares.
    pub(super) fn check_given_headers(&mut self) {
        let given = &self.files.headers;
        let names: BTreeSet<&String> = given.sources.keys().chain(given.answers.keys()).collect();
        for name in names {
            let mut known = self.lowered.sources.iter();
            if known.all(|source| source.name != *name) {
                let message = format!("headers.sources: there is no source `{name}`");
                self.push(Diagnostic::error("UNKNOWN_SOURCE", message));
            }
        }
    }

    fn source(&mut self, input: &Input<'a>) {
        let Some(name) = input.text("name") else {
            return;
        };
        if !self.is_first(input, name) {
            return;
        }
        let document = input.document;
        let subgraph = &self.files.subgraphs[document.subgraph.index()];
        let given = subgraph.sources.get(name).cloned().unwrap_or_default();
        let Some((kind, upstream)) = self.kind(name, input, &given) else {
            return;
        };
        // The source has its id before its headers are lowered, since expressions ask for it.
        let id = SourceId(self.lowered.sources.len() as u32);
        self.lowered.upstreams.push(upstream);
        self.lowered.sources.push(Source {
            name: name.to_owned(),
            subgraph: document.subgraph,
            kind,
            naming: input.word("naming").map_or(Naming::Exact, naming),
            lists: input
                .word("lists")
                .and_then(list_style_named)
                .unwrap_or(ListStyle::Repeated),
            headers: Vec::new(),
            propagated: self.files.headers.propagated(name),
            timeout: None,
            min_deadline: None,
            retry: None,
            limits: Limits::default(),
            errors: Default::default(),
        });
        self.around_calls(id, input, &given);
    }

    /// What holds for every call of a source.
    fn around_calls(&mut self, id: SourceId, input: &Input<'a>, given: &SourceOverride) {
        let mut scope = Scope::outer(input.document, id, "a source");
        let mut rules = input.nested_list("headers");
        rules.extend(
            input
                .nested("http")
                .map(|it| it.nested_list("headers"))
                .unwrap_or_default(),
        );
        let headers = self.headers(&mut scope, &rules);
        let timeout = given.timeout.or(self.duration(input, "timeout"));
        let min_deadline = given.min_deadline.or(self.duration(input, "minDeadline"));
        let retry = input.nested("retry").map(|it| self.retry(&it));
        let limits = input.nested("limits").map(|it| self.limits(&it));
        let errors = self.errors(input, id);
        self.check_timeout(input, timeout);
        self.check_min_deadline(input, min_deadline);
        let source = &mut self.lowered.sources[id.index()];
        let mut rules = self.files.headers.of(&source.name);
        rules.retain(|given| headers.iter().all(|own| own.name != given.name));
        rules.extend(headers);
        source.headers = rules;
        source.timeout = timeout;
        source.min_deadline = min_deadline;
        source.retry = retry;
        source.limits = limits.unwrap_or_default();
        source.errors = errors;
    }

    fn is_first(&mut self, input: &Input<'_>, name: &str) -> bool {
        let known = self.lowered.sources.iter().find(|it| it.name == name);
        let Some(other) = known.map(|it| &self.files.subgraphs[it.subgraph.index()].file) else {
            return true;
        };
        let message = format!("there is a source of this name already, in {other}");
        self.push(
            Diagnostic::error("DUPLICATE_SOURCE", message)
                .at(input.at_value("name"))
                .help("names of sources are unique in the graph"),
        );
        false
    }

    fn kind(
        &mut self,
        name: &str,
        input: &Input<'a>,
        given: &SourceOverride,
    ) -> Option<(SourceKind, Upstream)> {
        let kinds = ["http", "grpc", "graphql", "events"];
        let given_kinds = kinds.into_iter().filter(|kind| input.has(kind));
        let given_kinds: Vec<&str> = given_kinds.collect();
        let nested = given_kinds.first().and_then(|kind| input.nested(kind));
        match (given_kinds.as_slice(), nested) {
            (["http"], Some(http)) => Some(self.http(&http, given)),
            (["grpc"], Some(grpc)) => Some(self.grpc_source(name, &grpc, given)),
            (["graphql"], Some(graphql)) => Some(self.graphql_source(&graphql, given)),
            // Kinds that are not built in this release are refused with the vocabulary.
            (["events"], _) => None,
            (kinds, _) => {
                let message = match kinds {
                    [] => "this says nothing about how to reach the source",
                    _ => "a source speaks one protocol",
                };
                self.push(
                    Diagnostic::error("SOURCE_KIND", message)
                        .at(input.at_value("name"))
                        .help("give one of http: { baseURL: … }, grpc: { url: …, protos: […] } and graphql: { url: … }"),
                );
                None
            }
        }
    }

    fn graphql_source(
        &mut self,
        graphql: &Input<'a>,
        given: &SourceOverride,
    ) -> (SourceKind, Upstream) {
        let url = self.address(graphql, "url", given);
        if url != LOCAL {
            self.check_address(graphql, "url", &url);
        }
        (SourceKind::Graphql { url }, Upstream::Unstated)
    }

    fn http(&mut self, http: &Input<'a>, given: &SourceOverride) -> (SourceKind, Upstream) {
        let upstream = self.openapi(http);
        let base_url = self.address(http, "baseURL", given);
        self.check_address(http, "baseURL", &base_url);
        // Paths begin with a slash of their own.
        let base_url = base_url.trim_end_matches('/').to_owned();
        let contract = upstream.contract().map(|it| Arc::new(it.clone()));
        (SourceKind::Http { base_url, contract }, upstream)
    }

    fn grpc_source(
        &mut self,
        name: &str,
        grpc: &Input<'a>,
        given: &SourceOverride,
    ) -> (SourceKind, Upstream) {
        let upstream = self.proto(name, grpc);
        let url = self.address(grpc, "url", given);
        let pool = match &upstream {
            Upstream::Proto(proto) => proto.pool().clone(),
            _ => prost_reflect::DescriptorPool::new(),
        };
        (SourceKind::Grpc { url, pool }, upstream)
    }

    /// The configuration's address, else the file's with `$env` and `$config` inserted as they are.
    fn address(&mut self, input: &Input<'_>, name: &str, given: &SourceOverride) -> String {
        if let Some(url) = &given.url {
            return url.clone();
        }
        let pieces = self.template(input, name).unwrap_or_default();
        let mut address = String::new();
        for piece in &pieces {
            match piece {
                TemplatePiece::Text(text) => address.push_str(text),
                TemplatePiece::Hole(hole) => {
                    let value = self.address_hole(input.document, hole);
                    address.push_str(&value.unwrap_or_default());
                }
            }
        }
        address
    }

    fn address_hole(
        &mut self,
        document: &Document,
        hole: &crate::mapping::Mapping,
    ) -> Option<String> {
        if let MappingKind::Reference(reference) = &hole.kind
            && environment::is_known(reference)
        {
            return self.known_value(document, reference, &hole.spot);
        }
        self.push(
            Diagnostic::error(
                "EXPRESSION_NOT_HERE",
                "an address is known before any request",
            )
            .at(at(document, &hole.spot))
            .help("an address holds $env and $config only: {$env.USERS_URL}"),
        );
        None
    }

    fn check_address(&mut self, input: &Input<'_>, name: &str, address: &str) {
        let is_http = address.starts_with("http://") || address.starts_with("https://");
        if is_http || address.is_empty() {
            return;
        }
        self.push(
            Diagnostic::error("INVALID_VALUE", "this is no address of an HTTP service")
                .at(input.at_value(name))
                .help("an address begins with http:// or https://"),
        );
    }

    fn check_timeout(&mut self, input: &Input<'_>, timeout: Option<std::time::Duration>) {
        let (Some(timeout), Some(request)) = (timeout, self.files.request_timeout) else {
            return;
        };
        if timeout > request {
            let message = format!("a request is given up after {request:?}, before this one");
            self.push(
                Diagnostic::warning("TIMEOUT_EXCEEDS_CALLERS", message)
                    .at(input.at_value("timeout"))
                    .help("shorten it, or lengthen the request's deadline"),
            );
        }
    }
}

/// Times that no request could have.
impl Lowering<'_> {
    fn check_min_deadline(&mut self, input: &Input<'_>, needed: Option<std::time::Duration>) {
        let (Some(needed), Some(request)) = (needed, self.files.request_timeout) else {
            return;
        };
        if needed > request {
            let message = format!("no mutation could begin: a request has {request:?} at most");
            self.push(
                Diagnostic::error("MIN_DEADLINE_EXCEEDS_CALLERS", message)
                    .at(input.at_value("minDeadline"))
                    .help("shorten it, or lengthen the request's deadline"),
            );
        }
    }
}

/// What a directive wants a source to speak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Rest,
    Grpc,
    Graphql,
}

impl Spoken {
    /// Of the directive of this name.
    pub(super) fn of(directive: &str) -> Self {
        match directive {
            "grpc" => Spoken::Grpc,
            "graphql" | "key" => Spoken::Graphql,
            _ => Spoken::Rest,
        }
    }

    fn by(kind: &SourceKind) -> Self {
        match kind {
            SourceKind::Http { .. } => Spoken::Rest,
            SourceKind::Grpc { .. } => Spoken::Grpc,
            SourceKind::Graphql { .. } => Spoken::Graphql,
        }
    }

    /// As messages call it.
    fn name(self) -> &'static str {
        match self {
            Spoken::Rest => "HTTP",
            Spoken::Grpc => "gRPC",
            Spoken::Graphql => "GraphQL",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Spoken::Rest => "@source(name: \"shop\", http: { baseURL: \"{$env.SHOP_URL}\" })",
            Spoken::Grpc => {
                "@source(name: \"shop\", grpc: { url: \"{$env.SHOP_URL}\", protos: [\"shop.proto\"] })"
            }
            Spoken::Graphql => "@source(name: \"shop\", graphql: { url: \"{$env.SHOP_URL}\" })",
        }
    }
}

/// Which source a resolver means.
impl Lowering<'_> {
    /// The source that `source:` names, else the file's only one of this protocol.
    pub(super) fn source_for(&mut self, input: &Input<'_>, spoken: Spoken) -> Option<SourceId> {
        let own: Vec<SourceId> = self.sources_in(input.document);
        let fits = |it: &SourceId| self.speaks(*it) == spoken;
        let Some(wanted) = input.text("source") else {
            let fitting: Vec<SourceId> = own.iter().copied().filter(fits).collect();
            return match fitting.as_slice() {
                [one] => Some(*one),
                other => {
                    self.no_single_source(input, spoken, other);
                    None
                }
            };
        };
        let found = own
            .iter()
            .copied()
            .find(|it| self.source_name(*it) == wanted);
        match found.filter(fits) {
            Some(found) => Some(found),
            None => {
                self.unknown_source(input, wanted, &own, spoken);
                None
            }
        }
    }

    /// The source that serves a whole file.
    pub(super) fn serving(&self, document: &Document) -> Option<SourceId> {
        let wanted = document.served_by.as_deref()?;
        let mut own = self.sources_in(document).into_iter();
        own.find(|it| self.source_name(*it) == wanted)
    }

    fn sources_in(&self, document: &Document) -> Vec<SourceId> {
        let all = self.lowered.sources.iter().zip(0..);
        let own = all.filter(|(source, _)| source.subgraph == document.subgraph);
        own.map(|(_, id)| SourceId(id)).collect()
    }

    fn source_name(&self, id: SourceId) -> &str {
        &self.lowered.sources[id.index()].name
    }

    fn speaks(&self, id: SourceId) -> Spoken {
        Spoken::by(&self.lowered.sources[id.index()].kind)
    }

    fn no_single_source(&mut self, input: &Input<'_>, spoken: Spoken, fitting: &[SourceId]) {
        let protocol = spoken.name();
        let place = input.place.clone();
        let names: Vec<&str> = fitting.iter().map(|it| self.source_name(*it)).collect();
        let diagnostic = match names.first() {
            None => {
                let example = spoken.example();
                Diagnostic::error(
                    "UNKNOWN_SOURCE",
                    format!("this file has no {protocol} source"),
                )
                .help(format!("declare one: extend schema {example}"))
            }
            Some(first) => {
                let message = format!(
                    "this file has several {protocol} sources: {}",
                    listed(&names)
                );
                Diagnostic::error("AMBIGUOUS_SOURCE", message)
                    .help(format!("say which: source: \"{first}\""))
            }
        };
        self.push(diagnostic.at(place));
    }

    fn unknown_source(
        &mut self,
        input: &Input<'_>,
        wanted: &str,
        own: &[SourceId],
        spoken: Spoken,
    ) {
        let protocol = spoken.name();
        let place = input.at_value("source");
        let other_kind = own.iter().any(|it| self.source_name(*it) == wanted);
        let fitting = own.iter().filter(|it| self.speaks(**it) == spoken);
        let names: Vec<&str> = fitting.map(|it| self.source_name(*it)).collect();
        let help = did_you_mean(wanted, names, |names| match names {
            [] => format!("this file declares no {protocol} source"),
            names => format!("this file declares {}", listed(names)),
        });
        let message = match other_kind {
            true => format!("this source does not speak {protocol}"),
            false => "this file declares no source of this name".to_owned(),
        };
        self.push(
            Diagnostic::error("UNKNOWN_SOURCE", message)
                .at(place)
                .help(help),
        );
    }
}

fn naming(word: &str) -> Naming {
    match word {
        "SNAKE_CASE" => Naming::SnakeCase,
        "KEBAB_CASE" => Naming::KebabCase,
        "PASCAL_CASE" => Naming::PascalCase,
        _ => Naming::Exact,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SHOP, file, lowered_files, printed, said, said_of};
    use serde_json::Value as Json;

    use crate::model::{Expr, SourceKind};
    use crate::{GivenHeader, GivenValue, SourceOverride};

    const TWO: &str = "extend schema @source(name: \"shop\", http: { baseURL: \"http://a\" }) @source(name: \"depot\", http: { baseURL: \"http://b\" })\n";

    #[test]
    fn a_source_that_is_not_there_is_asked_for_by_the_nearest_name() {
        assert_eq!(
            said("type Query { a: Int @rest(source: \"shpo\", GET: \"/a\") }"),
            "error[UNKNOWN_SOURCE] shop.graphql:2:35\n  \
             2 | type Query { a: Int @rest(source: \"shpo\", GET: \"/a\") }\n    \
             |                                   ^^^^^^ this file declares no source of this name\n  \
             help: did you mean `shop`?\n"
        );
        let grpc = "type Query { a: Int @grpc(source: \"shop\", method: \"a.B/C\") }";
        assert!(said(grpc).contains("this source does not speak gRPC"));
        let none = "type Query { a: Int @grpc(method: \"a.B/C\") }";
        assert!(said(none).contains("[UNKNOWN_SOURCE]"));
        assert!(said(none).contains("this file has no gRPC source"));
    }

    #[test]
    fn one_of_several_sources_must_be_named() {
        let said = said_of(&file(&format!(
            "{TWO}type Query {{ a: Int @rest(GET: \"/a\") }}"
        )));
        assert!(
            said.starts_with("error[AMBIGUOUS_SOURCE] shop.graphql:2:21\n"),
            "{said}"
        );
        assert!(said.contains("help: say which: source: \"shop\""), "{said}");
        let sdl = format!("{TWO}type Query {{ a: Int @rest(source: \"depot\", GET: \"/a\") }}");
        let (lowered, diagnostics) = lowered_files(&file(&sdl));
        assert!(diagnostics.is_empty(), "{diagnostics}");
        assert_eq!(lowered.resolvers[0].source.0, 1);
    }

    #[test]
    fn names_of_sources_are_unique() {
        let sdl = "extend schema @source(name: \"a\", http: { baseURL: \"http://a\" }) @source(name: \"a\", http: { baseURL: \"http://b\" })";
        assert!(said_of(&file(sdl)).starts_with("error[DUPLICATE_SOURCE] shop.graphql:1:79\n"));
    }

    #[test]
    fn the_configuration_beats_the_address_in_the_file() {
        let sdl = "extend schema @source(name: \"shop\", http: { baseURL: \"{$env.SHOP_URL}\" }, timeout: \"2s\", minDeadline: \"1s\")";
        let mut files = file(sdl);
        let given = SourceOverride {
            url: Some("http://given".into()),
            timeout: Some(std::time::Duration::from_millis(5)),
            min_deadline: Some(std::time::Duration::from_millis(7)),
        };
        files.subgraphs[0].sources.insert("shop".into(), given);
        let (lowered, diagnostics) = lowered_files(&files);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let source = &lowered.sources[0];
        assert!(
            matches!(&source.kind, SourceKind::Http { base_url, .. } if base_url == "http://given")
        );
        assert_eq!(source.timeout.map(|it| it.as_millis()), Some(5));
        assert_eq!(source.min_deadline.map(|it| it.as_millis()), Some(7));
    }

    #[test]
    fn an_address_holds_what_is_known_at_the_start_only() {
        let sdl =
            "extend schema @source(name: \"shop\", http: { baseURL: \"http://{$claims.host}\" })";
        let said = said_of(&file(sdl));
        assert!(
            said.starts_with("error[EXPRESSION_NOT_HERE] shop.graphql:1:63\n"),
            "{said}"
        );
        let sdl = "extend schema @source(name: \"shop\", http: { baseURL: \"shop.example\" })";
        assert!(said_of(&file(sdl)).contains("an address begins with http:// or https://"));
    }

    #[test]
    fn a_timeout_longer_than_the_request_is_a_warning() {
        let sdl = "extend schema @source(name: \"shop\", http: { baseURL: \"http://a\" }, timeout: \"1m\")";
        let mut files = file(sdl);
        files.request_timeout = Some(std::time::Duration::from_secs(30));
        let said = said_of(&files);
        assert!(
            said.starts_with("warning[TIMEOUT_EXCEEDS_CALLERS] shop.graphql:1:77\n"),
            "{said}"
        );
    }

    #[test]
    fn header_rules_of_the_configuration_hold_where_the_file_says_nothing_of_the_name() {
        let given = |name: &str, value| GivenHeader {
            name: name.into(),
            value,
        };
        let mut files = file(
            "extend schema @source(name: \"shop\", http: { baseURL: \"http://a\" }, headers: [{ name: \"X-Own\", value: \"file\" }])",
        );
        files.headers.all = vec![
            given("x-own", GivenValue::Text("configuration".into())),
            given("x-tenant", GivenValue::Client("x-tenant".into())),
            given("x-env", GivenValue::Text("live".into())),
        ];
        let own = vec![given("x-env", GivenValue::Nothing)];
        files.headers.sources.insert("shop".into(), own);
        let (lowered, diagnostics) = lowered_files(&files);
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let rules = lowered.sources[0].headers.iter();
        let rules: Vec<_> = rules.map(|it| (&*it.name, it.value.clone())).collect();
        assert_eq!(
            rules,
            [
                ("x-tenant", Expr::Header("x-tenant".into())),
                ("x-env", Expr::Const(Json::Null)),
                ("x-own", Expr::Const("file".into())),
            ]
        );
        files.headers.sources.insert("shp".into(), Vec::new());
        assert_eq!(
            said_of(&files),
            "error[UNKNOWN_SOURCE] headers.sources: there is no source `shp`\n"
        );
    }

    #[test]
    fn a_mutation_that_could_never_begin_is_an_error() {
        let sdl = "extend schema @source(name: \"shop\", http: { baseURL: \"http://a\" }, minDeadline: \"31s\")";
        let mut files = file(sdl);
        files.request_timeout = Some(std::time::Duration::from_secs(30));
        let said = said_of(&files);
        assert!(
            said.starts_with("error[MIN_DEADLINE_EXCEEDS_CALLERS] shop.graphql:1:81\n"),
            "{said}"
        );
        files.request_timeout = Some(std::time::Duration::from_secs(31));
        assert_eq!(said_of(&files), "");
    }

    #[test]
    fn a_source_speaks_one_protocol() {
        let sdl = "extend schema @source(name: \"shop\")";
        assert!(said_of(&file(sdl)).starts_with("error[SOURCE_KIND] shop.graphql:1:29\n"));
    }

    #[test]
    fn the_only_source_need_not_be_named() {
        assert!(SHOP.contains("\"shop\""));
        let shown = printed("type Query { a: Int @rest(GET: \"/a\") }");
        assert_eq!(shown, "Query.a\n  call    shop: GET /a\n  reply   Int\n");
    }
}
