//! How long a list is, as the schema and the operation say it.
//!
//! Owns `@listSize`:
//! <https://ibm.github.io/graphql-specs/cost-spec.html#sec-The-List-Size-Directive>.
//! Where a list has none and the mapping passes an argument on as its length,
//! that argument is its slicing argument.

use apollo_compiler::executable::Field;
use compose::Supergraph;
use compose::model::Expr;
use compose::model::FieldDef;
use compose::model::ListSize;
use serde_json::Value as Json;

use super::price::Pricing;
use crate::input::coerce_literal;
use crate::input::default_value;
use crate::model::ArgValue;
use crate::model::Variables;

/// A list's length.
#[derive(Debug)]
pub(crate) struct ListPrice {
    slices: Vec<Slice>,
    pub(super) assumed: Option<u64>,
    /// Fields below that hold the list, by path.
    pub(super) sized_fields: Vec<Vec<String>>,
    /// Whether exactly one slicing argument must be given.
    pub(super) exactly_one: bool,
}

/// One slicing argument.
#[derive(Debug)]
struct Slice {
    /// As `@listSize` names it.
    name: String,
    given: SliceValue,
    default: Option<u64>,
}

#[derive(Debug)]
enum SliceValue {
    /// The document says it, or leaves it out.
    Const(Option<u64>),
    /// The value at a path in a variable.
    Variable { index: u32, path: Vec<String> },
}

/// What is given of a list's slicing arguments.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Given {
    /// How many the operation gives.
    pub(super) explicit: usize,
    /// How many have defaults and are not given.
    pub(super) defaults: usize,
    /// The largest of all.
    pub(super) longest: Option<u64>,
}

impl ListPrice {
    pub(super) fn of(pricing: &Pricing<'_>, known: &[&FieldDef], field: &Field) -> Option<Self> {
        let size = known.iter().find_map(|field| field.list_size.as_ref());
        let size = match size {
            Some(size) => size.clone(),
            None => of_mapping(pricing.supergraph, known)?,
        };
        let dotted = |path: &String| path.split('.').map(str::to_owned).collect();
        let slices = size.slicing_arguments.iter();
        let slices: Vec<Slice> = slices
            .filter_map(|name| Slice::of(pricing, field, name))
            .collect();
        Some(Self {
            exactly_one: size.require_one_slicing_argument && !slices.is_empty(),
            slices,
            assumed: size.assumed.map(u64::from),
            sized_fields: size.sized_fields.iter().map(dotted).collect(),
        })
    }

    pub(super) fn given(&self, variables: &Variables) -> Given {
        let mut all = Given::default();
        for slice in &self.slices {
            let explicit = slice.explicit(variables);
            match (explicit, slice.default) {
                (Some(_), _) => all.explicit += 1,
                (None, Some(_)) => all.defaults += 1,
                (None, None) => {}
            }
            all.longest = all.longest.max(explicit.or(slice.default));
        }
        all
    }

    /// A default counts where nothing else is given.
    pub(super) fn breaks_its_rule(&self, variables: &Variables) -> bool {
        if !self.exactly_one {
            return false;
        }
        let given = self.given(variables);
        given.explicit > 1 || (given.explicit == 0 && given.defaults == 0)
    }

    pub(super) fn is_dynamic(&self) -> bool {
        let mut slices = self.slices.iter();
        slices.any(|slice| matches!(slice.given, SliceValue::Variable { .. }))
    }

    /// The slicing arguments, for messages.
    pub(super) fn names(&self) -> String {
        let names = self.slices.iter().map(|slice| slice.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Slice {
    /// `None` where the field has no such argument.
    fn of(pricing: &Pricing<'_>, field: &Field, name: &str) -> Option<Self> {
        let mut path = name.split('.');
        let argument = path.next()?;
        let path: Vec<&str> = path.collect();
        let mut definitions = field.definition.arguments.iter();
        let definition = definitions.find(|it| it.name == argument)?;
        let schema = pricing.supergraph.api();
        let default = default_value(schema, definition);
        let given = field.arguments.iter().find(|it| it.name == argument);
        let value =
            given.map(|it| coerce_literal(schema, &definition.ty, &it.value, pricing.variables, 0));
        Some(Self {
            name: name.to_owned(),
            given: value.map_or(SliceValue::Const(None), |value| of_value(&value, &path)),
            default: default.and_then(|value| length(&value, &path)),
        })
    }

    fn explicit(&self, variables: &Variables) -> Option<u64> {
        match &self.given {
            SliceValue::Const(length) => *length,
            SliceValue::Variable { index, path } => {
                let value = variables.0.get(*index as usize)?.as_ref()?;
                length(value, path)
            }
        }
    }
}

fn of_value(value: &ArgValue, path: &[&str]) -> SliceValue {
    match value {
        ArgValue::Const(json) => SliceValue::Const(length(json, path)),
        ArgValue::Holds(_) => SliceValue::Const(None),
        ArgValue::Variable(index) => SliceValue::Variable {
            index: *index,
            path: path.iter().map(|name| (*name).to_owned()).collect(),
        },
        ArgValue::Object(fields) => {
            let Some((first, rest)) = path.split_first() else {
                return SliceValue::Const(None);
            };
            let field = fields.iter().find(|(name, _, _)| name == first);
            field.map_or(SliceValue::Const(None), |(_, value, _)| {
                of_value(value, rest)
            })
        }
        ArgValue::List(_) => SliceValue::Const(None),
    }
}

/// The number at a path; a negative one asks for nothing.
fn length<S: AsRef<str>>(value: &Json, path: &[S]) -> Option<u64> {
    let value = path
        .iter()
        .try_fold(value, |value, name| value.get(name.as_ref()))?;
    value.as_i64().map(|length| length.max(0) as u64)
}

/// What the mapping says: an argument that is passed on as the list's length.
fn of_mapping(supergraph: &Supergraph, known: &[&FieldDef]) -> Option<ListSize> {
    let mut resolvers = known.iter().flat_map(|field| &field.resolvers);
    let of_resolver = |id: &compose::model::ResolverId| {
        let resolver = supergraph.resolver(*id);
        let page = resolver.page.as_ref().and_then(|page| page.first.as_ref());
        let batch = resolver.batch.as_ref();
        let limit = batch.and_then(|batch| batch.limit.as_ref());
        let connection = resolver.reply.connection.is_some();
        let (argument, assumed) = said(page.or(limit)?);
        let sized: &[&str] = if connection { &["edges", "nodes"] } else { &[] };
        Some(ListSize {
            assumed,
            slicing_arguments: argument.into_iter().collect(),
            sized_fields: sized.iter().map(|name| (*name).to_owned()).collect(),
            require_one_slicing_argument: false,
        })
    };
    resolvers.find_map(of_resolver)
}

/// The argument and the constant of `$args.first ?? 20`.
fn said(expr: &Expr) -> (Option<String>, Option<u32>) {
    match expr {
        Expr::Arg { path, .. } => (Some(path.join(".")), None),
        Expr::Const(json) => (None, json.as_u64().and_then(|n| u32::try_from(n).ok())),
        Expr::FirstOf(all) => {
            let said: Vec<_> = all.iter().map(said).collect();
            let argument = said.iter().find_map(|(argument, _)| argument.clone());
            (argument, said.iter().find_map(|(_, assumed)| *assumed))
        }
        _ => (None, None),
    }
}
