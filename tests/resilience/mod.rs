//! The real binary over services that fall: the example services, REST and
//! gRPC, behind a proxy that breaks connections in every way they can break,
//! and services of our own that say exactly what a test wants.

mod calls;
mod connections;
mod rehearsal;
mod shop;
mod streams;

use std::time::Duration;

use crate::edge::PATIENCE;
use crate::edge::binary;

/// Looks until something is so.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .expect("it comes about in time");
}
