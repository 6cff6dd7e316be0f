//! Seeded chance: every row of the example data is a pure function of its table and number.
//!
//! So the data is the same on every machine and in every run, and two services agree on what both need to know
//! (an order's unit price is the catalogue's) without asking each other.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use std::time::SystemTime;

/// Rows of each table but the reviews.
pub(crate) const ROWS: u64 = 10_000;

/// The tables, so that rows of the same number draw differently.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Table {
    Users = 1,
    Products,
    Prices,
    Inventory,
    Reviews,
    Orders,
}

/// A sequence of draws: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn of(table: Table, row: u64) -> Self {
        let mut mixed = Self(row ^ ((table as u64) << 56));
        Self(mixed.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `count - 1`.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    /// A number from 0 up to, not including, 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn one<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Puts `items` into an order of its own (Fisher-Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// A product's price: 1.99 to 500.99, the same for the catalogue and for whoever copies it into an order.
pub(crate) fn price(product_id: u64) -> f64 {
    cents(Draw::of(Table::Prices, product_id).below(500) * 100 + 199)
}

/// Cents as an amount; the nearest double to two decimals.
pub(crate) fn cents(cents: u64) -> f64 {
    cents as f64 / 100.0
}

/// When row `row` of a table was written, `step` apart from the first on 2024-01-01.
pub(crate) fn moment(row: u64, step: TimeDelta) -> DateTime<Utc> {
    let first = DateTime::from_timestamp(1_704_067_200, 0).expect("2024-01-01 is a date");
    first + step * i32::try_from(row).expect("no table has two thousand million rows")
}

/// A moment as JSON carries it.
pub(crate) fn rfc3339(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The present moment as JSON carries it.
pub(crate) fn now() -> String {
    rfc3339(SystemTime::now().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_draws_the_same_on_every_machine() {
        let mut draw = Draw::of(Table::Users, 1);
        assert_eq!(
            [draw.below(1000), draw.below(1000), draw.below(1000)],
            [353, 739, 911]
        );
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut draw = Draw::new(1_234_567);
        assert_eq!(draw.next(), 6_457_827_717_110_365_317);
        assert_eq!(draw.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn tables_draw_differently() {
        assert_ne!(
            Draw::of(Table::Users, 1).next(),
            Draw::of(Table::Products, 1).next()
        );
    }

    #[test]
    fn moments_are_written_as_rfc_3339() {
        assert_eq!(
            rfc3339(moment(1, TimeDelta::hours(1))),
            "2024-01-01T01:00:00Z"
        );
    }
}
