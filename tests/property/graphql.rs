//! The world's services once more, as two GraphQL services. They know no
//! types: a selection is cut out of the rows as they are, wrong values
//! included, so that what the gateway makes of them can be compared with what
//! it makes of the same rows over REST.

use std::sync::atomic::Ordering;

use apollo_compiler::ast::Definition;
use apollo_compiler::ast::Document;
use apollo_compiler::ast::Field;
use apollo_compiler::ast::Selection;
use apollo_compiler::ast::Value;
use axum::Json as Reply;
use axum::extract::State;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::service::Shared;
use super::service::matching;
use super::world::World;
use super::world::by_id;
use super::world::text;

/// A subgraph file whose fields come from the GraphQL service instead.
pub(super) fn served(file: &str) -> String {
    const CALLS: [(&str, &str); 13] = [
        (
            "http: { baseURL: \"{$env.WORLD_URL}\" }",
            "graphql: { url: \"{$env.WORLD_URL}/graphql\" }",
        ),
        ("@rest(GET: \"/users/{id}\")", "@graphql"),
        (
            "@rest(GET: \"/users\", query: { limit: \"$args.limit\" })",
            "@graphql(args: { limit: \"$args.limit\" })",
        ),
        ("@rest(GET: \"/beings/{id}\")", "@graphql"),
        ("@rest(GET: \"/beings\")", "@graphql"),
        ("@rest(GET: \"/weather\")", "@graphql"),
        (
            "@rest(GET: \"/users\", query: { id: \"$batch.id\" })",
            "@graphql(field: \"users\", args: { ids: \"$batch.id\" })",
        ),
        (
            "@rest(GET: \"/robots\", query: { id: \"$batch.id\" })",
            "@graphql(field: \"robots\", args: { ids: \"$batch.id\" })",
        ),
        (
            "@rest(GET: \"/posts\", query: { author_id: \"$batch.id\" }",
            "@graphql(field: \"posts\", args: { authors: \"$batch.id\" }",
        ),
        (
            "@rest(GET: \"/karma\", query: { user: \"$batch.id\" }",
            "@graphql(args: { users: \"$batch.id\" }",
        ),
        (
            "@rest(GET: \"/posts\", query: { id: \"$batch.id\" })",
            "@graphql(field: \"posts\", args: { ids: \"$batch.id\" })",
        ),
        ("@rest(GET: \"/posts\")", "@graphql"),
        ("@discriminator(from: \"kind\")", ""),
    ];
    let edit = |file: String, (rest, graphql): (&str, &str)| file.replace(rest, graphql);
    let file = CALLS.into_iter().fold(file.to_owned(), edit);
    assert!(!file.contains("@rest"), "{file}");
    file
}

/// Answers an operation.
pub(super) async fn answer(
    State(shared): State<Shared>,
    Reply(request): Reply<Json>,
) -> Reply<Json> {
    shared.calls.fetch_add(1, Ordering::SeqCst);
    let query = request["query"].as_str().expect("an operation");
    let document = Document::parse(query, "query.graphql").expect("an operation that parses");
    let operation = document.definitions.iter().find_map(|it| match it {
        Definition::OperationDefinition(operation) => Some(operation),
        _ => None,
    });
    let operation = operation.expect("an operation");
    let scope = Scope {
        world: &shared.world,
        variables: &request["variables"],
    };
    let data: Map<String, Json> = fields(&operation.selection_set)
        .map(|field| (key(field), cut(&scope.root(field), below(field))))
        .collect();
    Reply(json!({ "data": data }))
}

struct Scope<'s> {
    world: &'s World,
    variables: &'s Json,
}

impl Scope<'_> {
    fn root(&self, field: &Field) -> Json {
        let World {
            users,
            robots,
            posts,
            karma,
            weather,
        } = self.world;
        let ids = self.texts(field, "ids");
        match field.name.as_str() {
            "user" => one(by_id(users, &self.text(field, "id"))),
            "users" => {
                let limit = self.argument(field, "limit").as_u64();
                let found = matching(users, "id", &ids).into_iter();
                found.take(limit.unwrap_or(u64::MAX) as usize).collect()
            }
            "robots" => matching(robots, "id", &ids).into_iter().rev().collect(),
            "being" => {
                let id = self.text(field, "id");
                let mut beings = self.world.beings().into_iter();
                one(beings.find(|being| text(&being["id"]) == id))
            }
            "beings" => self.world.beings().into_iter().cloned().collect(),
            "posts" => {
                let authors = self.texts(field, "authors");
                let found = matching(posts, "id", &ids);
                matching(&found, "author_id", &authors)
                    .into_iter()
                    .collect()
            }
            "karma" => matching(karma, "user", &self.texts(field, "users"))
                .into_iter()
                .collect(),
            "weather" => weather.clone(),
            other => panic!("there is no field {other}"),
        }
    }

    fn argument(&self, field: &Field, name: &str) -> &Json {
        let argument = field.arguments.iter().find(|it| it.name == name);
        match argument.map(|it| &*it.value) {
            Some(Value::Variable(variable)) => &self.variables[variable.as_str()],
            Some(other) => panic!("a value in the operation's text: {other}"),
            None => &Json::Null,
        }
    }

    fn text(&self, field: &Field, name: &str) -> String {
        text(self.argument(field, name))
    }

    fn texts(&self, field: &Field, name: &str) -> Vec<String> {
        let values = self.argument(field, name).as_array();
        values.into_iter().flatten().map(text).collect()
    }
}

fn one(row: Option<&Json>) -> Json {
    row.cloned().unwrap_or_default()
}

fn below(field: &Field) -> &[Selection] {
    field.selection_set.as_deref().unwrap_or_default()
}

fn key(field: &Field) -> String {
    field.alias.as_ref().unwrap_or(&field.name).to_string()
}

fn fields(selections: &[Selection]) -> impl Iterator<Item = &Field> {
    selections.iter().map(|selection| match selection {
        Selection::Field(field) => &**field,
        other => panic!("no field: {other}"),
    })
}

/// What is selected of a row; what is no object stays as it is.
fn cut(value: &Json, selections: &[Selection]) -> Json {
    match value {
        Json::Array(items) => items.iter().map(|item| cut(item, selections)).collect(),
        Json::Object(row) if !selections.is_empty() => {
            let mut out = Map::new();
            take(row, selections, &mut out);
            Json::Object(out)
        }
        other => other.clone(),
    }
}

fn take(row: &Map<String, Json>, selections: &[Selection], out: &mut Map<String, Json>) {
    let ty = row.get("kind").or(row.get("type"));
    let ty = ty.and_then(Json::as_str);
    for selection in selections {
        match selection {
            Selection::Field(field) if field.name == "__typename" => {
                out.insert(key(field), ty.unwrap_or("Object").into());
            }
            Selection::Field(field) => {
                let value = row.get(field.name.as_str()).unwrap_or(&Json::Null);
                let known = out.insert(key(field), cut(value, below(field)));
                assert_eq!(known, None, "{} is selected twice", key(field));
            }
            Selection::InlineFragment(fragment) => {
                if fragment.type_condition.as_deref() == ty {
                    take(row, &fragment.selection_set, out);
                }
            }
            other => panic!("not written by the gateway: {other}"),
        }
    }
}
