//! Interfaces: what cannot stand on them, and the keys of those that are entities.

use apollo_compiler::Node;
use apollo_compiler::ast::Directive;
use apollo_compiler::schema::InterfaceType;

use super::selection::{Kind, Selection, Selections};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, Federation, first};

/// Since which minor version of Federation 2 an interface may be an entity.
const ENTITY_INTERFACES: u32 = 3;

pub(super) fn check(
    document: &Document,
    selections: &Selections<'_>,
    diagnostics: &mut Diagnostics,
) {
    let interfaces = document.schema.types.values();
    for interface in interfaces.filter_map(|ty| ty.as_interface()) {
        check_fields(document, interface, diagnostics);
        check_version(document, interface, diagnostics);
        check_keys(document, interface, selections, diagnostics);
    }
    let objects = document.schema.types.values();
    for object in objects.filter_map(|ty| ty.as_object()) {
        let marked = first(&object.directives, "interfaceObject");
        if let Some(directive) = marked.filter(|_| first(&object.directives, "key").is_none()) {
            diagnostics.push(keyless(document, &object.name, directive));
        }
    }
}

fn check_fields(document: &Document, interface: &InterfaceType, diagnostics: &mut Diagnostics) {
    const REFUSED: [(&str, &str); 3] = [
        ("requires", "REQUIRES_UNSUPPORTED_ON_INTERFACE"),
        ("provides", "PROVIDES_UNSUPPORTED_ON_INTERFACE"),
        ("override", "OVERRIDE_ON_INTERFACE"),
    ];
    for field in interface.fields.values() {
        for (name, code) in REFUSED {
            if let Some(directive) = first(&field.directives, name) {
                let message = format!("@{name} is for fields of object types");
                diagnostics.push(
                    Diagnostic::error(code, message)
                        .at(document.places.directive(directive))
                        .help("write it on the fields of the object types"),
                );
            }
        }
    }
}

fn check_version(document: &Document, interface: &InterfaceType, diagnostics: &mut Diagnostics) {
    let Federation::V2 { minor } = document.federation else {
        return;
    };
    let key = first(&interface.directives, "key").filter(|_| minor < ENTITY_INTERFACES);
    if let Some(key) = key {
        let message = format!("an interface has no @key before Federation v2.{ENTITY_INTERFACES}");
        diagnostics.push(
            Diagnostic::error("KEY_UNSUPPORTED_ON_INTERFACE", message)
                .at(document.places.directive(key))
                .help(format!(
                    "link https://specs.apollo.dev/federation/v2.{ENTITY_INTERFACES} or later"
                )),
        );
    }
}

/// Whoever finds an object by the interface's key finds it by the same key of its own type.
fn check_keys(
    document: &Document,
    interface: &InterfaceType,
    selections: &Selections<'_>,
    diagnostics: &mut Diagnostics,
) {
    let keys = || selections.sets.iter().filter(|it| it.kind == Kind::Key);
    for key in keys().filter(|it| *it.ty == interface.name && is_resolvable(it)) {
        let paths = key.paths();
        let missing = selections.implementers.get(&interface.name);
        let missing = missing.into_iter().flatten().filter(|ty| {
            !keys().any(|own| own.ty == **ty && is_resolvable(own) && own.paths() == paths)
        });
        let mut missing = missing.peekable();
        if missing.peek().is_none() {
            continue;
        }
        let message = format!("every object type of `{}` has this key too", interface.name);
        let found = Diagnostic::error("INTERFACE_KEY_NOT_ON_IMPLEMENTATION", message)
            .at(document.places.directive(key.directive));
        let found = missing.fold(found, |found, ty| {
            found.related(
                document.places.name(ty),
                "without it, or not resolvable by it, here",
            )
        });
        diagnostics.push(found.help(format!("write @key(fields: {}) there", key.value)));
    }
}

fn is_resolvable(key: &Selection<'_>) -> bool {
    let said = key.directive.specified_argument_by_name("resolvable");
    said.and_then(|it| it.to_bool()).unwrap_or(true)
}

fn keyless(document: &Document, ty: &str, directive: &Node<Directive>) -> Diagnostic {
    let message = format!("`{ty}` has no @key, by which its objects would be found again");
    Diagnostic::error("INTERFACE_OBJECT_USAGE_ERROR", message)
        .at(document.places.directive(directive))
        .help(format!("give it a key of the interface `{ty}`"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn what_only_object_types_answer_does_not_stand_on_an_interface() {
        for (directive, code) in [
            (
                "@requires(fields: \"b\")",
                "REQUIRES_UNSUPPORTED_ON_INTERFACE",
            ),
            (
                "@provides(fields: \"b\")",
                "PROVIDES_UNSUPPORTED_ON_INTERFACE",
            ),
            ("@override(from: \"b\")", "OVERRIDE_ON_INTERFACE"),
        ] {
            let said = said(&format!("interface I {{ a: I {directive} b: Int }}"));
            let expected = format!("error[{code}] a.graphql:2:20\n");
            assert!(said.contains(&expected), "{said}");
        }
    }

    #[test]
    fn an_interface_is_an_entity_since_2_3() {
        let sdl = "interface I @key(fields: \"id\") { id: ID! }";
        assert_eq!(said_of_version("2.3", sdl), "");
        assert_eq!(
            said_of_version("2.2", sdl),
            "error[KEY_UNSUPPORTED_ON_INTERFACE] a.graphql:2:13\n  \
             2 | interface I @key(fields: \"id\") { id: ID! }\n    \
             |             ^^^^ an interface has no @key before Federation v2.3\n  \
             help: link https://specs.apollo.dev/federation/v2.3 or later\n"
        );
    }

    #[test]
    fn the_object_types_of_an_entity_interface_have_its_keys() {
        let interface =
            "interface I @key(fields: \"id o { x }\") { id: ID! o: O } type O { x: Int }";
        let object = |key: &str| {
            said(&format!(
                "{interface}\ntype A implements I {key} {{ id: ID! o: O }}"
            ))
        };
        assert_eq!(object("@key(fields: \"o { x }, id\")"), "");
        assert_eq!(
            object("@key(fields: \"id\")"),
            "error[INTERFACE_KEY_NOT_ON_IMPLEMENTATION] a.graphql:2:13\n  \
             2 | interface I @key(fields: \"id o { x }\") { id: ID! o: O } type O { x: Int }\n    \
             |             ^^^^ every object type of `I` has this key too\n  \
             at a.graphql:3:6\n  \
             3 | type A implements I @key(fields: \"id\") { id: ID! o: O }\n    \
             |      ^ without it, or not resolvable by it, here\n  \
             help: write @key(fields: \"id o { x }\") there\n"
        );
        let unresolvable = object("@key(fields: \"id o { x }\", resolvable: false)");
        assert!(
            unresolvable.starts_with("error[INTERFACE_KEY_NOT_ON_IMPLEMENTATION]"),
            "{unresolvable}"
        );
    }

    #[test]
    fn an_interface_object_is_an_entity() {
        let said = said("type I @interfaceObject { id: ID! }");
        assert!(
            said.starts_with("error[INTERFACE_OBJECT_USAGE_ERROR] a.graphql:2:8\n"),
            "{said}"
        );
    }
}
