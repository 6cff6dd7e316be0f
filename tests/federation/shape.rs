//! The types of a case, as all subgraphs together declare them.
//!
//! Owns what a field of the world is, whichever subgraph tells of it.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;

use apollo_compiler::Name;
use apollo_compiler::Node;
use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;

#[derive(Default)]
pub(crate) struct Shape {
    fields: HashMap<(String, String), Type>,
    composite: HashSet<String>,
    /// Of interfaces and unions, the object types.
    possible: HashMap<String, BTreeSet<String>>,
    /// Of object types, the interfaces and unions.
    abstractions: HashMap<String, BTreeSet<String>>,
}

impl Shape {
    pub(crate) fn of<'s>(schemas: impl Iterator<Item = &'s Schema>) -> Self {
        let mut shape = Self::default();
        for schema in schemas {
            for (name, ty) in &schema.types {
                shape.add(&root_name(schema, name), ty);
            }
        }
        shape
    }

    fn add(&mut self, name: &str, ty: &ExtendedType) {
        let (fields, interfaces) = match ty {
            ExtendedType::Object(it) => (&it.fields, &it.implements_interfaces),
            ExtendedType::Interface(it) => (&it.fields, &it.implements_interfaces),
            ExtendedType::Union(it) => {
                self.composite.insert(name.to_owned());
                for member in &it.members {
                    self.belongs(member, name);
                }
                return;
            }
            _ => return,
        };
        self.composite.insert(name.to_owned());
        for (field, definition) in fields {
            let key = (name.to_owned(), field.to_string());
            self.fields
                .entry(key)
                .or_insert_with(|| definition.ty.clone());
        }
        if ty.is_object() {
            for interface in interfaces {
                self.belongs(name, interface);
            }
        }
    }

    fn belongs(&mut self, object: &str, to: &str) {
        let (object, to) = (object.to_owned(), to.to_owned());
        self.possible
            .entry(to.clone())
            .or_default()
            .insert(object.clone());
        self.abstractions.entry(object).or_default().insert(to);
    }

    pub(crate) fn is_composite(&self, ty: &str) -> bool {
        self.composite.contains(ty)
    }

    /// Whether an object of a type is one of another type: itself, an interface, a union.
    pub(crate) fn is_a(&self, object: &str, ty: &str) -> bool {
        object == ty || self.possible.get(ty).is_some_and(|it| it.contains(object))
    }

    /// A field of an object, wherever it is declared: on the type or on an interface of it.
    pub(crate) fn field(&self, object: &str, field: &str) -> Option<&Type> {
        let of = |ty: &str| self.fields.get(&(ty.to_owned(), field.to_owned()));
        of(object).or_else(|| self.above(object).find_map(|it| of(it)))
    }

    /// The interfaces and unions of an object type.
    pub(crate) fn above(&self, object: &str) -> impl Iterator<Item = &String> {
        self.abstractions.get(object).into_iter().flatten()
    }
}

/// The root types have one name each, whatever a subgraph calls them.
pub(crate) fn root_name(schema: &Schema, name: &str) -> String {
    let roots = &schema.schema_definition;
    let is = |root: &Option<Node<Name>>| root.as_ref().is_some_and(|it| **it == name);
    if is(&roots.query) {
        "Query".to_owned()
    } else if is(&roots.mutation) {
        "Mutation".to_owned()
    } else {
        name.to_owned()
    }
}
