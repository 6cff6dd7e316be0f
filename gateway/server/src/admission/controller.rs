//! How many requests may run at once.
//!
//! Owns the one rule. The signal is the delay of the gateway itself: how much
//! later than it was due a task of its own gets its turn. It grows when there
//! is more to compute than processors, and only then: requests that wait for
//! a slow service take no turns. As in CoDel
//! (<https://www.rfc-editor.org/rfc/rfc8289>) the least delay of an interval
//! counts, since a burst that is worked off is no overload. As in Vegas
//! (Brakmo and Peterson, 1995) the limit is moved to where a request would take
//! its own time and the delay that is aimed at, once in the time of a request:
//! sooner there is nothing to see of the last move.

use std::time::Duration;

use tokio::time::Instant;

use super::Settings;

/// Between two moves of the limit, however quick or slow requests are.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(250);
/// What is left at least.
const CUT: f64 = 0.5;
/// What is given at most.
const GROWTH: f64 = 0.25;

/// The limit, as it moves.
pub(super) struct Controller {
    target: Duration,
    least: usize,
    most: usize,
    limit: usize,
    /// When the limit was last moved.
    moved: Instant,
    /// The least delay since then.
    delay: Option<Duration>,
    /// Moves since there was any delay to speak of.
    calm: i32,
}

/// What a look at the gateway shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// How much later than it was due something was done.
    pub(super) delay: Duration,
    /// How long a request takes, delays and all.
    pub(super) service: Duration,
    /// Requests that run.
    pub(super) running: usize,
}

impl Controller {
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        Self {
            target: settings.delay,
            least: settings.least.min(settings.most),
            most: settings.most,
            limit: settings.most,
            moved: now,
            delay: None,
            calm: 0,
        }
    }

    /// One look: the limit from now on.
    pub(super) fn look(&mut self, now: Instant, seen: Seen) -> usize {
        let least = self.delay.map_or(seen.delay, |delay| delay.min(seen.delay));
        self.delay = Some(least);
        if now - self.moved >= seen.service.clamp(SHORTEST, LONGEST) {
            self.limit = self.moved(least, seen);
            self.moved = now;
            self.delay = None;
        }
        self.limit
    }

    fn moved(&mut self, delay: Duration, seen: Seen) -> usize {
        let own = seen.service.saturating_sub(delay);
        // Both in seconds; never nothing, which no limit could be divided by.
        let wanted = (own + self.target).as_secs_f64().max(1e-6);
        let takes = (own + delay).as_secs_f64().max(1e-6);
        let share = wanted / takes;
        if delay > self.target {
            self.calm = 0;
            // What runs is too much, however much more the limit would allow.
            let running = self.limit.min(seen.running) as f64;
            return ((running * share.max(CUT)) as usize).max(self.least);
        }
        // Where nothing is felt of what was given, ever more is.
        self.calm = match delay < self.target / 4 {
            true => (self.calm + 1).min(16),
            false => 0,
        };
        let growth = ((share - 1.0) * 2_f64.powi(self.calm)).min(GROWTH);
        let given = (self.limit as f64 * growth).ceil() as usize;
        self.limit.saturating_add(given).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A gateway that computes so many requests a millisecond, half of each before its service is
    /// asked and half after.
    struct World {
        controller: Controller,
        now: Instant,
        limit: usize,
        service: Duration,
        /// Requests that wait for services, by the millisecond in which they go on.
        away: VecDeque<usize>,
        waiting: usize,
        /// Requests whose first half is to be computed, and those whose second is.
        first: usize,
        second: usize,
        /// The longest delay.
        delay: Duration,
    }

    impl World {
        fn new(service: Duration) -> Self {
            let settings = Settings::default();
            let now = Instant::now();
            Self {
                controller: Controller::new(&settings, now),
                now,
                limit: settings.most,
                service,
                away: std::iter::repeat_n(0, service.as_millis() as usize).collect(),
                waiting: 0,
                first: 0,
                second: 0,
                delay: Duration::ZERO,
            }
        }

        fn running(&self) -> usize {
            self.first + self.second + self.waiting
        }

        /// One millisecond in which `offered` requests come and `capacity` can be computed:
        /// how many are answered, and how many refused.
        fn pass(&mut self, offered: usize, capacity: usize) -> (usize, usize) {
            let admitted = offered.min(self.limit.saturating_sub(self.running()));
            self.first += admitted;
            let ready = self.first + self.second;
            let computed = ready.min(2 * capacity);
            let sent = (computed * self.first).checked_div(ready).unwrap_or(0);
            let answered = computed - sent;
            self.first -= sent;
            self.second -= answered;
            self.away.push_back(sent);
            let back = self.away.pop_front().unwrap_or(0);
            self.waiting = self.waiting + sent - back;
            self.second += back;
            self.look(capacity);
            (answered, offered - admitted)
        }

        fn look(&mut self, capacity: usize) {
            let halves = (self.first + self.second) as f64;
            let delay = Duration::from_secs_f64(halves / 2.0 / capacity as f64 / 1_000.0);
            self.now += ms(1);
            self.delay = self.delay.max(delay);
            let seen = Seen {
                delay,
                service: self.service + 2 * delay,
                running: self.running(),
            };
            self.limit = self.controller.look(self.now, seen);
        }

        fn run(&mut self, millis: usize, offered: usize, capacity: usize) -> (usize, usize) {
            self.delay = Duration::ZERO;
            let passed = (0..millis).map(|_| self.pass(offered, capacity));
            passed.fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
        }
    }

    #[test]
    fn ten_times_what_can_be_computed_leaves_nearly_all_of_what_can() {
        for service in [ms(1), ms(20), ms(200), ms(1_000)] {
            let mut world = World::new(service);
            world.run(3_000, 100, 10);
            let (answered, refused) = world.run(10_000, 100, 10);
            assert!(answered >= 95_000, "{service:?}: {answered} of 100,000");
            assert!(refused >= 890_000, "{service:?}: {refused} of 900,000");
        }
    }

    #[test]
    fn what_is_let_in_is_computed_soon() {
        for service in [ms(1), ms(20), ms(200)] {
            let mut world = World::new(service);
            world.run(3_000, 100, 10);
            world.run(10_000, 100, 10);
            assert!(world.delay <= ms(30), "{service:?}: {:?}", world.delay);
        }
    }

    #[test]
    fn an_overload_is_forgotten_within_a_second() {
        let mut world = World::new(ms(20));
        world.run(3_000, 100, 10);
        world.run(1_000, 5, 10);
        let (answered, refused) = world.run(1_000, 9, 10);
        assert_eq!(refused, 0);
        assert!(answered >= 8_800, "{answered}");
    }

    #[test]
    fn a_service_that_is_slow_sheds_nothing() {
        let mut world = World::new(ms(900));
        let (_, refused) = world.run(10_000, 10, 20);
        assert_eq!(refused, 0);
        assert!(world.running() >= 9_000, "{} at once", world.running());
    }

    #[test]
    fn a_burst_that_is_worked_off_is_no_overload() {
        let mut world = World::new(ms(1));
        for _ in 0..10 {
            world.pass(200, 10);
            assert_eq!(world.run(45, 1, 10).1, 0);
        }
        assert_eq!(world.limit, 10_000);
    }

    #[test]
    fn some_always_get_in_and_never_more_than_memory_is_for() {
        let settings = Settings::default();
        let mut now = Instant::now();
        let mut controller = Controller::new(&settings, now);
        let mut look = |delay, running| {
            now += ms(60);
            let service = delay;
            controller.look(
                now,
                Seen {
                    delay,
                    service,
                    running,
                },
            )
        };
        let limits: Vec<usize> = (0..100).map(|_| look(ms(50), 1_000)).collect();
        assert_eq!(limits.last(), Some(&settings.least));
        let limits: Vec<usize> = (0..1_000).map(|_| look(ms(0), 10)).collect();
        assert_eq!(limits.last(), Some(&settings.most));
    }
}
