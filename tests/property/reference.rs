//! The plain executor: one resolver per field over the world's rows, in
//! process, by apollo-compiler's execution. It knows nothing of sources,
//! plans or batches, and is what the gateway must agree with. A field that is
//! denied raises an error, and so does an object of a denied type.

use std::collections::HashMap;
use std::collections::HashSet;

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

use super::views::HUGE;
use super::views::Route;
use super::views::Said;
use super::views::Views;
use super::world::text;

/// The world as its services tell it and as one caller may see it.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'w> {
    pub(crate) views: &'w Views,
    /// `User`, `User.age`.
    pub(crate) denied: &'w HashSet<String>,
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
    let mut paths: Vec<Json> = told.map(path).collect();
    // An entity is missing once, however many of its fields are.
    paths.dedup();
    (response["data"].clone(), paths)
}

/// Of an entity that may not be missing it is the entity that is told, not its field.
fn path(error: &Json) -> Json {
    let path = error["path"].as_array().map_or(&[][..], Vec::as_slice);
    let message = error["message"].as_str().unwrap_or_default();
    match message.contains(MISSING_NON_NULL) {
        true => path[..path.len() - 1].into(),
        false => path.into(),
    }
}

/// A long list of denials is cut short, place by place of the operation.
fn is_told(error: &Json, denials: &mut HashMap<(String, String), usize>) -> bool {
    let message = error["message"].as_str().unwrap_or_default();
    if message.contains(MISSING) {
        return false;
    }
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
/// A field that may not be null, of an entity that nobody knows: the entity is null, and that is no error.
const MISSING: &str = "missing, as it may be";
/// The same where the entity may not be null.
const MISSING_NON_NULL: &str = "missing, where it may not be";

impl<'w> Scene<'w> {
    /// The rows of a route; none where it says nothing.
    fn rows(self, route: Route) -> Result<Option<&'w [Json]>, ExecutionError> {
        match self.views.of(route) {
            Said::Rows(rows) => Ok(Some(rows)),
            Said::Nothing(_) => Ok(None),
            Said::Fails(_) => Err(wrong()),
        }
    }

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
    /// What is known without asking anybody.
    id: Json,
    /// Everything else.
    row: Known,
}

enum Known {
    Row(Json),
    /// Nobody knows this key.
    Missing {
        non_null: bool,
    },
    /// Nobody can tell.
    Failed,
}

type Resolved<'a> = Result<ResolvedValue<'a>, ExecutionError>;

impl ObjectValue for Query<'_> {
    fn type_name(&self) -> &str {
        "Query"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let world = self.world;
        world.check(&format!("Query.{}", info.field_name()))?;
        match info.field_name() {
            "user" => world.alone(Route::User, &id_argument(info), |row| {
                object(world, "User", row)
            }),
            "users" => world.every(Route::Users, argument(info, "limit"), |row| {
                object(world, "User", row)
            }),
            "being" => world.alone(Route::Being, &id_argument(info), |row| being(world, row)),
            "beings" => world.every(Route::Beings, None, |row| being(world, row)),
            "posts" => world.every(Route::Posts, None, |row| object(world, "Post", row)),
            "weather" => {
                let row = world.rows(Route::Weather)?.and_then(<[Json]>::first);
                object(world, "Weather", row.unwrap_or(&Json::Null))
            }
            _ => Err(self.unknown_field_error(info)),
        }
    }
}

impl<'w> Scene<'w> {
    /// The row of this id.
    fn alone<'a>(
        self,
        route: Route,
        id: &str,
        read: impl Fn(&Json) -> Resolved<'a>,
    ) -> Resolved<'a> {
        let rows = self.rows(route)?.unwrap_or_default();
        let row = rows.iter().find(|row| text(&row["id"]) == id);
        read(row.unwrap_or(&Json::Null))
    }

    /// All rows, or the first ones.
    fn every<'a>(
        self,
        route: Route,
        limit: Option<usize>,
        read: impl Fn(&Json) -> Resolved<'a>,
    ) -> Resolved<'a> {
        Ok(match self.rows(route)? {
            Some(rows) => fallible(
                rows.iter()
                    .take(limit.unwrap_or(usize::MAX))
                    .map(read)
                    .collect(),
            ),
            None => leaf(&Json::Null),
        })
    }

    /// The one row that a key belongs to.
    fn keyed(self, route: Route, key: &str, id: &str) -> Result<Option<&'w Json>, ExecutionError> {
        let rows = self.rows(route)?.unwrap_or_default();
        let mut mine = rows.iter().filter(|row| text(&row[key]) == id);
        match (mine.next(), mine.next()) {
            (Some(_), Some(_)) => Err(wrong()),
            (row, _) => Ok(row),
        }
    }
}

impl ObjectValue for Row<'_> {
    fn type_name(&self) -> &str {
        self.ty
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Resolved<'a> {
        let name = info.field_name();
        self.world.check(&format!("{}.{name}", self.ty))?;
        match (self.ty, name) {
            ("User" | "Robot" | "Post", "id") => typed(&self.id, is_id),
            ("User", "posts") => self.posts(argument(info, "first")),
            ("User", "karma") => {
                let karma = self.world.keyed(Route::Karma, "user", &text(&self.id))?;
                typed(karma.map_or(&Json::Null, |karma| &karma["points"]), is_int)
            }
            _ => match &self.row {
                Known::Row(row) => self.read(name, row),
                Known::Failed => Err(wrong()),
                Known::Missing { .. } if !info.field_definition().ty.is_non_null() => {
                    Ok(leaf(&Json::Null))
                }
                Known::Missing { non_null } => Err(ExecutionError {
                    message: if *non_null { MISSING_NON_NULL } else { MISSING }.into(),
                }),
            },
        }
    }
}

impl<'w> Row<'w> {
    fn posts<'a>(&self, first: Option<usize>) -> Resolved<'a>
    where
        'w: 'a,
    {
        let (world, id) = (self.world, text(&self.id));
        let posts = world.rows(Route::PostsByAuthor)?.unwrap_or_default();
        let mine = posts.iter().filter(|post| text(&post["author_id"]) == id);
        let mine = mine.take(first.unwrap_or(usize::MAX));
        Ok(fallible(
            mine.map(|post| object(world, "Post", post)).collect(),
        ))
    }

    fn read<'a>(&self, name: &str, row: &Json) -> Resolved<'a>
    where
        'w: 'a,
    {
        let world = self.world;
        match (self.ty, name) {
            ("User", "age") | ("City", "zip") | ("Post", "stars") | ("Picture", "width") => {
                typed(&row[snake_case(name)], is_int)
            }
            ("User", "score") | ("Weather", "wind") => typed(&row[name], is_float),
            ("User", "active") => typed(&row[name], Json::is_boolean),
            ("User", "town") => typed(&row["home"]["city"]["name"], is_string),
            ("User", "label") => match &row["nick_name"] {
                Json::Null => typed(&row["display_name"], is_string),
                nick => typed(nick, is_string),
            },
            ("User", "role") => match row["role"].as_str() {
                Some("admin") => Ok(leaf(&json!("ADMIN"))),
                Some("member") => Ok(leaf(&json!("MEMBER"))),
                None if row["role"].is_null() => Ok(leaf(&Json::Null)),
                _ => Err(wrong()),
            },
            ("User", "tags") => each(&row[name], |tag| typed(tag, is_string)),
            ("User", "matrix") => each(&row[name], |line| {
                each(line, |number| typed(number, is_int))
            }),
            ("User", "home") => object(world, "Address", &row[name]),
            ("User", "addresses") => each(&row[name], |item| object(world, "Address", item)),
            ("Address", "city") => object(world, "City", &row[name]),
            ("Address", "extra") => Ok(leaf(&row[name])),
            ("User", "bestFriend") => reference(world, "User", &row["best_friend_id"]),
            ("User", "friends") => each(&row["friend_ids"], |id| entity(world, "User", id, true)),
            ("User", "owns") => each(&row["robot_ids"], |id| reference(world, "Robot", id)),
            ("Robot", "owner") => reference(world, "User", &row["owner_id"]),
            ("Post", "author") => reference(world, "User", &row["author_id"]),
            ("Post", "reviewer") => reference(world, "Robot", &row["reviewer_id"]),
            ("Picture", "credit") => reference(world, "User", &row["credit_id"]),
            ("Post", "related") => each(&row["related_ids"], |id| entity(world, "Post", id, true)),
            ("Post", "lead") => block(world, &row[name]),
            ("Post", "blocks") => each(&row[name], |item| block(world, item)),
            _ => typed(&row[snake_case(name)], is_string),
        }
    }
}

fn argument(info: &ResolveInfo<'_>, name: &str) -> Option<usize> {
    let number = info.arguments().get(name)?.as_u64()?;
    Some(number as usize)
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

/// A value of its type, or null.
fn typed<'a>(value: &Json, fits: fn(&Json) -> bool) -> Resolved<'a> {
    match value.is_null() || (value != HUGE && fits(value)) {
        true => Ok(leaf(value)),
        false => Err(wrong()),
    }
}

fn is_id(value: &Json) -> bool {
    value.is_string() || value.is_i64() || value.is_u64()
}

fn is_int(value: &Json) -> bool {
    value
        .as_i64()
        .is_some_and(|number| i32::try_from(number).is_ok())
}

fn is_float(value: &Json) -> bool {
    value.is_number()
}

fn is_string(value: &Json) -> bool {
    value.is_string()
}

fn leaf<'a>(value: &Json) -> ResolvedValue<'a> {
    ResolvedValue::leaf(JsonValue::from(value.clone()))
}

/// A list, or null.
fn each<'a>(value: &Json, read: impl Fn(&Json) -> Resolved<'a>) -> Resolved<'a> {
    match value {
        Json::Null => Ok(leaf(value)),
        Json::Array(items) => Ok(fallible(items.iter().map(read).collect())),
        _ => Err(wrong()),
    }
}

fn fallible(items: Vec<Resolved<'_>>) -> ResolvedValue<'_> {
    ResolvedValue::List(Box::new(items.into_iter()))
}

fn object<'a>(world: Scene<'a>, ty: &'static str, row: &Json) -> Resolved<'a> {
    match row {
        Json::Null => Ok(leaf(row)),
        Json::Object(_) => Ok(ResolvedValue::object(Row {
            world,
            ty,
            id: row["id"].clone(),
            row: Known::Row(row.clone()),
        })),
        _ => Err(wrong()),
    }
}

fn being<'a>(world: Scene<'a>, row: &Json) -> Resolved<'a> {
    one_of(
        world,
        row,
        &row["kind"],
        [("user", "User"), ("robot", "Robot")],
    )
}

fn block<'a>(world: Scene<'a>, row: &Json) -> Resolved<'a> {
    one_of(
        world,
        row,
        &row["type"],
        [("text", "Text"), ("picture", "Picture")],
    )
}

/// An object behind an interface or union: its own type may be denied.
fn one_of<'a>(
    world: Scene<'a>,
    row: &Json,
    kind: &Json,
    types: [(&str, &'static str); 2],
) -> Resolved<'a> {
    if row.is_null() {
        return Ok(leaf(row));
    }
    let (_, ty) = types
        .into_iter()
        .find(|(name, _)| kind == name)
        .ok_or_else(wrong)?;
    world.check(ty)?;
    object(world, ty, row)
}

/// An entity by its key: null without one.
fn reference<'a>(world: Scene<'a>, ty: &'static str, id: &Json) -> Resolved<'a> {
    entity(world, ty, id, false)
}

/// One that may not be null.
fn entity<'a>(world: Scene<'a>, ty: &'static str, id: &Json, non_null: bool) -> Resolved<'a> {
    if id.is_null() {
        return Ok(leaf(id));
    }
    if !is_id(id) {
        return Err(wrong());
    }
    let route = match ty {
        "User" => Route::UsersById,
        "Robot" => Route::Robots,
        _ => Route::PostsById,
    };
    let row = match world.keyed(route, "id", &text(id)) {
        Ok(Some(row)) => Known::Row(row.clone()),
        Ok(None) => Known::Missing { non_null },
        Err(_) => Known::Failed,
    };
    let id = id.clone();
    Ok(ResolvedValue::object(Row { world, ty, id, row }))
}
