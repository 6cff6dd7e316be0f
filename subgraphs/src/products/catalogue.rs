//! The table of products.

use std::collections::HashMap;

use chrono::TimeDelta;
use prost_types::Timestamp;

use super::proto::{Category, Product};
use crate::seed::{Draw, ROWS, Table, moment, price};

/// Every product; the one with id `n` is the `n`th row.
pub(super) struct Catalogue {
    rows: Vec<Product>,
}

impl Catalogue {
    pub(super) fn seeded() -> Self {
        Self {
            rows: (1..=ROWS).map(seeded_product).collect(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn get(&self, id: i64) -> Option<&Product> {
        self.rows.get(usize::try_from(id.checked_sub(1)?).ok()?)
    }

    /// A copy of one row, unless another category is wanted.
    pub(super) fn row_in(&self, row: usize, wanted: Option<Category>) -> Option<Product> {
        let product = self.rows.get(row)?;
        wanted
            .is_none_or(|category| product.category() == category)
            .then(|| product.clone())
    }
}

const CATEGORIES: [Category; 5] = [
    Category::Books,
    Category::Electronics,
    Category::Garden,
    Category::Home,
    Category::Toys,
];
const MAKES: [&str; 12] = [
    "Plain", "Sturdy", "Folding", "Quiet", "Bright", "Travel", "Pocket", "Grand", "Winter",
    "Summer", "Second", "Royal",
];
const COLOURS: [&str; 8] = [
    "black", "blue", "green", "grey", "red", "silver", "white", "yellow",
];
const TAGS: [&str; 8] = [
    "bestseller",
    "clearance",
    "eco",
    "fragile",
    "gift",
    "heavy",
    "new",
    "refurbished",
];

fn things(category: Category) -> [&'static str; 4] {
    match category {
        Category::Unspecified => ["Box", "Bundle", "Curiosity", "Thing"],
        Category::Books => ["Atlas", "Cookbook", "Diary", "Novel"],
        Category::Electronics => ["Headphones", "Keyboard", "Lamp", "Radio"],
        Category::Garden => ["Hose", "Rake", "Shears", "Trowel"],
        Category::Home => ["Armchair", "Kettle", "Mirror", "Rug"],
        Category::Toys => ["Kite", "Puzzle", "Robot", "Train"],
    }
}

fn seeded_product(id: u64) -> Product {
    let mut draw = Draw::of(Table::Products, id);
    // One in sixteen has not been sorted yet.
    let category = if draw.below(16) == 0 {
        Category::Unspecified
    } else {
        draw.one(&CATEGORIES)
    };
    let (make, colour, thing) = (
        draw.one(&MAKES),
        draw.one(&COLOURS),
        draw.one(&things(category)),
    );
    Product {
        id: id as i64,
        name: format!("{make} {thing}"),
        description: format!(
            "A {} {colour} {}, number {id} of our catalogue.",
            make.to_lowercase(),
            thing.to_lowercase()
        ),
        price: price(id),
        stock: draw.below(200) as i32,
        category: category.into(),
        tags: seeded_tags(&mut draw),
        created_at: Some(Timestamp {
            seconds: moment(id, TimeDelta::minutes(41)).timestamp(),
            nanos: 0,
        }),
        image_url: (draw.below(5) != 0)
            .then(|| format!("https://images.example.com/products/{id}.jpg")),
        attributes: seeded_attributes(&mut draw, colour),
    }
}

/// None to three, without repeats.
fn seeded_tags(draw: &mut Draw) -> Vec<String> {
    let mut tags = TAGS;
    draw.shuffle(&mut tags);
    tags[..draw.below(4) as usize]
        .iter()
        .map(|tag| (*tag).to_owned())
        .collect()
}

fn seeded_attributes(draw: &mut Draw, colour: &str) -> HashMap<String, String> {
    let weight = format!("{} g", 50 + draw.below(400) * 25);
    HashMap::from([
        ("colour".to_owned(), colour.to_owned()),
        ("weight".to_owned(), weight),
    ])
}
