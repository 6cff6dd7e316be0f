//! One small world of data, with the faults that real services have: nulls
//! and values of the wrong type in unlucky places.

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value as Json;
use serde_json::json;

/// The world's rows, as the services answer them.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) users: Vec<Json>,
    pub(crate) robots: Vec<Json>,
    pub(crate) posts: Vec<Json>,
    pub(crate) karma: Vec<Json>,
    pub(crate) weather: Json,
}

const USERS: usize = 12;
const ROBOTS: usize = 5;
const POSTS: usize = 30;

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            users: (1..=USERS).map(|id| user(id, &mut rng)).collect(),
            robots: (101..=100 + ROBOTS).map(|id| robot(id, &mut rng)).collect(),
            posts: (1..=POSTS).map(|id| post(id, &mut rng)).collect(),
            karma: (1..=USERS)
                .filter(|id| !id.is_multiple_of(4))
                .map(|id| json!({ "user": id.to_string(), "points": id * 10 }))
                .collect(),
            weather: json!({ "sky": "clear", "wind": 3.5 }),
        }
    }

    /// Users and robots, in the order in which `/beings` lists them.
    pub(crate) fn beings(&self) -> Vec<&Json> {
        let mut beings: Vec<&Json> = Vec::new();
        for index in 0..USERS.max(ROBOTS) {
            beings.extend(self.users.get(index));
            beings.extend(self.robots.get(index));
        }
        beings
    }
}

/// The row of this id, whether it is a number or text.
pub(crate) fn by_id<'w>(rows: &'w [Json], id: &str) -> Option<&'w Json> {
    rows.iter().find(|row| text(&row["id"]) == id)
}

/// A JSON scalar as text.
pub(crate) fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn user(id: usize, rng: &mut StdRng) -> Json {
    let home = address(rng);
    let id_value = if id.is_multiple_of(2) {
        json!(id)
    } else {
        json!(id.to_string())
    };
    json!({
        "kind": "user",
        "id": id_value,
        "display_name": unlucky(rng, json!(format!("User \"{id}\" \u{e9}\n")), json!(null)),
        "nick_name": unlucky(rng, json!(null), json!("nick")),
        "age": unlucky(rng, json!(id * 3), json!("old")),
        "score": unlucky(rng, json!(id as f64 + 0.25), json!(null)),
        "active": unlucky(rng, json!(id.is_multiple_of(2)), json!(0)),
        "role": unlucky(rng, json!(["admin", "member"][id % 2]), json!("emperor")),
        "tags": unlucky(rng, json!(["a", "b"]), json!(["a", null])),
        "matrix": unlucky(rng, json!([[1, 2], [], null]), json!([[1, "x"], [3]])),
        "home": unlucky(rng, home, json!("nowhere")),
        "addresses": [address(rng), address(rng)],
        "best_friend_id": unlucky(rng, json!(id % USERS + 1), json!(null)),
        "friend_ids": unlucky(rng, json!([id % 5 + 1, (id % 7 + 1).to_string()]), json!([1, null])),
        "robot_ids": [101 + id % ROBOTS, 101],
    })
}

fn address(rng: &mut StdRng) -> Json {
    let zip = rng.random_range(10_000..99_999);
    let city = json!({ "name": "Town", "zip": unlucky(rng, json!(zip), json!(1.5)) });
    json!({
        "street": "Main \\ street",
        "city": unlucky(rng, city, json!(null)),
        "extra": { "floors": [1, 2.5], "lift": null },
    })
}

fn robot(id: usize, rng: &mut StdRng) -> Json {
    json!({
        "kind": "robot",
        "id": id,
        "display_name": format!("R{id}"),
        "model": unlucky(rng, json!("M1"), json!(5)),
        "owner_id": unlucky(rng, json!(id % USERS + 1), json!(null)),
    })
}

fn post(id: usize, rng: &mut StdRng) -> Json {
    let lead = block(id, rng);
    json!({
        "id": id,
        "title": format!("Post {id}"),
        "stars": unlucky(rng, json!(id % 6), json!(3_000_000_000_u64)),
        "author_id": unlucky(rng, json!(id % USERS + 1), json!(null)),
        "reviewer_id": unlucky(rng, json!(101 + id % ROBOTS), json!(null)),
        "blocks": [block(id, rng), block(id + 1, rng)],
        "lead": unlucky(rng, lead, json!(null)),
        "related_ids": [id % POSTS + 1],
    })
}

fn block(id: usize, rng: &mut StdRng) -> Json {
    match id % 2 {
        0 => json!({ "note": null, "body": unlucky(rng, json!("text"), json!(7)), "type": "text" }),
        _ => json!({
            "type": "picture",
            "url": "https://example.org/p.png",
            "width": unlucky(rng, json!(640), json!("wide")),
            "credit_id": id % USERS + 1,
        }),
    }
}

/// One value in twelve is the unlucky one.
fn unlucky(rng: &mut StdRng, usual: Json, unlucky: Json) -> Json {
    match rng.random_ratio(1, 12) {
        true => unlucky,
        false => usual,
    }
}
