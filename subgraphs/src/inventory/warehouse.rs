//! The table of stocks.

use std::collections::HashMap;

use super::proto::Stock;
use crate::seed::{Draw, ROWS, Table};

/// Every stock by the text of its product's number.
pub(super) struct Warehouses {
    stocks: HashMap<String, Stock>,
}

impl Warehouses {
    pub(super) fn seeded() -> Self {
        Self {
            stocks: (1..=ROWS)
                .map(|id| (id.to_string(), seeded_stock(id)))
                .collect(),
        }
    }

    pub(super) fn get(&self, product_id: &str) -> Option<&Stock> {
        self.stocks.get(product_id)
    }
}

const WAREHOUSES: [&str; 4] = ["Antwerp", "Gdansk", "Lyon", "Zaragoza"];

fn seeded_stock(id: u64) -> Stock {
    let mut draw = Draw::of(Table::Inventory, id);
    // One product in eight is sold out.
    let quantity = if draw.below(8) == 0 {
        0
    } else {
        1 + draw.below(120) as i32
    };
    let available = quantity > 0;
    let warehouse = available.then(|| draw.one(&WAREHOUSES).to_owned());
    Stock {
        product_id: id.to_string(),
        available,
        quantity,
        warehouse,
    }
}
