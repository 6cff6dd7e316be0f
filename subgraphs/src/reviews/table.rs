//! The table of reviews, indexed by product and by user.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{
    rest::{Refusal, lenient_id},
    seed::{Draw, ROWS, Table, moment, now, rfc3339},
};

#[derive(Debug, Clone, Serialize)]
pub(super) struct Review {
    pub(super) id: u64,
    rating: u8,
    comment: Option<String>,
    user_id: u64,
    product_id: u64,
    created_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewReview {
    #[serde(deserialize_with = "lenient_id")]
    product_id: u64,
    #[serde(deserialize_with = "lenient_id")]
    user_id: u64,
    rating: u8,
    comment: Option<String>,
}

/// Which reviews are wanted; an empty list does not restrict.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) products: Vec<u64>,
    pub(super) users: Vec<u64>,
}

/// Every review; the one with id `n` is the `n`th row. The indexes hold ids, oldest first.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    rows: Vec<Review>,
    by_product: HashMap<u64, Vec<u64>>,
    by_user: HashMap<u64, Vec<u64>>,
}

impl Reviews {
    pub(super) fn seeded() -> Self {
        let mut reviews = Self::default();
        for (product, id) in products_of_reviews().into_iter().zip(1..) {
            reviews.insert(seeded_review(id, product));
        }
        reviews
    }

    pub(super) fn get(&self, id: u64) -> Option<&Review> {
        self.rows.get(usize::try_from(id.checked_sub(1)?).ok()?)
    }

    /// The newest reviews that pass the filter, below the id `before`, at most `limit`.
    pub(super) fn newest(
        &self,
        filter: &Filter,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<&Review> {
        let before = before.unwrap_or(u64::MAX);
        let mut ids = self.candidates(filter, before);
        ids.truncate(limit);
        ids.into_iter().filter_map(|id| self.get(id)).collect()
    }

    fn candidates(&self, filter: &Filter, before: u64) -> Vec<u64> {
        let mut ids = match (filter.products.as_slice(), filter.users.as_slice()) {
            ([], []) => return self.last_page_before(before),
            ([], users) => listed(&self.by_user, users),
            (products, _) => listed(&self.by_product, products),
        };
        ids.retain(|id| *id < before && self.written_by_one_of(*id, &filter.users));
        ids.sort_unstable_by(|left, right| right.cmp(left));
        ids
    }

    /// Without a filter nothing is looked up: ids are positions. No page is larger than this.
    fn last_page_before(&self, before: u64) -> Vec<u64> {
        let end = before.min(self.rows.len() as u64 + 1);
        let start = end.saturating_sub(super::MOST_ON_A_PAGE + 1).max(1);
        (start..end).rev().collect()
    }

    fn written_by_one_of(&self, id: u64, users: &[u64]) -> bool {
        users.is_empty()
            || self
                .get(id)
                .is_some_and(|review| users.binary_search(&review.user_id).is_ok())
    }

    pub(super) fn add(&mut self, new: NewReview) -> Result<Review, Refusal> {
        if !(1..=5).contains(&new.rating) {
            return Err(Refusal::invalid("a rating lies between 1 and 5"));
        }
        let review = Review {
            id: self.rows.len() as u64 + 1,
            rating: new.rating,
            comment: new.comment,
            user_id: new.user_id,
            product_id: new.product_id,
            created_at: now(),
        };
        self.insert(review.clone());
        Ok(review)
    }

    fn insert(&mut self, review: Review) {
        self.by_product
            .entry(review.product_id)
            .or_default()
            .push(review.id);
        self.by_user
            .entry(review.user_id)
            .or_default()
            .push(review.id);
        self.rows.push(review);
    }
}

fn listed(index: &HashMap<u64, Vec<u64>>, keys: &[u64]) -> Vec<u64> {
    keys.iter()
        .filter_map(|key| index.get(key))
        .flatten()
        .copied()
        .collect()
}

/// Two to five reviews for each product, three on average: exactly 30,000, in the order of their writing.
fn products_of_reviews() -> Vec<u64> {
    let counts = [2, 3, 5, 2].into_iter().cycle();
    let mut products: Vec<u64> = (1..=ROWS)
        .zip(counts)
        .flat_map(|(product, count)| std::iter::repeat_n(product, count))
        .collect();
    Draw::of(Table::Reviews, 0).shuffle(&mut products);
    products
}

const RATINGS: [u8; 12] = [1, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5];

const COMMENTS: [[&str; 3]; 5] = [
    [
        "Broke on the first day.",
        "Not what the picture shows.",
        "I sent it back.",
    ],
    [
        "It works, on good days.",
        "Too dear for what it is.",
        "Smaller than I thought.",
    ],
    [
        "Does what it says.",
        "Neither good nor bad.",
        "Fine for the price.",
    ],
    [
        "Good value.",
        "Would buy it again.",
        "Arrived early and well packed.",
    ],
    [
        "The best I have owned.",
        "A present that was loved.",
        "Exactly right.",
    ],
];

fn seeded_review(id: u64, product_id: u64) -> Review {
    let mut draw = Draw::of(Table::Reviews, id);
    let rating = draw.one(&RATINGS);
    let comment = draw.one(&COMMENTS[usize::from(rating) - 1]);
    Review {
        id,
        rating,
        comment: (draw.below(6) != 0).then(|| comment.to_owned()),
        user_id: 1 + draw.below(ROWS),
        product_id,
        created_at: rfc3339(moment(id, TimeDelta::minutes(19))),
    }
}
