//! The table of users and what may be done to it.

use std::collections::HashMap;

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    rest::Refusal,
    seed::{Draw, ROWS, Table, moment, now, rfc3339},
};

#[derive(Debug, Clone, Serialize)]
pub(super) struct User {
    id: u64,
    name: String,
    email: String,
    phone: Option<String>,
    created_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    name: String,
    email: String,
    phone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    name: Option<String>,
    email: Option<String>,
    /// Absent: kept. Null: forgotten.
    #[serde(default, deserialize_with = "present")]
    phone: Option<Option<String>>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Every user; the one with id `n` is the `n`th row.
#[derive(Debug)]
pub(super) struct Users {
    rows: Vec<User>,
    by_email: HashMap<String, u64>,
}

impl Users {
    pub(super) fn seeded() -> Self {
        let rows: Vec<User> = (1..=ROWS).map(seeded_user).collect();
        let by_email = rows
            .iter()
            .map(|user| (user.email.clone(), user.id))
            .collect();
        Self { rows, by_email }
    }

    pub(super) fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(super) fn get(&self, id: u64) -> Option<&User> {
        self.rows.get(position(id)?)
    }

    pub(super) fn with_ids(&self, ids: &[u64]) -> impl Iterator<Item = &User> {
        ids.iter().filter_map(|id| self.get(*id))
    }

    pub(super) fn window(&self, offset: u64, limit: u64) -> &[User] {
        let start = offset.min(self.count());
        let end = (start + limit).min(self.count());
        &self.rows[start as usize..end as usize]
    }

    pub(super) fn add(&mut self, new: NewUser) -> Result<User, Refusal> {
        let id = self.count() + 1;
        check_name(&new.name)?;
        self.check_email(&new.email, id)?;
        let user = User {
            id,
            name: new.name,
            email: new.email,
            phone: new.phone,
            created_at: now(),
        };
        self.by_email.insert(user.email.clone(), id);
        self.rows.push(user.clone());
        Ok(user)
    }

    /// Applies all changes or none.
    pub(super) fn change(&mut self, id: u64, changes: Changes) -> Result<User, Refusal> {
        let mut user = self
            .get(id)
            .cloned()
            .ok_or_else(|| Refusal::not_found("user", id))?;
        if let Some(name) = changes.name {
            check_name(&name)?;
            user.name = name;
        }
        if let Some(email) = changes.email {
            self.check_email(&email, id)?;
            self.by_email.remove(&user.email);
            self.by_email.insert(email.clone(), id);
            user.email = email;
        }
        user.phone = changes.phone.unwrap_or(user.phone);
        self.rows[id as usize - 1] = user.clone();
        Ok(user)
    }

    fn check_email(&self, email: &str, owner: u64) -> Result<(), Refusal> {
        if !email.contains('@') {
            return Err(Refusal::invalid(format!(
                "`{email}` is not an e-mail address"
            )));
        }
        match self.by_email.get(email) {
            Some(other) if *other != owner => Err(Refusal::new(
                StatusCode::CONFLICT,
                format!("{email} belongs to another user"),
            )),
            _ => Ok(()),
        }
    }
}

fn position(id: u64) -> Option<usize> {
    usize::try_from(id.checked_sub(1)?).ok()
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() {
        Err(Refusal::invalid("a user needs a name"))
    } else {
        Ok(())
    }
}

const FIRST_NAMES: [&str; 20] = [
    "Amara", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hiro", "Ines", "Jonas",
    "Kavya", "Liam", "Mei", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Sven", "Tala",
];
const LAST_NAMES: [&str; 20] = [
    "Abe", "Berg", "Costa", "Dahl", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova", "Jensen",
    "Kaur", "Lopez", "Moreau", "Nguyen", "Okafor", "Petrov", "Rossi", "Silva", "Tanaka", "Weber",
];

fn seeded_user(id: u64) -> User {
    let mut draw = Draw::of(Table::Users, id);
    let (first, last) = (draw.one(&FIRST_NAMES), draw.one(&LAST_NAMES));
    let phone = (draw.below(4) != 0).then(|| {
        format!(
            "+41 44 {:03} {:02} {:02}",
            draw.below(1000),
            id / 100 % 100,
            id % 100
        )
    });
    User {
        id,
        name: format!("{first} {last}"),
        email: format!(
            "{}.{}.{id}@example.com",
            first.to_lowercase(),
            last.to_lowercase()
        ),
        phone,
        created_at: rfc3339(moment(id, TimeDelta::minutes(37))),
    }
}
