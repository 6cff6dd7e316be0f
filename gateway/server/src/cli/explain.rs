//! `switchboard explain`: how a field is answered, and where each setting comes from.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use anyhow::anyhow;
use compose::SourceOverride;
use compose::Supergraph;
use compose::model::Batch;
use compose::model::BatchOrder;
use compose::model::DemandId;
use compose::model::Demanded;
use compose::model::HeaderRule;
use compose::model::Page;
use compose::model::Read;
use compose::model::ReadPiece;
use compose::model::Request;
use compose::model::Resolver;
use compose::model::Source;
use compose::model::SourceKind;
use compose::model::Target;
use compose::model::TypeDef;
use compose::model::UpstreamPath;
use compose::model::ViewField;
use compose::model::ViewId;
use plan::print::describe_expr;
use plan::print::describe_request;
use plan::print::describe_target;
use sources::Said;
use sources::Told;

use super::ConfigFile;
use super::Failure;
use crate::closest::closest;
use crate::config::Config;

pub(super) fn run(file: &ConfigFile, wanted: &str) -> Result<(), Failure> {
    let (config, graph) = file.compose()?;
    print!("{}", explain(&config, &graph, wanted)?);
    Ok(())
}

/// `Type.field`, or an entity's name.
fn explain(config: &Config, graph: &Supergraph, wanted: &str) -> anyhow::Result<String> {
    let (ty, field) = match wanted.split_once('.') {
        Some((ty, field)) => (ty, Some(field)),
        None => (wanted, None),
    };
    let names = graph.types().keys().map(|name| name.as_str());
    let ty = graph
        .type_def(ty)
        .ok_or_else(|| unknown("type", ty, names))?;
    let mut sheet = Sheet {
        config,
        graph,
        text: String::new(),
    };
    match field {
        Some(field) => sheet.field(ty, field)?,
        None => sheet.entity(ty),
    }
    Ok(sheet.text)
}

fn unknown<'n>(what: &str, wrong: &str, known: impl Iterator<Item = &'n str>) -> anyhow::Error {
    match closest(wrong, known) {
        Some(name) => anyhow!("there is no {what} `{wrong}`: did you mean `{name}`?"),
        None => anyhow!("there is no {what} `{wrong}`"),
    }
}

/// What is printed, growing.
struct Sheet<'g> {
    config: &'g Config,
    graph: &'g Supergraph,
    text: String,
}

impl Sheet<'_> {
    fn entity(&mut self, ty: &TypeDef) {
        self.line(0, &ty.name);
        self.demands(&ty.demands);
        if ty.entity_resolvers.is_empty() {
            self.line(
                1,
                "no resolver fetches it by a key: it is read where a field returns it",
            );
        }
        for id in &ty.entity_resolvers {
            self.resolver(self.graph.resolver(*id));
        }
    }

    fn field(&mut self, ty: &TypeDef, name: &str) -> anyhow::Result<()> {
        let names = ty.fields.keys().map(|name| name.as_str());
        let field = ty
            .fields
            .get(name)
            .ok_or_else(|| unknown("field", name, names))?;
        self.line(0, format_args!("{}.{}: {}", ty.name, field.name, field.ty));
        self.demands(&field.demands);
        for id in &field.resolvers {
            self.resolver(self.graph.resolver(*id));
        }
        self.readers(&ty.name, name);
        if field.resolvers.is_empty() {
            for id in &ty.entity_resolvers {
                self.resolver(self.graph.resolver(*id));
            }
        }
        Ok(())
    }

    /// What a caller must show, and where that is written.
    fn demands(&mut self, demands: &[Demanded]) {
        for demanded in demands {
            let demand = self.graph.demand(demanded.demand);
            let Demanded { element, place, .. } = demanded;
            self.line(
                1,
                format_args!("demands {demand}, says {element} at {place}"),
            );
        }
    }

    /// What the fields demand that a call is keyed by: whatever it brings is protected like them.
    fn inputs(&mut self, resolver: &Resolver) {
        let (Target::Field { ty, .. } | Target::Entity { ty, .. }) = &resolver.target else {
            return;
        };
        for path in &resolver.inputs {
            let mut demands: Vec<DemandId> = self.graph.demands_along(ty, path).collect();
            demands.sort_unstable();
            demands.dedup();
            for demand in demands {
                let demand = self.graph.demand(demand);
                self.entry(
                    "demands",
                    format_args!("{demand}  (it reads {})", path.join(".")),
                );
            }
        }
    }

    /// The replies that carry the field without a call of its own.
    fn readers(&mut self, ty: &str, field: &str) {
        for resolver in self.graph.resolvers() {
            let root = resolver.reply.value.view;
            let found = root.and_then(|view| self.find(view, ty, field, &mut Vec::new()));
            if let Some(read) = found {
                let target = describe_target(&resolver.target);
                self.line(1, format_args!("in replies to {target}: {read}"));
            }
        }
    }

    /// How a view, or one below it, reads a field of a type.
    fn find(&self, id: ViewId, ty: &str, field: &str, seen: &mut Vec<ViewId>) -> Option<String> {
        if seen.contains(&id) {
            return None;
        }
        seen.push(id);
        let view = self.graph.view(id);
        if view.ty == ty
            && let Some(found) = view.fields.get(field)
        {
            return Some(describe_read(&found.read));
        }
        let below = view.fields.values().filter_map(|field| field.view);
        let variants = view.variants.iter().map(|variant| variant.view);
        below
            .chain(variants)
            .find_map(|view| self.find(view, ty, field, seen))
    }

    fn resolver(&mut self, resolver: &Resolver) {
        let source = self.graph.source(resolver.source);
        let target = describe_target(&resolver.target);
        self.line(
            1,
            format_args!("{target} is called, says {}", resolver.place),
        );
        self.entry("request", describe_request(resolver));
        self.inputs(resolver);
        self.address(source);
        self.headers(resolver, source);
        if let Some(batch) = &resolver.batch {
            self.entry("batch", describe_batch(resolver, batch));
        }
        if let Some(page) = &resolver.page {
            self.entry("pages", describe_page(page));
        }
        if !resolver.reply.unwrap.is_empty() {
            self.entry("result", dotted(&resolver.reply.unwrap));
        }
        self.reads(&resolver.reply.value);
        self.contract(source);
        self.policy(resolver, source);
    }

    fn address(&mut self, source: &Source) {
        let overridden = self.config.sources.sources.get(&source.name);
        let declared = source.kind.url();
        match overridden.and_then(|source| source.url.as_ref()) {
            Some(url) => {
                let from = self.override_key(source, "url");
                self.entry("address", format_args!("{url}  ({from})"));
            }
            None => {
                let from = self.declaration(source);
                self.entry("address", format_args!("{declared}  ({from})"));
            }
        }
    }

    fn headers(&mut self, resolver: &Resolver, source: &Source) {
        let own = match &resolver.request {
            Request::Rest(request) => &request.headers,
            Request::Grpc(request) => &request.metadata,
            // It has those of its source.
            Request::Graphql(_) => &Vec::new(),
        };
        let describe =
            |rule: &HeaderRule| format!("{}: {}", rule.name, describe_expr(resolver, &rule.value));
        for rule in own {
            self.entry(
                "header",
                format_args!("{}  ({})", describe(rule), resolver.place),
            );
        }
        let hidden = |name: &str| own.iter().any(|rule| rule.name == name);
        let declared = self.declaration(source);
        let given = self.config.headers.of(&source.name);
        for rule in source.headers.iter().filter(|rule| !hidden(&rule.name)) {
            let from = match given.contains(rule) {
                true => &format!("{}: headers", self.config.path.display()),
                false => &declared,
            };
            self.entry("header", format_args!("{}  ({from})", describe(rule)));
        }
        let configured = self.config.sources.sources.get(&source.name);
        let from = self.override_key(source, "headers");
        // Their values may be secrets.
        for (name, _) in configured.iter().flat_map(|source| &source.headers) {
            self.entry("header", format_args!("{name}: …  ({from})"));
        }
    }

    /// A reference is told with what its key is made of.
    fn describe_field(&self, field: &ViewField) -> String {
        let read = describe_read(&field.read);
        let Some(view) = field.view.filter(|_| is_reference(&field.read)) else {
            return read;
        };
        let fields = self.graph.view(view).fields.iter();
        let keys = fields.map(|(name, key)| format!("{name}: {}", describe_read(&key.read)));
        format!("{read} {{ {} }}", keys.collect::<Vec<_>>().join(", "))
    }

    fn reads(&mut self, value: &ViewField) {
        let Some(view) = value.view.map(|id| self.graph.view(id)) else {
            return self.entry("reads", describe_read(&value.read));
        };
        for (name, field) in &view.fields {
            let format = field.format.map(|format| format!(" as {format:?}"));
            let read = self.describe_field(field);
            let format = format.unwrap_or_default();
            self.entry(
                "reads",
                format_args!("{}.{name} <- {read}{format}", view.ty),
            );
        }
        for variant in &view.variants {
            let value = variant.value.as_deref().unwrap_or("anything else");
            let at = view.discriminator.as_ref().map(dotted).unwrap_or_default();
            self.entry(
                "reads",
                format_args!("{} where {at} is {value}", variant.ty),
            );
        }
    }

    fn contract(&mut self, source: &Source) {
        let checked = match &source.kind {
            SourceKind::Http {
                contract: Some(_), ..
            } => "checked against its OpenAPI document",
            SourceKind::Http { .. } => "replies are not checked: no openapi document is named",
            SourceKind::Grpc { .. } => "checked against its proto descriptors",
            SourceKind::Graphql { .. } => {
                "the service checks each operation; nothing is checked before"
            }
        };
        self.entry("contract", checked);
    }

    fn policy(&mut self, resolver: &Resolver, source: &Source) {
        let policy = &resolver.policy;
        let (timeout, from) = self.timeout(resolver, source);
        self.entry("timeout", format_args!("{timeout:?}  ({from})"));
        self.min_deadline(resolver, source);
        let connect = self.config.sources.connect_timeout;
        self.entry("connect", format_args!("{connect:?}  (timeouts.connect)"));
        if let Some(fanout) = policy.fanout {
            self.entry(
                "fanout",
                format_args!("at most {fanout} calls a step  ({})", resolver.place),
            );
        }
        let not_found = match policy.not_found_is_error {
            true => "an error",
            false => "null, where the field allows it",
        };
        self.entry("not found", not_found);
        for Told { name, value, said } in sources::explain(&self.config.sources, source, resolver) {
            let from = match said {
                Said::Operation => resolver.place.clone(),
                Said::Configuration => self.override_key(source, "resilience"),
                Said::Source => self.declaration(source),
                Said::Everywhere => "resilience".to_owned(),
                Said::Nobody => "default".to_owned(),
            };
            self.entry(name, format_args!("{value}  ({from})"));
        }
    }

    /// The operation's own beats the configuration's, which beats the source's, which beats the default.
    fn timeout(&self, resolver: &Resolver, source: &Source) -> (Duration, String) {
        let overridden = self.config.sources.sources.get(&source.name);
        match (
            resolver.policy.timeout,
            overridden.and_then(|source| source.timeout),
            source.timeout,
        ) {
            (Some(own), ..) => (own, resolver.place.clone()),
            (_, Some(own), _) => (own, self.override_key(source, "timeout")),
            (_, _, Some(own)) => (own, self.declaration(source)),
            _ => (self.config.sources.timeout, "timeouts.upstream".into()),
        }
    }

    /// For what changes something: reads begin however little time is left.
    fn min_deadline(&mut self, resolver: &Resolver, source: &Source) {
        let mutates = matches!(resolver.target, Target::Root { mutation: true, .. });
        let Some(least) = source.min_deadline.filter(|_| mutates) else {
            return;
        };
        let of_subgraphs = self.config.subgraphs.iter().map(|it| &it.sources);
        let of_supergraph = self.config.supergraph.iter().map(|it| &it.sources);
        let mut given = of_subgraphs.chain(of_supergraph);
        let overridden = |given: &BTreeMap<String, SourceOverride>| {
            let given = given.get(&source.name);
            given.is_some_and(|given| given.min_deadline.is_some())
        };
        let from = match given.any(overridden) {
            true => self.override_key(source, "min_deadline"),
            false => self.declaration(source),
        };
        self.entry(
            "at least",
            format_args!("{least:?} left to begin  ({from})"),
        );
    }

    fn override_key(&self, source: &Source, key: &str) -> String {
        let subgraph = &self.graph.subgraphs()[source.subgraph.index()].name;
        let file = self.config.path.display();
        if self.config.supergraph.is_some() {
            return format!("{file}: supergraph.sources.{}.{key}", source.name);
        }
        format!("{file}: subgraphs.{subgraph}.sources.{}.{key}", source.name)
    }

    fn declaration(&self, source: &Source) -> String {
        let file = &self.graph.subgraphs()[source.subgraph.index()].file;
        format!("{file}: @source(name: {:?})", source.name)
    }

    fn entry(&mut self, name: &str, value: impl Display) {
        self.line(2, format_args!("{name:<12}{value}"));
    }

    fn line(&mut self, depth: usize, line: impl Display) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(&line.to_string());
        self.text.push('\n');
    }
}

fn describe_batch(resolver: &Resolver, batch: &Batch) -> String {
    let by = |by: &compose::model::BatchBy| {
        let input = resolver.inputs.get(by.input).map(|path| path.join("."));
        format!("{} = {}", input.unwrap_or_default(), dotted(&by.path))
    };
    let order = match batch.order {
        BatchOrder::Keyed => {
            let keys: Vec<String> = batch.by.iter().map(by).collect();
            format!("by {}", keys.join(", "))
        }
        BatchOrder::Positional => "by position".into(),
    };
    let window = batch
        .window
        .map(|window| format!(", gathered for {window:?}"));
    let limit = batch.limit.as_ref();
    let limit = limit.map(|limit| format!(", cut to {}", describe_expr(resolver, limit)));
    format!(
        "one call for up to {} parents, {order}{}{}",
        batch.max,
        window.unwrap_or_default(),
        limit.unwrap_or_default()
    )
}

fn describe_page(page: &Page) -> String {
    let follow = match page.follow {
        Some(pages) => format!("read on for at most {pages} pages"),
        None => "one page a call".into(),
    };
    format!(
        "{:?}, at most {} items each, {follow}",
        page.style, page.max_size
    )
}

fn is_reference(read: &Read) -> bool {
    matches!(read, Read::Embedded | Read::ListOf(_))
}

fn describe_read(read: &Read) -> String {
    match read {
        Read::Path(path) if path.is_empty() => "the value itself".into(),
        Read::Path(path) => dotted(path),
        Read::Embedded => "the same object".into(),
        Read::ListOf(path) => format!("one for each of {}", dotted(path)),
        Read::FirstOf(options) => {
            let options: Vec<String> = options.iter().map(describe_read).collect();
            options.join(" ?? ")
        }
        Read::Template(pieces) => {
            let piece = |piece: &ReadPiece| match piece {
                ReadPiece::Text(text) => text.clone(),
                ReadPiece::Path(path) => format!("{{{}}}", dotted(path)),
            };
            format!("\"{}\"", pieces.iter().map(piece).collect::<String>())
        }
        Read::Const(value) => value.to_string(),
        Read::Status => "$status".into(),
    }
}

fn dotted(path: &UpstreamPath) -> String {
    path.join(".")
}
