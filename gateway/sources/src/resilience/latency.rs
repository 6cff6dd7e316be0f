//! How long the calls of one resolver take, for those that are hedged.
//!
//! Owns a histogram of the latest calls with a resolution of an eighth; older
//! ones are forgotten by halves, so that the past does not outweigh today.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

/// Fewer calls say nothing.
const ENOUGH: u32 = 20;
/// As many calls are looked at, then those before them are forgotten.
const GENERATION: u32 = 1_000;
const BUCKETS: usize = 320;

/// Times of the latest calls.
#[derive(Debug)]
pub(crate) struct Latency(Mutex<Generations>);

#[derive(Debug)]
struct Generations {
    now: Counts,
    before: Counts,
}

#[derive(Debug, Clone)]
struct Counts {
    buckets: Box<[u32; BUCKETS]>,
    sum: u32,
}

impl Default for Latency {
    fn default() -> Self {
        let empty = Counts {
            buckets: Box::new([0; BUCKETS]),
            sum: 0,
        };
        Self(Mutex::new(Generations {
            now: empty.clone(),
            before: empty,
        }))
    }
}

impl Latency {
    /// A call has ended well.
    pub(crate) fn took(&self, time: Duration) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.now.sum >= GENERATION {
            let Generations { now, before } = &mut *counts;
            std::mem::swap(now, before);
            now.buckets.fill(0);
            now.sum = 0;
        }
        counts.now.buckets[bucket(time)] += 1;
        counts.now.sum += 1;
    }

    /// The time that 95 of 100 calls do not exceed, once there are enough calls to say so.
    pub(crate) fn p95(&self) -> Option<Duration> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = counts.now.sum + counts.before.sum;
        if all < ENOUGH {
            return None;
        }
        let mut above = all / 20;
        let both = counts.now.buckets.iter().zip(counts.before.buckets.iter());
        for (at, (now, before)) in both.enumerate().rev() {
            let here = now + before;
            if here > above {
                return Some(end_of(at));
            }
            above -= here;
        }
        None
    }
}

/// Eight buckets for each doubling of microseconds.
fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if micros < 8 {
        return micros as usize;
    }
    let log = micros.ilog2() as usize;
    let eighth = (micros >> (log - 3)) as usize & 7;
    ((log - 2) * 8 + eighth).min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn end_of(bucket: usize) -> Duration {
    if bucket < 8 {
        return Duration::from_micros(bucket as u64);
    }
    let (log, eighth) = (bucket / 8 + 2, bucket as u64 % 8);
    let micros = ((9 + eighth) << (log - 3)) - 1;
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket_and_the_bucket_is_narrow() {
        for micros in (0..10_000).chain([1 << 20, (1 << 30) + 12_345, 1 << 38]) {
            let end = end_of(bucket(Duration::from_micros(micros))).as_micros() as u64;
            assert!(end >= micros, "{micros} in a bucket up to {end}");
            assert!(end <= micros + micros / 8 + 1, "{micros} up to {end}");
        }
    }

    #[test]
    fn the_time_of_95_of_100_is_known_after_some_calls() {
        let latency = Latency::default();
        (1..=19).for_each(|ms| latency.took(Duration::from_millis(ms)));
        assert_eq!(latency.p95(), None);
        (20..=100).for_each(|ms| latency.took(Duration::from_millis(ms)));
        let p95 = latency.p95().unwrap();
        assert!(p95 >= Duration::from_millis(95), "{p95:?}");
        assert!(p95 <= Duration::from_millis(108), "{p95:?}");
    }

    #[test]
    fn the_past_is_forgotten() {
        let latency = Latency::default();
        (0..5_000).for_each(|_| latency.took(Duration::from_secs(1)));
        (0..2_000).for_each(|_| latency.took(Duration::from_millis(1)));
        assert!(latency.p95().unwrap() < Duration::from_millis(2));
    }
}
