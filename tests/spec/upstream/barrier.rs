//! Replies that wait for each other: proof that calls run beside each other, without a clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::Barrier;

/// `together: NAME`: each reply of a name is held back until all of that name were asked for.
#[derive(Default)]
pub(crate) struct Barriers {
    sizes: Mutex<HashMap<String, usize>>,
    barriers: Mutex<HashMap<String, Arc<Barrier>>>,
}

impl Barriers {
    /// One more reply of this name.
    pub(crate) fn add(&self, name: &str) {
        let mut sizes = self.sizes.lock().expect("nobody panics with it");
        *sizes.entry(name.to_owned()).or_default() += 1;
    }

    /// Returns when everyone is here.
    pub(crate) async fn wait(&self, name: &str) {
        let barrier = self.of(name);
        barrier.wait().await;
    }

    fn of(&self, name: &str) -> Arc<Barrier> {
        let size = self.sizes.lock().expect("nobody panics with it")[name];
        let mut barriers = self.barriers.lock().expect("nobody panics with it");
        let barrier = barriers.entry(name.to_owned());
        barrier
            .or_insert_with(|| Arc::new(Barrier::new(size)))
            .clone()
    }
}
