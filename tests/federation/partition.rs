//! A property: one schema, split at random into subgraphs that share and compute some of its fields, answers random
//! operations as one executor over the whole does, without a question that a strict service refuses and with at most
//! as many calls as its plan has steps.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use plan::Document;
use plan::OperationLimits;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::Stage;
use super::case::Data;
use super::case::Operation;
use crate::property::operations;

/// Ways to split the schema, each over data of its own.
const PARTITIONS: u64 = 24;
/// Operations for each.
const OPERATIONS: u64 = 20;

#[tokio::test]
async fn random_partitions_of_one_schema_answer_as_one_executor_over_the_whole() {
    let mut compared = 0;
    for seed in 0..PARTITIONS {
        compared += compare_partition(seed).await;
    }
    assert!(
        compared > PARTITIONS * OPERATIONS / 2,
        "most operations are valid: {compared}"
    );
}

async fn compare_partition(seed: u64) -> u64 {
    let mut rng = StdRng::seed_from_u64(seed);
    let subgraphs = Partition::random(&mut rng).files();
    let data = Data {
        about: String::new(),
        world: world(&mut rng),
        unknown: BTreeMap::new(),
        rest: BTreeMap::new(),
        failing: BTreeMap::new(),
        lying: BTreeMap::new(),
    };
    let stage = Stage::set(&subgraphs, &data).await;
    let api = stage.gateway.graph.api();
    let mut compared = 0;
    for number in 0..OPERATIONS {
        let mut rng = StdRng::seed_from_u64(seed << 32 | number);
        let random = operations::random(api, &mut rng);
        if Document::parse(api, &random.text, &OperationLimits::off()).is_err() {
            continue;
        }
        let operation = Operation {
            name: format!("partition {seed}, operation {number}"),
            text: random.text,
            variables: random.variables,
        };
        let (showed, problems) = stage.play(&operation).await;
        let files = || {
            subgraphs
                .iter()
                .map(|(name, sdl)| format!("# {name}\n{sdl}\n"))
        };
        assert!(
            problems.is_empty(),
            "{}\n{}\n{}\n\n{}\n{showed}",
            operation.name,
            problems.join("\n"),
            operation.text,
            files().collect::<String>(),
        );
        compared += 1;
    }
    compared
}

/// A field of the whole schema.
struct Field {
    ty: &'static str,
    name: &'static str,
    arguments: &'static str,
    of: &'static str,
    requires: &'static str,
}

const fn field(ty: &'static str, name: &'static str, of: &'static str) -> Field {
    Field {
        ty,
        name,
        arguments: "",
        of,
        requires: "",
    }
}

impl Field {
    const fn taking(self, arguments: &'static str) -> Self {
        Self { arguments, ..self }
    }

    const fn requiring(self, requires: &'static str) -> Self {
        Self { requires, ..self }
    }

    /// The type without its lists and non-nulls.
    fn named(&self) -> &'static str {
        self.of.trim_matches(['[', ']', '!'])
    }
}

/// Everything but the keys.
const FIELDS: [Field; 25] = [
    field("Query", "user", "User").taking("(id: ID!)"),
    field("Query", "users", "[User!]!").taking("(first: Int)"),
    field("Query", "product", "Product"),
    field("Query", "products", "[Product]"),
    field("Query", "node", "Node").taking("(id: ID!)"),
    field("Query", "feed", "[Item!]!"),
    field("User", "name", "String!"),
    field("User", "age", "Int"),
    field("User", "rank", "Int!"),
    field("User", "friend", "User"),
    field("User", "friends", "[User!]!"),
    field("User", "home", "Address"),
    field("User", "posts", "[Post!]!").taking("(first: Int)"),
    field("User", "label", "String").requiring("name rank"),
    field("Post", "title", "String!"),
    field("Post", "stars", "Int"),
    field("Post", "author", "User!"),
    field("Post", "product", "Product"),
    field("Post", "related", "[Post]"),
    field("Post", "kind", "Kind"),
    field("Post", "slogan", "String!").requiring("title stars"),
    field("Product", "title", "String"),
    field("Product", "price", "Float!"),
    field("Product", "maker", "User"),
    field("Product", "reviews", "[Post!]!"),
];

/// The two keys of each entity, and what they are made of.
const KEYS: [(&str, [(&str, &str); 2]); 3] = [
    ("User", [("id", "id: ID!"), ("email", "email: String!")]),
    ("Post", [("id", "id: ID!"), ("slug", "slug: ID!")]),
    (
        "Product",
        [
            ("id", "id: ID!"),
            ("code region { zone }", "code: Int! region: Region!"),
        ],
    ),
];

/// What has no key and is the same wherever it stands.
const VALUES: [(&str, &str); 6] = [
    (
        "Address",
        "type Address @shareable { street: String! city: City! }",
    ),
    ("City", "type City @shareable { name: String! zip: Int }"),
    ("Region", "type Region @shareable { zone: String! }"),
    ("Kind", "enum Kind { NEWS OPINION }"),
    ("Ad", "type Ad @shareable { text: String! }"),
    ("Item", "union Item = Post | Product | Ad"),
];

/// Who has which fields, and knows which keys.
struct Partition {
    subgraphs: Vec<Part>,
}

#[derive(Default)]
struct Part {
    /// Indexes in `FIELDS`; whether somebody else has them too.
    fields: BTreeMap<usize, bool>,
    types: BTreeSet<&'static str>,
    /// Of an entity, by index, whether the key is known, and a way to it.
    keys: BTreeMap<&'static str, [Option<bool>; 2]>,
}

impl Partition {
    fn random(rng: &mut StdRng) -> Self {
        let count = rng.random_range(2..=4);
        let mut subgraphs: Vec<Part> = (0..count).map(|_| Part::default()).collect();
        for (index, field) in FIELDS.iter().enumerate() {
            let owner = rng.random_range(0..count);
            let other = rng.random_range(0..count);
            let alone = field.ty == "Query" || !field.requires.is_empty();
            let shared = owner != other && !alone && rng.random_bool(0.25);
            subgraphs[owner].fields.insert(index, shared);
            if shared {
                subgraphs[other].fields.insert(index, true);
            }
        }
        for part in &mut subgraphs {
            part.close();
        }
        let mut partition = Self { subgraphs };
        for (ty, _) in KEYS {
            partition.give_keys(ty, rng);
        }
        partition
    }

    /// One subgraph knows both keys of a type, so that each leads to all.
    fn give_keys(&mut self, ty: &'static str, rng: &mut StdRng) {
        let mut knowing: Vec<&mut Part> = self
            .subgraphs
            .iter_mut()
            .filter(|it| it.types.contains(ty))
            .collect();
        let hub = rng.random_range(0..knowing.len());
        for (index, part) in knowing.iter_mut().enumerate() {
            let answers = part.fields.keys().any(|field| FIELDS[*field].ty == ty);
            let way = answers || rng.random_bool(0.5);
            let keys = match rng.random_range(0..3) {
                _ if index == hub => [Some(true), Some(true)],
                0 => [Some(way), None],
                1 => [None, Some(way)],
                _ => [Some(way), Some(answers && rng.random_bool(0.5))],
            };
            part.keys.insert(ty, keys);
        }
    }

    /// Name and SDL of each.
    fn files(&self) -> Vec<(String, String)> {
        let named = self.subgraphs.iter().zip('a'..);
        named
            .map(|(part, name)| (name.to_string(), part.sdl()))
            .collect()
    }
}

impl Part {
    /// Adds every type that its fields need.
    fn close(&mut self) {
        let mut missing: Vec<&'static str> = Vec::new();
        for index in self.fields.keys() {
            missing.extend([FIELDS[*index].ty, FIELDS[*index].named()]);
        }
        while let Some(ty) = missing.pop() {
            if !self.types.insert(ty) {
                continue;
            }
            missing.extend(match ty {
                "Node" => &["User", "Post", "Product"][..],
                "Item" => &["Post", "Product", "Ad"],
                "Address" => &["City"],
                "Product" => &["Region"],
                _ => &[],
            });
        }
    }

    fn sdl(&self) -> String {
        let mut sdl = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", \
                       import: [\"@key\", \"@shareable\", \"@external\", \"@requires\"])\n"
            .to_owned();
        if self.types.contains("Query") {
            writeln!(sdl, "type Query {{ {}}}", self.fields_of("Query")).expect("a String");
        }
        for (ty, _) in KEYS.iter().filter(|(ty, _)| self.types.contains(ty)) {
            self.write_entity(ty, &mut sdl);
        }
        if self.types.contains("Node") {
            sdl.push_str("interface Node { id: ID! }\n");
        }
        for (_, definition) in VALUES.iter().filter(|(ty, _)| self.types.contains(ty)) {
            writeln!(sdl, "{definition}").expect("a String");
        }
        sdl
    }

    fn write_entity(&self, ty: &'static str, sdl: &mut String) {
        let (_, known) = KEYS.iter().find(|it| it.0 == ty).expect("an entity");
        let node = self.types.contains("Node");
        let mut directives = String::new();
        let mut fields = String::new();
        for (way, (key, definition)) in self.keys[ty].iter().zip(known) {
            if let Some(way) = way {
                let away = if *way { "" } else { ", resolvable: false" };
                write!(directives, " @key(fields: \"{key}\"{away})").expect("a String");
                write!(fields, "{definition} ").expect("a String");
            } else if node && *key == "id" {
                // What the interface has, without a way by it.
                write!(directives, " @key(fields: \"id\", resolvable: false)").expect("a String");
                write!(fields, "{definition} ").expect("a String");
            }
        }
        let implements = if node { " implements Node" } else { "" };
        fields.push_str(&self.fields_of(ty));
        writeln!(sdl, "type {ty}{implements}{directives} {{ {fields}}}").expect("a String");
    }

    fn fields_of(&self, ty: &str) -> String {
        let own = self.fields.iter().filter(|(it, _)| FIELDS[**it].ty == ty);
        let mut external = BTreeSet::new();
        let mut written = String::new();
        for (index, shared) in own {
            let field = &FIELDS[*index];
            let share = if *shared { " @shareable" } else { "" };
            let foreign: Vec<&str> = field
                .requires
                .split_whitespace()
                .filter(|it| !self.has(ty, it))
                .collect();
            let requires = match foreign.is_empty() {
                true => String::new(),
                false => format!(" @requires(fields: \"{}\")", foreign.join(" ")),
            };
            external.extend(foreign);
            let Field {
                name,
                arguments,
                of,
                ..
            } = field;
            write!(written, "{name}{arguments}: {of}{share}{requires} ").expect("a String");
        }
        for name in external {
            let mut fields = FIELDS.iter();
            let field = fields.find(|it| it.ty == ty && it.name == name);
            let of = field.expect("what is required is a field").of;
            write!(written, "{name}: {of} @external ").expect("a String");
        }
        written
    }

    fn has(&self, ty: &str, field: &str) -> bool {
        let mut fields = self.fields.keys().map(|it| &FIELDS[*it]);
        fields.any(|it| it.ty == ty && it.name == field)
    }
}

const USERS: [&str; 4] = ["1", "2", "3", "4"];
const POSTS: [&str; 5] = ["101", "102", "103", "104", "105"];
const PRODUCTS: [&str; 3] = ["201", "202", "203"];

/// Data of everything, with nulls and errors here and there, errors where null may be: what an operation skips by a
/// variable is asked for, and its failure must not show.
fn world(rng: &mut StdRng) -> Map<String, Json> {
    let query = json!({
        "user": { "$find": "User" },
        "users": { "$first": handles("u", &USERS) },
        "product": "p201",
        "products": ["p202", null, "p201", "p203", "p202"],
        "node": { "$find": "Node" },
        "feed": ["t101", "p201", { "__typename": "Ad", "text": "Buy!" }, "t103", "p203"],
    });
    let of = |prefix: &str, ids: &[&str], rng: &mut StdRng, row: fn(&str, &mut StdRng) -> Json| {
        let rows = ids.iter().map(|id| (format!("{prefix}{id}"), row(id, rng)));
        Json::Object(rows.collect())
    };
    let mut world = Map::new();
    world.insert("Query".into(), query);
    world.insert("User".into(), of("u", &USERS, rng, user));
    world.insert("Post".into(), of("t", &POSTS, rng, post));
    world.insert("Product".into(), of("p", &PRODUCTS, rng, product));
    world
}

fn user(id: &str, rng: &mut StdRng) -> Json {
    json!({
        "id": id,
        "email": format!("{id}@example.org"),
        "name": format!("User {id}"),
        "age": perhaps(rng, json!(30)),
        "rank": rng.random_range(0..9),
        "friend": one(rng, "u", &USERS),
        "friends": some(rng, "u", &USERS),
        "home": perhaps(rng, json!({ "street": "High", "city": { "name": "Delft", "zip": null } })),
        "posts": { "$first": some(rng, "t", &POSTS) },
        "label": "{name}, {rank}",
    })
}

fn post(id: &str, rng: &mut StdRng) -> Json {
    let kind = ["NEWS", "OPINION"].choose(rng);
    json!({
        "id": id,
        "slug": format!("post-{id}"),
        "title": format!("Post {id}"),
        "stars": perhaps(rng, json!(5)),
        "author": format!("u{}", USERS.choose(rng).expect("some")),
        "product": one(rng, "p", &PRODUCTS),
        "related": [one(rng, "t", &POSTS), one(rng, "t", &POSTS)],
        "kind": kind,
        "slogan": "{title}: {stars}",
    })
}

fn product(id: &str, rng: &mut StdRng) -> Json {
    json!({
        "id": id,
        "code": 7,
        "region": { "zone": format!("zone {id}") },
        "title": perhaps(rng, json!(format!("Product {id}"))),
        "price": 1.5,
        "maker": one(rng, "u", &USERS),
        "reviews": some(rng, "t", &POSTS),
    })
}

fn handles(prefix: &str, ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| format!("{prefix}{id}")).collect()
}

fn one(rng: &mut StdRng, prefix: &str, ids: &[&str]) -> Json {
    let handle = ids.choose(rng).map(|id| json!(format!("{prefix}{id}")));
    perhaps(rng, handle.unwrap_or_default())
}

fn some(rng: &mut StdRng, prefix: &str, ids: &[&str]) -> Json {
    let count = rng.random_range(0..=2);
    let chosen = ids.choose_multiple(rng, count);
    chosen.map(|id| json!(format!("{prefix}{id}"))).collect()
}

fn perhaps(rng: &mut StdRng, value: Json) -> Json {
    match rng.random_range(0..8) {
        0 => Json::Null,
        1 => json!({ "$error": "not today" }),
        _ => value,
    }
}
