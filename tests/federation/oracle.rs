//! What the answer has to be: a plain executor over the API schema and the whole world.
//!
//! Knows no subgraph but who could answer a field, so that what nobody knows is null.

use std::sync::Arc;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::Schema;
use apollo_compiler::executable::OperationType;
use apollo_compiler::resolvers::Execution;
use apollo_compiler::resolvers::ExecutionError;
use apollo_compiler::resolvers::ObjectValue;
use apollo_compiler::resolvers::ResolveInfo;
use apollo_compiler::resolvers::ResolvedValue;
use apollo_compiler::response::JsonMap;
use apollo_compiler::response::JsonValue;
use apollo_compiler::validation::Valid;
use serde_json::Map;
use serde_json::Value as Json;

use super::service::Service;
use super::world::Asked;
use super::world::Object;
use super::world::Told;
use super::world::Value;
use super::world::World;

/// A field that may not be null, of an entity that nobody knows: the entity is null, and that is no error.
const UNKNOWN: &str = "nobody knows this entity";

/// The response, with the plain executor's own messages.
pub(crate) fn answer(
    world: &World,
    services: &[Arc<Service>],
    api: &Valid<Schema>,
    operation: &str,
    variables: &Map<String, Json>,
) -> Json {
    let document = ExecutableDocument::parse_and_validate(api, operation, "operation")
        .unwrap_or_else(|bad| panic!("{operation}\n{}", bad.errors));
    let only = document.operations.get(None).expect("one operation");
    let handle = match only.operation_type {
        OperationType::Mutation => "Mutation",
        _ => "Query",
    };
    let root = Known {
        world,
        services,
        object: world.root(handle),
    };
    let variables: JsonMap = variables
        .iter()
        .map(|(name, value)| (name.as_str().into(), JsonValue::from(value.clone())))
        .collect();
    let response = Execution::new(api, &document)
        .raw_variable_values(&variables)
        .enable_schema_introspection(true)
        .execute_sync(&root)
        .unwrap_or_else(|bad| panic!("the plain executor refuses: {}", bad.message()));
    let mut response = serde_json::to_value(response).expect("a response is JSON");
    if let Some(errors) = response.get_mut("errors").and_then(Json::as_array_mut) {
        errors.retain(|it| {
            !it["message"]
                .as_str()
                .is_some_and(|it| it.contains(UNKNOWN))
        });
    }
    response
}

struct Known<'w> {
    world: &'w World,
    services: &'w [Arc<Service>],
    object: Object,
}

impl ObjectValue for Known<'_> {
    fn type_name(&self) -> &str {
        &self.object.ty
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, ExecutionError> {
        if self.is_unknown(info.field_name()) {
            return match info.field_definition().ty.is_non_null() {
                false => Ok(ResolvedValue::null()),
                true => Err(ExecutionError {
                    message: UNKNOWN.to_owned(),
                }),
            };
        }
        if self.requires_what_fails(info.field_name()) {
            return Err(ExecutionError {
                message: "what it requires could not be had".to_owned(),
            });
        }
        let arguments = serde_json::to_value(info.arguments()).expect("arguments are JSON");
        let asked = Asked {
            field: info.field_name(),
            arguments: arguments.as_object().expect("arguments by name"),
            hole: &|path| self.world.follow(&self.object, path),
        };
        self.resolved(self.world.tell(&self.object, &asked))
    }
}

impl<'w> Known<'w> {
    fn requires_what_fails(&self, field: &str) -> bool {
        let ty = |it: &Service| it.name_of(&self.object);
        let owner = self
            .services
            .iter()
            .find(|it| it.subgraph.owns(&ty(it), field));
        let promises = owner.and_then(|it| it.subgraph.field(&ty(it), field));
        let required = promises.and_then(|it| it.requires.as_ref());
        required.is_some_and(|it| self.world.fails(&self.object, it))
    }

    /// Whether everybody who could tell does not know the entity.
    fn is_unknown(&self, field: &str) -> bool {
        let Some(handle) = &self.object.handle else {
            return false;
        };
        let owns = |it: &&Arc<Service>| it.subgraph.owns(&it.name_of(&self.object), field);
        let mut owners = self.services.iter().filter(owns).peekable();
        owners.peek().is_some() && owners.all(|it| it.unknown.contains(handle))
    }

    fn resolved<'a>(&self, told: Told) -> Result<ResolvedValue<'a>, ExecutionError>
    where
        'w: 'a,
    {
        Ok(match told {
            Ok(Value::Leaf(leaf)) => ResolvedValue::leaf(JsonValue::from(leaf)),
            Ok(Value::Object(object)) => ResolvedValue::object(Known {
                world: self.world,
                services: self.services,
                object,
            }),
            Ok(Value::List(items)) => {
                let items: Vec<_> = items.into_iter().map(|it| self.resolved(it)).collect();
                ResolvedValue::List(Box::new(items.into_iter()))
            }
            Err(message) => return Err(ExecutionError { message }),
        })
    }
}
