//! What the gateway logs of failed calls while a spec runs.
//!
//! One line for each: the source, the code, and what no client reads. Sorted,
//! since calls end in any order.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::Mutex;

use tracing::Event;
use tracing::Level;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt as _;

/// The log of this thread, for as long as it lives.
pub(crate) struct Said {
    lines: Lines,
    _listening: DefaultGuard,
}

type Lines = Arc<Mutex<Vec<String>>>;

impl Said {
    pub(crate) fn listen() -> Self {
        let lines = Lines::default();
        let listener = tracing_subscriber::registry().with(Listener(lines.clone()));
        Self {
            lines,
            _listening: tracing::subscriber::set_default(listener),
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut lines = self.lines.lock().expect("nobody panics").clone();
        lines.sort();
        lines.join("\n")
    }
}

struct Listener(Lines);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() != "switchboard::upstream" || *metadata.level() > Level::WARN {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let line = format!("{} {}: {}", line.source, line.code, line.detail);
        self.0.lock().expect("nobody panics").push(line);
    }
}

#[derive(Default)]
struct Line {
    source: String,
    code: String,
    detail: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let place = match field.name() {
            "source" => &mut self.source,
            "code" => &mut self.code,
            "detail" => &mut self.detail,
            _ => return,
        };
        *place = format!("{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
