//! One policy's limit within this process.
//!
//! Owns turning a key's bytes into a bucket and governor's verdict into
//! numbers that can be told: what is left, and how long to wait.

use std::num::NonZeroU32;
use std::time::Duration;

use ahash::RandomState;
use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;

use super::buckets::Buckets;
use super::buckets::Elapsed;
use super::buckets::KeyHash;
use super::policy::Policy;
use super::verdict::Verdict;

type Limiter = RateLimiter<KeyHash, Buckets, Elapsed, StateInformationMiddleware>;

/// The buckets of one policy, and what fills them.
pub(super) struct Local {
    limiter: Limiter,
    buckets: Buckets,
    clock: Elapsed,
    /// Nanoseconds in which one unit comes back.
    interval: u64,
    burst: u32,
    hashers: [RandomState; 2],
}

impl Local {
    pub(super) fn new(policy: &Policy) -> Self {
        let clock = Elapsed::default();
        let buckets = Buckets::new(policy.keys, clock.clone());
        let burst = NonZeroU32::new(policy.burst).unwrap_or(NonZeroU32::MIN);
        let interval = policy.interval();
        let quota = Quota::with_period(interval).map(|quota| quota.allow_burst(burst));
        let quota = quota.unwrap_or(Quota::per_second(burst));
        Self {
            limiter: RateLimiter::new(quota, buckets.clone(), clock.clone()),
            buckets,
            clock,
            interval: Nanos::from(interval).as_u64(),
            burst: burst.get(),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    pub(super) fn hash(&self, key: &[u8]) -> KeyHash {
        let [one, two] = &self.hashers;
        KeyHash(one.hash_one(key), two.hash_one(key))
    }

    /// Takes all of `amount`, which is at most the burst, or nothing.
    pub(super) fn take(&self, key: &KeyHash, amount: NonZeroU32) -> Verdict {
        match self.limiter.check_key_n(key, amount) {
            Ok(Ok(snapshot)) => {
                let remaining = snapshot.remaining_burst_capacity();
                Verdict {
                    remaining,
                    full_in: self.time_of(self.burst.saturating_sub(remaining)),
                    wait: None,
                }
            }
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(self.clock.now());
                // A bucket may have filled in between; a refusal still says to wait.
                self.refused(key, wait.max(Duration::from_nanos(1)))
            }
            // Who charges has compared with the burst before.
            Err(_) => self.refused(key, self.time_of(amount.get())),
        }
    }

    /// Gives back what [`Local::take`] took.
    pub(super) fn give_back(&self, key: &KeyHash, amount: NonZeroU32) {
        let time = Nanos::new(self.interval.saturating_mul(u64::from(amount.get())));
        self.buckets.give_back(key, time);
    }

    fn refused(&self, key: &KeyHash, wait: Duration) -> Verdict {
        let now = self.clock.now().as_u64();
        let full_at = self.buckets.full_at(key).map_or(0, Nanos::as_u64);
        let missing = full_at.saturating_sub(now);
        let missing_units = missing.div_ceil(self.interval);
        let missing_units = u32::try_from(missing_units).unwrap_or(u32::MAX);
        Verdict {
            remaining: self.burst.saturating_sub(missing_units),
            full_in: Duration::from_nanos(missing),
            wait: Some(wait),
        }
    }

    fn time_of(&self, units: u32) -> Duration {
        Duration::from_nanos(self.interval.saturating_mul(u64::from(units)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering;

    use super::super::testing::policy;
    use super::*;

    fn one() -> NonZeroU32 {
        NonZeroU32::MIN
    }

    fn units(units: u32) -> NonZeroU32 {
        NonZeroU32::new(units).unwrap()
    }

    /// So slow that nothing comes back while a test runs.
    fn slow(burst: u32, keys: usize) -> Local {
        let hour = Duration::from_secs(3600);
        Local::new(&Policy {
            amount: 1,
            per: hour,
            burst,
            keys,
            ..policy()
        })
    }

    fn take(local: &Local, key: &str, amount: u32) -> Verdict {
        local.take(&local.hash(key.as_bytes()), units(amount))
    }

    #[test]
    fn exactly_as_many_as_the_burst_pass_however_many_threads_ask() {
        for (burst, threads, each) in [(1, 8, 100), (1_000, 16, 500), (777, 32, 50)] {
            let local = slow(burst, 1_000);
            let key = local.hash(b"ada");
            let passed = AtomicU32::new(0);
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        for _ in 0..each {
                            let verdict = local.take(&key, one());
                            passed.fetch_add(u32::from(verdict.is_granted()), Ordering::Relaxed);
                        }
                    });
                }
            });
            assert_eq!(passed.into_inner(), burst.min(threads * each));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_refills_evenly_up_to_the_burst() {
        let local = Local::new(&Policy {
            amount: 10,
            per: Duration::from_secs(1),
            burst: 5,
            ..policy()
        });
        assert!(take(&local, "ada", 5).is_granted());
        let refused = take(&local, "ada", 2);
        assert_eq!(refused.wait, Some(Duration::from_millis(200)));
        assert_eq!((refused.remaining, refused.full_in.as_millis()), (0, 500));
        tokio::time::advance(Duration::from_millis(199)).await;
        assert!(!take(&local, "ada", 2).is_granted());
        tokio::time::advance(Duration::from_millis(1)).await;
        let granted = take(&local, "ada", 2);
        assert_eq!((granted.is_granted(), granted.remaining), (true, 0));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(take(&local, "ada", 1).remaining, 4);
    }

    #[test]
    fn keys_do_not_share_a_bucket() {
        let local = slow(1, 1_000);
        assert!(take(&local, "ada", 1).is_granted());
        assert!(!take(&local, "ada", 1).is_granted());
        assert!(take(&local, "bob", 1).is_granted());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let local = slow(3, 1_000);
        let key = local.hash(b"ada");
        assert!(local.take(&key, units(3)).is_granted());
        local.give_back(&key, units(2));
        assert!(local.take(&key, units(2)).is_granted());
        assert!(!local.take(&key, one()).is_granted());
    }

    #[test]
    fn a_million_keys_take_bounded_memory_and_reset_nobody() {
        let local = slow(2, 10_000);
        assert!(take(&local, "ada", 2).is_granted());
        let mut passed = 0;
        for n in 0..1_000_000 {
            passed += u32::from(take(&local, &format!("key {n}"), 1).is_granted());
        }
        let kept = local.buckets.len();
        assert!((9_000..=10_240).contains(&kept), "{kept} keys are kept");
        // Each of those that are kept has its own bucket, all others have one together.
        assert_eq!(passed as usize, kept - 1 + 2);
        assert!(!take(&local, "ada", 1).is_granted());
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_is_full_again_makes_room_for_another_key() {
        let local = Local::new(&Policy {
            amount: 1,
            per: Duration::from_secs(1),
            burst: 1,
            keys: 2,
            ..policy()
        });
        assert!(take(&local, "ada", 1).is_granted());
        assert!(take(&local, "bob", 1).is_granted());
        assert!(take(&local, "eve", 1).is_granted(), "the shared bucket");
        assert!(!take(&local, "mallory", 1).is_granted(), "is shared");
        tokio::time::advance(Duration::from_secs(1)).await;
        for key in ["eve", "mallory"] {
            assert!(take(&local, key, 1).is_granted(), "{key}");
        }
        assert_eq!(local.buckets.len(), 2);
    }
}
