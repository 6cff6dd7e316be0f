//! The embedded store: the suite of all stores, and what its file survives.

mod damage;
mod directory;
mod faults;
mod medium;
mod power;

use std::sync::Arc;

use proptest::prelude::*;
use queue::Embedded;
use queue::Store;
use queue::seal::Seal;
use queue::store::BoxFuture;
use queue::store::Limits;

use self::medium::Medium;
use super::rounds;
use super::suite::Harness;
use super::suite::model;

/// A store over bytes in memory, which outlive it.
struct InMemory {
    medium: Medium,
    secret: Option<[u8; 32]>,
}

impl Harness for InMemory {
    fn open(&mut self, limits: Limits) -> BoxFuture<'_, Arc<dyn Store>> {
        let seal = self.secret.map_or(Seal::none(), |secret| {
            Seal::with_key(&secret).expect("a secret of 32 bytes")
        });
        let disk = Arc::new(self.medium.clone());
        let opened = Embedded::open_on(disk, limits, seal).expect("it opens");
        Box::pin(std::future::ready(Arc::new(opened) as Arc<dyn Store>))
    }

    fn kill(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, ()> {
        self.medium = self.medium.cut();
        drop(store);
        Box::pin(std::future::ready(()))
    }
}

fn in_memory(secret: Option<[u8; 32]>) -> InMemory {
    InMemory {
        medium: Medium::default(),
        secret,
    }
}

mod plain {
    crate::queue::suite::suite!(crate::queue::embedded::in_memory(None));
}

mod sealed {
    crate::queue::suite::suite!(crate::queue::embedded::in_memory(Some([7; 32])));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: rounds("SWITCHBOARD_QUEUE_MODELS", 60) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_operations_agree_with_a_plain_model(operations in model::operations(60)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(model::agree(&mut in_memory(None), &operations));
    }
}
