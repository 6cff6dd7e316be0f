//! All that a schema says, once its references and `allOf` are put together.
//!
//! The rules of JSON Schema: every part of an `allOf` holds, so types intersect and properties of
//! one name are described by several schemas. Must not know the neutral model.
//! <https://json-schema.org/draft/2020-12/json-schema-core#name-keywords-for-applying-subschemas-with-logic>

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::Value;

use super::document::{Document, Node, Pointer};
use super::types::Types;
use crate::contract::error::ContractError;

/// Schemas within schemas by `allOf`, references and single alternatives.
const MAX_DEPTH: usize = 64;

/// What a schema says.
#[derive(Default)]
pub(super) struct Flat<'d> {
    /// The types it allows, null aside; nothing where it does not say.
    pub(super) types: Option<Types>,
    pub(super) format: Option<&'d str>,
    /// The values of `enum` or `const`, null aside.
    pub(super) values: Option<Vec<&'d Value>>,
    /// What describes each property.
    pub(super) properties: IndexMap<&'d str, Vec<Node<'d>>>,
    pub(super) required: Vec<&'d str>,
    /// What describes the properties that have no name here.
    pub(super) others: Vec<Node<'d>>,
    /// Whether other properties are forbidden.
    pub(super) closed: bool,
    pub(super) items: Vec<Node<'d>>,
    /// Whether items are described one by one, which `items` then leaves out.
    pub(super) tuple: bool,
    pub(super) alternatives: Vec<Alternatives<'d>>,
    names: Vec<String>,
    null: Nullness,
    visited: HashSet<Pointer>,
}

/// A `oneOf` or `anyOf` with at least two alternatives, null aside.
pub(super) struct Alternatives<'d> {
    /// The place of the keyword.
    pub(super) at: Pointer,
    pub(super) branches: Vec<Node<'d>>,
    pub(super) discriminator: Option<Node<'d>>,
}

/// What the parts say about null.
#[derive(Default)]
struct Nullness {
    /// A part without a type says `nullable: true`, which can only mean the whole.
    stated: bool,
    /// Whether all parts with a type allow null.
    typed: Option<bool>,
}

impl<'d> Flat<'d> {
    /// Puts together what all of `parts` say, without the alternatives at the places `without`.
    pub(super) fn of(
        document: &'d Document<'_>,
        parts: &[Node<'d>],
        without: &[Pointer],
    ) -> Result<Self, ContractError> {
        let mut flattening = Flattening {
            document,
            without,
            flat: Flat::default(),
            path: Vec::new(),
        };
        for part in parts {
            flattening.add(part.clone())?;
        }
        Ok(flattening.flat)
    }

    pub(super) fn nullable(&self) -> bool {
        self.null.stated || self.null.typed == Some(true)
    }

    /// The name of the component that this is, or is the only one to be made of.
    pub(super) fn name(&self) -> Option<String> {
        match self.names.as_slice() {
            [name] => Some(name.clone()),
            _ => None,
        }
    }

    /// Whether it says nothing that its alternatives would have to be combined with.
    pub(super) fn is_bare(&self) -> bool {
        let types_say_little = self.types.is_none_or(|types| types == Types::OBJECT);
        types_say_little
            && self.values.is_none()
            && self.properties.is_empty()
            && self.required.is_empty()
            && self.others.is_empty()
            && self.items.is_empty()
    }
}

struct Flattening<'a, 'd, 's> {
    document: &'d Document<'s>,
    without: &'a [Pointer],
    flat: Flat<'d>,
    /// The schemas that are being added, outermost first.
    path: Vec<Pointer>,
}

impl<'d> Flattening<'_, 'd, '_> {
    fn add(&mut self, node: Node<'d>) -> Result<(), ContractError> {
        let node = self.document.follow(node)?;
        self.check_path(&node)?;
        if !self.flat.visited.insert(node.at.clone()) {
            return Ok(());
        }
        self.path.push(node.at.clone());
        self.add_schema(&node)?;
        self.path.pop();
        Ok(())
    }

    fn check_path(&self, node: &Node<'d>) -> Result<(), ContractError> {
        if self.path.contains(&node.at) {
            return Err(self.document.error(&node.at, "this schema includes itself"));
        }
        if self.path.len() >= MAX_DEPTH {
            let message = "schemas include each other too deeply";
            return Err(self.document.error(&node.at, message));
        }
        Ok(())
    }

    fn add_schema(&mut self, node: &Node<'d>) -> Result<(), ContractError> {
        match node.value {
            Value::Object(_) => {}
            // `true` allows everything. `false`, which allows nothing, is no type to read either.
            Value::Bool(_) => return Ok(()),
            _ => return Err(self.document.error(&node.at, "a schema must be an object")),
        }
        self.add_name(node);
        self.add_types(node)?;
        self.add_values(node);
        self.add_object(node);
        self.add_list(node);
        self.add_parts(node)?;
        self.add_alternatives(node, "oneOf")?;
        self.add_alternatives(node, "anyOf")
    }

    /// The outermost component gives the name; what it is made of does not.
    fn add_name(&mut self, node: &Node<'d>) {
        let named_outside = self
            .path
            .iter()
            .rev()
            .skip(1)
            .any(|at| at.schema_name().is_some());
        if !named_outside {
            self.flat.names.extend(node.at.schema_name());
        }
    }

    fn add_types(&mut self, node: &Node<'d>) -> Result<(), ContractError> {
        let nullable = node.flag("nullable") == Some(true);
        let Some(stated) = node.get("type") else {
            self.flat.null.stated |= nullable;
            return Ok(());
        };
        let (types, null) = Types::parse(self.document, &stated)?;
        let typed = &mut self.flat.null.typed;
        *typed = Some(typed.unwrap_or(true) && (null || nullable));
        self.narrow(types);
        Ok(())
    }

    fn narrow(&mut self, types: Types) {
        let types = self
            .flat
            .types
            .map_or(types, |held| held.intersection(types));
        self.flat.types = Some(types);
    }

    fn add_values(&mut self, node: &Node<'d>) {
        let format = match node.text("contentEncoding") {
            Some("base64" | "base64url") => Some("byte"),
            _ => node.text("format"),
        };
        self.flat.format = self.flat.format.or(format);
        let Some(stated) = stated_values(node) else {
            return;
        };
        if node.get("type").is_none() && stated.iter().any(|value| value.is_null()) {
            self.flat.null.stated = true;
        }
        let held = self.flat.values.take();
        let allowed = |value: &&Value| held.as_ref().is_none_or(|held| held.contains(value));
        let values = stated.into_iter().filter(|value| !value.is_null());
        self.flat.values = Some(values.filter(allowed).collect());
    }

    fn add_object(&mut self, node: &Node<'d>) {
        for (name, property) in node.get("properties").iter().flat_map(Node::entries) {
            self.flat.properties.entry(name).or_default().push(property);
        }
        let required = node.value.get("required").and_then(Value::as_array);
        let names = required.into_iter().flatten().filter_map(Value::as_str);
        self.flat.required.extend(names);
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            match node.get(keyword) {
                Some(schema) if schema.value == &Value::Bool(false) => self.flat.closed = true,
                Some(schema) => self.flat.others.push(schema),
                None => {}
            }
        }
        let patterns = node.get("patternProperties");
        let described = patterns.iter().flat_map(Node::entries);
        self.flat.others.extend(described.map(|(_, schema)| schema));
    }

    fn add_list(&mut self, node: &Node<'d>) {
        self.flat.tuple |= node.get("prefixItems").is_some();
        match node.get("items") {
            Some(items) if items.value.is_array() => self.flat.tuple = true,
            Some(items) => self.flat.items.push(items),
            None => {}
        }
    }

    fn add_parts(&mut self, node: &Node<'d>) -> Result<(), ContractError> {
        if node.is_reference() {
            self.add(self.document.target(node)?)?;
        }
        for part in node.get("allOf").iter().flat_map(Node::items) {
            self.add(part)?;
        }
        Ok(())
    }

    fn add_alternatives(
        &mut self,
        node: &Node<'d>,
        keyword: &'static str,
    ) -> Result<(), ContractError> {
        let Some(group) = node.get(keyword) else {
            return Ok(());
        };
        let (nulls, mut branches) = self.partition(&group)?;
        self.flat.null.stated |= nulls;
        if self.without.contains(&group.at) || self.is_moot(&branches) {
            return Ok(());
        }
        match branches.len() {
            0 => self.narrow(Types::NONE),
            1 => self.add(branches.remove(0))?,
            _ => self.flat.alternatives.push(Alternatives {
                at: group.at,
                branches,
                discriminator: node.get("discriminator"),
            }),
        }
        Ok(())
    }

    /// Whether one branch is null, and the others.
    fn partition(&self, group: &Node<'d>) -> Result<(bool, Vec<Node<'d>>), ContractError> {
        let mut branches = Vec::new();
        let mut nulls = false;
        for branch in group.items() {
            let branch = self.document.follow(branch)?;
            match is_null(&branch) {
                true => nulls = true,
                false => branches.push(branch),
            }
        }
        Ok((nulls, branches))
    }

    /// Alternatives that say nothing about types: they only require one property or another, or
    /// they are the subtypes of a base that this subtype includes.
    fn is_moot(&self, branches: &[Node<'d>]) -> bool {
        let only_requires = !branches.is_empty() && branches.iter().all(only_constrains);
        let includes_itself = branches.iter().any(|b| self.flat.visited.contains(&b.at));
        only_requires || includes_itself
    }
}

fn stated_values<'d>(node: &Node<'d>) -> Option<Vec<&'d Value>> {
    if let Some(value) = node.value.get("const") {
        return Some(vec![value]);
    }
    let values = node.value.get("enum")?.as_array()?;
    Some(values.iter().collect())
}

fn is_null(node: &Node<'_>) -> bool {
    let only_null = |value: &Value| match value {
        Value::Array(values) => !values.is_empty() && values.iter().all(is_null_word),
        value => is_null_word(value),
    };
    let by_type = node.value.get("type").is_some_and(only_null);
    by_type || stated_values(node).is_some_and(|v| !v.is_empty() && v.iter().all(|v| v.is_null()))
}

fn is_null_word(value: &Value) -> bool {
    value == "null"
}

fn only_constrains(node: &Node<'_>) -> bool {
    const CONSTRAINTS: [&str; 6] = [
        "required",
        "not",
        "title",
        "description",
        "minProperties",
        "maxProperties",
    ];
    let keys = node.value.as_object().map(|object| object.keys());
    keys.is_some_and(|mut keys| keys.all(|key| CONSTRAINTS.contains(&key.as_str())))
}
