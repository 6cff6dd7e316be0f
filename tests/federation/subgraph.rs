//! One subgraph's SDL, read as its own service reads it.
//!
//! Owns the schema that the service executes, and what the federation directives promise of each field.
//! Shares nothing with the gateway's own reading.

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::ast::Directive;
use apollo_compiler::ast::DirectiveList;
use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::collections::IndexMap;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::schema::SchemaBuilder;
use apollo_compiler::validation::Valid;

use super::selection::Selection;

pub(crate) struct Subgraph {
    pub(crate) name: String,
    pub(crate) schema: Valid<Schema>,
    types: HashMap<String, Promises>,
}

/// What the directives say of a type.
#[derive(Default)]
pub(crate) struct Promises {
    /// Each that is a way to the entity.
    pub(crate) keys: Vec<Selection>,
    pub(crate) interface_object: bool,
    fields: HashMap<String, FieldPromises>,
}

/// What the directives say of a field.
#[derive(Default)]
pub(crate) struct FieldPromises {
    /// Another subgraph's, unless it is provided or sent.
    pub(crate) external: bool,
    pub(crate) requires: Option<Selection>,
    pub(crate) provides: Option<Selection>,
    /// The subgraph that it is taken from.
    pub(crate) taken_from: Option<String>,
}

impl Subgraph {
    pub(crate) fn parse(name: &str, sdl: &str) -> Self {
        let written = builder()
            .parse(sdl, format!("{name}.graphql"))
            .build()
            .unwrap_or_else(|bad| panic!("{name}: {bad}"));
        let names = Names::of(&written);
        let schema = served(name, &written, &names);
        let types = written.types.iter();
        let types = types
            .map(|(ty, written)| (ty.to_string(), promises(&schema, &names, ty, written)))
            .collect();
        Self {
            name: name.to_owned(),
            schema,
            types,
        }
    }

    pub(crate) fn of(&self, ty: &str) -> Option<&Promises> {
        self.types.get(ty)
    }

    pub(crate) fn field(&self, ty: &str, field: &str) -> Option<&FieldPromises> {
        self.types.get(ty)?.fields.get(field)
    }

    /// Whether the field belongs to the subgraph, and is not another's.
    pub(crate) fn owns(&self, ty: &str, field: &str) -> bool {
        self.field(ty, field).is_some_and(|it| !it.external)
    }

    /// Of every field that is taken from another subgraph: type, field, that subgraph.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.types.iter().flat_map(|(ty, promises)| {
            let fields = promises.fields.iter();
            fields.filter_map(move |(name, field)| {
                Some((ty.as_str(), name.as_str(), field.taken_from.as_deref()?))
            })
        })
    }
}

fn builder() -> SchemaBuilder {
    Schema::builder()
        .adopt_orphan_extensions()
        .validate_default_values(false)
}

/// What a file calls the directives of the specification.
struct Names {
    renamed: HashMap<String, String>,
    prefix: String,
}

impl Names {
    fn of(schema: &Schema) -> Self {
        let mut names = Self {
            renamed: HashMap::new(),
            prefix: "federation__".to_owned(),
        };
        let links = schema.schema_definition.directives.iter();
        for link in links.filter(|it| it.name == "link") {
            let text = |name: &str| link.specified_argument_by_name(name)?.as_str();
            if !text("url").is_some_and(|it| it.contains("/federation/")) {
                continue;
            }
            if let Some(prefix) = text("as") {
                names.prefix = format!("{prefix}__");
            }
            let imports = link.specified_argument_by_name("import");
            let imports = imports.and_then(|it| it.as_list()).unwrap_or_default();
            for import in imports.iter().filter_map(|it| it.as_object()) {
                let text = |name: &str| {
                    let mut members = import.iter();
                    let (_, value) = members.find(|(it, _)| it == name)?;
                    Some(value.as_str()?.trim_start_matches('@').to_owned())
                };
                if let (Some(name), Some(alias)) = (text("name"), text("as")) {
                    names.renamed.insert(alias, name);
                }
            }
        }
        names
    }

    fn canonical<'n>(&'n self, name: &'n str) -> &'n str {
        let renamed = self.renamed.get(name).map(String::as_str);
        renamed.unwrap_or_else(|| name.strip_prefix(&self.prefix).unwrap_or(name))
    }

    fn first<'d>(&'d self, directives: &'d DirectiveList, name: &'d str) -> Option<&'d Directive> {
        self.all(directives, name).next()
    }

    fn all<'d>(
        &'d self,
        directives: &'d DirectiveList,
        name: &'d str,
    ) -> impl Iterator<Item = &'d Directive> {
        let directives = directives.iter().map(|it| &**it);
        directives.filter(move |it| self.canonical(&it.name) == name)
    }
}

fn text<'d>(directive: &'d Directive, argument: &str) -> Option<&'d str> {
    directive.specified_argument_by_name(argument)?.as_str()
}

fn promises(schema: &Valid<Schema>, names: &Names, ty: &Name, written: &ExtendedType) -> Promises {
    let (directives, fields) = match written {
        ExtendedType::Object(it) => (&it.directives, &it.fields),
        ExtendedType::Interface(it) => (&it.directives, &it.fields),
        _ => return Promises::default(),
    };
    let keys = names.all(directives, "key").filter_map(|key| {
        let resolvable = key.specified_argument_by_name("resolvable");
        let resolvable = resolvable.and_then(|it| it.to_bool()).unwrap_or(true);
        Some((
            Selection::parse(schema, ty, text(key, "fields")?),
            resolvable,
        ))
    });
    let keys: Vec<(Selection, bool)> = keys.collect();
    let external = names.first(directives, "external").is_some();
    let field = |it: &FieldDefinition| {
        let is_key = keys.iter().any(|(key, _)| key.get(&it.name).is_some());
        let mut promises = field_promises(schema, names, ty, it);
        promises.external = (promises.external || external) && !is_key;
        (it.name.to_string(), promises)
    };
    let fields = fields.values().filter(|it| !it.name.starts_with('_'));
    let fields = fields.map(|it| field(it)).collect();
    let resolvable = keys.into_iter().filter(|(_, resolvable)| *resolvable);
    Promises {
        keys: resolvable.map(|(key, _)| key).collect(),
        interface_object: names.first(directives, "interfaceObject").is_some(),
        fields,
    }
}

fn field_promises(
    schema: &Valid<Schema>,
    names: &Names,
    ty: &Name,
    field: &FieldDefinition,
) -> FieldPromises {
    let fields = |directive: &str, of: &Name| {
        let directive = names.first(&field.directives, directive)?;
        Some(Selection::parse(schema, of, text(directive, "fields")?))
    };
    let taken = names.first(&field.directives, "override");
    let share = taken.and_then(|it| text(it, "label"));
    let taken = taken.filter(|_| matches!(share, None | Some("percent(100)")));
    FieldPromises {
        external: names.first(&field.directives, "external").is_some()
            || share == Some("percent(0)"),
        requires: fields("requires", ty),
        provides: fields("provides", field.ty.inner_named_type()),
        taken_from: taken.and_then(|it| text(it, "from")).map(str::to_owned),
    }
}

/// The schema that the service executes: the file without its directives, and the fields that federation adds.
fn served(name: &str, written: &Schema, names: &Names) -> Valid<Schema> {
    let mut schema = written.clone();
    let entities: Vec<String> = entities(&schema, names).map(Name::to_string).collect();
    schema
        .directive_definitions
        .retain(|_, it| it.is_built_in());
    schema
        .types
        .retain(|name, ty| ty.is_built_in() || !is_machinery(name));
    schema.schema_definition.make_mut().directives.clear();
    for ty in schema.types.values_mut() {
        each_list(ty, &mut |directives| {
            directives.retain(|it| LANGUAGE.contains(&it.name.as_str()));
        });
    }
    let query = schema.schema_definition.query.as_ref();
    let query = query.map_or("Query".to_owned(), |it| it.to_string());
    if let Some(ExtendedType::Object(it)) = schema.types.get_mut(&*query) {
        it.make_mut()
            .fields
            .retain(|name, _| !name.starts_with('_'));
        if it.fields.is_empty() {
            schema.types.shift_remove(&*query);
        }
    }
    let extend = if schema.types.contains_key(&*query) {
        "extend"
    } else {
        ""
    };
    let (union, field) = match entities.is_empty() {
        true => (String::new(), ""),
        false => (
            format!("union _Entity = {}", entities.join(" | ")),
            "_entities(representations: [_Any!]!): [_Entity]!",
        ),
    };
    let added = format!(
        "scalar _Any type _Service {{ sdl: String }} {union} {extend} type {query} {{ _service: _Service! {field} }}"
    );
    builder()
        .parse(schema.serialize().to_string(), format!("{name}.graphql"))
        .parse(added, "machinery.graphql")
        .build()
        .unwrap_or_else(|bad| panic!("{name}: {bad}"))
        .validate()
        .unwrap_or_else(|bad| panic!("{name}: {}", bad.errors))
}

/// What the language itself defines.
const LANGUAGE: [&str; 3] = ["deprecated", "specifiedBy", "oneOf"];

/// What libraries write into the SDL that they tell.
fn is_machinery(name: &str) -> bool {
    name.contains("__") || matches!(name, "_Any" | "_Service" | "_Entity" | "_FieldSet")
}

fn entities<'s>(schema: &'s Schema, names: &'s Names) -> impl Iterator<Item = &'s Name> {
    let objects = schema.types.values().filter_map(|ty| ty.as_object());
    let entities = objects.filter(|it| names.first(&it.directives, "key").is_some());
    entities.map(|it| &it.name)
}

/// Every list of directives in a type.
fn each_list(ty: &mut ExtendedType, visit: &mut dyn FnMut(&mut DirectiveList)) {
    match ty {
        ExtendedType::Object(it) => {
            let it = it.make_mut();
            visit(&mut it.directives);
            each_field(&mut it.fields, visit);
        }
        ExtendedType::Interface(it) => {
            let it = it.make_mut();
            visit(&mut it.directives);
            each_field(&mut it.fields, visit);
        }
        ExtendedType::Union(it) => visit(&mut it.make_mut().directives),
        ExtendedType::Scalar(it) => visit(&mut it.make_mut().directives),
        ExtendedType::Enum(it) => {
            let it = it.make_mut();
            visit(&mut it.directives);
            for value in it.values.values_mut() {
                visit(&mut value.make_mut().directives);
            }
        }
        ExtendedType::InputObject(it) => {
            let it = it.make_mut();
            visit(&mut it.directives);
            for field in it.fields.values_mut() {
                visit(&mut field.make_mut().directives);
            }
        }
    }
}

fn each_field(
    fields: &mut IndexMap<Name, Node<FieldDefinition>>,
    visit: &mut dyn FnMut(&mut DirectiveList),
) {
    for field in fields.values_mut() {
        let field = field.make_mut();
        visit(&mut field.directives);
        for argument in &mut field.arguments {
            visit(&mut argument.make_mut().directives);
        }
    }
}
