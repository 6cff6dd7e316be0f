//! What has arrived so far.
//!
//! Owns each step's decoded replies and the items that its parents are joined
//! to. Filled step by step, read by later steps and by the writer.

use plan::source::SourceError;
use plan::tape::Tape;
use plan::tape::Value;

/// Everything that has arrived for one request.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) steps: Vec<StepData>,
}

/// What has arrived for one step.
#[derive(Debug, Default)]
pub(crate) struct StepData {
    pub(crate) tapes: Vec<Tape>,
    /// Values that parents are joined to: [`Value::Join`] and [`Value::JoinList`] index into it.
    pub(crate) items: Vec<Item>,
    /// [`Value::Failed`] indexes into it.
    pub(crate) failures: Vec<SourceError>,
    /// The value of a step without parents.
    pub(crate) root: Value,
}

/// A value on one of a step's tapes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Item {
    pub(crate) tape: u32,
    pub(crate) value: Value,
}

/// An object on one of a step's tapes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ObjectAt {
    pub(crate) tape: u32,
    pub(crate) at: u32,
}

impl Store {
    pub(crate) fn new(steps: usize) -> Self {
        Self {
            steps: std::iter::repeat_with(StepData::default)
                .take(steps)
                .collect(),
        }
    }
}

impl StepData {
    pub(crate) fn tape(&self, index: u32) -> &Tape {
        &self.tapes[index as usize]
    }

    pub(crate) fn item(&self, index: u32) -> Item {
        self.items[index as usize]
    }

    /// Adds an item and returns what joins a parent to it.
    pub(crate) fn join(&mut self, item: Item) -> Value {
        self.items.push(item);
        Value::Join(self.items.len() as u32 - 1)
    }

    /// Adds a run of items and returns what joins a parent to it.
    pub(crate) fn join_list(&mut self, items: impl IntoIterator<Item = Item>) -> Value {
        let at = self.items.len() as u32;
        self.items.extend(items);
        let len = self.items.len() as u32 - at;
        Value::JoinList { at, len }
    }

    /// Adds a failure and returns what marks a parent with it.
    pub(crate) fn fail(&mut self, error: SourceError) -> Value {
        self.failures.push(error);
        Value::Failed(self.failures.len() as u32 - 1)
    }
}
