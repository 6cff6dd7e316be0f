//! Operations that one request asks of one service at the same time, sent as one.
//!
//! Owns who travels with whom, the operation that is made of several, and what of
//! its response belongs to whom. Each call keeps its own limits, its own attempts and
//! its own place in every log: that they were one is a matter of the wire. Knows
//! nothing of plans.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Context as Waker;
use std::task::Poll;

use bytes::Bytes;
use plan::source::Context;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::GraphqlCall;
use super::operation::Operation;
use crate::failure::Failed;
use crate::transport::HttpCall;
use crate::transport::HttpReply;

/// Whose operations may travel together: those of one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Company {
    /// Where its context is, which is nobody else's while it lives.
    request: usize,
    correlation_id: Arc<str>,
}

/// What an operation brings along to travel with others.
#[derive(Debug)]
pub(super) struct Luggage {
    pub(super) company: Company,
    pub(super) variables: Map<String, Json>,
}

/// What those who travel with another are told: their part of the response; none where they have
/// to go alone.
type Told = Option<Result<HttpReply, Failed>>;

/// One that waits for another to leave.
pub(super) struct Passenger {
    pub(super) call: GraphqlCall,
    back: oneshot::Sender<Told>,
}

/// Who waits for whom.
#[derive(Default)]
pub(super) struct Together(Mutex<HashMap<Company, Vec<Passenger>, ahash::RandomState>>);

/// The first of its company leaves with whoever comes before it does; the others wait for it.
pub(super) enum Boarded<'t> {
    First(First<'t>),
    Waits(oneshot::Receiver<Told>),
}

/// The one that will leave. Without it nobody waits.
pub(super) struct First<'t> {
    together: &'t Together,
    company: Company,
}

impl Company {
    pub(super) fn of(context: &Context) -> Self {
        Self {
            request: std::ptr::from_ref(context) as usize,
            correlation_id: context.correlation_id.clone(),
        }
    }
}

impl Together {
    pub(super) fn board(&self, company: &Company, call: &GraphqlCall) -> Boarded<'_> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.get_mut(company) {
            Some(others) => {
                let (back, told) = oneshot::channel();
                others.push(Passenger {
                    call: call.clone(),
                    back,
                });
                Boarded::Waits(told)
            }
            None => {
                waiting.insert(company.clone(), Vec::new());
                Boarded::First(First {
                    together: self,
                    company: company.clone(),
                })
            }
        }
    }
}

impl First<'_> {
    /// Whoever has come, once everyone who is about to had a turn.
    pub(super) async fn leave(self) -> Vec<Passenger> {
        Turn::default().await;
        self.take()
    }

    fn take(&self) -> Vec<Passenger> {
        let waiting = self.together.0.lock();
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        waiting.remove(&self.company).unwrap_or_default()
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.take();
    }
}

impl Passenger {
    pub(super) fn tell(self, told: Told) {
        // Whoever is gone has nobody to be told.
        let _ = self.back.send(told);
    }
}

/// Lets everyone else who is ready go first, once.
#[derive(Default)]
struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        waker.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One operation made of several, each under an alias of its own.
pub(super) fn combined(calls: &[&GraphqlCall]) -> Option<HttpCall> {
    let first = calls.first()?;
    let mut declared = String::new();
    let mut roots = String::new();
    let mut variables = Map::new();
    for (number, call) in calls.iter().enumerate() {
        let operation: &Operation = &call.operation;
        for (name, ty) in operation.declared() {
            let between = if declared.is_empty() { "" } else { ", " };
            let _ = write!(declared, "{between}${name}_{number}: {ty}");
        }
        let _ = write!(roots, "{}: ", alias(number));
        operation.write_root(number, &mut roots);
        roots.push(' ');
        for (name, value) in &call.luggage.as_ref()?.variables {
            variables.insert(format!("{name}_{number}"), value.clone());
        }
    }
    let name = name_of(calls);
    let declared = match declared.is_empty() {
        true => declared,
        false => format!("({declared})"),
    };
    let body = serde_json::json!({
        "query": format!("query {name}{declared} {{ {roots}}}"),
        "operationName": name,
        "variables": variables,
    });
    Some(HttpCall {
        body: body.to_string().into(),
        ..(*first.http).clone()
    })
}

/// What upstream's logs know it by.
fn name_of(calls: &[&GraphqlCall]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for call in calls {
        if !names.contains(&call.operation.name.as_str()) {
            names.push(&call.operation.name);
        }
    }
    names.join("__")
}

fn alias(number: usize) -> String {
    format!("_{number}")
}

#[derive(Deserialize)]
struct Response<'r> {
    #[serde(borrow)]
    data: Option<HashMap<Cow<'r, str>, &'r RawValue, ahash::RandomState>>,
    errors: Option<Vec<Json>>,
}

/// Each operation's own response. None where there is no data: one operation may have taken the others' with it.
pub(super) fn split(calls: &[&GraphqlCall], reply: &HttpReply) -> Option<Vec<HttpReply>> {
    let response: Response<'_> = serde_json::from_slice(&reply.body).ok()?;
    let data = response.data?;
    let errors = response.errors.unwrap_or_default();
    let mut parts = Vec::with_capacity(calls.len());
    for (number, call) in calls.iter().enumerate() {
        let field = call.operation.field.as_str();
        let value = data
            .get(&*alias(number))
            .map_or("null", |value| value.get());
        let mut body = String::with_capacity(value.len() + field.len() + 32);
        let _ = write!(body, "{{\"data\":{{\"{field}\":{value}}}");
        let own: Vec<Json> = errors
            .iter()
            .filter_map(|error| own(error, number, field, calls.len()))
            .collect();
        if !own.is_empty() {
            let _ = write!(body, ",\"errors\":{}", Json::Array(own));
        }
        body.push('}');
        parts.push(HttpReply {
            body: Bytes::from(body),
            ..reply.clone()
        });
    }
    Some(parts)
}

/// An error at the operation's own place; one that is at nobody's is the first one's.
fn own(error: &Json, number: usize, field: &str, calls: usize) -> Option<Json> {
    let path = error.get("path").and_then(Json::as_array);
    let first = path.and_then(|path| path.first()?.as_str());
    let whose = first.and_then(|first| (0..calls).find(|it| alias(*it) == first));
    match whose {
        Some(whose) if whose == number => {
            let mut error = error.clone();
            *error.get_mut("path")?.get_mut(0)? = Json::from(field);
            Some(error)
        }
        None if number == 0 => Some(error.clone()),
        _ => None,
    }
}
