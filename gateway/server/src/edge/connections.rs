//! Every open connection: one clock for the timeouts of all of them, and one way to end them.
//!
//! Owns the coarse clock. A timer for the headers of each request would cost
//! each request; here a connection writes down when it wants to be woken, and
//! one task looks at all of them now and then. Timeouts are therefore late by
//! at most one look. Knows nothing of HTTP.

use std::collections::HashMap;
use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use hyper::rt::Sleep;
use hyper::rt::Timer;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A connection that does not want to be woken.
const NEVER: u64 = u64::MAX;

/// All connections of one port.
pub(super) struct Connections {
    began: Instant,
    /// Milliseconds since then, as of the last look.
    now: AtomicU64,
    /// How long a connection may take to send its first request.
    patience: Duration,
    stopping: AtomicBool,
    open: Mutex<Open>,
    emptied: Notify,
}

#[derive(Default)]
struct Open {
    last: u64,
    connections: HashMap<u64, Arc<Alarm>>,
}

/// When one connection wants to be woken.
struct Alarm {
    waker: AtomicWaker,
    at: AtomicU64,
    /// It has sent a request.
    spoken: AtomicBool,
}

/// One open connection; no longer open once it is dropped.
pub(super) struct Connection {
    all: Arc<Connections>,
    number: u64,
    alarm: Arc<Alarm>,
}

impl Connections {
    /// For connections that may be silent for as long as this.
    pub(super) fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            now: AtomicU64::new(0),
            patience,
            stopping: AtomicBool::new(false),
            open: Mutex::default(),
            emptied: Notify::new(),
        })
    }

    /// Looks at all connections now and then. Never ends.
    pub(super) async fn watch(&self) {
        let look = self.patience / 8;
        let look = look.clamp(Duration::from_millis(5), Duration::from_secs(1));
        loop {
            tokio::time::sleep(look).await;
            let now = millis(self.began.elapsed());
            self.now.store(now, Ordering::Relaxed);
            for alarm in self.lock().connections.values() {
                if alarm.at.load(Ordering::Relaxed) <= now {
                    alarm.waker.wake();
                }
            }
        }
    }

    /// A connection that was just accepted.
    pub(super) fn open(self: &Arc<Self>) -> Connection {
        let alarm = Arc::new(Alarm {
            waker: AtomicWaker::new(),
            at: AtomicU64::new(NEVER),
            spoken: AtomicBool::new(false),
        });
        let mut open = self.lock();
        open.last += 1;
        let number = open.last;
        open.connections.insert(number, alarm.clone());
        Connection {
            all: self.clone(),
            number,
            alarm,
        }
    }

    /// Tells all connections to end, and returns once they have.
    pub(super) async fn end(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for alarm in self.lock().connections.values() {
            alarm.waker.wake();
        }
        loop {
            let emptied = self.emptied.notified();
            if self.lock().connections.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing that could panic runs under the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// For whoever sets timeouts for this connection.
    pub(super) fn timer(&self) -> CoarseTimer {
        CoarseTimer {
            all: self.all.clone(),
            alarm: self.alarm.clone(),
        }
    }

    /// To be called at each request.
    pub(super) fn speaks(&self) -> impl Fn() + Send + 'static {
        let alarm = self.alarm.clone();
        move || alarm.spoken.store(true, Ordering::Relaxed)
    }

    /// Runs the connection; `end` is called once when all are told to end. None where it said nothing for too long.
    pub(super) async fn run<C: Future>(
        self,
        connection: C,
        end: fn(Pin<&mut C>),
    ) -> Option<C::Output> {
        let mut connection = Box::pin(connection);
        let mut told = false;
        let mut silence = Some(self.timer().sleep(self.all.patience));
        poll_fn(|cx| {
            // Before looking whether to stop, or being told could be missed.
            self.alarm.waker.register(cx.waker());
            if !told && self.all.stopping.load(Ordering::SeqCst) {
                told = true;
                end(connection.as_mut());
            }
            if self.alarm.spoken.load(Ordering::Relaxed) {
                silence = None;
            }
            match silence.as_mut().map(|silence| silence.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(None),
                _ => connection.as_mut().poll(cx).map(Some),
            }
        })
        .await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.all.lock();
        open.connections.remove(&self.number);
        if open.connections.is_empty() {
            self.all.emptied.notify_waiters();
        }
    }
}

/// Timeouts of one connection, on the clock of all.
#[derive(Clone)]
pub(super) struct CoarseTimer {
    all: Arc<Connections>,
    alarm: Arc<Alarm>,
}

impl CoarseTimer {
    fn coarse_now(&self) -> std::time::Instant {
        let now = Duration::from_millis(self.all.now.load(Ordering::Relaxed));
        (self.all.began + now).into_std()
    }
}

impl Timer for CoarseTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.coarse_now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        let at = Instant::from_std(deadline).saturating_duration_since(self.all.began);
        Box::pin(CoarseSleep {
            all: self.all.clone(),
            alarm: self.alarm.clone(),
            at: millis(at),
        })
    }

    fn now(&self) -> std::time::Instant {
        self.coarse_now()
    }
}

struct CoarseSleep {
    all: Arc<Connections>,
    alarm: Arc<Alarm>,
    at: u64,
}

impl Sleep for CoarseSleep {}

impl Future for CoarseSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.all.now.load(Ordering::Relaxed) >= self.at {
            return Poll::Ready(());
        }
        // The connection's own waker is registered each time that it is polled.
        self.alarm.at.fetch_min(self.at, Ordering::Relaxed);
        Poll::Pending
    }
}

impl Drop for CoarseSleep {
    fn drop(&mut self) {
        // Another one that still waits is polled again, and sets it again, when the connection next is.
        self.alarm.at.store(NEVER, Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleep_ends_at_its_time_or_one_look_later() {
        let all = Connections::new(Duration::from_secs(8));
        let connection = all.open();
        connection.speaks()();
        let timer = connection.timer();
        let begun = Instant::now();
        let slept = connection.run(timer.sleep(Duration::from_millis(2_500)), |_| {});
        tokio::select! {
            slept = slept => assert_eq!(slept, Some(())),
            () = all.watch() => {}
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_given_up() {
        let all = Connections::new(Duration::from_secs(8));
        let begun = Instant::now();
        let silent = all.open().run(std::future::pending::<()>(), |_| {});
        tokio::select! {
            said = silent => assert_eq!(said, None),
            () = all.watch() => {}
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_that_was_dropped_wakes_nobody() {
        let all = Connections::new(Duration::from_secs(8));
        let connection = all.open();
        connection.speaks()();
        let timer = connection.timer();
        let alarm = connection.alarm.clone();
        let work = async move {
            let mut sleep = timer.sleep(Duration::from_secs(1));
            let first = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx)));
            assert!(first.await.is_pending());
            assert_ne!(alarm.at.load(Ordering::Relaxed), NEVER);
            drop(sleep);
            assert_eq!(alarm.at.load(Ordering::Relaxed), NEVER);
        };
        connection.run(work, |_| {}).await;
    }

    #[tokio::test]
    async fn all_connections_are_told_to_end_and_waited_for() {
        struct Talk(Arc<AtomicBool>);
        impl Future for Talk {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                match self.0.load(Ordering::SeqCst) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            }
        }
        let all = Connections::new(Duration::from_secs(8));
        let talks: Vec<_> = (0..3)
            .map(|_| {
                let talk = Talk(Arc::default());
                let end = |talk: Pin<&mut Talk>| talk.0.store(true, Ordering::SeqCst);
                tokio::spawn(all.open().run(talk, end))
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(all.lock().connections.len(), 3);
        all.end().await;
        for talk in talks {
            talk.await.unwrap();
        }
        assert!(all.lock().connections.is_empty());
    }
}
