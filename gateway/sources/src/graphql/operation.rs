//! The operation that a service is asked: its text, and where its variables come from.
//!
//! Owns writing a selection from the shape that a plan wants. The text depends
//! on the plan's step alone, so it is written once for each plan. What a client
//! sent never stands in it: that travels in variables.

use std::fmt::Write as _;

use compose::model::EncodingId;
use compose::model::Expr;
use compose::model::GraphqlRequest;
use compose::model::GraphqlValue;
use compose::model::Resolver;
use compose::model::Target;
use plan::shape::AbstractShape;
use plan::shape::AskedArg;
use plan::shape::Included;
use plan::shape::Prop;
use plan::shape::Props;
use plan::shape::ReplyShape;
use plan::shape::Shape;
use serde_json::Map;
use serde_json::Value as Json;

use crate::render;
use crate::render::RenderError;
use crate::render::Scope;

/// An operation of one plan step.
#[derive(Debug)]
pub(super) struct Operation {
    /// `query` or `mutation`, and its name.
    pub(super) title: String,
    pub(super) name: String,
    pub(super) text: String,
    /// The field of the root type.
    pub(super) field: String,
    /// The root field with its arguments and what is selected of it.
    root: String,
    /// Where names of variables end in it.
    ends: Vec<usize>,
    /// The request's body up to the variables.
    head: String,
    variables: Vec<Variable>,
}

#[derive(Debug)]
struct Variable {
    name: String,
    ty: String,
    from: From,
}

/// Where a variable's value comes from.
#[derive(Debug, PartialEq)]
enum From {
    /// The request's own mapping.
    Mapping(Expr),
    /// An argument of a field below, by its index.
    Below(u32, EncodingId),
}

impl Operation {
    /// What fills the shape.
    pub(super) fn new(resolver: &Resolver, request: &GraphqlRequest, shape: &ReplyShape) -> Self {
        let mut writer = Writer {
            text: String::new(),
            ends: Vec::new(),
            variables: Vec::new(),
        };
        writer.root(request, shape);
        let kind = if request.mutation {
            "mutation"
        } else {
            "query"
        };
        let name = name_of(&resolver.target);
        let title = format!("{kind} {name}");
        let text = format!(
            "{title}{} {{ {} }}",
            declared(&writer.variables),
            writer.text
        );
        let head = format!(
            "{{\"query\":{},\"operationName\":{},\"variables\":",
            Json::from(text.as_str()),
            Json::from(name.as_str())
        );
        Self {
            title,
            name,
            text,
            field: request.field.clone(),
            root: writer.text,
            ends: writer.ends,
            head,
            variables: writer.variables,
        }
    }

    /// The names and types of its variables.
    pub(super) fn declared(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.variables.iter();
        all.map(|variable| (variable.name.as_str(), variable.ty.as_str()))
    }

    /// Its root field, as one of several: the number follows the names of its variables.
    pub(super) fn write_root(&self, number: usize, out: &mut String) {
        let mut from = 0;
        for end in &self.ends {
            out.push_str(&self.root[from..*end]);
            let _ = write!(out, "_{number}");
            from = *end;
        }
        out.push_str(&self.root[from..]);
    }

    /// The variables of one call; one without a value is left out.
    pub(super) fn variables(
        &self,
        scope: &Scope<'_>,
        below: &[Option<Json>],
    ) -> Result<Map<String, Json>, RenderError> {
        let mut values = Map::new();
        for variable in &self.variables {
            if let Some(value) = variable.value(scope, below)? {
                values.insert(variable.name.clone(), value);
            }
        }
        Ok(values)
    }

    /// The body of a call.
    pub(super) fn body(&self, variables: &Map<String, Json>) -> Result<Vec<u8>, RenderError> {
        let mut body = Vec::with_capacity(self.head.len() + 64);
        body.extend_from_slice(self.head.as_bytes());
        let written = serde_json::to_writer(&mut body, variables);
        written.map_err(|error| RenderError(error.to_string()))?;
        body.push(b'}');
        Ok(body)
    }
}

impl Variable {
    fn value(
        &self,
        scope: &Scope<'_>,
        below: &[Option<Json>],
    ) -> Result<Option<Json>, RenderError> {
        match &self.from {
            // A null that the client gave is not the same as nothing.
            From::Mapping(Expr::Arg { path, encode }) => {
                let value = render::at(scope.args, path);
                value
                    .map(|value| scope.encodings.json(value, *encode))
                    .transpose()
            }
            From::Mapping(expr) => {
                let value = render::value(expr, scope)?;
                Ok((!value.is_null()).then_some(value))
            }
            From::Below(index, encode) => {
                let value = below.get(*index as usize).and_then(Option::as_ref);
                value
                    .map(|value| scope.encodings.json(value, *encode))
                    .transpose()
            }
        }
    }
}

/// What upstream's logs know the operation by: `Query_user`, `User`.
fn name_of(target: &Target) -> String {
    match target {
        Target::Root { ty, field, .. } | Target::Field { ty, field } => format!("{ty}_{field}"),
        Target::Entity { ty, .. } => ty.to_string(),
    }
}

fn declared(variables: &[Variable]) -> String {
    let all = variables.iter();
    let all: Vec<String> = all
        .map(|variable| format!("${}: {}", variable.name, variable.ty))
        .collect();
    match all.is_empty() {
        true => String::new(),
        false => format!("({})", all.join(", ")),
    }
}

struct Writer {
    /// The root field.
    text: String,
    /// Where names of variables end in it.
    ends: Vec<usize>,
    variables: Vec<Variable>,
}

impl Writer {
    fn root(&mut self, request: &GraphqlRequest, shape: &ReplyShape) {
        self.text.push_str(&request.field);
        if !request.args.is_empty() {
            self.text.push('(');
            self.fields(&request.args, "");
            self.text.push(')');
        }
        // Behind `data` and the field itself stands what is unwrapped besides.
        let way = shape.unwrap.get(2..).unwrap_or_default();
        for name in way {
            let _ = write!(self.text, " {{ {name}");
        }
        match &request.on {
            Some(on) => self.entities(on, &shape.root),
            None => self.selection(&shape.root),
        }
        self.text.push_str(&" }".repeat(way.len()));
    }

    /// `name: value` of arguments or an input object.
    fn fields(&mut self, fields: &[(String, GraphqlValue)], path: &str) {
        for (at, (name, value)) in fields.iter().enumerate() {
            let between = if at == 0 { "" } else { ", " };
            let _ = write!(self.text, "{between}{name}: ");
            let path = match path {
                "" => name.clone(),
                path => format!("{path}_{name}"),
            };
            self.value(value, &path);
        }
    }

    fn value(&mut self, value: &GraphqlValue, path: &str) {
        match value {
            GraphqlValue::Const(json) => literal(json, &mut self.text),
            GraphqlValue::Enum(name) => self.text.push_str(name),
            GraphqlValue::Variable { ty, value } => {
                self.variable(path, ty, From::Mapping(value.clone()));
            }
            GraphqlValue::Object(fields) => {
                self.text.push('{');
                self.fields(fields, path);
                self.text.push('}');
            }
            GraphqlValue::List(items) => {
                self.text.push('[');
                for (at, item) in items.iter().enumerate() {
                    let between = if at == 0 { "" } else { ", " };
                    self.text.push_str(between);
                    self.value(item, path);
                }
                self.text.push(']');
            }
        }
    }

    /// Writes a variable; the same value is one variable.
    fn variable(&mut self, wanted: &str, ty: &str, from: From) {
        let mut known = self.variables.iter();
        let known = known.find(|known| known.ty == ty && known.from == from);
        let name = match known {
            Some(known) => known.name.clone(),
            None => {
                let name = self.free(wanted);
                self.variables.push(Variable {
                    name: name.clone(),
                    ty: ty.to_owned(),
                    from,
                });
                name
            }
        };
        self.text.push('$');
        self.text.push_str(&name);
        self.ends.push(self.text.len());
    }

    fn free(&self, wanted: &str) -> String {
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut candidates = std::iter::once(wanted.to_owned()).chain(numbered);
        let is_free = |name: &String| self.variables.iter().all(|known| known.name != *name);
        candidates.find(is_free).unwrap_or_default()
    }

    /// What is selected of the entities of one type; those of an interface are told apart anyway.
    fn entities(&mut self, on: &str, shape: &Shape) {
        match shape {
            Shape::List(item) => self.entities(on, item),
            Shape::Object(object) => self.braces(|writer| {
                let _ = write!(writer.text, "... on {on}");
                writer.braces(|writer| writer.props(&object.props));
            }),
            other => self.selection(other),
        }
    }

    /// What is selected below a field; nothing below a leaf. Recursion follows the shape, and so is bounded by it.
    fn selection(&mut self, shape: &Shape) {
        match shape {
            Shape::Leaf(_) => {}
            Shape::List(item) => self.selection(item),
            Shape::Object(object) => self.braces(|writer| writer.props(&object.props)),
            Shape::Abstract(shape) => self.braces(|writer| writer.variants(shape)),
        }
    }

    fn braces(&mut self, write: impl FnOnce(&mut Self)) {
        self.text.push_str(" { ");
        write(self);
        self.text.push_str(" }");
    }

    fn props(&mut self, props: &Props) {
        if props.0.is_empty() {
            // That it is there is all that is asked.
            self.text.push_str("__typename");
        }
        for (at, prop) in props.0.iter().enumerate() {
            if at > 0 {
                self.text.push(' ');
            }
            self.prop(prop);
        }
    }

    fn prop(&mut self, prop: &Prop) {
        self.text.push_str(&prop.name);
        if let Some(asked) = &prop.asked {
            if asked.field != prop.name {
                let _ = write!(self.text, ": {}", asked.field);
            }
            self.arguments(&prop.name, &asked.args);
            self.included(&asked.included);
        }
        match prop.targets.first() {
            Some(target) => self.selection(&target.shape),
            None => self.braces(|writer| writer.props(&prop.nested)),
        }
    }

    fn arguments(&mut self, of: &str, args: &[AskedArg]) {
        for (at, arg) in args.iter().enumerate() {
            let before = if at == 0 { "(" } else { ", " };
            let _ = write!(self.text, "{before}{}: ", arg.name);
            let wanted = format!("{of}_{}", arg.name);
            self.variable(&wanted, &arg.ty, From::Below(arg.value, arg.encode));
        }
        if !args.is_empty() {
            self.text.push(')');
        }
    }

    /// What the client leaves out is not asked for.
    fn included(&mut self, included: &[Included]) {
        for Included { value, equals } in included {
            let word = if *equals { "include" } else { "skip" };
            let _ = write!(self.text, " @{word}(if: ");
            self.variable(word, "Boolean!", From::Below(*value, EncodingId(0)));
            self.text.push(')');
        }
    }

    fn variants(&mut self, shape: &AbstractShape) {
        self.text.push_str("__typename");
        for variant in &shape.variants {
            if let (Some(ty), false) = (&variant.value, variant.shape.props.0.is_empty()) {
                let _ = write!(self.text, " ... on {ty}");
                self.braces(|writer| writer.props(&variant.shape.props));
            }
        }
    }
}

/// A constant of a subgraph file. Text is spelled as in JSON, which GraphQL reads the same:
/// <https://spec.graphql.org/September2025/#sec-String-Value>
fn literal(json: &Json, out: &mut String) {
    match json {
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                literal(item, out);
            }
            out.push(']');
        }
        Json::Object(fields) => {
            out.push('{');
            for (at, (name, value)) in fields.iter().enumerate() {
                let between = if at == 0 { "" } else { ", " };
                let _ = write!(out, "{between}{name}: ");
                literal(value, out);
            }
            out.push('}');
        }
        leaf => {
            let _ = write!(out, "{leaf}");
        }
    }
}
