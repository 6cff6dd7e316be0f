//! What the mock upstream serves: the same posts, users, items and articles on every machine and in
//! every run. Knows nothing of HTTP or of who asks.

use prost::Message;
use serde::Serialize;

const AUTHORS: usize = 10;
const POSTS: usize = 100;
const ITEMS: usize = 128;
/// The size of the list of items, to the byte.
pub(crate) const LIST_BYTES: usize = 32 * 1024;

/// A post as the REST service tells it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    id: usize,
    user_id: usize,
    title: String,
    body: String,
}

#[derive(Serialize)]
struct User {
    id: usize,
    name: String,
    username: String,
    email: String,
    phone: String,
    website: String,
    address: Address,
    company: Company,
}

#[derive(Serialize)]
struct Address {
    street: String,
    suite: String,
    city: &'static str,
    zipcode: String,
    geo: Position,
}

#[derive(Serialize)]
struct Position {
    lat: f64,
    lng: f64,
}

#[derive(Serialize)]
struct Company {
    name: String,
    slogan: String,
    trade: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: usize,
    sku: String,
    name: String,
    price: f64,
    in_stock: bool,
    category: &'static str,
    description: String,
}

/// The reply of `bench.v1.Articles/ListArticles`, as bench.proto declares it.
#[derive(Clone, PartialEq, Message)]
struct Articles {
    #[prost(message, repeated, tag = "1")]
    articles: Vec<Article>,
}

#[derive(Clone, PartialEq, Message)]
struct Article {
    #[prost(int32, tag = "1")]
    id: i32,
    #[prost(int32, tag = "2")]
    user_id: i32,
    #[prost(string, tag = "3")]
    title: String,
    #[prost(string, tag = "4")]
    body: String,
}

/// The JSON list of 100 posts by 10 authors, about 25 KB.
pub(crate) fn posts() -> Vec<u8> {
    json(&(1..=POSTS).map(post).collect::<Vec<_>>())
}

/// Each user's JSON object, in the order of their ids, which begin at 1.
pub(crate) fn users() -> Vec<Vec<u8>> {
    (1..=AUTHORS).map(|id| json(&user(id))).collect()
}

/// The JSON list of items, exactly [`LIST_BYTES`] long.
pub(crate) fn items() -> Vec<u8> {
    let mut items: Vec<_> = (1..=ITEMS).map(item).collect();
    let missing = LIST_BYTES - json(&items).len();
    for (index, item) in items.iter_mut().enumerate() {
        let share = missing / ITEMS + usize::from(index < missing % ITEMS);
        item.description.push_str(&filling(share));
    }
    json(&items)
}

/// The 100 posts again as one protobuf message.
pub(crate) fn articles() -> Vec<u8> {
    let article = |id| {
        let post = post(id);
        Article {
            id: id as i32,
            user_id: post.user_id as i32,
            title: post.title,
            body: post.body,
        }
    };
    let articles = (1..=POSTS).map(article).collect();
    Articles { articles }.encode_to_vec()
}

fn post(id: usize) -> Post {
    Post {
        id,
        user_id: 1 + (id - 1) % AUTHORS,
        title: phrase(id, 6),
        body: format!("{}.\n{}.", phrase(id + 7, 11), phrase(id + 31, 12)),
    }
}

fn user(id: usize) -> User {
    let (first, last) = (word(FIRST, id), word(LAST, id * 3));
    let handle = format!("{first}.{last}").to_lowercase();
    User {
        id,
        name: format!("{first} {last}"),
        email: format!("{handle}@example.com"),
        phone: format!("+44 20 7946 {:04}", 137 * id),
        website: format!("https://{handle}.example.org"),
        username: handle,
        address: Address {
            street: format!("{} {} Street", 3 * id, word(LAST, id + 4)),
            suite: format!("Flat {id}"),
            city: word(CITIES, id),
            zipcode: format!("{:05}-{:04}", 10_007 * id, 311 * id),
            geo: Position {
                lat: 48.0 + id as f64 / 16.0,
                lng: -3.5 + id as f64 / 8.0,
            },
        },
        company: Company {
            name: format!("{} & {last}", word(LAST, id + 1)),
            slogan: phrase(id + 50, 5),
            trade: word(TRADES, id),
        },
    }
}

/// One description in eight needs escapes and one is not ASCII, as in the world.
fn item(id: usize) -> Item {
    let name = phrase(id + 90, 3);
    let description = match id % 8 {
        0 => format!("the \"{}\" edition, ", word(WORDS, id)),
        4 => format!("café size — {}, ", word(WORDS, id)),
        _ => format!("with {}, ", word(WORDS, id)),
    };
    Item {
        id,
        sku: format!("SB-{:06}", 7_919 * id % 1_000_000),
        name,
        price: (399 + 725 * id) as f64 / 100.0,
        in_stock: !id.is_multiple_of(3),
        category: word(TRADES, id),
        description,
    }
}

fn phrase(seed: usize, words: usize) -> String {
    let pick = |n| word(WORDS, seed * 17 + n * (5 + seed % 7));
    (0..words).map(pick).collect::<Vec<_>>().join(" ")
}

/// Words up to exactly `bytes` bytes of ASCII.
fn filling(bytes: usize) -> String {
    WORDS
        .iter()
        .cycle()
        .flat_map(|word| [*word, " "])
        .flat_map(str::chars)
        .take(bytes)
        .collect()
}

fn word(list: &[&'static str], index: usize) -> &'static str {
    list[index % list.len()]
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs serialise")
}

const FIRST: &[&str] = &[
    "Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hana", "Ivo", "Jun", "Kofi",
];
const LAST: &[&str] = &[
    "Okafor",
    "Lindqvist",
    "Moreau",
    "Tanaka",
    "Novak",
    "Silva",
    "Haddad",
    "Keller",
    "Byrne",
];
const CITIES: &[&str] = &[
    "Porto", "Gdansk", "Turku", "Leeds", "Izmir", "Graz", "Kyoto",
];
const TRADES: &[&str] = &[
    "garden", "kitchen", "paper", "lighting", "textiles", "tools",
];
const WORDS: &[&str] = &[
    "amber", "river", "lantern", "copper", "meadow", "signal", "harbour", "cedar", "winter",
    "marble", "orchard", "compass", "velvet", "granite", "ferry", "saffron", "window", "thunder",
    "pebble", "canvas", "juniper", "bridge", "ember", "willow", "anchor", "paper", "summit",
    "quarry", "linen", "clover", "beacon", "walnut", "ribbon", "island", "cobalt", "hollow",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_32_kib_to_the_byte() {
        assert_eq!(items().len(), LIST_BYTES);
    }

    #[test]
    fn posts_are_20_to_30_kilobytes() {
        assert!(
            (20_000..30_000).contains(&posts().len()),
            "{}",
            posts().len()
        );
    }
}
