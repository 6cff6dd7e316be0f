//! What every store promises, shown through the contract alone. A store is put to it by a
//! [`Harness`] and `suite!`.

pub(crate) mod appending;
pub(crate) mod dead_letters;
pub(crate) mod following;
pub(crate) mod lines;
pub(crate) mod messages;
pub(crate) mod model;
pub(crate) mod settling;
pub(crate) mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use queue::Store;
use queue::store::BoxFuture;
use queue::store::Limits;
use queue::store::Receipt;
use queue::store::Refused;
use queue::store::Taken;
use queue::{Message, store::Claim};

/// One kind of store, empty at first.
pub(crate) trait Harness {
    /// Over what is there, by a process of its own.
    fn open(&mut self, limits: Limits) -> BoxFuture<'_, Arc<dyn Store>>;

    /// That process dies without another word.
    fn kill(&mut self, store: Arc<dyn Store>) -> BoxFuture<'_, ()>;
}

/// Makes a test of each case for one kind of store: `suite!(crate::harness())`.
macro_rules! suite {
    ($harness:expr) => {
        crate::queue::suite::suite!(@ $harness, appending:
            what_was_appended_is_taken_as_it_was,
            an_append_outlives_its_process,
            an_operation_is_appended_as_a_whole_where_the_store_says_so,
            a_full_queue_refuses_until_there_is_room,
            bytes_are_limited_too,
            a_message_has_a_limit,
            the_same_effect_is_accepted_once,
            deduplication_ends_with_its_window,
            a_duplicate_knows_how_the_first_one_stands);
        crate::queue::suite::suite!(@ $harness, lines:
            a_line_gives_its_first_until_it_is_settled,
            no_line_waits_for_another,
            a_backoff_is_not_overtaken_by_its_own_line,
            order_is_kept_through_deaths_of_the_process,
            what_is_not_due_holds_back_its_line_alone,
            the_oldest_are_given_first_and_no_more_than_asked_for,
            taking_waits_for_what_is_appended,
            a_dropped_taker_takes_nothing);
        crate::queue::suite::suite!(@ $harness, settling:
            delivered_is_final,
            another_attempt_keeps_what_came_of_it,
            what_was_taken_and_not_settled_is_taken_again,
            a_claim_settles_once_and_no_other_message,
            a_claim_does_not_outlive_its_process,
            what_is_returned_is_there_at_once,
            lost_claims_are_told,
            closing_gives_back);
        crate::queue::suite::suite!(@ $harness, dead_letters:
            a_dead_letter_keeps_what_is_known_and_lets_its_line_go_on,
            time_that_is_over_is_a_status_of_its_own,
            a_blocking_one_holds_its_line_until_it_is_retried,
            a_blocking_one_holds_its_line_until_it_is_purged,
            a_retried_one_goes_to_the_end_with_a_new_life,
            one_whose_key_moved_on_needs_force,
            what_is_no_dead_letter_is_not_retried,
            dead_letters_are_paged_in_the_order_of_their_death);
        crate::queue::suite::suite!(@ $harness, following:
            each_step_is_news,
            what_is_unknown_is_nothing,
            everything_stored_is_shown);
        crate::queue::suite::suite!(@ $harness, upkeep:
            a_paused_queue_gives_nothing_until_it_goes_on,
            a_pause_outlives_its_process,
            depths_count_what_is_there,
            what_was_kept_long_enough_is_swept,
            what_is_kept_is_not_swept,
            a_caller_is_erased);
    };
    (@ $harness:expr, $part:ident: $($case:ident),*) => {
        mod $part {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let mut harness = $harness;
                crate::queue::suite::$part::$case(&mut harness).await;
            })*
        }
    };
}
pub(crate) use suite;

/// Longer than anything takes that happens at all.
const SOON: Duration = Duration::from_secs(20);
/// So long is waited for what must not happen.
const NEVER: Duration = Duration::from_millis(80);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let within = tokio::time::timeout(SOON, what).await;
    within.expect("it happens within twenty seconds")
}

pub(crate) async fn append(store: &dyn Store, message: Message) -> Receipt {
    let answer = append_all(store, vec![message]).await.remove(0);
    answer.expect("it is accepted")
}

pub(crate) async fn append_all(
    store: &dyn Store,
    messages: Vec<Message>,
) -> Vec<Result<Receipt, Refused>> {
    soon(store.append(messages)).await
}

pub(crate) async fn take(store: &dyn Store, queue: &str, most: usize) -> Vec<Taken> {
    soon(store.take(queue, most))
        .await
        .expect("it can be taken")
}

/// So many, however many come at a time.
pub(crate) async fn take_all(store: &dyn Store, queue: &str, count: usize) -> Vec<Taken> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(take(store, queue, count - taken.len()).await);
    }
    taken
}

pub(crate) async fn take_one(store: &dyn Store, queue: &str) -> Taken {
    take_all(store, queue, 1).await.remove(0)
}

pub(crate) async fn gives_nothing(store: &dyn Store, queue: &str) {
    let taken = tokio::time::timeout(NEVER, store.take(queue, 10)).await;
    assert!(taken.is_err(), "{taken:?}");
}

pub(crate) async fn settle(store: &dyn Store, claim: Claim, how: queue::store::Settled) {
    soon(store.settle(claim, how)).await.expect("it is settled");
}
