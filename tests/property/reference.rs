//! The plain executor: one resolver per field over the world's rows, in
//! process, by apollo-compiler's execution. It knows nothing of sources,
//! plans or batches, and is what the gateway must agree with. A field that is
//! denied raises an error, and so does an object of a denied type.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ops::Deref;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::Schema;
use apollo_compiler::resolvers::Execution;
use apollo_compiler::resolvers::ExecutionError;
use apollo_compiler::resolvers::ObjectValue;
use apollo_compiler::resolvers::ResolveInfo;
use apollo_compiler::resolvers::ResolvedValue;
use apollo_compiler::response::JsonMap;
use apollo_compiler::response::JsonValue;
use apollo_compiler::validation::Valid;
use serde_json::Value as Json;
use serde_json::json;

use super::world::World;
use super::world::by_id;
use super::world::text;

/// The world as one caller may see it.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'w> {
    pub(crate) world: &'w World,
    /// `User`, `User.age`.
    pub(crate) denied: &'w HashSet<String>,
}

impl Deref for Scene<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        self.world
    }
}

/// How many denials of one field are told one by one.
const MOST_DENIALS: usize = 20;

/// The data, and the paths of the errors in order.
pub(crate) fn answer(
    world: Scene<'_>,
    schema: &Valid<Schema>,
    document: &Valid<ExecutableDocument>,
    variables: &serde_json::Map<String, Json>,
) -> (Json, Vec<Json>) {
    let variables: JsonMap = variables
        .iter()
        .map(|(name, value)| (name.as_str().into(), JsonValue::from(value.clone())))
        .collect();
    let response = Execution::new(schema, document)
        .raw_variable_values(&variables)
        .execute_sync(&Query { world })
        .unwrap_or_else(|bad| panic!("the reference refuses: {}", bad.message()));
    let response = serde_json::to_value(&response).expect("a response is JSON");
    let errors = response["errors"].as_array().into_iter().flatten();
    let mut denials: HashMap<(String, String), usize> = HashMap::new();
    let told = errors.filter(|error| is_told(error, &mut denials));
    let paths = told.map(|error| error["path"].clone()).collect();
    (response["data"].clone(), paths)
}

/// A long list of denials is cut short, place by place of the operation.
fn is_told(error: &Json, denials: &mut HashMap<(String, String), usize>) -> bool {
    let message = error["message"].as_str().unwrap_or_default();
    if !message.contains(DENIED) {
        return true;
    }
    let path = error["path"].as_array().into_iter().flatten();
    let keys: Vec<&str> = path.filter_map(Json::as_str).collect();
    let told = denials
        .entry((keys.join("."), message.to_owned()))
        .or_default();
    *told += 1;
    *told <= MOST_DENIALS
}

const DENIED: &str = "denied: ";

impl Scene<'_> {
    fn check(&self, what: &str) -> Result<(), ExecutionError> {
        match self.denied.contains(what) {
            true => Err(ExecutionError {
                message: format!("{DENIED}{what}"),
            }),
            false => Ok(()),
        }
    }
}

struct Query<'w> {
    world: Scene<'w>,
}

/// A row, or a part of one.
struct Row<'w> {
    world: Scene<'w>,
    ty: &'static str,
    row: Json,
}

type Resolved<'a> = Result<ResolvedValue<'a>, ExecutionError>;

impl ObjectValue for Query<'_> {
    fn type_name(&self) -> &str {
        "Query"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let world = self.world;
        world.check(&format!("Query.{}", info.field_name()))?;
        let id = id_argument(info);
        match info.field_name() {
            "user" => Ok(object(world, "User", by_id(&world.users, &id))),
            "users" => {
                let limit = info
                    .arguments()
                    .get("limit")
                    .and_then(|limit| limit.as_u64());
                let rows = world
                    .users
                    .iter()
                    .take(limit.map_or(usize::MAX, |n| n as usize));
                Ok(list(
                    rows.map(|row| object(world, "User", Some(row))).collect(),
                ))
            }
            "being" => {
                let beings = world.beings();
                being(world, beings.into_iter().find(|row| text(&row["id"]) == id))
            }
            "beings" => {
                let beings = world.beings().into_iter();
                Ok(fallible(
                    beings.map(|row| being(world, Some(row))).collect(),
                ))
            }
            "posts" => {
                let posts = world.posts.iter();
                Ok(list(
                    posts.map(|row| object(world, "Post", Some(row))).collect(),
                ))
            }
            "weather" => Ok(object(world, "Weather", Some(&world.weather))),
            _ => Err(self.unknown_field_error(info)),
        }
    }
}

impl ObjectValue for Row<'_> {
    fn type_name(&self) -> &str {
        self.ty
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let (world, row) = (self.world, &self.row);
        world.check(&format!("{}.{}", self.ty, info.field_name()))?;
        match (self.ty, info.field_name()) {
            (_, "id") => Ok(leaf(&row["id"])),
            ("User", "age") => checked(&row["age"], row["age"].is_i64()),
            ("User", "town") => {
                let home = &row["home"];
                Ok(leaf(&home["city"]["name"]))
            }
            ("User", "label") => Ok(leaf(match &row["nick_name"] {
                Json::Null => &row["display_name"],
                nick => nick,
            })),
            ("User", "role") => match row["role"].as_str() {
                Some("admin") => Ok(leaf(&json!("ADMIN"))),
                Some("member") => Ok(leaf(&json!("MEMBER"))),
                None if row["role"].is_null() => Ok(leaf(&Json::Null)),
                _ => Err(wrong()),
            },
            ("User", "tags") => Ok(leaves(&row["tags"])),
            ("User", "matrix") => Ok(leaves(&row["matrix"])),
            ("User", "home") => composite(world, "Address", &row["home"]),
            ("User", "addresses") => composites(world, "Address", &row["addresses"]),
            ("Address", "city") => composite(world, "City", &row["city"]),
            ("User", "bestFriend") => Ok(reference(world, "User", &row["best_friend_id"])),
            ("User", "friends") => Ok(references(world, "User", &row["friend_ids"])),
            ("User", "owns") => Ok(references(world, "Robot", &row["robot_ids"])),
            ("Robot", "owner") => Ok(reference(world, "User", &row["owner_id"])),
            ("User", "posts") => {
                let first = info
                    .arguments()
                    .get("first")
                    .and_then(|first| first.as_u64());
                let first = first.map_or(usize::MAX, |n| n as usize);
                let mine = |post: &&Json| text(&post["author_id"]) == text(&row["id"]);
                let posts = world.posts.iter().filter(mine).take(first);
                Ok(list(
                    posts
                        .map(|post| object(world, "Post", Some(post)))
                        .collect(),
                ))
            }
            ("User", "karma") => {
                let mut rows = world.karma.iter();
                let mine = rows.find(|karma| text(&karma["user"]) == text(&row["id"]));
                Ok(leaf(mine.map_or(&Json::Null, |karma| &karma["points"])))
            }
            ("Post", "author") => Ok(reference(world, "User", &row["author_id"])),
            ("Post", "reviewer") => Ok(reference(world, "Robot", &row["reviewer_id"])),
            ("Picture", "credit") => Ok(reference(world, "User", &row["credit_id"])),
            ("Post", "related") => Ok(references(world, "Post", &row["related_ids"])),
            ("Post", "lead") => block(world, &row["lead"]),
            ("Post", "blocks") => {
                let blocks = row["blocks"].as_array().into_iter().flatten();
                Ok(fallible(blocks.map(|row| block(world, row)).collect()))
            }
            (_, name) => Ok(leaf(&row[snake_case(name)])),
        }
    }
}

/// An ID that was written as a number is the same ID.
fn id_argument(info: &ResolveInfo<'_>) -> String {
    let id = info.arguments().get("id").cloned().unwrap_or_default();
    text(&serde_json::to_value(id).expect("an argument is JSON"))
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn wrong() -> ExecutionError {
    ExecutionError {
        message: "a value of the wrong type".into(),
    }
}

fn checked<'a>(value: &Json, right: bool) -> Resolved<'a> {
    match right || value.is_null() {
        true => Ok(leaf(value)),
        false => Err(wrong()),
    }
}

fn leaf<'a>(value: &Json) -> ResolvedValue<'a> {
    ResolvedValue::leaf(JsonValue::from(value.clone()))
}

fn leaves<'a>(value: &Json) -> ResolvedValue<'a> {
    match value {
        Json::Array(items) => list(items.iter().map(leaves).collect()),
        value => leaf(value),
    }
}

fn fallible(items: Vec<Resolved<'_>>) -> ResolvedValue<'_> {
    ResolvedValue::List(Box::new(items.into_iter()))
}

fn list(items: Vec<ResolvedValue<'_>>) -> ResolvedValue<'_> {
    ResolvedValue::List(Box::new(items.into_iter().map(Ok)))
}

fn object<'w>(world: Scene<'w>, ty: &'static str, row: Option<&Json>) -> ResolvedValue<'w> {
    let row = row.cloned();
    ResolvedValue::nullable_object(row.map(|row| Row { world, ty, row }))
}

fn being<'w>(world: Scene<'w>, row: Option<&Json>) -> Resolved<'w> {
    let robot = row.is_some_and(|row| row["kind"] == "robot");
    one_of(world, if robot { "Robot" } else { "User" }, row)
}

fn block<'w>(world: Scene<'w>, row: &Json) -> Resolved<'w> {
    let picture = row["type"] == "picture";
    let row = (!row.is_null()).then_some(row);
    one_of(world, if picture { "Picture" } else { "Text" }, row)
}

/// An object behind an interface or union: its own type may be denied.
fn one_of<'w>(world: Scene<'w>, ty: &'static str, row: Option<&Json>) -> Resolved<'w> {
    row.map_or(Ok(()), |_| world.check(ty))?;
    Ok(object(world, ty, row))
}

fn composite<'w>(world: Scene<'w>, ty: &'static str, value: &Json) -> Resolved<'w> {
    match value {
        Json::Null => Ok(leaf(&Json::Null)),
        Json::Object(_) => Ok(object(world, ty, Some(value))),
        _ => Err(wrong()),
    }
}

fn composites<'w>(world: Scene<'w>, ty: &'static str, value: &Json) -> Resolved<'w> {
    let items: Vec<Json> = value.as_array().cloned().unwrap_or_default();
    let items = items
        .into_iter()
        .map(move |item| composite(world, ty, &item));
    Ok(ResolvedValue::List(Box::new(items)))
}

/// An entity by its key: null without one; an unknown one is an object that knows its key only.
fn reference<'w>(world: Scene<'w>, ty: &'static str, id: &Json) -> ResolvedValue<'w> {
    if id.is_null() {
        return leaf(&Json::Null);
    }
    let rows = match ty {
        "User" => &world.users,
        "Robot" => &world.robots,
        _ => &world.posts,
    };
    let stub = json!({ "id": id });
    object(world, ty, Some(by_id(rows, &text(id)).unwrap_or(&stub)))
}

fn references<'w>(world: Scene<'w>, ty: &'static str, ids: &Json) -> ResolvedValue<'w> {
    let ids = ids.as_array().into_iter().flatten();
    list(ids.map(|id| reference(world, ty, id)).collect())
}
