//! What services recognise a client's effects by, and whether any was sent.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

use plan::Plan;
use plan::effects::Effect;
use plan::effects::Effects;

use crate::durable::hash;

/// The effects of one mutation. A service never sees the client's own key: two of its fields would
/// be one to the service, and so would two clients who think of the same.
#[derive(Debug)]
pub(crate) struct ClientEffects {
    /// A hash of the key and of whose it is.
    name: String,
    remembered: Duration,
    /// The response key of each root field, by step.
    fields: Vec<(usize, Box<str>)>,
    /// Calls that may have reached their service.
    sent: AtomicU32,
}

impl ClientEffects {
    pub(super) fn new(name: String, remembered: Duration, plan: &Plan) -> Self {
        let fields = plan.response_keys();
        Self {
            name,
            remembered,
            fields: fields.map(|(step, key)| (step, key.into())).collect(),
            sent: AtomicU32::new(0),
        }
    }

    /// Whether any call may have reached its service.
    pub(super) fn were_sent(&self) -> bool {
        self.sent.load(Acquire) > 0
    }
}

impl Effects for ClientEffects {
    fn of(&self, step: usize) -> Effect {
        let field = self.fields.iter().find(|(known, _)| *known == step);
        let field = field.map_or("", |(_, key)| key);
        Effect {
            key: hash(&[self.name.as_bytes(), b"effect", field.as_bytes()]),
            remembered: self.remembered,
        }
    }

    fn sending(&self) {
        self.sent.fetch_add(1, AcqRel);
    }

    fn unsent(&self) {
        self.sent.fetch_sub(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(name: &str) -> ClientEffects {
        ClientEffects {
            name: name.to_owned(),
            remembered: Duration::from_secs(1),
            fields: vec![(0, "a".into()), (1, "b".into())],
            sent: AtomicU32::new(0),
        }
    }

    #[test]
    fn each_field_has_a_key_of_its_own_which_stays_the_same() {
        let key = |name: &str, step| effects(name).of(step).key;
        assert_eq!(key("n", 0), key("n", 0));
        assert_ne!(key("n", 0), key("n", 1));
        assert_ne!(key("n", 0), key("m", 0));
        assert!(!key("n", 0).contains('n'));
    }

    #[test]
    fn what_never_arrived_was_not_sent() {
        let effects = effects("n");
        assert!(!effects.were_sent());
        effects.sending();
        effects.unsent();
        assert!(!effects.were_sent());
        effects.sending();
        assert!(effects.were_sent());
    }
}
