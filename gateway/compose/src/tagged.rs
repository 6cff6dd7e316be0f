//! Contracts: what some clients see of the graph, by `@tag`.
//!
//! Owns which element a contract leaves out; what is left out is hidden as if it
//! were `@inaccessible`, and nothing else of the graph changes. With `include`, a
//! field or union needs one of its tags (a type's tags are its fields' too); what
//! carries a tag of `exclude` is out in any case. A type of which nothing is left,
//! and one that nothing leads to, goes too.
//! <https://www.apollographql.com/docs/graphos/platform/schema-management/delivery/contracts/reference>

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use apollo_compiler::ast::{Directive, DirectiveList};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema, name};

use crate::api;
use crate::diagnostic::Diagnostics;
use crate::document::{Document, all, first};
use crate::files::GivenContract;
use crate::merge::Merged;

/// The schema of each contract.
pub(crate) fn schemas(
    given: &BTreeMap<String, GivenContract>,
    merged: &Merged,
    documents: &[Document],
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Arc<Valid<Schema>>> {
    if given.is_empty() {
        return BTreeMap::new();
    }
    let tags = Tags::of(documents);
    let mut schemas = BTreeMap::new();
    for (name, contract) in given {
        let schema = Curated {
            contract,
            tags: &tags,
            schema: merged.schema.clone(),
        };
        let mut found = Diagnostics::default();
        if let Some(schema) = api::visible(&schema.curated(), documents, &mut found) {
            schemas.insert(name.clone(), schema);
        }
        for finding in found.0 {
            let note = format!(
                "in the contract `{name}`, where what it leaves out counts as @inaccessible"
            );
            diagnostics.push(finding.note(note));
        }
    }
    schemas
}

/// The tags of every element, by its coordinate: `User`, `User.name`, `Query.user.id`.
#[derive(Default)]
struct Tags<'a>(HashMap<String, HashSet<&'a str>>);

impl<'a> Tags<'a> {
    fn of(documents: &'a [Document]) -> Self {
        let mut tags = Self::default();
        for document in documents {
            for (name, ty) in &document.schema.types {
                tags.add(name.to_string(), ty.directives());
                tags.below(name, ty);
            }
        }
        tags
    }

    fn below(&mut self, name: &Name, ty: &'a ExtendedType) {
        let fields = match ty {
            ExtendedType::Object(it) => Some(&it.fields),
            ExtendedType::Interface(it) => Some(&it.fields),
            _ => None,
        };
        for field in fields.into_iter().flat_map(|it| it.values()) {
            self.add(format!("{name}.{}", field.name), &field.directives);
            for argument in &field.arguments {
                let coordinate = format!("{name}.{}.{}", field.name, argument.name);
                self.add(coordinate, &argument.directives);
            }
        }
        if let ExtendedType::InputObject(it) = ty {
            for field in it.fields.values() {
                self.add(format!("{name}.{}", field.name), &field.directives);
            }
        }
        if let ExtendedType::Enum(it) = ty {
            for value in it.values.values() {
                self.add(format!("{name}.{}", value.value), &value.directives);
            }
        }
    }

    fn add(&mut self, coordinate: String, directives: &'a DirectiveList) {
        let names = all(directives, "tag");
        let names = names.filter_map(|it| it.specified_argument_by_name("name")?.as_str());
        let names: Vec<&str> = names.collect();
        if !names.is_empty() {
            self.0.entry(coordinate).or_default().extend(names);
        }
    }

    fn any(&self, coordinate: &str, wanted: &[String]) -> bool {
        let tags = self.0.get(coordinate);
        tags.is_some_and(|tags| wanted.iter().any(|it| tags.contains(it.as_str())))
    }
}

/// One contract, and the schema that becomes its own.
struct Curated<'a> {
    contract: &'a GivenContract,
    tags: &'a Tags<'a>,
    schema: Schema,
}

impl Curated<'_> {
    /// The schema with everything `@inaccessible` that the contract leaves out.
    fn curated(mut self) -> Schema {
        let mut types = std::mem::take(&mut self.schema.types);
        for (name, ty) in types.iter_mut().filter(|(_, ty)| !ty.is_built_in()) {
            self.curate(name, ty);
        }
        self.schema.types = types;
        while self.hide_empty() {}
        self.hide_unreachable();
        self.schema
    }

    fn excluded(&self, coordinate: &str) -> bool {
        self.tags.any(coordinate, &self.contract.exclude)
    }

    /// What needs a tag to be there, and has none of its own or its type's.
    fn left_out(&self, coordinate: &str, ty: &str) -> bool {
        let include = &self.contract.include;
        let named = || self.tags.any(coordinate, include) || self.tags.any(ty, include);
        self.excluded(coordinate) || (!include.is_empty() && !named())
    }

    fn curate(&self, name: &Name, ty: &mut ExtendedType) {
        let union = ty.is_union() && self.left_out(name, name);
        if union || self.excluded(name) {
            hide_type(ty);
            return;
        }
        let fields = match ty {
            ExtendedType::Object(it) => Some(&mut it.make_mut().fields),
            ExtendedType::Interface(it) => Some(&mut it.make_mut().fields),
            _ => None,
        };
        for field in fields.into_iter().flat_map(|it| it.values_mut()) {
            let coordinate = format!("{name}.{}", field.name);
            if self.left_out(&coordinate, name) {
                hide(&mut field.make_mut().directives);
                continue;
            }
            for argument in &mut field.make_mut().arguments {
                if self.excluded(&format!("{coordinate}.{}", argument.name)) {
                    hide(&mut argument.make_mut().directives);
                }
            }
        }
        if let ExtendedType::InputObject(it) = ty {
            for field in it.make_mut().fields.values_mut() {
                if self.excluded(&format!("{name}.{}", field.name)) {
                    hide(&mut field.make_mut().directives);
                }
            }
        }
        if let ExtendedType::Enum(it) = ty {
            for value in it.make_mut().values.values_mut() {
                if self.excluded(&format!("{name}.{}", value.value)) {
                    hide(&mut value.make_mut().directives);
                }
            }
        }
    }

    /// Hides the types of which nothing is left; whether there were any.
    fn hide_empty(&mut self) -> bool {
        let hidden = self.hidden();
        let types = self.schema.types.values_mut();
        let empty = types
            .filter(|ty| !ty.is_built_in() && !hidden.contains(ty.name()) && is_empty(ty, &hidden));
        let mut any = false;
        for ty in empty {
            hide_type(ty);
            any = true;
        }
        any
    }

    fn hidden(&self) -> HashSet<Name> {
        let types = self.schema.types.values();
        let hidden = types.filter(|ty| is_hidden(ty.directives()));
        hidden.map(|ty| ty.name().clone()).collect()
    }

    /// Hides the types that nothing leads to from the roots.
    fn hide_unreachable(&mut self) {
        let mut reached: HashSet<Name> = HashSet::new();
        let roots = self.schema.schema_definition.iter_root_operations();
        let mut open: Vec<Name> = roots.map(|(_, name)| Name::clone(name)).collect();
        let implementers = self.schema.implementers_map();
        while let Some(name) = open.pop() {
            let Some(ty) = self.schema.types.get(&name) else {
                continue;
            };
            if is_hidden(ty.directives()) || !reached.insert(name) {
                continue;
            }
            open.extend(led_to(ty));
            let implementing = implementers.get(ty.name());
            open.extend(implementing.into_iter().flat_map(|it| it.iter().cloned()));
        }
        for (name, ty) in &mut self.schema.types {
            if !ty.is_built_in() && !reached.contains(name) {
                hide_type(ty);
            }
        }
    }
}

fn is_empty(ty: &ExtendedType, hidden: &HashSet<Name>) -> bool {
    match ty {
        ExtendedType::Object(it) => it.fields.values().all(|it| is_hidden(&it.directives)),
        ExtendedType::Interface(it) => it.fields.values().all(|it| is_hidden(&it.directives)),
        ExtendedType::InputObject(it) => it.fields.values().all(|it| is_hidden(&it.directives)),
        ExtendedType::Enum(it) => it.values.values().all(|it| is_hidden(&it.directives)),
        ExtendedType::Union(it) => it.members.iter().all(|it| hidden.contains(&**it)),
        ExtendedType::Scalar(_) => false,
    }
}

/// The types that the visible part of a type names.
fn led_to(ty: &ExtendedType) -> Vec<Name> {
    let mut found: Vec<Name> = Vec::new();
    let fields = match ty {
        ExtendedType::Object(it) => Some((&it.fields, &it.implements_interfaces)),
        ExtendedType::Interface(it) => Some((&it.fields, &it.implements_interfaces)),
        _ => None,
    };
    if let Some((fields, interfaces)) = fields {
        found.extend(interfaces.iter().map(|it| Name::clone(it)));
        for field in fields.values().filter(|it| !is_hidden(&it.directives)) {
            found.push(field.ty.inner_named_type().clone());
            let arguments = field
                .arguments
                .iter()
                .filter(|it| !is_hidden(&it.directives));
            found.extend(arguments.map(|it| it.ty.inner_named_type().clone()));
        }
    }
    if let ExtendedType::InputObject(it) = ty {
        let fields = it.fields.values().filter(|it| !is_hidden(&it.directives));
        found.extend(fields.map(|it| it.ty.inner_named_type().clone()));
    }
    if let ExtendedType::Union(it) = ty {
        found.extend(it.members.iter().map(|it| Name::clone(it)));
    }
    found
}

fn is_hidden(directives: &DirectiveList) -> bool {
    first(directives, "inaccessible").is_some()
}

fn hide(directives: &mut DirectiveList) {
    if !is_hidden(directives) {
        directives
            .0
            .push(Node::new(Directive::new(name!("inaccessible"))));
    }
}

fn hide_type(ty: &mut ExtendedType) {
    match ty {
        ExtendedType::Scalar(it) => hide(&mut it.make_mut().directives),
        ExtendedType::Object(it) => hide(&mut it.make_mut().directives),
        ExtendedType::Interface(it) => hide(&mut it.make_mut().directives),
        ExtendedType::Union(it) => hide(&mut it.make_mut().directives),
        ExtendedType::Enum(it) => hide(&mut it.make_mut().directives),
        ExtendedType::InputObject(it) => hide(&mut it.make_mut().directives),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::testing::merged_with;

    fn curated(sdl: &str, include: &[&str], exclude: &[&str]) -> Result<String, Diagnostics> {
        let (merged, documents, mut diagnostics) = merged_with(&[sdl]);
        let texts = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        let contract = GivenContract {
            include: texts(include),
            exclude: texts(exclude),
        };
        let given = BTreeMap::from([("public".to_owned(), contract)]);
        let schemas = schemas(&given, &merged, &documents, &mut diagnostics);
        match schemas.get("public") {
            Some(schema) => Ok(schema.serialize().no_indent().to_string()),
            None => Err(diagnostics),
        }
    }

    const SHOP: &str = r#"
        type Query { a(x: Int @tag(name: "in"), y: Int): A @tag(name: "pub") b: B c(o: O): E u: U }
        type A @tag(name: "pub") { id: ID! secret: Int @tag(name: "in") b: B @tag(name: "in") }
        type B @tag(name: "in") { b: Int }
        enum E { X Y @tag(name: "in") }
        input O { x: Int y: Int @tag(name: "in") }
        union U = A | B
        scalar Loose"#;

    #[test]
    fn what_carries_an_excluded_tag_is_hidden() {
        let sdl = SHOP.replace("b: B c", "b: B @tag(name: \"in\") c");
        assert_eq!(
            curated(&sdl, &[], &["in"]).unwrap_or_else(|said| panic!("{said}")),
            "type Query { a(y: Int): A c(o: O): E u: U } type A { id: ID! } enum E { X } input O { x: Int } union U = A"
        );
    }

    #[test]
    fn only_what_carries_an_included_tag_is_there_and_what_it_leads_to() {
        let sdl = SHOP.replace("id: ID!", "id: ID! kind: E");
        let sdl = sdl.replace("type B @tag", "interface Unseen { x: Int } type B @tag");
        assert_eq!(
            curated(&sdl, &["pub"], &["in"]).unwrap_or_else(|said| panic!("{said}")),
            "type Query { a(y: Int): A } type A { id: ID! kind: E } enum E { X }"
        );
    }

    #[test]
    fn a_type_without_fields_goes_and_so_does_a_union_without_members() {
        let sdl = r#"type Query { a: Int u: U @tag(name: "in") } union U = B type B { b: Int @tag(name: "in") }"#;
        assert_eq!(
            curated(sdl, &[], &["in"]).unwrap_or_default(),
            "type Query { a: Int }"
        );
    }

    #[test]
    fn what_no_longer_hangs_together_is_told_with_its_contract() {
        for (sdl, code) in [
            (
                "type Query { a(x: Int! @tag(name: \"in\")): Int }",
                "REQUIRED_INACCESSIBLE",
            ),
            (
                "type Query { a: A } type A @tag(name: \"in\") { a: Int }",
                "REFERENCED_INACCESSIBLE",
            ),
            (
                "type Query { a: Int @tag(name: \"in\") }",
                "QUERY_ROOT_TYPE_INACCESSIBLE",
            ),
        ] {
            let said = curated(sdl, &[], &["in"]).expect_err(code);
            assert_eq!(said.codes(), [code]);
            assert!(
                said.to_string().contains("in the contract `public`"),
                "{said}"
            );
        }
    }
}
