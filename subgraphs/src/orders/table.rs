//! The table of orders, indexed by user and by status.

use std::collections::{BTreeSet, HashMap};

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{
    rest::Refusal,
    seed::{self, Draw, ROWS, Table, moment, now, rfc3339},
};

#[derive(Debug, Clone, Serialize)]
pub(super) struct Order {
    id: u64,
    user_id: u64,
    status: Status,
    items: Vec<Item>,
    total: f64,
    note: Option<String>,
    payment: Payment,
    created_at: String,
}

#[derive(Debug, Clone, Serialize)]
struct Item {
    product_id: u64,
    quantity: u32,
    unit_price: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pending,
    Paid,
    Shipped,
    Delivered,
    Cancelled,
}

impl Status {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Paid,
        Self::Shipped,
        Self::Delivered,
        Self::Cancelled,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Payment {
    Card {
        amount: f64,
        brand: &'static str,
        last_four: String,
    },
    BankTransfer {
        amount: f64,
        reference: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    user_id: u64,
    items: Vec<NewItem>,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewItem {
    product_id: u64,
    quantity: u32,
}

/// Which orders are wanted; no users and no status do not restrict.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) users: Vec<u64>,
    pub(super) status: Option<Status>,
}

/// Every order; the one with id `n` is the `n`th row.
#[derive(Debug, Default)]
pub(super) struct Orders {
    rows: Vec<Order>,
    by_user: HashMap<u64, Vec<u64>>,
    by_status: HashMap<Status, BTreeSet<u64>>,
}

impl Orders {
    pub(super) fn seeded() -> Self {
        let mut orders = Self::default();
        (1..=ROWS).for_each(|id| orders.insert(seeded_order(id)));
        orders
    }

    pub(super) fn get(&self, id: u64) -> Option<&Order> {
        self.rows.get(usize::try_from(id.checked_sub(1)?).ok()?)
    }

    /// How many orders pass the filter, and those of one page, newest first.
    pub(super) fn newest(&self, filter: &Filter, skip: u64, limit: u64) -> (usize, Vec<&Order>) {
        match (filter.users.as_slice(), filter.status) {
            ([], None) => self.page(1..=self.rows.len() as u64, skip, limit),
            ([], Some(status)) => match self.by_status.get(&status) {
                Some(ids) => self.page(ids.iter().copied(), skip, limit),
                None => (0, Vec::new()),
            },
            (users, status) => self.page(self.of_users(users, status).into_iter(), skip, limit),
        }
    }

    fn of_users(&self, users: &[u64], status: Option<Status>) -> Vec<u64> {
        let ids = users
            .iter()
            .filter_map(|user| self.by_user.get(user))
            .flatten()
            .copied();
        let mut ids: Vec<u64> = ids
            .filter(|id| status.is_none_or(|status| self.has_status(*id, status)))
            .collect();
        ids.sort_unstable();
        ids
    }

    fn has_status(&self, id: u64, status: Status) -> bool {
        self.get(id).is_some_and(|order| order.status == status)
    }

    /// `ids` come oldest first.
    fn page(
        &self,
        ids: impl DoubleEndedIterator<Item = u64> + Clone,
        skip: u64,
        limit: u64,
    ) -> (usize, Vec<&Order>) {
        let wanted = ids.clone().rev().skip(skip as usize).take(limit as usize);
        (ids.count(), wanted.filter_map(|id| self.get(id)).collect())
    }

    pub(super) fn add(&mut self, new: NewOrder) -> Result<Order, Refusal> {
        if new.items.is_empty() {
            return Err(Refusal::invalid("an order needs at least one item"));
        }
        let items = new
            .items
            .into_iter()
            .map(priced)
            .collect::<Result<Vec<_>, _>>()?;
        let id = self.rows.len() as u64 + 1;
        let total = sum(&items);
        let payment = Payment::BankTransfer {
            amount: total,
            reference: reference(id),
        };
        let status = Status::Pending;
        let order = Order {
            id,
            user_id: new.user_id,
            status,
            items,
            total,
            note: new.note,
            payment,
            created_at: now(),
        };
        self.insert(order.clone());
        Ok(order)
    }

    pub(super) fn cancel(&mut self, id: u64) -> Result<Order, Refusal> {
        let status = self
            .get(id)
            .ok_or_else(|| Refusal::not_found("order", id))?
            .status;
        if !matches!(status, Status::Pending | Status::Paid) {
            let reason = format!(
                "order {id} is {} and can no longer be cancelled",
                status.name()
            );
            return Err(Refusal::new(StatusCode::CONFLICT, reason));
        }
        self.by_status.entry(status).or_default().remove(&id);
        self.by_status
            .entry(Status::Cancelled)
            .or_default()
            .insert(id);
        let order = &mut self.rows[id as usize - 1];
        order.status = Status::Cancelled;
        Ok(order.clone())
    }

    fn insert(&mut self, order: Order) {
        self.by_user
            .entry(order.user_id)
            .or_default()
            .push(order.id);
        self.by_status
            .entry(order.status)
            .or_default()
            .insert(order.id);
        self.rows.push(order);
    }
}

fn priced(item: NewItem) -> Result<Item, Refusal> {
    let NewItem {
        product_id,
        quantity,
    } = item;
    if !(1..=100).contains(&quantity) {
        return Err(Refusal::invalid("a quantity lies between 1 and 100"));
    }
    if !(1..=ROWS).contains(&product_id) {
        return Err(Refusal::invalid(format!(
            "there is no product {product_id}"
        )));
    }
    Ok(Item {
        product_id,
        quantity,
        unit_price: seed::price(product_id),
    })
}

/// Rounded to cents, since doubles do not add up exactly.
fn sum(items: &[Item]) -> f64 {
    let sum: f64 = items
        .iter()
        .map(|item| f64::from(item.quantity) * item.unit_price)
        .sum();
    (sum * 100.0).round() / 100.0
}

fn reference(id: u64) -> String {
    format!("RF{:02}{id:010}", id % 97)
}

const STATUSES: [Status; 10] = [
    Status::Pending,
    Status::Paid,
    Status::Paid,
    Status::Shipped,
    Status::Shipped,
    Status::Delivered,
    Status::Delivered,
    Status::Delivered,
    Status::Delivered,
    Status::Cancelled,
];
const BRANDS: [&str; 3] = ["Visa", "Mastercard", "American Express"];
const NOTES: [&str; 3] = [
    "Leave it with the neighbours.",
    "Please ring twice.",
    "A present: no invoice inside.",
];

fn seeded_order(id: u64) -> Order {
    let mut draw = Draw::of(Table::Orders, id);
    let items: Vec<Item> = (0..=draw.below(4))
        .map(|_| seeded_item(&mut draw))
        .collect();
    let total = sum(&items);
    Order {
        id,
        user_id: 1 + draw.below(ROWS),
        status: draw.one(&STATUSES),
        items,
        total,
        note: (draw.below(5) == 0).then(|| draw.one(&NOTES).to_owned()),
        payment: seeded_payment(&mut draw, id, total),
        created_at: rfc3339(moment(id, TimeDelta::minutes(53))),
    }
}

fn seeded_item(draw: &mut Draw) -> Item {
    let product_id = 1 + draw.below(ROWS);
    Item {
        product_id,
        quantity: 1 + draw.below(3) as u32,
        unit_price: seed::price(product_id),
    }
}

fn seeded_payment(draw: &mut Draw, id: u64, amount: f64) -> Payment {
    if draw.below(3) == 0 {
        return Payment::BankTransfer {
            amount,
            reference: reference(id),
        };
    }
    Payment::Card {
        amount,
        brand: draw.one(&BRANDS),
        last_four: format!("{:04}", draw.below(10_000)),
    }
}
