//! What every store of keys is shown to keep.

use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::embedded::EmbeddedKeys;

/// So long a claim of Redis holds without being renewed.
const LEASE: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const BOUND: Duration = Duration::from_secs(10);

/// A store under test.
trait Scene: Sync {
    fn keys(&self) -> &dyn Keys;
    /// What is stored, as who reads the disk would see it.
    async fn stored(&self) -> Vec<u8>;
}

macro_rules! suite {
    ($($behaviour:ident),* $(,)?) => {
        mod redis_keeps {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(&super::InRedis::start().await).await;
            })*
        }

        mod a_file_keeps {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(&super::InFile::open()).await;
            })*
        }
    };
}

suite!(
    of_all_who_begin_one_goes_on,
    what_was_finished_is_answered_to_all_who_repeat_it,
    the_same_name_for_something_else_is_told_apart,
    what_was_abandoned_never_was,
    a_lost_claim_says_that_nobody_knows,
    what_may_be_repeated_begins_again_after_a_lost_claim,
    who_was_overtaken_finishes_and_abandons_nothing,
    a_claim_holds_as_long_as_somebody_has_it,
    an_answer_that_is_too_long_is_not_kept,
    what_was_kept_long_enough_is_forgotten,
    nobody_who_reads_the_store_learns_what_was_answered,
    racing_names_have_one_effect_each,
);

fn asked(name: u64) -> Asked {
    Asked {
        name: format!("ada {name}"),
        fingerprint: "what ada wants".into(),
        repeatable: false,
        keep: HOUR,
    }
}

async fn fresh(scene: &impl Scene, asked: Asked) -> Claim {
    match scene.keys().begin(asked).await.unwrap() {
        Begun::Fresh(claim) => claim,
        other => panic!("{other:?}"),
    }
}

/// What a name stands for, once nobody works on it any more.
async fn settled(scene: &impl Scene, asked: Asked) -> Begun {
    let settled = async {
        loop {
            match scene.keys().begin(asked.clone()).await.unwrap() {
                Begun::InFlight => tokio::time::sleep(LEASE / 50).await,
                other => return other,
            }
        }
    };
    tokio::time::timeout(BOUND, settled).await.unwrap()
}

async fn of_all_who_begin_one_goes_on(scene: &impl Scene) {
    let (first, second) = tokio::join!(scene.keys().begin(asked(1)), scene.keys().begin(asked(1)));
    let begun = [first.unwrap(), second.unwrap()];
    let fresh = begun.iter().filter(|it| matches!(it, Begun::Fresh(_)));
    assert_eq!(fresh.count(), 1, "{begun:?}");
    let waiting = begun.iter().filter(|it| matches!(it, Begun::InFlight));
    assert_eq!(waiting.count(), 1, "{begun:?}");
}

async fn what_was_finished_is_answered_to_all_who_repeat_it(scene: &impl Scene) {
    let claim = fresh(scene, asked(1)).await;
    let answer: Vec<u8> = (0..=255).collect();
    scene.keys().finish(claim, answer.clone()).await.unwrap();
    for _ in 0..2 {
        let again = scene.keys().begin(asked(1)).await.unwrap();
        assert!(
            matches!(&again, Begun::Finished(kept) if *kept == answer),
            "{again:?}"
        );
    }
    fresh(scene, asked(2)).await;
}

async fn the_same_name_for_something_else_is_told_apart(scene: &impl Scene) {
    let other = Asked {
        fingerprint: "something else".into(),
        repeatable: true,
        ..asked(1)
    };
    let claim = fresh(scene, asked(1)).await;
    assert!(matches!(
        scene.keys().begin(other.clone()).await.unwrap(),
        Begun::Mismatch
    ));
    scene.keys().finish(claim, b"1".to_vec()).await.unwrap();
    assert!(matches!(
        scene.keys().begin(other.clone()).await.unwrap(),
        Begun::Mismatch
    ));
}

async fn what_was_abandoned_never_was(scene: &impl Scene) {
    let claim = fresh(scene, asked(1)).await;
    scene.keys().abandon(claim).await.unwrap();
    let other = Asked {
        fingerprint: "something else".into(),
        ..asked(1)
    };
    fresh(scene, other).await;
}

async fn a_lost_claim_says_that_nobody_knows(scene: &impl Scene) {
    drop(fresh(scene, asked(1)).await);
    assert!(matches!(settled(scene, asked(1)).await, Begun::Unknown));
    assert!(matches!(settled(scene, asked(1)).await, Begun::Unknown));
}

async fn what_may_be_repeated_begins_again_after_a_lost_claim(scene: &impl Scene) {
    drop(fresh(scene, asked(1)).await);
    let again = Asked {
        repeatable: true,
        ..asked(1)
    };
    let Begun::Fresh(claim) = settled(scene, again).await else {
        panic!("it does not begin again");
    };
    scene.keys().finish(claim, b"1".to_vec()).await.unwrap();
    let kept = scene.keys().begin(asked(1)).await.unwrap();
    assert!(matches!(kept, Begun::Finished(_)), "{kept:?}");
}

async fn who_was_overtaken_finishes_and_abandons_nothing(scene: &impl Scene) {
    let first = fresh(scene, asked(1)).await;
    let (name, token, keep) = (first.name, first.token, first.keep);
    let late = || Claim {
        name,
        token,
        keep,
        held: None,
    };
    drop(first);
    let again = Asked {
        repeatable: true,
        ..asked(1)
    };
    let Begun::Fresh(claim) = settled(scene, again).await else {
        panic!("it does not begin again");
    };
    let finished = scene.keys().finish(late(), b"late".to_vec()).await;
    assert_eq!(finished, Err(Refused::Lost));
    assert_eq!(scene.keys().abandon(late()).await, Err(Refused::Lost));
    scene.keys().finish(claim, b"1".to_vec()).await.unwrap();
    assert_eq!(scene.keys().abandon(late()).await, Err(Refused::Lost));
    let kept = scene.keys().begin(asked(1)).await.unwrap();
    assert!(
        matches!(&kept, Begun::Finished(kept) if kept == b"1"),
        "{kept:?}"
    );
}

async fn a_claim_holds_as_long_as_somebody_has_it(scene: &impl Scene) {
    let claim = fresh(scene, asked(1)).await;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < LEASE * 3 {
        let other = scene.keys().begin(asked(1)).await.unwrap();
        assert!(matches!(other, Begun::InFlight), "{other:?}");
        tokio::time::sleep(LEASE / 50).await;
    }
    scene.keys().finish(claim, b"1".to_vec()).await.unwrap();
}

async fn an_answer_that_is_too_long_is_not_kept(scene: &impl Scene) {
    let claim = fresh(scene, asked(1)).await;
    let refused = scene.keys().finish(claim, vec![0; ANSWER + 1]).await;
    let (bytes, limit) = (ANSWER + 1, ANSWER);
    assert_eq!(refused, Err(Refused::TooLarge { bytes, limit }));
    assert!(matches!(settled(scene, asked(1)).await, Begun::Unknown));
}

async fn what_was_kept_long_enough_is_forgotten(scene: &impl Scene) {
    let short = Asked {
        keep: LEASE,
        ..asked(1)
    };
    let claim = fresh(scene, short.clone()).await;
    scene.keys().finish(claim, b"1".to_vec()).await.unwrap();
    let forgotten = async {
        while !matches!(
            scene.keys().begin(short.clone()).await.unwrap(),
            Begun::Fresh(_)
        ) {
            tokio::time::sleep(LEASE / 50).await;
        }
    };
    tokio::time::timeout(BOUND, forgotten).await.unwrap();
}

async fn nobody_who_reads_the_store_learns_what_was_answered(scene: &impl Scene) {
    let claim = fresh(scene, asked(1)).await;
    let answer = b"ada@example.com".repeat(3);
    scene.keys().finish(claim, answer).await.unwrap();
    let stored = scene.stored().await;
    let contains = |part: &[u8]| stored.windows(part.len()).any(|it| it == part);
    assert!(!contains(b"ada@example"));
    let known = Entry::of(&asked(1), &Seal::none());
    for hash in [known.name, known.fingerprint] {
        let text = format!("{hash:032x}");
        assert!(!contains(&hash.to_be_bytes()) && !contains(&hash.to_le_bytes()));
        assert!(!contains(text.as_bytes()));
    }
    assert!(stored.len() > 45, "something is stored: {}", stored.len());
}

async fn racing_names_have_one_effect_each(scene: &impl Scene) {
    const KEYS: u64 = 20;
    const EACH: u64 = 50;
    let mut effects = std::collections::HashMap::<u64, u32>::new();
    let race = who_went_on(scene, KEYS, EACH).await;
    for name in race {
        *effects.entry(name).or_default() += 1;
    }
    assert_eq!(effects.len() as u64, KEYS);
    assert!(effects.values().all(|times| *times == 1), "{effects:?}");
}

/// The names of those who went on.
async fn who_went_on(scene: &impl Scene, keys: u64, each: u64) -> Vec<u64> {
    let went_on = std::sync::Mutex::new(Vec::new());
    let one = async |name: u64| match scene.keys().begin(asked(name)).await.unwrap() {
        Begun::Fresh(claim) => {
            went_on.lock().unwrap().push(name);
            scene
                .keys()
                .finish(claim, name.to_be_bytes().to_vec())
                .await
                .unwrap();
        }
        Begun::InFlight => {}
        Begun::Finished(answer) => assert_eq!(answer, name.to_be_bytes()),
        other => panic!("{other:?}"),
    };
    join_all((0..keys * each).map(|turn| one(turn % keys))).await;
    went_on.into_inner().unwrap()
}

/// A key that whoever reads the store does not have.
fn seal() -> Seal {
    Seal::with_key(&[7; 32]).unwrap()
}

/// Bytes of an answer.
const ANSWER: usize = 64 << 10;

/// A file in a folder that goes with it.
struct InFile {
    keys: EmbeddedKeys,
    folder: PathBuf,
}

impl InFile {
    fn open() -> Self {
        let folder = std::env::temp_dir().join(format!("switchboard-keys-{}", Uuid::now_v7()));
        let limits = Limits {
            answer: ANSWER,
            ..Limits::default()
        };
        Self {
            keys: EmbeddedKeys::open(&folder, limits, seal()).unwrap(),
            folder,
        }
    }
}

impl Scene for InFile {
    fn keys(&self) -> &dyn Keys {
        &self.keys
    }

    async fn stored(&self) -> Vec<u8> {
        std::fs::read(self.folder.join("idempotency.redb")).unwrap()
    }
}

impl Drop for InFile {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A `redis-server` of a test's own, on a socket in a folder that goes with it.
struct InRedis {
    keys: RedisKeys,
    folder: PathBuf,
    process: Child,
}

impl InRedis {
    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("switchboard-keys-{}", Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let socket = folder.join("redis.sock");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"])
            .arg(&folder)
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn();
        let missing = "redis-server is needed: sudo apt-get install redis-server";
        let process = process.expect(missing);
        let settings = RedisKeysSettings {
            url: format!("redis+unix://{}", socket.display()),
            prefix: "test".into(),
            timeout: Duration::from_secs(5),
            lease: LEASE,
            answer: ANSWER,
        };
        let listens = async {
            while tokio::net::UnixStream::connect(&socket).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(BOUND, listens).await.unwrap();
        Self {
            keys: RedisKeys::new(settings, seal()).unwrap(),
            folder,
            process,
        }
    }
}

impl Scene for InRedis {
    fn keys(&self) -> &dyn Keys {
        &self.keys
    }

    async fn stored(&self) -> Vec<u8> {
        let url = format!("redis+unix://{}", self.folder.join("redis.sock").display());
        let redis = crate::redis::Redis::at(&url, BOUND).unwrap();
        let mut connection = redis.connection().unwrap();
        let mut stored = Vec::new();
        let names: Vec<Vec<u8>> = ::redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut connection)
            .await
            .unwrap();
        for name in names {
            let fields: Vec<Vec<u8>> = ::redis::cmd("HGETALL")
                .arg(&name)
                .query_async(&mut connection)
                .await
                .unwrap();
            stored.extend(name);
            stored.extend(fields.concat());
        }
        stored
    }
}

impl Drop for InRedis {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test]
async fn nobody_goes_on_while_redis_is_away() {
    let mut scene = InRedis::start().await;
    let claim = fresh(&scene, asked(1)).await;
    scene.process.kill().unwrap();
    scene.process.wait().unwrap();
    let refused = scene.keys().begin(asked(2)).await;
    assert!(
        matches!(refused, Err(Refused::Unavailable(_))),
        "{refused:?}"
    );
    let lost = scene.keys().finish(claim, b"1".to_vec()).await;
    assert!(matches!(lost, Err(Refused::Unavailable(_))), "{lost:?}");
}

#[tokio::test]
async fn a_full_redis_refuses_new_keys() {
    let scene = InRedis::start().await;
    let url = format!("redis+unix://{}", scene.folder.join("redis.sock").display());
    let redis = crate::redis::Redis::at(&url, BOUND).unwrap();
    let mut connection = redis.connection().unwrap();
    let set: ::redis::RedisResult<()> = ::redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .query_async(&mut connection)
        .await;
    set.unwrap();
    assert_eq!(
        scene.keys().begin(asked(1)).await.unwrap_err(),
        Refused::Full
    );
}
