//! The data of a case: objects by handle, whichever subgraph tells of them.
//!
//! Owns what the value of a field is, computed ones included. `README.md` explains how it is written.

use std::sync::Mutex;

use apollo_compiler::ast::Type;
use serde_json::Map;
use serde_json::Value as Json;

use super::selection::Selection;
use super::shape::Shape;
use super::template::Hole;
use super::template::Step;
use super::template::Template;

pub(crate) struct World {
    pub(crate) shape: Shape,
    objects: Mutex<Vec<Object>>,
    /// What was asked for, and is not in it.
    pub(crate) gaps: Mutex<Vec<String>>,
}

/// One object, as it is at the moment.
#[derive(Clone)]
pub(crate) struct Object {
    /// None for one that stands inside another.
    pub(crate) handle: Option<String>,
    pub(crate) ty: String,
    fields: Map<String, Json>,
}

/// What a field holds.
pub(crate) enum Value {
    Leaf(Json),
    Object(Object),
    List(Vec<Told>),
}

/// A value, or the message of an error.
pub(crate) type Told = Result<Value, String>;

/// A field that is asked for, and what it is computed from.
pub(crate) struct Asked<'a> {
    pub(crate) field: &'a str,
    pub(crate) arguments: &'a Map<String, Json>,
    /// What stands in a hole of a template.
    pub(crate) hole: &'a dyn Fn(&[Step]) -> Json,
}

impl World {
    /// Types, and of each its objects by handle; a root type has its fields instead.
    pub(crate) fn new(data: &Map<String, Json>, shape: Shape) -> Self {
        let mut objects: Vec<Object> = Vec::new();
        for (ty, members) in data {
            let members = members.as_object().expect("objects by handle");
            if matches!(ty.as_str(), "Query" | "Mutation") {
                objects.push(object(ty, ty, members));
                continue;
            }
            for (handle, fields) in members {
                let fields = fields.as_object().expect("an object's fields");
                let known = objects
                    .iter()
                    .any(|it| it.handle.as_deref() == Some(handle));
                assert!(!known, "there are two objects `{handle}`");
                objects.push(object(handle, ty, fields));
            }
        }
        Self {
            shape,
            objects: Mutex::new(objects),
            gaps: Mutex::default(),
        }
    }

    /// The root of an operation: `Query`, `Mutation`.
    pub(crate) fn root(&self, ty: &str) -> Object {
        let objects = self.objects.lock().expect("nobody panics with it");
        let root = objects.iter().find(|it| it.handle.as_deref() == Some(ty));
        root.cloned().unwrap_or_else(|| object(ty, ty, &Map::new()))
    }

    /// The object of a handle.
    pub(crate) fn object(&self, handle: &str) -> Object {
        let objects = self.objects.lock().expect("nobody panics with it");
        let found = objects
            .iter()
            .find(|it| it.handle.as_deref() == Some(handle));
        found
            .cloned()
            .unwrap_or_else(|| panic!("there is no object `{handle}`"))
    }

    /// Every object of a type, or of one of its types.
    pub(crate) fn all(&self, ty: &str) -> Vec<Object> {
        let objects = self.objects.lock().expect("nobody panics with it");
        let of_type = objects.iter().filter(|it| self.shape.is_a(&it.ty, ty));
        of_type.cloned().collect()
    }

    /// The value of a field.
    pub(crate) fn tell(&self, object: &Object, asked: &Asked<'_>) -> Told {
        let declared = self.shape.field(&object.ty, asked.field);
        match (object.fields.get(asked.field), declared) {
            (Some(value), Some(declared)) => self.read(value, declared, asked),
            _ => {
                let gap = format!("the world has no {} of {object:?}", asked.field);
                let mut gaps = self.gaps.lock().expect("nobody panics with it");
                gaps.push(gap.clone());
                Err(gap)
            }
        }
    }

    /// The value of a field without arguments.
    pub(crate) fn holds(&self, object: &Object, field: &str) -> Told {
        let asked = Asked {
            field,
            arguments: &Map::new(),
            hole: &|hole| self.follow(object, hole),
        };
        self.tell(object, &asked)
    }

    /// What stands at a path from an object, with everything known.
    pub(crate) fn follow(&self, object: &Object, path: &[Step]) -> Json {
        let Some((step, rest)) = path.split_first() else {
            return Json::Null;
        };
        if !object.fields.contains_key(&step.name) {
            return Json::Null;
        }
        let asked = Asked {
            field: &step.name,
            arguments: &step.arguments,
            hole: &|hole| self.follow(object, hole),
        };
        self.follow_value(self.tell(object, &asked), rest)
    }

    /// Whether any of the selected fields is an error.
    pub(crate) fn fails(&self, object: &Object, selection: &Selection) -> bool {
        let mut known = selection.0.iter();
        known.any(|it| {
            let known = object.fields.contains_key(&it.name);
            known && self.value_fails(self.holds(object, &it.name), &it.below)
        })
    }

    fn value_fails(&self, value: Told, below: &Selection) -> bool {
        match value {
            Ok(Value::Leaf(_)) => false,
            Ok(Value::Object(object)) => self.fails(&object, below),
            Ok(Value::List(items)) => items.into_iter().any(|it| self.value_fails(it, below)),
            Err(_) => true,
        }
    }

    fn follow_value(&self, value: Told, rest: &[Step]) -> Json {
        match value {
            Ok(Value::Leaf(leaf)) => leaf,
            Ok(Value::Object(object)) => self.follow(&object, rest),
            Ok(Value::List(items)) => {
                let items = items.into_iter();
                items.map(|item| self.follow_value(item, rest)).collect()
            }
            Err(_) => Json::Null,
        }
    }

    fn read(&self, value: &Json, ty: &Type, asked: &Asked<'_>) -> Told {
        let named = ty.inner_named_type().as_str();
        let composite = self.shape.is_composite(named);
        match value {
            Json::Object(members) if members.keys().any(|it| it.starts_with('$')) => {
                self.special(members, ty, asked)
            }
            Json::Array(items) if ty.is_list() => {
                let items = items.iter();
                let read = items.map(|item| self.read(item, ty.item_type(), asked));
                Ok(Value::List(read.collect()))
            }
            Json::Object(fields) if composite => {
                let ty = fields.get("__typename").and_then(Json::as_str);
                Ok(Value::Object(Object {
                    handle: None,
                    ty: ty.unwrap_or(named).to_owned(),
                    fields: fields.clone(),
                }))
            }
            Json::String(handle) if composite => Ok(Value::Object(self.object(handle))),
            Json::String(text) if text.contains('{') => {
                let template = Template::parse(text);
                let hole = |hole: &Hole| match hole {
                    Hole::Argument(name) => asked.arguments.get(name).cloned().unwrap_or_default(),
                    Hole::Path(path) => (asked.hole)(path),
                };
                Ok(Value::Leaf(template.fill(named, &hole)))
            }
            leaf => Ok(Value::Leaf(leaf.clone())),
        }
    }

    /// A value that is told in words of ours.
    fn special(&self, members: &Map<String, Json>, ty: &Type, asked: &Asked<'_>) -> Told {
        if let Some(message) = members.get("$error") {
            return Err(message.as_str().unwrap_or_default().to_owned());
        }
        if let Some(found) = members.get("$find") {
            let found = self.matching(found.as_str().expect("a type"), asked.arguments);
            let mut found = found.into_iter().map(Value::Object);
            return Ok(match ty.is_list() {
                true => Value::List(found.map(Ok).collect()),
                false => found.next().unwrap_or(Value::Leaf(Json::Null)),
            });
        }
        if let Some(all) = members.get("$first") {
            let first = asked.arguments.get("first").and_then(Json::as_u64);
            let all = all.as_array().expect("a list");
            let first = first.map_or(all.len(), |it| all.len().min(it as usize));
            return self.read(&Json::from(&all[..first]), ty, asked);
        }
        if let Some(changes) = members.get("$set") {
            self.change(changes.as_object().expect("handles"), asked.arguments);
            return self.read(&members["$give"], ty, asked);
        }
        panic!("not a word of the world: {members:?}")
    }

    /// The objects whose fields are what the arguments say; `ids` is one of several.
    fn matching(&self, ty: &str, arguments: &Map<String, Json>) -> Vec<Object> {
        let fits = |object: &Object| {
            arguments.iter().all(|(name, wanted)| match wanted {
                Json::Null => true,
                Json::Array(any) => {
                    let own = text(&object.fields[name.trim_end_matches('s')]);
                    any.iter().any(|it| text(it) == own)
                }
                one => object
                    .fields
                    .get(name)
                    .is_some_and(|it| text(it) == text(one)),
            })
        };
        let mut found = self.all(ty);
        found.retain(fits);
        found
    }

    fn change(&self, changes: &Map<String, Json>, arguments: &Map<String, Json>) {
        let mut objects = self.objects.lock().expect("nobody panics with it");
        for (handle, fields) in changes {
            let object = objects
                .iter_mut()
                .find(|it| it.handle.as_deref() == Some(handle));
            let object = object.unwrap_or_else(|| panic!("there is no object `{handle}`"));
            for (name, value) in fields.as_object().expect("fields") {
                let argument = value.as_str().and_then(|it| it.strip_prefix('$'));
                let value = argument.map_or(value, |name| &arguments[name]);
                object.fields.insert(name.clone(), value.clone());
            }
        }
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let handle = self.handle.as_deref().unwrap_or("inside another");
        write!(f, "{handle}: {}", Json::Object(self.fields.clone()))
    }
}

fn object(handle: &str, ty: &str, fields: &Map<String, Json>) -> Object {
    Object {
        handle: Some(handle.to_owned()),
        ty: ty.to_owned(),
        fields: fields.clone(),
    }
}

/// A JSON scalar as text: an id is the same as a number and as a text.
pub(crate) fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
