//! Leaving a failing source in peace, and finding out when it is well again.
//!
//! Owns the breaker of one source: closed while it works; open, for longer
//! each time, when too many of its latest calls fail or are slow; half open
//! while a few calls try it. What says nothing about the source (a deadline
//! that the client set, a call that was never sent) is not counted.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use super::verdict::Health;
use super::window::Counts;
use super::window::Window;
use crate::calls;

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BreakerSettings {
    /// Of the calls in the window, 0 to 1.
    pub(crate) failure_rate: f64,
    /// Of the calls in the window, 0 to 1.
    pub(crate) slow_call_rate: f64,
    /// What is slow; half of an attempt's own time otherwise.
    pub(crate) slow_call: Option<Duration>,
    /// Fewer say nothing.
    pub(crate) minimum_calls: u32,
    pub(crate) window: Duration,
    /// The first time; n times as long the nth time in a row.
    pub(crate) open: Duration,
    /// Never longer.
    pub(crate) longest: Duration,
    /// Calls that try a half-open source at a time; as many successes close it.
    pub(crate) probes: u32,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BreakerState {
    /// Calls pass.
    Closed = 0,
    /// A few calls try whether the source is well again.
    HalfOpen = 1,
    /// No call passes.
    Open = 2,
}

impl BreakerState {
    /// `closed`, `half-open` or `open`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// The breaker of one source. Without settings it is always closed.
#[derive(Debug)]
pub(crate) struct Breaker {
    service: Arc<str>,
    settings: Option<BreakerSettings>,
    inner: Mutex<Inner>,
    /// For whoever only looks.
    state: AtomicU8,
    openings: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    window: Window,
    /// Openings since it was last closed.
    in_a_row: u32,
    /// Advanced by each change: what began before one says nothing after it.
    era: u64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { trying: u32, passed: u32 },
}

/// The right to make one call, now. Dropped without a result, it tells no more than how long the call has taken so far.
#[derive(Debug)]
pub(crate) struct Passage {
    breaker: Option<Arc<Breaker>>,
    era: u64,
    start: Instant,
    /// How long the call may take.
    limit: Duration,
}

impl Breaker {
    pub(crate) fn new(
        service: &Arc<str>,
        settings: Option<BreakerSettings>,
        now: Instant,
    ) -> Arc<Self> {
        let window = settings.map_or(Duration::from_secs(1), |settings| settings.window);
        Arc::new(Self {
            service: service.clone(),
            settings,
            inner: Mutex::new(Inner {
                phase: Phase::Closed,
                window: Window::new(window, now),
                in_a_row: 0,
                era: 0,
            }),
            state: AtomicU8::new(BreakerState::Closed as u8),
            openings: AtomicU64::new(0),
        })
    }

    /// Lets a call pass that may take so long, or says how long none will.
    pub(crate) fn admit(
        self: &Arc<Self>,
        now: Instant,
        limit: Duration,
    ) -> Result<Passage, Duration> {
        let mut passage = Passage::unwatched(now, limit);
        let Some(settings) = &self.settings else {
            return Ok(passage);
        };
        let mut inner = self.inner();
        if let Phase::Open { until } = inner.phase
            && now >= until
        {
            inner.phase = Phase::HalfOpen {
                trying: 0,
                passed: 0,
            };
            inner.era += 1;
            self.is(BreakerState::HalfOpen);
        }
        match &mut inner.phase {
            Phase::Closed => {}
            Phase::Open { until } => return Err(*until - now),
            // Whoever comes while others try is told to come back soon.
            Phase::HalfOpen { trying, passed } if *trying + *passed >= settings.probes => {
                return Err(Duration::from_secs(1));
            }
            Phase::HalfOpen { trying, .. } => *trying += 1,
        }
        passage.breaker = Some(self.clone());
        passage.era = inner.era;
        Ok(passage)
    }

    /// How long it lets nobody pass; none where somebody may.
    pub(crate) fn refuses(&self, now: Instant) -> Option<Duration> {
        if self.state() != BreakerState::Open {
            return None;
        }
        match self.inner().phase {
            Phase::Open { until } => until.checked_duration_since(now).filter(|it| !it.is_zero()),
            Phase::Closed | Phase::HalfOpen { .. } => None,
        }
    }

    /// How it stood lately.
    pub(crate) fn state(&self) -> BreakerState {
        match self.state.load(Ordering::Relaxed) {
            0 => BreakerState::Closed,
            1 => BreakerState::HalfOpen,
            _ => BreakerState::Open,
        }
    }

    /// How often it has opened.
    pub(crate) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    fn ended(&self, passage: &Passage, health: Health, now: Instant) {
        let Some(settings) = &self.settings else {
            return;
        };
        let mut inner = self.inner();
        if inner.era != passage.era {
            return;
        }
        let slow = passage.took(now) >= settings.slow_call.unwrap_or(passage.limit / 2);
        match (inner.phase, health) {
            (Phase::Closed, Health::Silent) if !slow => {}
            (Phase::Closed, _) => self.count(&mut inner, settings, health, slow, now),
            (Phase::HalfOpen { .. }, Health::Good) if !slow => self.passed(&mut inner, settings),
            (Phase::HalfOpen { .. }, Health::Silent) if !slow => inner.let_go(),
            (Phase::HalfOpen { .. }, _) => self.open(&mut inner, settings, now),
            (Phase::Open { .. }, _) => {}
        }
    }

    fn count(
        &self,
        inner: &mut Inner,
        settings: &BreakerSettings,
        health: Health,
        slow: bool,
        now: Instant,
    ) {
        let call = Counts {
            calls: 1,
            failures: u32::from(health == Health::Bad),
            slow: u32::from(slow),
            retries: 0,
        };
        inner.window.add(now, call);
        let sum = inner.window.sum(now);
        let share = |part: u32, rate: f64| f64::from(part) >= rate * f64::from(sum.calls);
        let bad = (sum.failures > 0 && share(sum.failures, settings.failure_rate))
            || (sum.slow > 0 && share(sum.slow, settings.slow_call_rate));
        if bad && sum.calls >= settings.minimum_calls {
            self.open(inner, settings, now);
        }
    }

    fn passed(&self, inner: &mut Inner, settings: &BreakerSettings) {
        let Phase::HalfOpen { trying, passed } = &mut inner.phase else {
            return;
        };
        *trying = trying.saturating_sub(1);
        *passed += 1;
        if *passed < settings.probes {
            return;
        }
        inner.phase = Phase::Closed;
        inner.window.clear();
        inner.in_a_row = 0;
        inner.era += 1;
        self.is(BreakerState::Closed);
        tracing::info!(source = %self.service, "the source is well again: its breaker is closed");
    }

    fn open(&self, inner: &mut Inner, settings: &BreakerSettings, now: Instant) {
        let sum = inner.window.sum(now);
        inner.in_a_row = inner.in_a_row.saturating_add(1);
        let time = settings.open.saturating_mul(inner.in_a_row);
        let time = time.min(settings.longest);
        inner.phase = Phase::Open { until: now + time };
        inner.window.clear();
        inner.era += 1;
        self.is(BreakerState::Open);
        self.openings.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            source = %self.service,
            calls = sum.calls,
            failures = sum.failures,
            slow = sum.slow,
            seconds = time.as_secs_f64(),
            "the source is left in peace: its breaker is open"
        );
    }

    fn is(&self, state: BreakerState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// Consistent between any two statements, so a panic elsewhere does no harm.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// One that tried has found nothing out: another may.
    fn let_go(&mut self) {
        if let Phase::HalfOpen { trying, .. } = &mut self.phase {
            *trying = trying.saturating_sub(1);
        }
    }
}

impl Passage {
    /// Of a call that no breaker knows of.
    pub(crate) fn unwatched(start: Instant, limit: Duration) -> Self {
        Self {
            breaker: None,
            era: 0,
            start,
            limit,
        }
    }

    /// How long the call has taken so far.
    pub(crate) fn took(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    /// The call has ended.
    pub(crate) fn ended(mut self, health: Health, now: Instant) {
        self.tell(health, now);
    }

    fn tell(&mut self, health: Health, now: Instant) {
        if let Some(breaker) = self.breaker.take() {
            breaker.ended(self, health, now);
        }
    }
}

impl Drop for Passage {
    /// Nobody waited for the end: that it took long is known all the same.
    fn drop(&mut self) {
        if self.breaker.is_some() {
            self.tell(Health::Silent, calls::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::now;

    const USUAL: BreakerSettings = BreakerSettings {
        failure_rate: 0.5,
        slow_call_rate: 0.5,
        slow_call: None,
        minimum_calls: 20,
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
        longest: Duration::from_secs(60),
        probes: 1,
    };
    const FAST: Duration = Duration::ZERO;
    const LIMIT: Duration = Duration::from_secs(4);

    struct Scene {
        breaker: Arc<Breaker>,
        now: Instant,
    }

    impl Scene {
        fn new(settings: BreakerSettings) -> Self {
            let now = crate::calls::now();
            Self {
                breaker: Breaker::new(&"users".into(), Some(settings), now),
                now,
            }
        }

        fn call(&self, health: Health) -> bool {
            self.call_of(health, FAST)
        }

        fn call_of(&self, health: Health, took: Duration) -> bool {
            let passage = self.breaker.admit(self.now, LIMIT);
            let passes = passage.is_ok();
            passage
                .into_iter()
                .for_each(|it| it.ended(health, self.now + took));
            passes
        }

        fn calls(&self, count: usize, health: Health) {
            for _ in 0..count {
                self.call(health);
            }
        }

        fn wait(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn state(&self) -> &'static str {
            self.breaker.state().as_str()
        }
    }

    #[test]
    fn half_of_at_least_twenty_failures_open_it() {
        let scene = Scene::new(USUAL);
        scene.calls(10, Health::Good);
        scene.calls(9, Health::Bad);
        assert_eq!(scene.state(), "closed");
        scene.call(Health::Bad);
        assert_eq!(scene.state(), "open");
        assert!(!scene.call(Health::Good));
    }

    #[test]
    fn a_failure_that_is_older_than_the_window_does_not_count() {
        let mut scene = Scene::new(USUAL);
        scene.calls(19, Health::Bad);
        scene.wait(10);
        scene.calls(19, Health::Bad);
        assert_eq!(scene.state(), "closed");
        scene.call(Health::Bad);
        assert_eq!(scene.state(), "open");
    }

    #[test]
    fn a_burst_of_failures_does_not_hide_behind_many_old_successes() {
        let mut scene = Scene::new(USUAL);
        scene.calls(1_000, Health::Good);
        scene.wait(11);
        scene.calls(20, Health::Bad);
        assert_eq!(scene.state(), "open");
    }

    #[test]
    fn slow_calls_open_it_although_they_succeed() {
        let scene = Scene::new(USUAL);
        for _ in 0..20 {
            scene.call_of(Health::Good, Duration::from_secs(2));
        }
        assert_eq!(scene.state(), "open");
    }

    #[test]
    fn a_call_that_may_take_long_is_slow_later() {
        let scene = Scene::new(USUAL);
        for _ in 0..20 {
            let passage = scene.breaker.admit(scene.now, Duration::from_secs(60));
            let end = scene.now + Duration::from_secs(20);
            passage.unwrap().ended(Health::Good, end);
        }
        assert_eq!(scene.state(), "closed");
    }

    #[test]
    fn what_says_nothing_about_the_source_is_not_counted() {
        let scene = Scene::new(USUAL);
        scene.calls(1_000, Health::Silent);
        scene.calls(19, Health::Bad);
        assert_eq!(scene.state(), "closed");
    }

    #[test]
    fn a_client_that_gave_up_on_a_slow_call_has_seen_a_slow_call() {
        let scene = Scene::new(USUAL);
        for _ in 0..20 {
            scene.call_of(Health::Silent, Duration::from_secs(3));
        }
        assert_eq!(scene.state(), "open");
    }

    #[test]
    fn one_probe_decides() {
        let mut scene = Scene::new(USUAL);
        scene.calls(20, Health::Bad);
        scene.wait(4);
        assert!(!scene.call(Health::Good));
        scene.wait(1);
        let probe = scene.breaker.admit(scene.now, LIMIT).unwrap();
        assert_eq!(scene.state(), "half-open");
        assert!(!scene.call(Health::Good), "one at a time");
        probe.ended(Health::Good, scene.now);
        assert_eq!(scene.state(), "closed");
        assert!(scene.call(Health::Good));
    }

    #[test]
    fn several_probes_must_all_pass_where_so_many_are_wanted() {
        let mut scene = Scene::new(BreakerSettings { probes: 2, ..USUAL });
        scene.calls(20, Health::Bad);
        scene.wait(5);
        let first = scene.breaker.admit(scene.now, LIMIT).unwrap();
        let second = scene.breaker.admit(scene.now, LIMIT).unwrap();
        assert!(scene.breaker.admit(scene.now, LIMIT).is_err());
        first.ended(Health::Good, scene.now);
        assert_eq!(scene.state(), "half-open");
        second.ended(Health::Good, scene.now);
        assert_eq!(scene.state(), "closed");
    }

    #[test]
    fn each_opening_in_a_row_lasts_longer_up_to_a_minute() {
        let mut scene = Scene::new(USUAL);
        scene.calls(20, Health::Bad);
        for time in [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 60] {
            scene.wait(time - 1);
            assert!(!scene.call(Health::Bad), "after {} of {time} s", time - 1);
            scene.wait(1);
            assert!(scene.call(Health::Bad), "after {time} s");
        }
        scene.wait(60);
        scene.call(Health::Good);
        scene.calls(20, Health::Bad);
        scene.wait(5);
        assert!(scene.call(Health::Good), "the first of a new row");
    }

    #[test]
    fn a_probe_that_was_cancelled_lets_another_try() {
        let mut scene = Scene::new(USUAL);
        scene.calls(20, Health::Bad);
        scene.wait(5);
        let probe = scene.breaker.admit(scene.now, LIMIT).unwrap();
        assert!(scene.breaker.admit(scene.now, LIMIT).is_err());
        drop(probe);
        assert!(scene.call(Health::Good));
        assert_eq!(scene.state(), "closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_nobody_waits_for_any_more_is_slow_where_it_has_taken_long() {
        for (after, state) in [(1, "closed"), (2, "open")] {
            let scene = Scene::new(USUAL);
            let given_up: Vec<_> = (0..20)
                .map(|_| scene.breaker.admit(scene.now, LIMIT))
                .collect();
            tokio::time::advance(Duration::from_secs(after)).await;
            drop(given_up);
            assert_eq!(scene.state(), state, "after {after} s");
        }
    }

    #[test]
    fn a_call_that_began_before_it_opened_says_nothing_afterwards() {
        let mut scene = Scene::new(USUAL);
        let old = scene.breaker.admit(scene.now, LIMIT).unwrap();
        scene.calls(20, Health::Bad);
        scene.wait(5);
        let probe = scene.breaker.admit(scene.now, LIMIT).unwrap();
        old.ended(Health::Bad, scene.now);
        assert_eq!(scene.state(), "half-open");
        probe.ended(Health::Good, scene.now);
        assert_eq!(scene.state(), "closed");
    }

    #[test]
    fn one_that_is_off_never_opens() {
        let breaker = Breaker::new(&"users".into(), None, now());
        for _ in 0..100 {
            let passage = breaker.admit(now(), LIMIT).unwrap();
            passage.ended(Health::Bad, now());
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
