//! Random valid operations over a schema.

use apollo_compiler::Schema;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::schema::FieldDefinition;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use serde_json::Map;
use serde_json::Value as Json;

/// An operation and its variables.
pub(crate) struct Operation {
    pub(crate) text: String,
    pub(crate) variables: Map<String, Json>,
}

pub(crate) fn random(schema: &Schema, rng: &mut StdRng) -> Operation {
    let mut maker = Maker {
        schema,
        rng,
        fragments: Vec::new(),
        aliases: 0,
        left: 40,
    };
    let body = maker.selection("Query", 0);
    let fragments = maker.fragments.concat();
    let mut variables = Map::new();
    for name in ["a", "b"] {
        variables.insert(name.into(), maker.rng.random_bool(0.5).into());
    }
    Operation {
        text: format!(
            "query Q($a: Boolean! = true, $b: Boolean!) {body} {fragments}\nfragment Both on Query {{ __typename @include(if: $a) kept: __typename @skip(if: $b) }}"
        ),
        variables,
    }
}

struct Maker<'m> {
    schema: &'m Schema,
    rng: &'m mut StdRng,
    fragments: Vec<String>,
    aliases: usize,
    /// Fields that may still be selected: operations stay small enough to read when they fail.
    left: usize,
}

impl Maker<'_> {
    fn selection(&mut self, ty: &str, depth: usize) -> String {
        let mut parts = Vec::new();
        if depth == 0 {
            parts.push("...Both".to_owned());
        }
        for _ in 0..self.rng.random_range(1..=4) {
            parts.push(self.part(ty, depth));
        }
        format!("{{ {} }}", parts.join(" "))
    }

    fn part(&mut self, ty: &str, depth: usize) -> String {
        match self.rng.random_range(0..10) {
            0 => format!("__typename{}", self.directives()),
            1 if depth < 5 => self.inline(ty, depth),
            2 if depth < 5 => self.spread(ty, depth),
            _ => self.field(ty, depth),
        }
    }

    /// An inline fragment, on the type itself or on one that can stand there.
    fn inline(&mut self, ty: &str, depth: usize) -> String {
        let on = self.narrower(ty);
        let directives = self.directives();
        format!("... on {on}{directives} {}", self.selection(&on, depth + 1))
    }

    fn spread(&mut self, ty: &str, depth: usize) -> String {
        let on = self.narrower(ty);
        let body = self.selection(&on, depth + 1);
        let name = format!("F{}", self.fragments.len());
        self.fragments
            .push(format!("\nfragment {name} on {on} {body}"));
        let directives = self.directives();
        let again = if self.rng.random_bool(0.3) {
            format!(" ...{name}")
        } else {
            String::new()
        };
        format!("...{name}{directives}{again}")
    }

    fn narrower(&mut self, ty: &str) -> String {
        let mut names = vec![ty.to_owned()];
        match &self.schema.types[ty] {
            ExtendedType::Union(union) => {
                names = union
                    .members
                    .iter()
                    .map(|member| member.to_string())
                    .collect();
            }
            ExtendedType::Interface(_) => names.extend(self.implementers(ty)),
            ExtendedType::Object(object) => {
                names.extend(object.implements_interfaces.iter().map(|i| i.to_string()));
            }
            _ => {}
        }
        names
            .into_iter()
            .choose(self.rng)
            .expect("at least the type itself")
    }

    fn implementers(&self, ty: &str) -> Vec<String> {
        let implementers = self.schema.implementers_map();
        let found = implementers.get(ty);
        found
            .into_iter()
            .flat_map(|known| known.iter())
            .map(|name| name.to_string())
            .collect()
    }

    fn field(&mut self, ty: &str, depth: usize) -> String {
        let fields: Vec<FieldDefinition> = match &self.schema.types[ty] {
            ExtendedType::Object(object) => {
                object.fields.values().map(|f| f.as_ref().clone()).collect()
            }
            ExtendedType::Interface(interface) => interface
                .fields
                .values()
                .map(|f| f.as_ref().clone())
                .collect(),
            _ => Vec::new(),
        };
        let leaf_only = depth >= 5 || self.left == 0;
        let allowed = fields
            .iter()
            .filter(|field| !leaf_only || self.is_leaf(field));
        let allowed: Vec<&FieldDefinition> = allowed.collect();
        let Some(field) = allowed.into_iter().choose(self.rng) else {
            return "__typename".into();
        };
        self.left = self.left.saturating_sub(1);
        self.select(field, depth)
    }

    fn is_leaf(&self, field: &FieldDefinition) -> bool {
        let ty = &self.schema.types[field.ty.inner_named_type()];
        ty.is_scalar() || ty.is_enum()
    }

    fn select(&mut self, field: &FieldDefinition, depth: usize) -> String {
        let arguments = self.arguments(field);
        // Without an alias, equal names must have equal arguments and nothing else beside them.
        let alias = match arguments.is_empty() && self.rng.random_bool(0.8) {
            true => String::new(),
            false => {
                self.aliases += 1;
                format!("x{}: ", self.aliases)
            }
        };
        let directives = self.directives();
        let below = match self.is_leaf(field) {
            true => String::new(),
            false => format!(
                " {}",
                self.selection(&field.ty.inner_named_type().clone(), depth + 1)
            ),
        };
        format!("{alias}{}{arguments}{directives}{below}", field.name)
    }

    fn arguments(&mut self, field: &FieldDefinition) -> String {
        let mut arguments = Vec::new();
        for argument in &field.arguments {
            let value = match argument.name.as_str() {
                "id" => ["1", "\"2\"", "\"103\"", "101", "\"nobody\""]
                    .into_iter()
                    .choose(self.rng),
                "limit" | "first" if self.rng.random_bool(0.5) => {
                    ["1", "2", "5"].into_iter().choose(self.rng)
                }
                _ => None,
            };
            arguments.extend(value.map(|value| format!("{}: {value}", argument.name)));
        }
        match arguments.is_empty() {
            true => String::new(),
            false => format!("({})", arguments.join(", ")),
        }
    }

    fn directives(&mut self) -> String {
        let directive = match self.rng.random_range(0..16) {
            0 => " @include(if: $a)",
            1 => " @skip(if: $b)",
            2 => " @include(if: $b) @skip(if: $a)",
            3 => " @include(if: true)",
            _ => "",
        };
        directive.to_owned()
    }
}
