//! Waiting no longer than until a deadline.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use tokio::time::Instant;

/// The result of `work`, or none once the deadline has passed.
///
/// Most of what is waited for is there at the first or second look; only then
/// is a timer set, since setting one costs more than the looks.
pub(crate) async fn until<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut looked = false;
    let soon = std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if looked => Poll::Ready(None),
        Poll::Pending => {
            looked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match soon.await {
        Some(done) => Some(done),
        None => tokio::time::timeout_at(deadline, work).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn what_is_there_in_time_is_given_and_what_is_not_is_given_up() {
        let deadline = Instant::now() + Duration::from_secs(5);
        let after = |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            seconds
        };
        assert_eq!(until(deadline, async { 0 }).await, Some(0));
        assert_eq!(until(deadline, after(4)).await, Some(4));
        assert_eq!(until(deadline, after(2)).await, None);
        assert_eq!(Instant::now(), deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_comes_is_given_up_although_nobody_wakes_it() {
        let deadline = Instant::now() + Duration::from_secs(5);
        assert_eq!(until(deadline, std::future::pending::<()>()).await, None);
    }
}
