//! What each of the world's services says: the truth, or something else.
//!
//! Owns the routes, what may go wrong with each, and the values that replies
//! are spoilt with. Both the services and the plain executor read it, so that
//! they speak of the same world.

use std::ops::Range;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::world::World;

/// A question to one of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    User,
    Users,
    UsersById,
    Robots,
    Being,
    Beings,
    Posts,
    PostsById,
    PostsByAuthor,
    Karma,
    Weather,
}

impl Route {
    pub(crate) const ALL: [Self; 11] = [
        Self::User,
        Self::Users,
        Self::UsersById,
        Self::Robots,
        Self::Being,
        Self::Beings,
        Self::Posts,
        Self::PostsById,
        Self::PostsByAuthor,
        Self::Karma,
        Self::Weather,
    ];

    /// How the call is written in the subgraph files.
    pub(crate) fn declared(self) -> &'static str {
        match self {
            Self::User => "GET: \"/users/{id}\"",
            Self::Users => "GET: \"/users\", query: { limit",
            Self::UsersById => "GET: \"/users\", query: { id",
            Self::Robots => "GET: \"/robots\"",
            Self::Being => "GET: \"/beings/{id}\"",
            Self::Beings => "GET: \"/beings\")",
            Self::Posts => "GET: \"/posts\")",
            Self::PostsById => "GET: \"/posts\", query: { id",
            Self::PostsByAuthor => "GET: \"/posts\", query: { author_id",
            Self::Karma => "GET: \"/karma\"",
            Self::Weather => "GET: \"/weather\"",
        }
    }

    /// Whether items are assigned to parents by a key.
    fn is_batch(self) -> bool {
        let batches = [Self::UsersById, Self::Robots, Self::PostsById];
        batches.contains(&self) || matches!(self, Self::PostsByAuthor | Self::Karma)
    }

    /// Whether each key has one item.
    fn is_to_one(self) -> bool {
        self.is_batch() && self != Self::PostsByAuthor
    }

    /// Properties that say which item it is.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Karma => &["user"],
            Self::PostsByAuthor => &["id", "author_id"],
            _ => &["id"],
        }
    }
}

/// What a service says on one route.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    /// These rows, from which it takes what is asked for.
    Rows(Vec<Json>),
    /// `null`, or nothing.
    Nothing(Way),
    /// Nothing that could be read.
    Fails(Way),
}

/// How a service does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Status(u16),
    /// A body as it is, with 200.
    Body(&'static str),
    /// A web page.
    Page,
    /// Never.
    Hang,
    /// The connection is reset before the answer.
    Reset,
    /// The connection ends within the answer, after this share of it.
    Cut(u8),
    /// Brackets, this many.
    Deep(usize),
    /// An item without the key that it belongs to.
    Keyless,
    /// No HTTP.
    Garbage,
}

/// Written as a number that no number can hold.
pub(crate) const HUGE: &str = "\u{1}huge";
/// Begins the name of a property that comes twice: the one that does not count.
pub(crate) const TWICE: &str = "\u{1}twice:";

const NO_ANSWER: [Way; 26] = [
    Way::Status(400),
    Way::Status(401),
    Way::Status(403),
    Way::Status(409),
    Way::Status(422),
    Way::Status(429),
    Way::Status(500),
    Way::Status(502),
    Way::Status(503),
    Way::Status(504),
    Way::Status(302),
    Way::Status(418),
    Way::Status(599),
    Way::Body("{"),
    Way::Body("[{\"id\": 1,}]"),
    Way::Body("[1e]"),
    Way::Body("\"a text\""),
    Way::Body("[] []"),
    Way::Body("{\"id\": \"\\ud800\"}]"),
    Way::Body("\u{1}"),
    Way::Page,
    Way::Reset,
    Way::Cut(0),
    Way::Cut(90),
    Way::Garbage,
    Way::Deep(1_000_000),
];

/// What every route says.
#[derive(Debug, Clone)]
pub(crate) struct Views(Vec<Said>);

impl Views {
    /// Nothing but the truth.
    pub(crate) fn truth(world: &World) -> Self {
        let rows = Route::ALL
            .into_iter()
            .map(|route| Said::Rows(truth(world, route)));
        Self(rows.collect())
    }

    /// The truth on some routes, and on the others anything; one of them may never answer.
    pub(crate) fn random(world: &World, hanging: Route, rng: &mut StdRng) -> Self {
        let said = Route::ALL.into_iter().map(|route| {
            let rows = truth(world, route);
            match rng.random_range(0..10) {
                0..=2 => Said::Rows(rows),
                3..=7 => Said::Rows(spoilt(route, rows, rng)),
                // Each of these takes its time.
                _ if route == hanging && rng.random_ratio(1, 5) => Said::Fails(Way::Hang),
                _ => no_answer(route, rng),
            }
        });
        Self(said.collect())
    }

    pub(crate) fn of(&self, route: Route) -> &Said {
        &self.0[route as usize]
    }

    /// Whether somebody has to wait for something that never comes.
    pub(crate) fn hangs(&self) -> bool {
        self.0
            .iter()
            .any(|said| matches!(said, Said::Fails(Way::Hang)))
    }

    /// Whether a route says something else than the truth.
    pub(crate) fn lies(&self, world: &World, route: Route) -> bool {
        !matches!(self.of(route), Said::Rows(rows) if *rows == truth(world, route))
    }

    /// What is not the truth, to be read.
    pub(crate) fn lied(&self, world: &World) -> String {
        let routes = Route::ALL.into_iter();
        let lies = routes.filter(|route| self.lies(world, *route));
        lies.map(|route| match self.of(route) {
            Said::Rows(rows) => {
                let truth = truth(world, route);
                let new = rows.iter().filter(|row| !truth.contains(row));
                let new: Vec<String> = new.map(written).collect();
                let (has, had) = (rows.len(), truth.len());
                format!("{route:?}: {has} rows of {had}: {}\n", new.join("\n  "))
            }
            other => format!("{route:?}: {other:?}\n"),
        })
        .collect()
    }
}

fn truth(world: &World, route: Route) -> Vec<Json> {
    match route {
        Route::User | Route::Users | Route::UsersById => world.users.clone(),
        Route::Robots => world.robots.clone(),
        Route::Being | Route::Beings => world.beings().into_iter().cloned().collect(),
        Route::Posts | Route::PostsById | Route::PostsByAuthor => world.posts.clone(),
        Route::Karma => world.karma.clone(),
        Route::Weather => vec![world.weather.clone()],
    }
}

fn no_answer(route: Route, rng: &mut StdRng) -> Said {
    let alone = matches!(route, Route::User | Route::Being | Route::Weather);
    match rng.random_range(0..8) {
        0 if !route.is_batch() => Said::Nothing(Way::Body("null")),
        1 if !route.is_batch() => Said::Nothing(Way::Status(204)),
        2 if route.is_batch() => Said::Fails(Way::Keyless),
        3 if matches!(route, Route::User | Route::Being) => Said::Nothing(Way::Status(404)),
        3 => Said::Fails(Way::Status(404)),
        4 if alone => Said::Fails(Way::Body("[]")),
        4 => Said::Fails(Way::Body("{}")),
        _ => Said::Fails(*NO_ANSWER.choose(rng).expect("there are some")),
    }
}

fn spoilt(route: Route, mut rows: Vec<Json>, rng: &mut StdRng) -> Vec<Json> {
    for _ in 0..rng.random_range(1..=6) {
        let index = rng.random_range(0..rows.len());
        match rng.random_range(0..8) {
            0 if route.is_batch() && rows.len() > 1 => drop(rows.remove(index)),
            1 if route.is_to_one() => rows.push(rows[index].clone()),
            2 if route.is_batch() => rows.insert(0, unasked(route)),
            3 if matches!(route, Route::Users | Route::Beings | Route::Posts) => {
                rows[index] = [Json::Null, json!(7), json!([])]
                    .choose(rng)
                    .cloned()
                    .unwrap_or_default();
            }
            4 if route.is_batch() => rows.reverse(),
            _ => spoil(&mut rows[index], "", route.keys(), rng),
        }
    }
    rows
}

/// An item that nobody asked for.
fn unasked(route: Route) -> Json {
    match route {
        Route::Karma => json!({ "user": "4711", "points": "many" }),
        _ => json!({ "id": 4711, "author_id": 4711 }),
    }
}

/// Puts something else in the place of one value, somewhere inside what stands at a property.
fn spoil(value: &mut Json, at: &str, keys: &[&str], rng: &mut StdRng) {
    match value {
        Json::Object(members) => {
            let names: Vec<String> = members
                .keys()
                .filter(|name| may_be_spoilt(name, keys))
                .cloned()
                .collect();
            if let Some(name) = names.choose(rng) {
                spoil_member(members, name, rng);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            let index = rng.random_range(0..items.len());
            match rng.random_bool(0.5) {
                true => spoil(&mut items[index], at, &[], rng),
                false => items[index] = junk(at, rng),
            }
        }
        other => *other = junk(at, rng),
    }
}

fn may_be_spoilt(name: &str, keys: &[&str]) -> bool {
    !keys.contains(&name) && !name.starts_with(TWICE)
}

fn spoil_member(members: &mut Map<String, Json>, name: &str, rng: &mut StdRng) {
    let inside = members[name].is_object() || members[name].is_array();
    match rng.random_range(0..6) {
        0 => drop(members.remove(name)),
        1 => drop(members.insert(format!("{TWICE}{name}"), junk(name, rng))),
        2..=3 if inside && !is_whole(name) => spoil(&mut members[name], name, &[], rng),
        _ => drop(members.insert(name.to_owned(), junk(name, rng))),
    }
}

/// What is spoilt as a whole: references, and JSON that is passed on as it is.
fn is_whole(name: &str) -> bool {
    name.ends_with("_id") || name.ends_with("_ids") || name == "extra"
}

/// What stands where something else should.
fn junk(name: &str, rng: &mut StdRng) -> Json {
    let any = [
        json!(null),
        json!(true),
        json!(1.5),
        json!(""),
        json!("\u{0}\u{10ffff}"),
        json!([]),
        json!({}),
        json!([null]),
        json!({ "name": [] }),
        json!(HUGE),
        deep(50),
        json!(-7),
        json!(i64::MIN),
        json!(u64::MAX),
    ];
    let one = [json!(null), json!(999), json!("2"), json!("no such id")];
    let many = [
        json!(null),
        json!([]),
        json!([1, null]),
        json!([999, "2"]),
        json!("2"),
    ];
    let kinds = [
        json!("alien"),
        json!(null),
        json!(7),
        json!({}),
        json!("robot"),
    ];
    let some: &[Json] = match name {
        "kind" | "type" => &kinds,
        // Anything is JSON, and a number that none can hold is not compared.
        "extra" => &any[..any.len() - 5],
        // The plain executor takes no integer for a Float; the specification does.
        "score" | "wind" => &any[..any.len() - 3],
        name if name.ends_with("_id") => &one,
        name if name.ends_with("_ids") => &many,
        _ => &any,
    };
    some.choose(rng).cloned().unwrap_or_default()
}

fn deep(levels: usize) -> Json {
    let nothing = Json::Array(Vec::new());
    (0..levels).fold(nothing, |inside, _| Json::Array(vec![inside]))
}

/// JSON text, with everything in it that no JSON tree can hold.
pub(crate) fn written(value: &Json) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Json, out: &mut String) {
    match value {
        Json::String(text) if text == HUGE => out.push_str("1e999"),
        Json::Array(items) => {
            let each = items
                .iter()
                .map(|item| move |out: &mut String| write(item, out));
            between("[]", each, out);
        }
        Json::Object(members) => {
            // The last one of a name counts, so there has to be one.
            let is_first = |name: &str| name.starts_with(TWICE);
            let (first, last): (Vec<_>, Vec<_>) =
                members.iter().partition(|(name, _)| is_first(name));
            let comes_again = |name: &str| members.contains_key(name.trim_start_matches(TWICE));
            let first = first.into_iter().filter(|(name, _)| comes_again(name));
            let each = first.chain(last).map(|(name, value)| {
                move |out: &mut String| {
                    let name = name.strip_prefix(TWICE).unwrap_or(name);
                    out.push_str(&format!("{}:", json!(name)));
                    write(value, out);
                }
            });
            between("{}", each, out);
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn between<W: FnOnce(&mut String)>(
    brackets: &str,
    each: impl Iterator<Item = W>,
    out: &mut String,
) {
    const OPEN: Range<usize> = 0..1;
    out.push_str(&brackets[OPEN]);
    for (index, write) in each.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out);
    }
    out.push_str(&brackets[OPEN.end..]);
}
