//! Resolvers as text, for people: what is called, with what, and how the reply is read.

use std::fmt::{self, Display, Write};

use crate::model::{
    Batch, BatchOrder, Encoding, EncodingId, Expr, FieldPath, GraphqlRequest, GraphqlValue,
    GrpcRequest, HeaderRule, Outward, Page, Piece, Policy, QueueRule, Read, ReadPiece, ReplyRule,
    Request, Resolver, RestRequest, Source, Target, View, ViewField, ViewId,
};

/// Views are printed to this depth; those that contain themselves would not end.
const MAX_DEPTH: usize = 4;

/// The tables that a resolver refers to.
#[derive(Clone, Copy)]
pub(crate) struct Tables<'a> {
    pub(crate) sources: &'a [Source],
    pub(crate) views: &'a [View],
    pub(crate) encodings: &'a [Encoding],
}

/// A resolver with what it refers to.
pub(crate) struct Printed<'a> {
    pub(crate) tables: Tables<'a>,
    pub(crate) resolver: &'a Resolver,
}

impl Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Printed { tables, resolver } = *self;
        writeln!(f, "{}", target(&resolver.target))?;
        let source = &tables.sources[resolver.source.index()].name;
        let shown = Shown { tables, resolver };
        writeln!(f, "  call    {source}: {}", shown.request())?;
        if let Some(batch) = &resolver.batch {
            writeln!(f, "  batch   {}", shown.batch(batch))?;
        }
        if let Some(page) = &resolver.page {
            writeln!(f, "  page    {}", shown.page(page))?;
        }
        if let Some(queue) = &resolver.queue {
            writeln!(f, "  queue   {}", shown.queue(queue))?;
        }
        writeln!(f, "  reply   {}", shown.reply(&resolver.reply))?;
        match policy(&resolver.policy).as_str() {
            "" => Ok(()),
            policy => writeln!(f, "  policy  {policy}"),
        }
    }
}

struct Shown<'a> {
    tables: Tables<'a>,
    resolver: &'a Resolver,
}

impl Shown<'_> {
    fn request(&self) -> String {
        match &self.resolver.request {
            Request::Rest(rest) => self.rest(rest),
            Request::Grpc(grpc) => self.grpc(grpc),
            Request::Graphql(graphql) => self.graphql(graphql),
        }
    }

    fn graphql(&self, graphql: &GraphqlRequest) -> String {
        let operation = if graphql.mutation {
            "mutation"
        } else {
            "query"
        };
        let text = format!("{operation} {}", graphql.field);
        let text = match graphql.args.as_slice() {
            [] => text,
            args => format!("{text}({})", self.graphql_fields(args)),
        };
        match &graphql.on {
            Some(on) => format!("{text} {{ ... on {on} }}"),
            None => text,
        }
    }

    fn graphql_fields(&self, fields: &[(String, GraphqlValue)]) -> String {
        let fields = fields.iter();
        let shown = fields.map(|(name, value)| format!("{name}: {}", self.graphql_value(value)));
        shown.collect::<Vec<_>>().join(", ")
    }

    fn graphql_value(&self, value: &GraphqlValue) -> String {
        match value {
            GraphqlValue::Const(json) => json.to_string(),
            GraphqlValue::Enum(name) => name.to_string(),
            GraphqlValue::Variable { ty, value } => format!("{} ({ty})", self.expr(value)),
            GraphqlValue::Object(fields) => format!("{{ {} }}", self.graphql_fields(fields)),
            GraphqlValue::List(items) => {
                let items = items.iter().map(|item| self.graphql_value(item));
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn rest(&self, rest: &RestRequest) -> String {
        let mut text = format!("{} {}", rest.method.as_str(), self.pieces(&rest.path));
        for (index, parameter) in rest.query.iter().enumerate() {
            let before = if index == 0 { '?' } else { '&' };
            let value = self.expr(&parameter.value);
            let _ = write!(text, "{before}{}={value}", parameter.name);
        }
        if let Some(body) = &rest.body {
            let _ = write!(text, " body {}", self.expr(body));
        }
        text + &self.headers(&rest.headers)
    }

    fn grpc(&self, grpc: &GrpcRequest) -> String {
        let mut text = format!("{} {}", grpc.method.full_name(), self.expr(&grpc.message));
        if let Some(mask) = &grpc.field_mask {
            let _ = write!(text, " mask {mask}");
        }
        if grpc.method.is_server_streaming() && grpc.max_messages < u32::MAX {
            let _ = write!(text, " at most {}", grpc.max_messages);
        }
        text + &self.headers(&grpc.metadata)
    }

    fn headers(&self, headers: &[HeaderRule]) -> String {
        let rules = headers.iter();
        rules
            .map(|rule| format!(" {}: {}", rule.name, self.expr(&rule.value)))
            .collect()
    }

    fn pieces(&self, pieces: &[Piece]) -> String {
        let shown = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hole(hole) => format!("{{{}}}", self.expr(hole)),
        });
        shown.collect()
    }

    fn expr(&self, expr: &Expr) -> String {
        match expr {
            Expr::Const(json) => json.to_string(),
            Expr::Arg { path, encode } => {
                format!("$args.{}{}", path.join("."), self.encoding(*encode))
            }
            Expr::Parent { input, encode } => {
                format!("$this.{}{}", self.input(*input), self.encoding(*encode))
            }
            Expr::Batch { input, encode } => {
                format!("$batch.{}{}", self.input(*input), self.encoding(*encode))
            }
            Expr::Each(each) | Expr::Representations(each) => {
                format!("[each {}]", self.expr(each))
            }
            Expr::Claim(path) => format!("$claims.{}", path.join(".")),
            Expr::Header(name) => format!("$request.headers.{name}"),
            Expr::FirstOf(all) => self.exprs(all, " ?? "),
            Expr::Template(pieces) => format!("'{}'", self.pieces(pieces)),
            Expr::List(all) => format!("[{}]", self.exprs(all, ", ")),
            Expr::Object(entries) => {
                let entries = entries.iter();
                let shown = entries.map(|(name, value)| format!("{name}: {}", self.expr(value)));
                format!("{{ {} }}", shown.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn exprs(&self, all: &[Expr], by: &str) -> String {
        let shown: Vec<String> = all.iter().map(|it| self.expr(it)).collect();
        shown.join(by)
    }

    fn input(&self, index: usize) -> String {
        dotted(&self.resolver.inputs[index])
    }

    fn encoding(&self, id: EncodingId) -> String {
        match self.encoding_at(id, 0) {
            text if text.is_empty() => text,
            text => format!(" as {text}"),
        }
    }

    fn encoding_at(&self, id: EncodingId, depth: usize) -> String {
        match &self.tables.encodings[id.index()] {
            _ if depth > MAX_DEPTH => "…".to_owned(),
            Encoding::AsIs => String::new(),
            Encoding::Leaf(Outward::Format(format)) => format!("{format:?}"),
            Encoding::Leaf(outward) => format!("{outward:?}").to_lowercase(),
            Encoding::Enum(values) => {
                let values = values.iter().map(|(name, value)| format!("{name}={value}"));
                format!("({})", values.collect::<Vec<_>>().join(" "))
            }
            Encoding::List(item) => format!("[{}]", self.encoding_at(*item, depth + 1)),
            Encoding::Object(fields) => {
                let fields = fields.values().map(|(name, encode)| {
                    match self.encoding_at(*encode, depth + 1).as_str() {
                        "" => name.clone(),
                        encoding => format!("{name} {encoding}"),
                    }
                });
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn batch(&self, batch: &Batch) -> String {
        let by = batch.by.iter().map(|by| {
            let path = by.path.join(".");
            format!("{}={path} {}", self.input(by.input), by.ty)
        });
        let by: Vec<String> = by.collect();
        let mut text = match batch.order {
            BatchOrder::Keyed => format!("by {}", by.join(" and ")),
            BatchOrder::Positional => "by position".to_owned(),
        };
        let _ = write!(text, ", at most {}", batch.max);
        if let Some(window) = batch.window {
            let _ = write!(text, ", window {window:?}");
        }
        if let Some(limit) = &batch.limit {
            let _ = write!(text, ", limit {}", self.expr(limit));
        }
        let many = if batch.to_many { ", to many" } else { "" };
        text + many
    }

    fn queue(&self, queue: &QueueRule) -> String {
        let mut words = vec![queue.name.clone()];
        words.extend(
            queue
                .key
                .iter()
                .map(|key| format!("key {}", self.expr(key))),
        );
        let window = queue.dedupe_window;
        let dedupe = queue.dedupe.iter();
        words.extend(dedupe.map(|it| format!("dedupe {} for {window:?}", self.expr(it))));
        words.extend(queue.delay.map(|delay| format!("after {delay:?}")));
        words.push(format!("for at most {:?}", queue.ttl));
        let attempts = queue.retry.as_ref().and_then(|it| it.attempts);
        words.extend(attempts.map(|it| format!("{it} attempts")));
        if queue.blocks {
            words.push("blocks its key".to_owned());
        }
        words.join(", ")
    }

    fn page(&self, page: &Page) -> String {
        let mut text = format!("{:?} at most {}", page.style, page.max_size);
        let names = [("size", &page.size), ("at", &page.at)];
        for (what, name) in names {
            if let Some(name) = name {
                let _ = write!(text, ", {what} {name}");
            }
        }
        let paths = [
            ("next", &page.next),
            ("more", &page.has_more),
            ("total", &page.total),
        ];
        for (what, path) in paths {
            if let Some(path) = path {
                let _ = write!(text, ", {what} {}", path.join("."));
            }
        }
        for (what, expr) in [("first", &page.first), ("after", &page.after)] {
            if let Some(expr) = expr {
                let _ = write!(text, ", {what} {}", self.expr(expr));
            }
        }
        if let Some(follow) = page.follow {
            let _ = write!(text, ", follow {follow}");
        }
        text
    }

    fn reply(&self, reply: &ReplyRule) -> String {
        let mut text = String::new();
        if !reply.unwrap.is_empty() {
            let _ = write!(text, "{} → ", reply.unwrap.join("."));
        }
        let _ = write!(text, "{}", reply.ty);
        let connection = reply.connection.is_some();
        if connection {
            let _ = write!(text, " of {}", reply.value.ty);
        }
        match &reply.value.read {
            Read::Path(path) if path.is_empty() => {}
            other => {
                let _ = write!(text, " {}", read(other));
            }
        }
        text + &self.below(&reply.value, 0)
    }

    /// What follows a field's name and place: its format, default, enum and view.
    fn below(&self, field: &ViewField, depth: usize) -> String {
        let mut text = String::new();
        if let Some(format) = field.format {
            let _ = write!(text, " {format:?}");
        }
        if let Some(default) = &field.default {
            let _ = write!(text, " default {default}");
        }
        if let Some(values) = &field.enum_values {
            let values = values.iter().map(|(value, name)| format!("{value}={name}"));
            let _ = write!(text, " ({})", values.collect::<Vec<_>>().join(" "));
        }
        if let Some(view) = field.view {
            let _ = write!(text, " {}", self.view(view, depth));
        }
        text
    }

    fn view(&self, id: ViewId, depth: usize) -> String {
        let view = &self.tables.views[id.index()];
        if depth > MAX_DEPTH {
            return "{ … }".to_owned();
        }
        if !view.variants.is_empty() {
            return self.variants(view, depth);
        }
        let fields = view.fields.iter().map(|(name, field)| {
            let place = match &field.read {
                Read::Path(path) if path.len() == 1 && path[0] == name.as_str() => String::new(),
                other => format!(": {}", read(other)),
            };
            let args: Vec<String> = field.args.iter().map(|arg| arg.name.to_string()).collect();
            let args = match args.as_slice() {
                [] => String::new(),
                args => format!("({})", args.join(", ")),
            };
            format!("{name}{args}{place}{}", self.below(field, depth + 1))
        });
        format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
    }

    fn variants(&self, view: &View, depth: usize) -> String {
        let variants = view.variants.iter().map(|variant| {
            let tag = variant.value.as_deref().unwrap_or("*");
            let status: String = variant
                .status
                .iter()
                .map(|status| format!(" {status}"))
                .collect();
            format!(
                "{tag}{status} → {} {}",
                variant.ty,
                self.view(variant.view, depth + 1)
            )
        });
        let by = view.discriminator.as_ref().map(|path| path.join("."));
        let by = by.unwrap_or_else(|| "status".to_owned());
        format!("by {by} ( {} )", variants.collect::<Vec<_>>().join(" | "))
    }
}

fn target(target: &Target) -> String {
    match target {
        Target::Root { ty, field, .. } | Target::Field { ty, field } => format!("{ty}.{field}"),
        Target::Entity { ty, key } => {
            let key: Vec<String> = key.iter().map(dotted).collect();
            format!("{ty} by {}", key.join(" "))
        }
    }
}

fn read(read_of: &Read) -> String {
    match read_of {
        Read::Path(path) if path.is_empty() => "it".to_owned(),
        Read::Path(path) => path.join("."),
        Read::Embedded => "the same object".to_owned(),
        Read::ListOf(path) => format!("each of {}", path.join(".")),
        Read::FirstOf(all) => all.iter().map(read).collect::<Vec<_>>().join(" ?? "),
        Read::Const(json) => json.to_string(),
        Read::Status => "$status".to_owned(),
        Read::Template(pieces) => {
            let pieces = pieces.iter().map(|piece| match piece {
                ReadPiece::Text(text) => text.clone(),
                ReadPiece::Path(path) => format!("{{{}}}", path.join(".")),
            });
            format!("'{}'", pieces.collect::<String>())
        }
    }
}

fn policy(policy: &Policy) -> String {
    let mut words = Vec::new();
    if !policy.idempotent {
        words.push("once only".to_owned());
    }
    let durations = [
        ("timeout", policy.timeout),
        ("stale if error", policy.stale_if_error),
    ];
    for (name, duration) in durations {
        words.extend(duration.map(|it| format!("{name} {it:?}")));
    }
    words.extend(policy.fanout.map(|it| format!("fanout {it}")));
    if policy.not_found_is_error {
        words.push("not found is an error".to_owned());
    }
    if policy.hedge {
        words.push("hedged".to_owned());
    }
    let attempts = policy.retry.as_ref().and_then(|it| it.attempts);
    words.extend(attempts.map(|it| format!("{it} attempts")));
    if let Some(message) = &policy.errors.message {
        words.push(format!("error message {}", read(message)));
    }
    words.join(", ")
}

fn dotted(path: &FieldPath) -> String {
    let names: Vec<&str> = path.iter().map(|name| name.as_str()).collect();
    names.join(".")
}
