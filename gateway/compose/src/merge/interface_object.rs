//! `@interfaceObject`: an entity interface that a subgraph sees as one object type.
//!
//! Owns that its fields are the interface's and every implementing object's, and what a subgraph
//! must declare so that this can be.
//! <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/interfaces>

use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

use super::composite::declared_fields;
use super::declared::Part;
use super::field::FieldPart;
use super::{Merging, Site, clash};
use crate::document::first;

impl Part<'_> {
    /// Whether the subgraph sees an interface as an object type.
    pub(super) fn is_interface_object(&self) -> bool {
        self.ty.is_object() && first(self.ty.directives(), "interfaceObject").is_some()
    }
}

impl<'a> Merging<'a, '_> {
    /// What an object type has from subgraphs that see one of its interfaces as an object type.
    pub(super) fn inherited(&self, parts: &[Part<'a>]) -> Vec<FieldPart<'a>> {
        let interfaces = parts.iter().filter_map(|part| part.ty.as_object());
        let interfaces = interfaces.flat_map(|it| &it.implements_interfaces);
        let mut seen: Vec<&Name> = Vec::new();
        for interface in interfaces {
            if !seen.contains(&&**interface) {
                seen.push(interface);
            }
        }
        let objects = seen.into_iter().flat_map(|name| {
            let parts = self.declared.types.get(name).into_iter().flatten();
            parts.filter(|part| part.is_interface_object())
        });
        objects
            .flat_map(|part| declared_fields(part.ty).map(|field| FieldPart { part: *part, field }))
            .collect()
    }

    /// Checks every interface that is an entity somewhere.
    pub(super) fn entity_interfaces(&mut self) {
        let declared = self.declared;
        for (name, parts) in &declared.types {
            let some = parts.iter().any(Part::is_interface_object);
            if some && parts.iter().all(Part::is_interface_object) {
                self.no_interface(name, parts);
            }
            let implementers = match self.types.get(*name) {
                Some(ty) if some || parts.iter().any(|it| it.ty.is_interface()) => {
                    ty.possible_types.clone()
                }
                _ => continue,
            };
            for part in parts {
                match part.is_interface_object() {
                    true => self.own_implementers(name, part, &implementers),
                    false => self.missing_implementers(name, part, &implementers),
                }
            }
        }
    }

    fn no_interface(&mut self, name: &Name, parts: &[Part<'a>]) {
        let sites = parts.iter().map(|part| Site {
            place: part.document.places.name(part.ty.name()),
            word: "an @interfaceObject here".to_owned(),
        });
        let message = format!("no subgraph declares the interface `{name}`");
        self.push(
            clash("INTERFACE_OBJECT_USAGE_ERROR", message, sites.collect())
                .help("declare it, with its @key and every object type, in one of the subgraphs"),
        );
    }

    /// Whoever sees the interface as one type does not see its object types.
    fn own_implementers(&mut self, name: &Name, part: &Part<'a>, implementers: &[Name]) {
        let types = &part.document.schema.types;
        for own in implementers.iter().filter_map(|it| types.get(it)) {
            let places = &part.document.places;
            let message = format!(
                "`{}` implements `{name}`, which this file sees as one object type",
                own.name()
            );
            let site = |place, word: &str| Site {
                place,
                word: word.to_owned(),
            };
            let sites = vec![
                site(places.name(own.name()), ""),
                site(places.name(part.ty.name()), "an @interfaceObject here"),
            ];
            self.push(
                clash("INTERFACE_OBJECT_USAGE_ERROR", message, sites).help(format!(
                    "give the fields to `{name}`, or declare the interface as such"
                )),
            );
        }
    }

    /// Whoever finds objects by the interface's key knows every type that they can be of.
    fn missing_implementers(&mut self, name: &Name, part: &Part<'a>, implementers: &[Name]) {
        let id = part.document.subgraph;
        let interface = part.ty.name();
        let keys = self.declared.keys.get(&(id, interface));
        let resolvable = keys.is_some_and(|keys| keys.iter().any(|key| key.resolvable));
        if !part.ty.is_interface() || !resolvable {
            return;
        }
        let known = |ty: &Name| match part.document.schema.types.get(ty) {
            Some(ExtendedType::Object(it)) => it.implements_interfaces.contains(interface),
            _ => false,
        };
        let missing = implementers.iter().filter(|ty| !known(ty));
        let sites = missing.filter_map(|ty| {
            let declared = self.declared.types.get(ty)?.first()?;
            Some(Site {
                place: declared.document.places.name(declared.ty.name()),
                word: format!("`{ty}` is one of its object types"),
            })
        });
        let sites: Vec<Site> = sites.collect();
        if sites.is_empty() {
            return;
        }
        let here = Site {
            place: part.document.places.name(interface),
            word: String::new(),
        };
        let message = format!(
            "`{name}` has a @key here, and not every object type that implements it somewhere"
        );
        let sites = std::iter::once(here).chain(sites).collect();
        self.push(
            clash("INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE", message, sites)
                .help("declare them in this file too, each with the key of the interface"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    const MEDIA: &str = "interface Media @key(fields: \"id\") { id: ID! title: String } \
         type Book implements Media @key(fields: \"id\") { id: ID! title: String }";
    const REVIEWS: &str = "type Media @key(fields: \"id\") @interfaceObject { id: ID! stars(max: Int): Int } type Query { best: [Media!] }";

    #[test]
    fn an_interface_seen_as_an_object_gives_its_fields_to_every_object() {
        assert_eq!(
            printed(&[MEDIA, REVIEWS]),
            "schema { query: Query } interface Media { id: ID! title: String stars(max: Int): Int } \
             type Book implements Media { id: ID! title: String stars(max: Int): Int } type Query { best: [Media!] }"
                .trim_start_matches("schema { query: Query } ")
        );
        let (merged, _) = merged(&[MEDIA, REVIEWS]);
        let media = &merged.types["Media"];
        assert_eq!(media.possible_types, ["Book"]);
        assert!(!media.subgraphs[0].interface_object && media.subgraphs[1].interface_object);
        assert_eq!(media.subgraphs[1].keys.len(), 1);
        let book = &merged.types["Book"];
        assert_eq!(book.subgraphs.len(), 1);
        let stars = &book.fields["stars"].subgraphs;
        assert_eq!((stars.len(), stars[0].subgraph.index()), (1, 1));
    }

    #[test]
    fn its_fields_are_shared_as_those_of_every_object() {
        let own = MEDIA.replace("title: String }", "title: String stars(max: Int): Int }");
        let said = said(&[&own, REVIEWS]);
        assert!(
            said.starts_with("error[INVALID_FIELD_SHARING] a.graphql:2:")
                && said.contains("`Book.stars` is answered by 2 subgraphs"),
            "{said}"
        );
    }

    #[test]
    fn what_an_interface_object_needs_is_told() {
        let alone = said(&[REVIEWS]);
        assert!(
            alone.starts_with("error[INTERFACE_OBJECT_USAGE_ERROR] a.graphql:2:6\n"),
            "{alone}"
        );
        let both = format!("{REVIEWS} type Book @key(fields: \"id\") {{ id: ID! }}");
        let both = said(&[MEDIA, &both]);
        assert!(
            both.starts_with("error[INTERFACE_OBJECT_USAGE_ERROR] b.graphql:2:")
                && both
                    .contains("`Book` implements `Media`, which this file sees as one object type"),
            "{both}"
        );
        let object = said(&[MEDIA, "type Media @key(fields: \"id\") { id: ID! }"]);
        assert!(object.starts_with("error[TYPE_KIND_MISMATCH]"), "{object}");
    }

    #[test]
    fn who_finds_objects_by_the_key_of_an_interface_knows_all_of_them() {
        let other = "interface Media { id: ID! } type Film implements Media @key(fields: \"id\") { id: ID! title: String }";
        assert_eq!(
            said(&[MEDIA, other]),
            "error[INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE] a.graphql:2:11\n  \
             2 | interface Media @key(fields: \"id\") { id: ID! title: String } type Book implements Media @key(fields: \"id\") { id: ID! title: String }\n    \
             |           ^^^^^ `Media` has a @key here, and not every object type that implements it somewhere\n  \
             at b.graphql:2:34\n  \
             2 | interface Media { id: ID! } type Film implements Media @key(fields: \"id\") { id: ID! title: String }\n    \
             |                                  ^^^^ `Film` is one of its object types\n  \
             help: declare them in this file too, each with the key of the interface\n"
        );
    }

    #[test]
    fn who_sees_one_type_says_nothing_of_its_objects() {
        let shared = "type Query @shareable { best: Media }";
        let said = hinted(&[
            &format!("{MEDIA} {shared}"),
            &format!(
                "type Media @key(fields: \"id\") @interfaceObject {{ id: ID! stars: Int }} {shared}"
            ),
        ]);
        assert!(!said.contains("RUNTIME_TYPES"), "{said}");
    }
}
