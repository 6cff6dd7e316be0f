//! What the gateway hands over instead of calling: the `queued` block.

use std::fmt::Write as _;
use std::sync::Mutex;

use plan::outbox::Accepted;
use plan::outbox::Order;
use plan::outbox::Outbox;
use plan::source::BoxFuture;
use plan::source::SourceError;

/// Accepts everything and writes it down.
#[derive(Debug, Default)]
pub(super) struct WrittenDown(Mutex<Vec<(usize, String)>>);

impl WrittenDown {
    /// One entry for each call, in the order of the operation.
    pub(super) fn text(&self) -> String {
        let mut orders = self.0.lock().expect("nobody panicked").clone();
        orders.sort();
        orders.into_iter().map(|(_, order)| order).collect()
    }
}

impl Outbox for WrittenDown {
    fn put<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Result<Accepted, SourceError>> {
        let mut orders = self.0.lock().expect("nobody panicked");
        orders.push((order.step, shown(&order)));
        let accepted = Accepted {
            id: format!("delivery-{}", orders.len()),
            status: "QUEUED",
            accepted_at: "2026-01-02T03:04:05.678Z".to_owned(),
            duplicate: false,
        };
        Box::pin(async move { Ok(accepted) })
    }

    fn withdraw(&self, step: usize) {
        let mut orders = self.0.lock().expect("nobody panicked");
        orders.push((step, "nothing, since it cannot be sent\n".to_owned()));
    }
}

/// `email: Mutation.send, key 7 → mail POST /mails` and what goes with it, a line each.
fn shown(order: &Order<'_>) -> String {
    let mut text = format!("{}: {}", order.rule.name, order.field);
    for (name, value) in [("key", &order.key), ("dedupe", &order.dedupe)] {
        if let Some(value) = value {
            let _ = write!(text, ", {name} {value}");
        }
    }
    let call = &order.call;
    let _ = writeln!(text, " → {} {} {}", call.source, call.verb, call.target);
    for (name, value) in &call.headers {
        let value = value.as_deref().unwrap_or("(not sent)");
        let _ = writeln!(text, "  {name}: {value}");
    }
    match std::str::from_utf8(&call.body) {
        Ok("") => {}
        Ok(body) => drop(writeln!(text, "  {body}")),
        Err(_) => drop(writeln!(text, "  {} bytes", call.body.len())),
    }
    text
}
