//! Interfaces and unions: how a reply tells its object types apart.

use std::collections::HashMap;

use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};

use super::Lowering;
use super::input::Input;
use super::read::Object;
use super::view::With;
use crate::contract::model::Discriminator;
use crate::contract::{Kind, TypeId};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Document, all};
use crate::mapping::names;
use crate::model::{UpstreamPath, Variant, ViewId};

/// What `@variant` says of one object type.
struct Tag {
    ty: Name,
    values: Vec<(String, Place)>,
    status: Vec<(String, Place)>,
    /// A `@variant` without a value: every other value.
    other: Option<Place>,
}

impl<'a> Lowering<'a> {
    pub(super) fn fill_variants(
        &mut self,
        id: ViewId,
        object: &Object<'a>,
        ty: &Name,
        with: &With,
    ) {
        let stated = self.contract_discriminator(object);
        let discriminator = match self.takes_selections(object.source) {
            true => Some(vec!["__typename".to_owned()]),
            false => self
                .discriminator(object, ty)
                .or_else(|| Some(vec![stated.as_ref()?.property.clone()])),
        };
        let tags: Vec<Tag> = possible_types(object.document, ty)
            .into_iter()
            .map(|name| self.tag(object, ty, name, stated.as_ref()))
            .collect();
        self.check_tags(object.document, ty, &tags, discriminator.is_some());
        let mut variants = Vec::new();
        for tag in tags {
            variants.extend(self.variants(object, tag, stated.as_ref(), with));
        }
        let view = self.views.get_mut(id);
        view.variants = variants;
        view.discriminator = discriminator;
    }

    fn discriminator(&mut self, object: &Object<'a>, ty: &Name) -> Option<UpstreamPath> {
        let document = object.document;
        let directive = all(document.schema.types.get(ty)?.directives(), "discriminator").next()?;
        let path = self.path(&Input::of(document, directive), "from")?;
        let upstream = &self.lowered.upstreams[object.source.index()];
        Some(upstream.follow(object.contract, &names(&path)).0)
    }

    /// What the contract itself says of telling the members apart.
    fn contract_discriminator(&self, object: &Object<'a>) -> Option<Discriminator> {
        let upstream = &self.lowered.upstreams[object.source.index()];
        match &upstream.contract()?[object.contract?].kind {
            Kind::Union(union) => union.discriminator.clone(),
            _ => None,
        }
    }

    fn tag(
        &mut self,
        object: &Object<'a>,
        of: &Name,
        ty: &Name,
        stated: Option<&Discriminator>,
    ) -> Tag {
        let document = object.document;
        let mut tag = Tag {
            ty: ty.clone(),
            values: Vec::new(),
            status: Vec::new(),
            other: None,
        };
        let directives = document.schema.types.get(ty).map(|it| it.directives());
        for directive in directives.into_iter().flat_map(|it| all(it, "variant")) {
            let input = Input::of(document, directive);
            if input.text("of").is_some_and(|it| it != of.as_str()) {
                continue;
            }
            let status = input.texts("status");
            let place = input.at_value("status");
            tag.status
                .extend(status.iter().map(|it| ((*it).to_owned(), place.clone())));
            match input.text("value") {
                Some(value) => {
                    tag.values.push((value.to_owned(), input.at_value("value")));
                }
                None if status.is_empty() => tag.other = Some(input.place.clone()),
                None => {}
            }
        }
        if self.takes_selections(object.source) {
            self.tag_by_name(&mut tag, document);
        } else if tag.is_empty() {
            tag.values
                .extend(self.stated_values(object, ty, stated, document));
        }
        tag
    }

    /// A GraphQL service tells each object's type: of its own name here, unless `@variant(value:)` says another.
    fn tag_by_name(&mut self, tag: &mut Tag, document: &Document) {
        tag.status.clear();
        tag.other = None;
        for (name, place) in &tag.values {
            self.check_graphql_name(name, place.clone());
        }
        if tag.values.is_empty() {
            let place = document.places.name(&tag.ty);
            tag.values.push((tag.ty.to_string(), place));
        }
    }

    /// The values that the contract gives to a schema of the object type's name.
    fn stated_values(
        &self,
        object: &Object<'a>,
        ty: &Name,
        stated: Option<&Discriminator>,
        document: &Document,
    ) -> Vec<(String, Place)> {
        let upstream = &self.lowered.upstreams[object.source.index()];
        let (Some(contract), Some(stated)) = (upstream.contract(), stated) else {
            return Vec::new();
        };
        let named = |id: &TypeId| contract[*id].name.as_deref() == Some(ty.as_str());
        let values = stated.mapping.iter().filter(|(_, id)| named(id));
        values
            .map(|(value, _)| (value.clone(), document.places.name(ty)))
            .collect()
    }

    fn variants(
        &mut self,
        object: &Object<'a>,
        tag: Tag,
        stated: Option<&Discriminator>,
        with: &With,
    ) -> Vec<Variant> {
        let status: Vec<String> = tag.status.into_iter().map(|(status, _)| status).collect();
        let values: Vec<Option<String>> = match tag.values.is_empty() {
            true => vec![None],
            false => tag
                .values
                .into_iter()
                .map(|(value, _)| Some(value))
                .collect(),
        };
        let mut variants = Vec::new();
        for value in values {
            // What a refusal looks like is not what the contract says of success.
            let is_success = value.is_some() || status.is_empty();
            let contract = is_success
                .then(|| self.member(object, &tag.ty, value.as_deref(), stated))
                .flatten();
            let member = Object {
                contract,
                ..*object
            };
            let view = self.view(&member, &tag.ty, with.clone());
            variants.push(Variant {
                ty: tag.ty.clone(),
                value,
                status: status.clone(),
                view,
            });
        }
        variants
    }

    /// The contract's type of one variant.
    fn member(
        &self,
        object: &Object<'a>,
        ty: &Name,
        value: Option<&str>,
        stated: Option<&Discriminator>,
    ) -> Option<TypeId> {
        let upstream = &self.lowered.upstreams[object.source.index()];
        let contract = upstream.contract()?;
        let Kind::Union(union) = &contract[object.contract?].kind else {
            return object.contract;
        };
        let by_value = stated
            .zip(value)
            .and_then(|(it, value)| it.mapping.get(value));
        let named = |id: &&TypeId| contract[**id].name.as_deref() == Some(ty.as_str());
        by_value
            .or_else(|| union.members.iter().find(named))
            .copied()
    }

    fn check_tags(&mut self, document: &Document, ty: &Name, tags: &[Tag], discriminated: bool) {
        self.check_duplicates(tags.iter().flat_map(|tag| &tag.values));
        self.check_duplicates(tags.iter().flat_map(|tag| &tag.status));
        let others: Vec<(String, Place)> = tags
            .iter()
            .filter_map(|tag| Some((String::new(), tag.other.clone()?)))
            .collect();
        self.check_duplicates(others.iter());
        // Without a discriminator only the status can tell, and one type is what all other replies are.
        let untold: Vec<&Tag> = tags
            .iter()
            .filter(|tag| match discriminated {
                true => tag.is_empty(),
                false => tag.status.is_empty(),
            })
            .collect();
        let accepted = if discriminated { 0 } else { 1 };
        if tags.len() > 1 && untold.len() > accepted {
            self.untagged(document, ty, &untold, discriminated);
        }
    }

    fn check_duplicates<'t>(&mut self, tags: impl Iterator<Item = &'t (String, Place)>) {
        let mut seen: HashMap<&str, &Place> = HashMap::new();
        for (tag, place) in tags {
            let Some(first) = seen.insert(tag, place) else {
                continue;
            };
            let message = match tag.is_empty() {
                true => "every other value means two types".to_owned(),
                false => format!("`{tag}` means two types"),
            };
            self.push(
                Diagnostic::error("DUPLICATE_VARIANT", message)
                    .at(place.clone())
                    .related(first.clone(), "first here"),
            );
        }
    }

    fn untagged(&mut self, document: &Document, ty: &Name, untold: &[&Tag], discriminated: bool) {
        let declared = document.schema.types.get(ty).and_then(type_name);
        let place = match (discriminated, untold.first()) {
            (true, Some(tag)) => {
                let name = document.schema.types.get(&tag.ty).and_then(type_name);
                document.places.name(name.unwrap_or(&tag.ty))
            }
            _ => document.places.name(declared.unwrap_or(ty)),
        };
        let names: Vec<&str> = untold.iter().map(|tag| tag.ty.as_str()).collect();
        let message = format!(
            "nothing in a reply tells when a `{ty}` is {}",
            super::listed(&names)
        );
        let variant = format!("@variant(of: \"{ty}\", value: \"…\")");
        let help = match discriminated {
            true => format!("add {variant}"),
            false => format!(
                "add @discriminator(from: \"type\") to `{ty}`, and {variant} to each of its types"
            ),
        };
        self.push(
            Diagnostic::error("UNTAGGED_UNION", message)
                .at(place)
                .help(help),
        );
    }
}

impl Tag {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.status.is_empty() && self.other.is_none()
    }
}

/// The object types that an interface or union can be, as the document declares them.
fn possible_types<'d>(document: &'d Document, ty: &Name) -> Vec<&'d Name> {
    match document.schema.types.get(ty) {
        Some(ExtendedType::Union(union)) => {
            union.members.iter().map(|it: &Node<Name>| &**it).collect()
        }
        Some(ExtendedType::Interface(_)) => {
            let objects = document
                .schema
                .types
                .values()
                .filter_map(ExtendedType::as_object);
            let implementers = objects.filter(|it| {
                it.implements_interfaces
                    .iter()
                    .any(|interface| **interface == *ty)
            });
            implementers.map(|it| &it.name).collect()
        }
        _ => Vec::new(),
    }
}

/// The name where the type is declared.
fn type_name(ty: &ExtendedType) -> Option<&Name> {
    Some(ty.name())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{printed, said};

    fn with(tags: [&str; 3]) -> String {
        let [interface, a, b] = tags;
        format!(
            "type Query {{ p: P @rest(GET: \"/p\") }} interface P {interface} {{ x: Int }} type A implements P {a} {{ x: Int }} type B implements P {b} {{ x: Int }}"
        )
    }

    #[test]
    fn a_value_or_a_status_tells_the_types_apart() {
        let shown = printed(&with([
            "@discriminator(from: \"meta.kind\")",
            "@variant(of: \"P\", value: \"a\") @variant(of: \"P\", value: \"aa\")",
            "@variant(of: \"P\")",
        ]));
        assert!(
            shown.contains("P by meta.kind ( a → A { x } | aa → A { x } | * → B { x } )"),
            "{shown}"
        );
        let shown = printed(
            "type Query { p: U @rest(GET: \"/p\") } union U = A | B type A { x: Int } type B @variant(status: [\"404\", \"4xx\"]) { y: Int }",
        );
        assert!(
            shown.contains("U by status ( * → A { x } | * 404 4xx → B { y } )"),
            "{shown}"
        );
    }

    #[test]
    fn types_that_nothing_tells_apart_are_an_error() {
        assert_eq!(
            said(&with(["", "", ""])),
            "error[UNTAGGED_UNION] shop.graphql:2:48\n  \
             2 | type Query { p: P @rest(GET: \"/p\") } interface P  { x: Int } type A implements P  { x: Int } type B implements P  { x: Int }\n    \
             |                                                ^ nothing in a reply tells when a `P` is `A` and `B`\n  \
             help: add @discriminator(from: \"type\") to `P`, and @variant(of: \"P\", value: \"…\") to each of its types\n"
        );
        let one = said(&with([
            "@discriminator(from: \"kind\")",
            "@variant(of: \"P\", value: \"a\")",
            "",
        ]));
        assert!(
            one.contains("nothing in a reply tells when a `P` is `B`"),
            "{one}"
        );
    }

    #[test]
    fn one_value_means_one_type() {
        let said = said(&with([
            "@discriminator(from: \"kind\")",
            "@variant(of: \"P\", value: \"a\")",
            "@variant(of: \"P\", value: \"a\")",
        ]));
        assert!(said.starts_with("error[DUPLICATE_VARIANT]"), "{said}");
        assert!(said.contains("`a` means two types"), "{said}");
    }

    #[test]
    fn a_contract_that_tells_members_apart_need_not_be_repeated() {
        let contract = "
openapi: 3.1.0
info: { title: a, version: '1' }
paths:
  /p:
    get:
      responses: { '200': { description: a, content: { application/json: { schema: { $ref: '#/components/schemas/P' } } } } }
components:
  schemas:
    P:
      oneOf: [{ $ref: '#/components/schemas/A' }, { $ref: '#/components/schemas/B' }]
      discriminator: { propertyName: kind, mapping: { a: '#/components/schemas/A', b: '#/components/schemas/B' } }
    A: { type: object, properties: { kind: { type: string }, x: { type: integer } } }
    B: { type: object, properties: { kind: { type: string }, x: { type: integer } } }
";
        let mut files = super::super::tests::file(&format!(
            "extend schema @source(name: \"a\", http: {{ baseURL: \"http://a\", openapi: \"a.yaml\" }})\n{}",
            with(["", "", ""])
        ));
        files.files.insert("a.yaml".into(), contract.into());
        let shown = super::super::tests::printed_files(&files);
        assert!(
            shown.contains("P by kind ( a → A { x } | b → B { x } )"),
            "{shown}"
        );
    }
}
