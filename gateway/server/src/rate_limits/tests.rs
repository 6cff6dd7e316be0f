use std::sync::Arc;
use std::time::Duration;

use super::testing::ADDRESS;
use super::testing::Redis;
use super::testing::policy;
use super::*;
use crate::authenticate::Principal;

fn limits(policies: Vec<Policy>, redis: Option<RedisSettings>) -> RateLimits {
    RateLimits::new(&Settings { policies, redis }, None).unwrap()
}

/// A policy that grants `burst` requests an hour.
fn hourly(name: &str, burst: u32) -> Policy {
    Policy {
        name: name.into(),
        burst,
        ..policy()
    }
}

async fn ask(limits: &RateLimits, amount: u64) -> Result<(), Denied> {
    told(limits, amount, &mut Standings::default()).await
}

async fn told(limits: &RateLimits, amount: u64, standings: &mut Standings) -> Result<(), Denied> {
    let who = Who {
        principal: &Principal::anonymous(),
        address: ADDRESS,
        operation: None,
    };
    let amount = Amount {
        now: amount,
        before: 0,
    };
    limits.charge(Unit::Requests, &who, amount, standings).await
}

fn refused_by(outcome: &Result<(), Denied>) -> Vec<&str> {
    match outcome {
        Err(Denied::Exhausted { policies, .. }) => policies.iter().map(|name| &**name).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn nothing_is_limited_without_a_policy() {
    let limits = limits(Vec::new(), None);
    assert!(!limits.limits(Unit::Requests) && !limits.limits(Unit::Cost));
    assert_eq!(ask(&limits, u64::MAX).await, Ok(()));
}

#[tokio::test]
async fn policies_of_the_other_unit_are_not_charged() {
    let unit = Unit::Cost;
    let limits = limits(vec![Policy { unit, ..policy() }], None);
    assert_eq!(ask(&limits, 5).await, Ok(()));
    assert!(limits.limits(Unit::Cost));
}

#[tokio::test]
async fn a_refusal_by_one_policy_eats_nothing_of_the_others() {
    all_or_nothing(None).await;
    let redis = Redis::start().await;
    all_or_nothing(Some(redis.settings(OnFailure::Closed))).await;
}

async fn all_or_nothing(redis: Option<RedisSettings>) {
    let both = limits(vec![hourly("wide", 5), hourly("narrow", 2)], redis);
    assert_eq!(ask(&both, 2).await, Ok(()));
    for _ in 0..10 {
        assert_eq!(refused_by(&ask(&both, 1).await), ["narrow"]);
    }
    let mut standings = Standings::default();
    told(&both, 1, &mut standings).await.unwrap_err();
    let told = format!("{standings:?}");
    assert!(told.contains("remaining: 3"), "{told}");
}

#[tokio::test]
async fn more_than_a_bucket_holds_is_its_own_refusal_and_charges_nobody() {
    let limits = limits(vec![hourly("a", 5), hourly("b", 3)], None);
    let above = Denied::AboveBurst {
        policy: "b".into(),
        unit: Unit::Requests,
        amount: 4,
        burst: 3,
    };
    assert_eq!(ask(&limits, 4).await, Err(above));
    assert!(ask(&limits, u64::MAX).await.is_err());
    assert_eq!(ask(&limits, 3).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn who_waits_as_long_as_told_passes_when_all_is_charged_again() {
    let quick = Policy {
        amount: 1,
        per: Duration::from_secs(10),
        ..hourly("quick", 5)
    };
    let limits = limits(vec![quick], None);
    assert_eq!(ask(&limits, 3).await, Ok(()));
    // A mutation of four root fields: one before it is parsed, three when it is planned.
    assert_eq!(ask(&limits, 1).await, Ok(()));
    let Err(Denied::Exhausted { wait, .. }) = rest(&limits, 3).await else {
        panic!("the bucket holds one");
    };
    assert_eq!(wait, Duration::from_secs(30));
    tokio::time::advance(wait).await;
    assert_eq!(ask(&limits, 1).await, Ok(()));
    assert_eq!(rest(&limits, 3).await, Ok(()));
    let never = rest(&limits, 5).await;
    assert!(matches!(never, Err(Denied::AboveBurst { amount: 6, .. })));
}

async fn rest(limits: &RateLimits, now: u64) -> Result<(), Denied> {
    let who = Who {
        principal: &Principal::anonymous(),
        address: ADDRESS,
        operation: None,
    };
    let amount = Amount { now, before: 1 };
    let mut standings = Standings::default();
    limits
        .charge(Unit::Requests, &who, amount, &mut standings)
        .await
}

#[tokio::test]
async fn what_is_only_measured_is_told_and_never_refused() {
    let mode = Mode::Measure;
    let headers = Headers::Always;
    let measured = Policy {
        mode,
        headers,
        ..hourly("measured", 1)
    };
    let limits = limits(vec![measured, hourly("enforced", 100)], None);
    for _ in 0..3 {
        assert_eq!(ask(&limits, 1).await, Ok(()));
    }
    assert_eq!(ask(&limits, 2).await, Ok(()), "above its burst too");
    let mut standings = Standings::default();
    told(&limits, 1, &mut standings).await.unwrap();
    let mut headers = http::HeaderMap::new();
    standings.write(&mut headers);
    assert_eq!(headers["ratelimit"], r#""measured";r=0;t=3600"#);
}

#[tokio::test]
async fn a_reload_keeps_the_buckets_of_policies_that_did_not_change() {
    let settings = |burst| Settings {
        policies: vec![hourly("same", 1), hourly("other", burst)],
        redis: None,
    };
    let old = RateLimits::new(&settings(1), None).unwrap();
    assert_eq!(ask(&old, 1).await, Ok(()));
    let new = RateLimits::new(&settings(2), Some(&old)).unwrap();
    assert_eq!(refused_by(&ask(&new, 1).await), ["same"]);
}

// --- Shared over Redis ------------------------------------------------------

async fn passed(limits: &Arc<Vec<RateLimits>>, times: usize) -> usize {
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..times {
        let limits = limits.clone();
        asked.spawn(async move { ask(&limits[n % limits.len()], 1).await.is_ok() });
    }
    let answers = asked.join_all().await;
    answers.into_iter().filter(|passed| *passed).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn gateways_that_share_a_store_let_exactly_as_many_pass_as_the_limit_says() {
    let redis = Redis::start().await;
    let gateway = || {
        let redis = redis.settings(OnFailure::Closed);
        limits(vec![hourly("shared", 100)], Some(redis))
    };
    let gateways = Arc::new(vec![gateway(), gateway(), gateway()]);
    assert_eq!(passed(&gateways, 1_000).await, 100);
    assert_eq!(passed(&gateways, 100).await, 0);
}

#[tokio::test]
async fn the_script_says_what_governor_says() {
    let redis = Redis::start().await;
    let one = |redis| limits(vec![hourly("same", 10)], redis);
    let (here, there) = (one(None), one(Some(redis.settings(OnFailure::Closed))));
    for amount in [3, 4, 3, 1, 2] {
        let (mut a, mut b) = (Standings::default(), Standings::default());
        let outcomes = (
            told(&here, amount, &mut a).await,
            told(&there, amount, &mut b).await,
        );
        assert_eq!(outcomes.0.is_ok(), outcomes.1.is_ok(), "{amount}");
        let fields = |standings: &Standings| {
            let mut headers = http::HeaderMap::new();
            standings.write_refusal(&mut headers);
            headers
        };
        assert_eq!(fields(&a), fields(&b), "{amount}");
    }
}

#[tokio::test]
async fn a_bucket_in_redis_refills_and_is_forgotten_once_it_is_full() {
    let redis = Redis::start().await;
    let quick = Policy {
        amount: 100,
        per: Duration::from_secs(1),
        ..hourly("quick", 1)
    };
    let limits = limits(vec![quick], Some(redis.settings(OnFailure::Closed)));
    assert_eq!(ask(&limits, 1).await, Ok(()));
    let again = tokio::time::timeout(Duration::from_secs(10), async {
        while ask(&limits, 1).await.is_err() {}
    });
    again.await.unwrap();
    let client = redis::Client::open(redis.settings(OnFailure::Open).url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        let count = async |c: &mut _| redis::cmd("DBSIZE").query_async::<u64>(c).await.unwrap();
        while count(&mut connection).await > 0 {}
    });
    gone.await.unwrap();
}

#[tokio::test]
async fn while_redis_is_away_the_operator_decides_and_nobody_waits() {
    for (on_failure, expected) in [
        (OnFailure::Open, [Ok(()), Ok(())]),
        (OnFailure::Closed, [Err(Denied::Away), Err(Denied::Away)]),
    ] {
        let mut redis = Redis::start().await;
        let limits = limits(vec![hourly("a", 1)], Some(redis.settings(on_failure)));
        redis.stop();
        assert_eq!([ask(&limits, 1).await, ask(&limits, 1).await], expected);
    }
    let mut redis = Redis::start().await;
    let measured = Policy {
        mode: Mode::Measure,
        ..hourly("measured", 1)
    };
    let harmless = limits(vec![measured], Some(redis.settings(OnFailure::Closed)));
    let limits = limits(vec![hourly("a", 1)], Some(redis.settings(OnFailure::Local)));
    redis.stop();
    assert_eq!(ask(&harmless, 1).await, Ok(()));
    assert_eq!(ask(&limits, 1).await, Ok(()));
    assert_eq!(refused_by(&ask(&limits, 1).await), ["a"]);
}

#[tokio::test]
async fn redis_that_comes_back_is_used_again() {
    let mut redis = Redis::start().await;
    let limits = limits(
        vec![hourly("a", 1)],
        Some(redis.settings(OnFailure::Closed)),
    );
    assert_eq!(ask(&limits, 1).await, Ok(()));
    redis.stop();
    assert_eq!(ask(&limits, 1).await, Err(Denied::Away));
    redis.resume().await;
    let back = tokio::time::timeout(Duration::from_secs(30), async {
        while ask(&limits, 1).await == Err(Denied::Away) {
            tokio::task::yield_now().await;
        }
    });
    back.await.unwrap();
    assert_eq!(refused_by(&ask(&limits, 1).await), ["a"]);
}

#[tokio::test]
async fn a_store_that_hangs_delays_one_request_and_not_the_next() {
    let folder = std::env::temp_dir().join(format!("switchboard-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&folder).unwrap();
    let socket = folder.join("silent.sock");
    let _silent = tokio::net::UnixListener::bind(&socket).unwrap();
    let settings = RedisSettings {
        url: format!("redis+unix://{}", socket.display()),
        prefix: "test".into(),
        timeout: Duration::from_millis(50),
        on_failure: OnFailure::Open,
    };
    let limits = limits(vec![hourly("a", 1)], Some(settings));
    let start = tokio::time::Instant::now();
    assert_eq!(ask(&limits, 1).await, Ok(()));
    assert!(start.elapsed() >= Duration::from_millis(50));
    let start = tokio::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(ask(&limits, 1).await, Ok(()));
    }
    assert!(start.elapsed() < Duration::from_millis(500));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_password_of_redis_stays_out_of_logs() {
    let settings = RedisSettings {
        url: "redis://:secret@localhost".into(),
        prefix: "test".into(),
        timeout: Duration::from_millis(50),
        on_failure: OnFailure::Local,
    };
    assert!(!format!("{settings:?}").contains("secret"));
    let wrong = RedisSettings {
        url: "http://:secret@localhost".into(),
        ..settings
    };
    let redis = Some(wrong);
    let policies = vec![hourly("a", 1)];
    let told = RateLimits::new(&Settings { policies, redis }, None).err();
    let told = told.expect("an address that is none");
    assert!(!told.contains("secret"), "{told}");
}
