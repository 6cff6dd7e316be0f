//! Plans for people: as text, and as rows for the playground.
//!
//! Owns the words in which steps and requests are described. Nothing is decided here.

use std::fmt;

use compose::model::Expr;
use compose::model::GraphqlRequest;
use compose::model::GraphqlValue;
use compose::model::Piece;
use compose::model::Request;
use compose::model::Resolver;
use compose::model::RestRequest;
use compose::model::SourceKind;
use compose::model::Target;
use indexmap::IndexSet;

use crate::model::OutField;
use crate::model::OutKind;
use crate::model::Plan;
use crate::model::Selection;
use crate::model::Step;
use crate::model::Term;

/// One step, described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSummary {
    /// Its number.
    pub id: usize,
    /// `REST` or `GRPC`.
    pub kind: &'static str,
    /// The source's name.
    pub source: String,
    /// What it resolves: `Query.products`, or `User` for an entity.
    pub field: String,
    /// The request: `GET /users?id={$batch.id}`.
    pub call: String,
    /// One call for all parents.
    pub batch: bool,
    /// At most this many calls in parallel, where there is no batch.
    pub fanout: Option<u32>,
    /// The steps that it waits for.
    pub depends_on: Vec<usize>,
    /// What it is sent of each entity beside the key: `weight`.
    pub requires: String,
    /// What it reads: `id name`.
    pub selects: String,
    /// `@include` and `@skip` that decide whether it runs.
    pub condition: Option<String>,
    /// The queue that the call is put on instead of being made.
    pub queue: Option<String>,
}

impl Plan {
    /// Every step, described.
    pub fn summary(&self) -> Vec<StepSummary> {
        self.steps()
            .iter()
            .map(|step| self.summarise(step))
            .collect()
    }

    fn summarise(&self, step: &Step) -> StepSummary {
        let resolver = self.supergraph().resolver(step.resolver);
        let source = self.supergraph().source(resolver.source);
        StepSummary {
            id: step.id,
            kind: match source.kind {
                SourceKind::Http { .. } => "REST",
                SourceKind::Grpc { .. } => "GRPC",
                SourceKind::Graphql { .. } => "GRAPHQL",
            },
            source: source.name.clone(),
            field: describe_target(&resolver.target),
            call: describe_request(resolver),
            batch: resolver.batch.is_some(),
            fanout: resolver.policy.fanout,
            depends_on: step.after.clone(),
            requires: step.representation.as_ref().map(names).unwrap_or_default(),
            selects: step.selects.clone(),
            condition: step.condition.map(|id| self.describe_condition(id)),
            queue: resolver.queue.as_ref().map(|queue| queue.name.clone()),
        }
    }

    fn describe_condition(&self, id: u32) -> String {
        let condition = &self.conditions()[id as usize];
        let all = |terms: &Vec<Term>| {
            let terms = terms.iter().map(|term| self.describe_term(*term));
            terms.collect::<Vec<_>>().join(" and ")
        };
        condition
            .any
            .iter()
            .map(all)
            .collect::<Vec<_>>()
            .join(" or ")
    }

    fn describe_term(&self, term: Term) -> String {
        let index = term.variable as usize;
        match (self.variables().get(index), term.equals) {
            (Some(variable), true) => format!("${}", variable.name),
            (Some(variable), false) => format!("not ${}", variable.name),
            (None, _) => self.describe_demand(index - self.variables().len()),
        }
    }

    fn describe_demand(&self, index: usize) -> String {
        let asked = &self.demands()[index];
        self.supergraph().demand(asked.demand).to_string()
    }

    /// Sequential calls from the first to the last answer.
    pub fn depth(&self) -> usize {
        let mut depths = Vec::with_capacity(self.steps().len());
        for step in self.steps() {
            let before = step.after.iter().map(|s| depths[*s]).max().unwrap_or(0);
            depths.push(before + 1);
        }
        depths.into_iter().max().unwrap_or(0)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.is_mutation(), self.is_subscription()) {
            (true, _) => "mutation",
            (_, true) => "subscription",
            _ => "query",
        };
        match self.steps().len() {
            1 if self.is_subscription() => writeln!(f, "{kind}: events")?,
            2 if self.is_subscription() => writeln!(f, "{kind}: events, and 1 step for each")?,
            n if self.is_subscription() => {
                writeln!(f, "{kind}: events, and {} steps for each", n - 1)?;
            }
            0 => writeln!(f, "{kind}: answered without any call")?,
            1 => writeln!(f, "{kind}: 1 step")?,
            n if self.depth() == 1 => writeln!(f, "{kind}: {n} steps at once")?,
            n => writeln!(
                f,
                "{kind}: {n} steps, at most {} one after another",
                self.depth()
            )?,
        }
        let summary = self.summary();
        for (step, row) in self.steps().iter().zip(&summary) {
            if step.parents.is_none() {
                self.fmt_step(f, row, &summary, 1)?;
            }
        }
        self.fmt_demands(f)
    }
}

impl Plan {
    fn fmt_demands(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, asked) in self.demands().iter().enumerate() {
            let demand = self.describe_demand(index);
            writeln!(f, "  {demand} protects {}", asked.protects.join(", "))?;
        }
        Ok(())
    }

    fn fmt_step(
        &self,
        f: &mut fmt::Formatter<'_>,
        row: &StepSummary,
        all: &[StepSummary],
        depth: usize,
    ) -> fmt::Result {
        writeln!(f, "{}{row}", "  ".repeat(depth))?;
        for (step, child) in self.steps().iter().zip(all) {
            if step
                .parents
                .as_ref()
                .is_some_and(|parents| parents.step == row.id)
            {
                self.fmt_step(f, child, all, depth + 1)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for StepSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{}] {} from {}: {}",
            self.id, self.field, self.source, self.call
        )?;
        match (self.batch, self.fanout, self.depends_on.as_slice()) {
            (true, ..) => write!(f, "  (one call for all parents)")?,
            (false, Some(n), [_, ..]) => write!(f, "  (one call per parent, at most {n})")?,
            _ => {}
        }
        if !self.requires.is_empty() {
            write!(f, "  (sent with {{ {} }})", self.requires)?;
        }
        if let Some(queue) = &self.queue {
            write!(f, "  (made durable on queue {queue})")?;
        }
        if self.depends_on.len() > 1 {
            let steps: Vec<String> = self.depends_on.iter().map(|s| format!("[{s}]")).collect();
            write!(f, "  after {}", steps.join(" and "))?;
        }
        if let Some(condition) = &self.condition {
            write!(f, "  if {condition}")?;
        }
        match self.selects.is_empty() {
            true => Ok(()),
            false => write!(f, "  -> {{ {} }}", self.selects),
        }
    }
}

/// The response keys of a selection: `weight size { width }`.
fn names(selection: &Selection) -> String {
    let name = |field: &OutField| match field.ty.innermost() {
        (_, OutKind::Object(selections)) => {
            let below = selections.iter().map(|(_, selection)| names(selection));
            let below: IndexSet<String> = below.collect();
            let below: Vec<String> = below.into_iter().collect();
            format!("{} {{ {} }}", field.name, below.join(" | "))
        }
        _ => field.name.to_string(),
    };
    selection
        .fields
        .iter()
        .map(name)
        .collect::<Vec<_>>()
        .join(" ")
}

/// What a resolver resolves: `Query.products`, or `User` for an entity.
pub fn describe_target(target: &Target) -> String {
    match target {
        Target::Root { ty, field, .. } | Target::Field { ty, field } => format!("{ty}.{field}"),
        Target::Entity { ty, .. } => ty.to_string(),
    }
}

/// A resolver's request with its holes: `GET /users?id={$batch.id}`.
pub fn describe_request(resolver: &Resolver) -> String {
    match &resolver.request {
        Request::Rest(request) => describe_rest(resolver, request),
        Request::Grpc(request) => format!(
            "{}/{} {}",
            request.method.parent_service().full_name(),
            request.method.name(),
            describe_expr(resolver, &request.message)
        ),
        Request::Graphql(request) => describe_graphql(resolver, request),
    }
}

fn describe_graphql(resolver: &Resolver, request: &GraphqlRequest) -> String {
    let operation = if request.mutation {
        "mutation"
    } else {
        "query"
    };
    let text = format!("{operation} {}", request.field);
    match request.args.as_slice() {
        [] => text,
        args => format!("{text}({})", graphql_fields(resolver, args)),
    }
}

fn graphql_fields(resolver: &Resolver, fields: &[(String, GraphqlValue)]) -> String {
    let field = |(name, value): &(String, GraphqlValue)| {
        format!("{name}: {}", graphql_value(resolver, value))
    };
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}

fn graphql_value(resolver: &Resolver, value: &GraphqlValue) -> String {
    match value {
        GraphqlValue::Const(value) => value.to_string(),
        GraphqlValue::Enum(name) => name.to_string(),
        GraphqlValue::Variable { value, .. } => describe_expr(resolver, value),
        GraphqlValue::Object(fields) => format!("{{{}}}", graphql_fields(resolver, fields)),
        GraphqlValue::List(items) => {
            let items = items.iter().map(|item| graphql_value(resolver, item));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
    }
}

fn describe_rest(resolver: &Resolver, request: &RestRequest) -> String {
    let mut text = format!(
        "{} {}",
        request.method.as_str(),
        pieces(resolver, &request.path)
    );
    for (index, param) in request.query.iter().enumerate() {
        let mark = if index == 0 { '?' } else { '&' };
        text.push_str(&format!(
            "{mark}{}={}",
            param.name,
            hole(resolver, &param.value)
        ));
    }
    if let Some(body) = &request.body {
        text.push(' ');
        text.push_str(&describe_expr(resolver, body));
    }
    text
}

fn pieces(resolver: &Resolver, pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hole(expr) => hole(resolver, expr),
        })
        .collect()
}

fn hole(resolver: &Resolver, expr: &Expr) -> String {
    match expr {
        Expr::Const(serde_json::Value::String(text)) => text.clone(),
        Expr::Const(value) => value.to_string(),
        Expr::Template(template) => pieces(resolver, template),
        expr => format!("{{{}}}", describe_expr(resolver, expr)),
    }
}

/// An expression as the subgraph file would write it.
pub fn describe_expr(resolver: &Resolver, expr: &Expr) -> String {
    let input = |index: usize| {
        let path = resolver.inputs.get(index).into_iter().flatten();
        path.map(|name| name.as_str()).collect::<Vec<_>>().join(".")
    };
    let list = |items: &[Expr], between: &str| {
        let items = items.iter().map(|item| describe_expr(resolver, item));
        items.collect::<Vec<_>>().join(between)
    };
    match expr {
        Expr::Const(value) => value.to_string(),
        Expr::Arg { path, .. } => format!("$args.{}", path.join(".")),
        Expr::Parent { input: index, .. } => format!("$this.{}", input(*index)),
        Expr::Batch { input: index, .. } => format!("$batch.{}", input(*index)),
        Expr::Each(item) | Expr::Representations(item) => {
            format!("[{}]", describe_expr(resolver, item))
        }
        Expr::Claim(path) => format!("$claims.{}", path.join(".")),
        Expr::Header(name) => format!("$request.headers.{name}"),
        Expr::FirstOf(options) => list(options, " ?? "),
        Expr::Template(template) => format!("\"{}\"", pieces(resolver, template)),
        Expr::List(items) => format!("[{}]", list(items, ", ")),
        Expr::Object(fields) => {
            let field = |(name, value): &(String, Expr)| {
                format!("{name}: {}", describe_expr(resolver, value))
            };
            format!(
                "{{{}}}",
                fields.iter().map(field).collect::<Vec<_>>().join(", ")
            )
        }
    }
}
