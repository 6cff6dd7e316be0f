//! The field mask of a request: which fields of the reply are asked for.
//!
//! Owns turning a step's shape into paths of proto names. Follows
//! <https://google.aip.dev/157>: paths are relative to the resource, and a
//! repeated field or a map ends a path.

use plan::shape::Props;
use plan::shape::ReplyShape;
use plan::shape::Shape;
use prost_reflect::FieldDescriptor;
use prost_reflect::Kind;
use prost_reflect::MessageDescriptor;

/// The paths that a step reads; none where it reads everything or nothing in particular.
pub(super) fn paths(shape: &ReplyShape, output: &MessageDescriptor) -> Vec<String> {
    let mut paths = Vec::new();
    if let Some(resource) = below(output, &shape.unwrap) {
        of_shape(&shape.root, &resource, "", &mut paths);
    }
    paths.sort();
    paths.dedup();
    without_covered(&paths)
}

fn below(message: &MessageDescriptor, path: &[String]) -> Option<MessageDescriptor> {
    path.iter().try_fold(message.clone(), |message, name| {
        match find(&message, name)?.kind() {
            Kind::Message(inner) => Some(inner),
            _ => None,
        }
    })
}

fn find(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message
        .get_field_by_name(name)
        .or_else(|| message.get_field_by_json_name(name))
}

fn of_shape(shape: &Shape, message: &MessageDescriptor, prefix: &str, paths: &mut Vec<String>) {
    match shape {
        Shape::Leaf(_) => {}
        Shape::List(inner) => of_shape(inner, message, prefix, paths),
        Shape::Object(object) => of_props(&object.props, message, prefix, paths),
        Shape::Abstract(shape) => {
            of_path(&shape.discriminator, message, prefix, paths);
            for variant in &shape.variants {
                of_props(&variant.shape.props, message, prefix, paths);
            }
        }
    }
}

fn of_props(props: &Props, message: &MessageDescriptor, prefix: &str, paths: &mut Vec<String>) {
    for prop in &props.0 {
        let Some(field) = find(message, &prop.name) else {
            of_oneof(&prop.name, message, prefix, paths);
            continue;
        };
        let path = format!("{prefix}{}", field.name());
        let before = paths.len();
        if let Some(inner) = single_message(&field) {
            let prefix = format!("{path}.");
            of_props(&prop.nested, &inner, &prefix, paths);
            for target in &prop.targets {
                if of_whole(&target.shape) {
                    paths.push(path.clone());
                }
                of_shape(&target.shape, &inner, &prefix, paths);
            }
        }
        if paths.len() == before {
            paths.push(path);
        }
    }
}

/// A leaf is read from all of its message.
fn of_whole(shape: &Shape) -> bool {
    match shape {
        Shape::Leaf(_) | Shape::List(_) => true,
        Shape::Object(object) => !object.itself.is_empty(),
        Shape::Abstract(_) => false,
    }
}

fn of_path(path: &[String], message: &MessageDescriptor, prefix: &str, paths: &mut Vec<String>) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    match find(message, name) {
        None => of_oneof(name, message, prefix, paths),
        Some(field) => match single_message(&field).filter(|_| !rest.is_empty()) {
            Some(inner) => of_path(rest, &inner, &format!("{prefix}{}.", field.name()), paths),
            None => paths.push(format!("{prefix}{}", field.name())),
        },
    }
}

/// A oneof is known by its members.
fn of_oneof(name: &str, message: &MessageDescriptor, prefix: &str, paths: &mut Vec<String>) {
    let mut oneofs = message.oneofs();
    if let Some(oneof) = oneofs.find(|oneof| oneof.name() == name) {
        paths.extend(
            oneof
                .fields()
                .map(|member| format!("{prefix}{}", member.name())),
        );
    }
}

fn single_message(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_list() && !field.is_map() => Some(message),
        _ => None,
    }
}

/// Without paths below a path that is there itself. The paths are sorted.
fn without_covered(paths: &[String]) -> Vec<String> {
    let is_below = |path: &str, other: &str| {
        path.strip_prefix(other)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let covered = |path: &&String| !paths.iter().any(|other| is_below(path, other));
    paths.iter().filter(covered).cloned().collect()
}

#[cfg(test)]
mod tests {
    use plan::shape::LeafKind;

    use super::*;
    use crate::grpc::testing::Fields;
    use crate::grpc::testing::everything;
    use crate::grpc::testing::leaf;
    use crate::grpc::testing::reply;
    use crate::grpc::testing::unwrapped;

    fn text() -> Shape {
        leaf(LeafKind::String)
    }

    #[test]
    fn the_paths_are_the_proto_names_of_what_is_read() {
        let child = Fields::default()
            .read("text", text())
            .read("optionalText", text())
            .object();
        let items = Shape::List(Box::new(Fields::default().read("text", text()).object()));
        let shape = Fields::default()
            .read("int32Field", leaf(LeafKind::Int))
            .read("child", child)
            .read("child.child.kind", text())
            .read("children", items)
            .read("labels.color", text())
            .read("moment", text())
            .read("choice", text())
            .object();
        let expected = [
            "child.child.kind",
            "child.optional_text",
            "child.text",
            "children",
            "choice_child",
            "choice_number",
            "choice_text",
            "int32_field",
            "labels",
            "moment",
        ];
        assert_eq!(paths(&reply(shape), &everything()), expected);
    }

    #[test]
    fn paths_are_relative_to_what_is_unwrapped() {
        let items = Shape::List(Box::new(Fields::default().read("text", text()).object()));
        assert_eq!(
            paths(&unwrapped("children", items), &everything()),
            ["text"]
        );
    }

    #[test]
    fn a_path_covers_those_below_it() {
        let shape = Fields::default()
            .read("child", leaf(LeafKind::Json))
            .read("child.text", text())
            .object();
        assert_eq!(paths(&reply(shape), &everything()), ["child"]);
    }

    #[test]
    fn an_object_of_which_nothing_is_read_is_asked_for_as_a_whole() {
        let shape = Fields::default()
            .read("child", Fields::default().object())
            .object();
        assert_eq!(paths(&reply(shape), &everything()), ["child"]);
    }
}
