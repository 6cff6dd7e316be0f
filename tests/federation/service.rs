//! A subgraph's service: executes operations over its own SDL and the world.
//!
//! Owns being strict. What a real service could not answer, or would answer wrongly, is a problem of the case: an
//! operation that is not valid against its SDL, a field of another subgraph, a representation without what is required.

use std::sync::Arc;
use std::sync::Mutex;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::executable::OperationType;
use apollo_compiler::resolvers::Execution;
use apollo_compiler::resolvers::ExecutionError;
use apollo_compiler::resolvers::ObjectValue;
use apollo_compiler::resolvers::ResolveInfo;
use apollo_compiler::resolvers::ResolvedValue;
use apollo_compiler::response::JsonMap;
use apollo_compiler::response::JsonValue;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::selection::Selection;
use super::subgraph::Subgraph;
use super::template::Step;
use super::world::Asked;
use super::world::Object;
use super::world::Told;
use super::world::Value;
use super::world::World;
use super::world::text;

pub(crate) struct Service {
    pub(crate) subgraph: Subgraph,
    pub(crate) world: Arc<World>,
    /// Handles of entities that it does not know.
    pub(crate) unknown: Vec<String>,
    /// Fields that another subgraph has taken over: type and field.
    pub(crate) taken: Vec<(String, String)>,
    pub(crate) problems: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Answers one request.
    pub(crate) fn answer(&self, query: &str, variables: &Map<String, Json>) -> Json {
        let schema = &self.subgraph.schema;
        let document = match ExecutableDocument::parse_and_validate(schema, query, "query") {
            Ok(document) => document,
            Err(invalid) => return self.refuse(query, &invalid.errors.to_string()),
        };
        let operation = document.operations.get(None).expect("one operation");
        let (handle, ty) = match operation.operation_type {
            OperationType::Mutation => ("Mutation", operation.object_type()),
            _ => ("Query", operation.object_type()),
        };
        let root = Served {
            service: self,
            ty: ty.to_string(),
            object: self.world.root(handle),
            sent: None,
            provided: Selection::default(),
        };
        let given: JsonMap = variables
            .iter()
            .map(|(name, value)| (name.as_str().into(), JsonValue::from(value.clone())))
            .collect();
        let executed = Execution::new(schema, &document)
            .raw_variable_values(&given)
            .execute_sync(&root);
        match executed {
            Ok(response) => serde_json::to_value(response).expect("a response is JSON"),
            Err(bad) => self.refuse(query, &bad.message().to_string()),
        }
    }

    fn refuse(&self, query: &str, why: &str) -> Json {
        self.problem(format!("cannot execute {query}\n{why}"));
        json!({ "errors": [{ "message": why }] })
    }

    pub(super) fn problem(&self, problem: String) {
        let problem = format!("{}: {problem}", self.subgraph.name);
        self.problems
            .lock()
            .expect("nobody panics with it")
            .push(problem);
    }

    /// What the subgraph calls an object's type: an interface object stands for all of an interface's.
    pub(super) fn name_of(&self, object: &Object) -> String {
        if self.subgraph.schema.get_object(&object.ty).is_some() {
            return object.ty.clone();
        }
        let is_interface_object = |ty: &&String| {
            let promises = self.subgraph.of(ty);
            promises.is_some_and(|it| it.interface_object)
        };
        let mut above = self.world.shape.above(&object.ty);
        above
            .find(is_interface_object)
            .unwrap_or(&object.ty)
            .clone()
    }
}

/// An object as one subgraph tells of it.
pub(super) struct Served<'s> {
    pub(super) service: &'s Service,
    /// As the subgraph calls it.
    pub(super) ty: String,
    pub(super) object: Object,
    /// The representation that it was asked for by.
    pub(super) sent: Option<Json>,
    /// What the path to it provides of it.
    pub(super) provided: Selection,
}

impl ObjectValue for Served<'_> {
    fn type_name(&self) -> &str {
        &self.ty
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, ExecutionError> {
        let arguments = serde_json::to_value(info.arguments()).expect("arguments are JSON");
        let arguments = arguments.as_object().expect("arguments by name");
        if info.field_name() == "_entities" {
            return Ok(self.service.entities(&arguments["representations"]));
        }
        let told = self.tell(info.field_name(), arguments);
        self.resolved(told, &self.below(info.field_name()))
    }
}

impl<'s> Served<'s> {
    fn tell(&self, field: &str, arguments: &Map<String, Json>) -> Told {
        self.check(field);
        if let Some(sent) = self.sent_external(field) {
            return Ok(Value::Leaf(sent.clone()));
        }
        let asked = Asked {
            field,
            arguments,
            hole: &|path| self.fill(path),
        };
        self.service.world.tell(&self.object, &asked)
    }

    /// Whether the subgraph can answer the field here.
    fn check(&self, field: &str) {
        let (service, ty) = (self.service, &self.ty);
        let taken = service.taken.iter();
        if taken.clone().any(|it| it.0 == *ty && it.1 == field) {
            service.problem(format!("{ty}.{field} is asked for here, and is overridden"));
        }
        let Some(promises) = service.subgraph.field(ty, field) else {
            return;
        };
        let provided = self.provided.get(field).is_some();
        if promises.external && !provided && self.sent_external(field).is_none() {
            service.problem(format!("{ty}.{field} is asked for here, and is external"));
        }
        let Some(required) = &promises.requires else {
            return;
        };
        let is_a = |object: &str, ty: &str| service.world.shape.is_a(object, ty);
        let missing = match &self.sent {
            Some(sent) => required.missing(sent, &is_a),
            None => Some("all of it, since it is not asked for by a representation".to_owned()),
        };
        if let Some(missing) = missing {
            service.problem(format!("{ty}.{field} requires {missing}"));
        }
    }

    /// A leaf of another subgraph that was sent along.
    fn sent_external(&self, field: &str) -> Option<&Json> {
        let promises = self.service.subgraph.field(&self.ty, field)?;
        let sent = self.sent.as_ref()?.get(field)?;
        let leaf = !sent.is_object() && !sent.is_array();
        (promises.external && leaf).then_some(sent)
    }

    /// What a computed field reads: what is another's, from the representation.
    fn fill(&self, path: &[Step]) -> Json {
        let promises = self.service.subgraph.field(&self.ty, &path[0].name);
        match (&self.sent, promises) {
            (Some(sent), Some(promises)) if promises.external => within(sent, path),
            _ => self.service.world.follow(&self.object, path),
        }
    }

    /// What is provided below a field.
    fn below(&self, field: &str) -> Selection {
        let mut below = self.provided.get(field).cloned().unwrap_or_default();
        let promises = self.service.subgraph.field(&self.ty, field);
        if let Some(provides) = promises.and_then(|it| it.provides.as_ref()) {
            below.merge(provides);
        }
        below
    }

    fn resolved<'a>(
        &self,
        told: Told,
        provided: &Selection,
    ) -> Result<ResolvedValue<'a>, ExecutionError>
    where
        's: 'a,
    {
        Ok(match told {
            Ok(Value::Leaf(leaf)) => ResolvedValue::leaf(JsonValue::from(leaf)),
            Ok(Value::Object(object)) => ResolvedValue::object(Served {
                service: self.service,
                ty: self.service.name_of(&object),
                object,
                sent: None,
                provided: provided.clone(),
            }),
            Ok(Value::List(items)) => {
                let items = items.into_iter();
                let items: Vec<_> = items.map(|item| self.resolved(item, provided)).collect();
                ResolvedValue::List(Box::new(items.into_iter()))
            }
            Err(message) => return Err(ExecutionError { message }),
        })
    }
}

/// What stands at a path in a representation.
fn within(sent: &Json, path: &[Step]) -> Json {
    match (sent, path.split_first()) {
        (Json::Array(items), Some(_)) => items.iter().map(|item| within(item, path)).collect(),
        (sent, Some((step, rest))) => sent
            .get(&step.name)
            .map_or(Json::Null, |it| within(it, rest)),
        (leaf, None) => leaf.clone(),
    }
}

impl Service {
    /// The entities of some representations, in their order.
    fn entities<'a>(&'a self, representations: &Json) -> ResolvedValue<'a> {
        let sent = representations.as_array().into_iter().flatten();
        let entities: Vec<ResolvedValue<'a>> = sent
            .map(|sent| ResolvedValue::nullable_object(self.entity(sent)))
            .collect();
        ResolvedValue::list(entities)
    }

    fn entity(&self, sent: &Json) -> Option<Served<'_>> {
        let Some(ty) = sent["__typename"].as_str() else {
            self.problem(format!("a representation without a type: {sent}"));
            return None;
        };
        let keys = self.subgraph.of(ty).map_or(&[][..], |it| &it.keys);
        let is_a = |object: &str, ty: &str| self.world.shape.is_a(object, ty);
        let Some(key) = keys.iter().find(|it| it.missing(sent, &is_a).is_none()) else {
            self.problem(format!("a representation without a key: {sent}"));
            return None;
        };
        let mut candidates = self.world.all(ty).into_iter();
        let object = candidates.find(|it| self.has_key(it, key, sent))?;
        let handle = object.handle.as_ref();
        if handle.is_some_and(|it| self.unknown.contains(it)) {
            return None;
        }
        let is_object = self.subgraph.schema.get_object(ty).is_some();
        Some(Served {
            service: self,
            ty: match is_object {
                true => ty.to_owned(),
                false => object.ty.clone(),
            },
            object,
            sent: Some(sent.clone()),
            provided: Selection::default(),
        })
    }

    fn has_key(&self, object: &Object, key: &Selection, sent: &Json) -> bool {
        key.0.iter().all(|it| {
            let sent = &sent[&it.name];
            match it.below.0.is_empty() {
                true => self.has_leaf(object, &it.name, sent),
                false => self.has_below(self.world.holds(object, &it.name), &it.below, sent),
            }
        })
    }

    fn has_below(&self, own: Told, key: &Selection, sent: &Json) -> bool {
        match (own, sent) {
            (Ok(Value::Object(object)), sent) => self.has_key(&object, key, sent),
            (Ok(Value::List(own)), Json::Array(sent)) => {
                let same_length = own.len() == sent.len();
                let mut pairs = own.into_iter().zip(sent);
                same_length && pairs.all(|(own, sent)| self.has_below(own, key, sent))
            }
            (_, sent) => sent.is_null(),
        }
    }

    fn has_leaf(&self, object: &Object, name: &str, sent: &Json) -> bool {
        let ty = self.world.shape.field(&object.ty, name);
        let is_id = ty.is_some_and(|ty| ty.inner_named_type() == "ID");
        if is_id && !(sent.is_string() || sent.is_null()) {
            self.problem(format!("the id {sent} is no text"));
        }
        let own = self.world.follow(object, &[Step::field(name)]);
        match is_id {
            true => text(&own) == text(sent),
            false => own == *sent,
        }
    }
}
