//! Paths of documents, seen from another directory than the file's that names them.

use apollo_compiler::ast::Value;
use apollo_compiler::{Name, Node};

use crate::files::resolve_path;

/// Where `@source` names documents: below which argument, under which name.
const DOCUMENTS: [(&str, &str); 3] = [
    ("http", "openapi"),
    ("grpc", "descriptors"),
    ("grpc", "protos"),
];

/// An argument of `@source`, its documents named as seen from `directory`.
pub(super) fn argument(
    name: &Name,
    value: &Node<Value>,
    file: &str,
    directory: &str,
) -> Node<Value> {
    let Value::Object(entries) = &**value else {
        return value.clone();
    };
    let names_documents = |key: &Name| {
        DOCUMENTS
            .iter()
            .any(|it| *it == (name.as_str(), key.as_str()))
    };
    let moved = entries
        .iter()
        .map(|(key, value)| match names_documents(key) {
            true => (key.clone(), paths(value, file, directory)),
            false => (key.clone(), value.clone()),
        });
    Node::new(Value::Object(moved.collect()))
}

fn paths(value: &Node<Value>, file: &str, directory: &str) -> Node<Value> {
    match &**value {
        Value::String(path) => {
            let seen = seen_from(directory, &resolve_path(file, path));
            Node::new(Value::String(seen))
        }
        Value::List(items) => {
            let items = items.iter().map(|item| paths(item, file, directory));
            Node::new(Value::List(items.collect()))
        }
        _ => value.clone(),
    }
}

/// A path from a directory on. Both begin at the same place, or at the root.
fn seen_from(directory: &str, path: &str) -> String {
    if path.starts_with('/') && !directory.starts_with('/') {
        return path.to_owned();
    }
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split('/').filter(|it| !matches!(*it, "" | "."));
        parts.map(str::to_owned).collect()
    };
    let (from, to) = (parts(directory), parts(path));
    let both = from.iter().zip(&to);
    let common = both.take_while(|(a, b)| a == b && *a != "..").count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - common);
    let seen: Vec<String> = up.chain(to[common..].iter().cloned()).collect();
    seen.join("/")
}

#[cfg(test)]
mod tests {
    use super::seen_from;

    #[test]
    fn a_path_is_seen_from_a_directory() {
        for (directory, path, seen) in [
            ("", "a/b.proto", "a/b.proto"),
            ("schema", "schema/b.proto", "b.proto"),
            ("./schema/", "schema/p/b.proto", "p/b.proto"),
            ("schema/x", "protos/b.proto", "../../protos/b.proto"),
            ("schema", "/abs/b.proto", "/abs/b.proto"),
            ("/abs/schema", "/abs/b.proto", "../b.proto"),
        ] {
            assert_eq!(seen_from(directory, path), seen, "{directory} {path}");
        }
    }
}
