//! Keys of clients, in a file of their own beside that of the messages.
//!
//! Owns their table and what each step does to it. Written as messages are: by
//! one thread, in synced groups. Who works on what is known in memory alone, so
//! that after a crash nobody does, and what was begun is told from what is
//! being done.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use redb::ReadableTable as _;

use super::Disk;
use super::Embedded;
use super::OpenError;
use super::change::Change;
use super::claims::lock;
use super::disk::Contents;
use super::file::Place;
use super::lock_directory;
use super::tables::Broken;
use crate::clock::millis;
use crate::keys::Asked;
use crate::keys::Begun;
use crate::keys::Claim;
use crate::keys::Entry;
use crate::keys::Held;
use crate::keys::Keys;
use crate::keys::Limits;
use crate::keys::Name;
use crate::keys::Refused;
use crate::keys::sealed_for;
use crate::seal::Seal;
use crate::store;
use crate::store::BoxFuture;
use crate::store::Unavailable;

/// What was kept long enough and is deleted in one transaction, so that none takes long.
const SWEPT: usize = 256;
/// The same, beside each key that begins: what is kept does not outgrow what comes.
const SWEPT_ASIDE: usize = 4;
/// How many keys there are, in the table of single numbers.
const COUNT: &str = "idempotency keys";
/// Bytes of all their answers.
const BYTES: &str = "idempotency bytes";

/// Fingerprint, kept until, answer: none while nobody knows it.
pub(super) type Kept = (u128, u64, Option<&'static [u8]>);

/// Keys in one file of this machine.
pub struct EmbeddedKeys {
    file: Embedded,
    limits: Limits,
    in_flight: Arc<InFlight>,
}

impl EmbeddedKeys {
    /// Over a directory, which is made where there is none. Blocks.
    ///
    /// # Errors
    /// When another process has it, or when what it holds cannot be read.
    pub fn open(directory: &Path, limits: Limits, seal: Seal) -> Result<Self, OpenError> {
        let place = lock_directory(directory, Contents::Keys)?;
        place.make()?;
        Self::start(place, limits, seal)
    }

    /// Over bytes of which nobody else knows. Blocks.
    ///
    /// # Errors
    /// When what they hold cannot be read.
    pub fn open_on(disk: Arc<dyn Disk>, limits: Limits, seal: Seal) -> Result<Self, OpenError> {
        Self::start(Place::Disk(disk), limits, seal)
    }

    fn start(place: Place, limits: Limits, seal: Seal) -> Result<Self, OpenError> {
        Ok(Self {
            file: Embedded::start(place, store::Limits::default(), seal)?,
            limits,
            in_flight: Arc::default(),
        })
    }

    async fn make<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Change<'_>) -> Result<T, Broken> + Send + 'static,
    ) -> Result<T, Refused> {
        let made = self.file.changes.make(work).await;
        made.map_err(|Unavailable(reason)| Refused::Unavailable(reason))
    }

    async fn begun(&self, asked: Asked) -> Result<Begun, Refused> {
        let seal = &self.file.shared.seal;
        let entry = Entry::of(&asked, seal);
        let (limits, in_flight) = (self.limits, self.in_flight.clone());
        let make = move |change: &mut Change<'_>| {
            change.forget_keys(&in_flight, SWEPT_ASIDE)?;
            change.begin_key(entry, &asked, limits, &in_flight)
        };
        match self.make(make).await?? {
            Begun::Finished(answer) => {
                let answer = seal.open(sealed_for(entry.name), &answer);
                let answer = answer.map_err(|error| Refused::Unavailable(error.to_string()))?;
                Ok(Begun::Finished(answer))
            }
            begun => Ok(begun),
        }
    }

    async fn finished(&self, claim: Claim, answer: Vec<u8>) -> Result<(), Refused> {
        let (bytes, limit) = (answer.len(), self.limits.answer);
        if bytes > limit {
            return Err(Refused::TooLarge { bytes, limit });
        }
        let answer = self.file.shared.seal.seal(sealed_for(claim.name), &answer);
        self.settled(claim, Some(answer)).await
    }

    /// With its answer, or without where nothing was done. The claim is held until that is durable.
    async fn settled(&self, claim: Claim, answer: Option<Vec<u8>>) -> Result<(), Refused> {
        let (name, token, keep) = (claim.name, claim.token, millis(claim.keep));
        let in_flight = self.in_flight.clone();
        let make = move |change: &mut Change<'_>| {
            let known = change
                .key(name)?
                .filter(|_| in_flight.is_held_by(name, token));
            let Some(known) = known else {
                return Ok(Err(Refused::Lost));
            };
            change.remove_key(name, &known)?;
            if let Some(answer) = answer {
                let until = change.now.saturating_add(keep);
                change.insert_key(name, known.fingerprint, until, Some(&answer))?;
            }
            Ok(Ok(()))
        };
        let settled = self.make(make).await;
        drop(claim);
        settled?
    }
}

impl Keys for EmbeddedKeys {
    fn begin(&self, asked: Asked) -> BoxFuture<'_, Result<Begun, Refused>> {
        Box::pin(self.begun(asked))
    }

    fn finish(&self, claim: Claim, answer: Vec<u8>) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(self.finished(claim, answer))
    }

    fn abandon(&self, claim: Claim) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(self.settled(claim, None))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async move {
            loop {
                let in_flight = self.in_flight.clone();
                let make = move |change: &mut Change<'_>| change.forget_keys(&in_flight, SWEPT);
                if self.make(make).await? < SWEPT {
                    self.file.changes.compact().await;
                    return Ok(());
                }
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        store::Store::close(&self.file)
    }
}

/// What is stored of a key.
struct Known {
    fingerprint: u128,
    until: u64,
    answer: Option<Vec<u8>>,
}

impl Change<'_> {
    fn begin_key(
        &mut self,
        entry: Entry,
        asked: &Asked,
        limits: Limits,
        in_flight: &Arc<InFlight>,
    ) -> Result<Result<Begun, Refused>, Broken> {
        let known = self.key(entry.name)?;
        let known = known.filter(|known| known.until > self.now);
        if let Some(known) = &known {
            if known.fingerprint != entry.fingerprint {
                return Ok(Ok(Begun::Mismatch));
            }
            if let Some(answer) = &known.answer {
                return Ok(Ok(Begun::Finished(answer.clone())));
            }
        }
        if in_flight.is_held(entry.name) {
            return Ok(Ok(Begun::InFlight));
        }
        if known.is_some() && !asked.repeatable {
            return Ok(Ok(Begun::Unknown));
        }
        // What is not kept any more may be stored still.
        if let Some(old) = self.key(entry.name)? {
            self.remove_key(entry.name, &old)?;
        }
        if self.number(COUNT)? >= limits.entries || self.number(BYTES)? >= limits.bytes {
            return Ok(Err(Refused::Full));
        }
        let until = self.now.saturating_add(millis(asked.keep));
        self.insert_key(entry.name, entry.fingerprint, until, None)?;
        Ok(Ok(Begun::Fresh(in_flight.claim(entry.name, asked))))
    }

    fn key(&self, name: Name) -> Result<Option<Known>, Broken> {
        let kept = self.tables.keys.get(name)?;
        Ok(kept.map(|kept| {
            let (fingerprint, until, answer) = kept.value();
            Known {
                fingerprint,
                until,
                answer: answer.map(<[u8]>::to_vec),
            }
        }))
    }

    fn insert_key(
        &mut self,
        name: Name,
        fingerprint: u128,
        until: u64,
        answer: Option<&[u8]>,
    ) -> Result<(), Broken> {
        self.tables
            .keys
            .insert(name, (fingerprint, until, answer))?;
        self.tables.keys_until.insert((until, name), ())?;
        self.count(COUNT, |count| count + 1)?;
        let bytes = answer.map_or(0, <[u8]>::len) as u64;
        self.count(BYTES, |all| all + bytes)
    }

    fn remove_key(&mut self, name: Name, known: &Known) -> Result<(), Broken> {
        self.tables.keys.remove(name)?;
        self.tables.keys_until.remove((known.until, name))?;
        self.count(COUNT, |count| count.saturating_sub(1))?;
        let bytes = known.answer.as_ref().map_or(0, Vec::len) as u64;
        self.count(BYTES, |all| all.saturating_sub(bytes))
    }

    /// Deletes what was kept long enough, at most so much; how much that was.
    fn forget_keys(&mut self, in_flight: &InFlight, most: usize) -> Result<usize, Broken> {
        let mut over = Vec::new();
        for entry in self.tables.keys_until.range(..=(self.now, Name::MAX))? {
            let (_, name) = entry?.0.value();
            if !in_flight.is_held(name) {
                over.push(name);
            }
            if over.len() == most {
                break;
            }
        }
        for name in &over {
            if let Some(known) = self.key(*name)? {
                self.remove_key(*name, &known)?;
            }
        }
        Ok(over.len())
    }

    fn number(&self, name: &str) -> Result<u64, Broken> {
        Ok(self.tables.meta.get(name)?.map_or(0, |it| it.value()))
    }

    fn count(&mut self, name: &str, change: impl FnOnce(u64) -> u64) -> Result<(), Broken> {
        let changed = change(self.number(name)?);
        self.tables.meta.insert(name, changed)?;
        Ok(())
    }
}

/// What somebody in this process works on.
#[derive(Default)]
struct InFlight(Mutex<Working>);

#[derive(Default)]
struct Working {
    tokens: HashMap<Name, u64>,
    last: u64,
}

impl InFlight {
    fn claim(self: &Arc<Self>, name: Name, asked: &Asked) -> Claim {
        let token = {
            let mut working = lock(&self.0);
            working.last += 1;
            let token = working.last;
            working.tokens.insert(name, token);
            token
        };
        Claim {
            name,
            token,
            keep: asked.keep,
            held: Some(Held::new(InHand {
                in_flight: self.clone(),
                name,
                token,
            })),
        }
    }

    fn is_held(&self, name: Name) -> bool {
        lock(&self.0).tokens.contains_key(&name)
    }

    fn is_held_by(&self, name: Name, token: u64) -> bool {
        lock(&self.0).tokens.get(&name) == Some(&token)
    }
}

/// One that is worked on, until it is dropped.
struct InHand {
    in_flight: Arc<InFlight>,
    name: Name,
    token: u64,
}

impl Drop for InHand {
    fn drop(&mut self) {
        let mut working = lock(&self.in_flight.0);
        if working.tokens.get(&self.name) == Some(&self.token) {
            working.tokens.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::PathBuf;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use crate::embedded::FileDisk;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("switchboard-keys-{}", uuid::Uuid::now_v7());
            Self(std::env::temp_dir().join(name))
        }

        fn open(&self) -> Result<EmbeddedKeys, OpenError> {
            EmbeddedKeys::open(&self.0, Limits::default(), Seal::none())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    fn asked(name: &str) -> Asked {
        Asked {
            name: name.into(),
            fingerprint: "f".into(),
            repeatable: false,
            keep: Duration::from_secs(60),
        }
    }

    async fn fresh(keys: &EmbeddedKeys, name: &str) -> Claim {
        match keys.begin(asked(name)).await.unwrap() {
            Begun::Fresh(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_was_finished_is_answered_and_what_was_begun_is_unknown_after_a_restart() {
        let folder = Folder::new();
        let keys = folder.open().unwrap();
        let done = fresh(&keys, "done").await;
        keys.finish(done, b"1".to_vec()).await.unwrap();
        let abandoned = fresh(&keys, "abandoned").await;
        keys.abandon(abandoned).await.unwrap();
        // Never dropped: its process ends in the middle of it.
        std::mem::forget(fresh(&keys, "begun").await);
        keys.close().await;
        assert!(keys.begin(asked("late")).await.is_err());
        let keys = folder.open().unwrap();
        let begun = keys.begin(asked("done")).await.unwrap();
        assert!(
            matches!(&begun, Begun::Finished(answer) if answer == b"1"),
            "{begun:?}"
        );
        let begun = keys.begin(asked("begun")).await.unwrap();
        assert!(matches!(begun, Begun::Unknown), "{begun:?}");
        fresh(&keys, "abandoned").await;
        let again = Asked {
            repeatable: true,
            ..asked("begun")
        };
        let begun = keys.begin(again).await.unwrap();
        assert!(matches!(begun, Begun::Fresh(_)), "{begun:?}");
    }

    #[tokio::test]
    async fn one_process_has_the_file_and_messages_have_another() {
        let folder = Folder::new();
        let keys = folder.open().unwrap();
        assert!(matches!(folder.open(), Err(OpenError::InUse(_))));
        let messages = Embedded::open(&folder.0, store::Limits::default(), Seal::none());
        assert!(messages.is_ok());
        keys.close().await;
        assert!(folder.open().is_ok());
    }

    #[tokio::test]
    async fn no_more_begin_than_are_kept_and_room_comes_with_time() {
        let folder = Folder::new();
        let limits = Limits {
            entries: 2,
            ..Limits::default()
        };
        let keys = EmbeddedKeys::open(&folder.0, limits, Seal::none()).unwrap();
        let short = Asked {
            keep: Duration::from_millis(200),
            ..asked("short")
        };
        let Begun::Fresh(claim) = keys.begin(short).await.unwrap() else {
            panic!("it was there before");
        };
        keys.finish(claim, b"1".to_vec()).await.unwrap();
        let _other = fresh(&keys, "other").await;
        assert_eq!(keys.begin(asked("more")).await.unwrap_err(), Refused::Full);
        let room = async {
            while keys.begin(asked("more")).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), room)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn nothing_begins_above_the_bytes_that_are_kept() {
        let folder = Folder::new();
        let limits = Limits {
            bytes: 100,
            ..Limits::default()
        };
        let keys = EmbeddedKeys::open(&folder.0, limits, Seal::none()).unwrap();
        let claim = fresh(&keys, "a").await;
        keys.finish(claim, vec![0; 200]).await.unwrap();
        assert_eq!(keys.begin(asked("b")).await.unwrap_err(), Refused::Full);
        let begun = keys.begin(asked("a")).await.unwrap();
        assert!(matches!(begun, Begun::Finished(_)), "{begun:?}");
    }

    #[tokio::test]
    async fn what_was_kept_long_enough_is_swept() {
        let folder = Folder::new();
        let keys = folder.open().unwrap();
        let over = Asked {
            keep: Duration::ZERO,
            ..asked("over")
        };
        let Begun::Fresh(claim) = keys.begin(over).await.unwrap() else {
            panic!("it was there before");
        };
        keys.finish(claim, b"1".to_vec()).await.unwrap();
        let kept = fresh(&keys, "kept").await;
        keys.sweep().await.unwrap();
        let count = keys.make(|change| change.number(COUNT)).await.unwrap();
        assert_eq!(count, 1);
        keys.finish(kept, b"1".to_vec()).await.unwrap();
        let bytes = keys.make(|change| change.number(BYTES)).await.unwrap();
        // The mark of what is not sealed, and the answer.
        assert_eq!(bytes, 2);
    }

    #[tokio::test]
    async fn what_is_kept_stays_where_the_room_of_what_is_not_is_given_back() {
        let folder = Folder::new();
        let keys = folder.open().unwrap();
        let kept = fresh(&keys, "kept").await;
        keys.finish(kept, b"1".to_vec()).await.unwrap();
        let over = |n: u32| Asked {
            keep: Duration::from_secs(2),
            ..asked(&n.to_string())
        };
        for n in 0..20 {
            let Begun::Fresh(claim) = keys.begin(over(n)).await.unwrap() else {
                panic!("it was there before");
            };
            keys.finish(claim, vec![7; 1 << 20]).await.unwrap();
        }
        let size = || {
            std::fs::metadata(folder.0.join("idempotency.redb"))
                .unwrap()
                .len()
        };
        let before = size();
        let given_back = async {
            while size() > before / 4 {
                keys.sweep().await.unwrap();
            }
        };
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, given_back).await.unwrap();
        let begun = keys.begin(asked("kept")).await.unwrap();
        assert!(matches!(begun, Begun::Finished(_)), "{begun:?}");
        keys.close().await;
        let begun = folder.open().unwrap().begin(asked("kept")).await.unwrap();
        assert!(matches!(begun, Begun::Finished(_)), "{begun:?}");
    }

    /// A disk that can be made to fail.
    #[derive(Debug)]
    struct Failing(FileDisk, AtomicBool);

    impl Failing {
        fn check(&self) -> io::Result<()> {
            match self.1.load(Ordering::Acquire) {
                true => Err(io::Error::other("the disk fails")),
                false => Ok(()),
            }
        }
    }

    impl Disk for Failing {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read_at(offset, out)
        }

        fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.0.write_at(offset, bytes)
        }

        fn set_len(&self, length: u64) -> io::Result<()> {
            self.0.set_len(length)
        }

        fn sync(&self) -> io::Result<()> {
            self.check()?;
            self.0.sync()
        }
    }

    #[tokio::test]
    async fn nobody_goes_on_where_the_disk_fails() {
        let folder = Folder::new();
        std::fs::create_dir(&folder.0).unwrap();
        let disk = FileDisk::open(&folder.0.join("keys")).unwrap();
        let disk = Arc::new(Failing(disk, AtomicBool::new(false)));
        let keys = EmbeddedKeys::open_on(disk.clone(), Limits::default(), Seal::none()).unwrap();
        let claim = fresh(&keys, "before").await;
        disk.1.store(true, Ordering::Release);
        let refused = keys.begin(asked("after")).await;
        assert!(
            matches!(refused, Err(Refused::Unavailable(_))),
            "{refused:?}"
        );
        let refused = keys.finish(claim, b"1".to_vec()).await;
        assert!(
            matches!(refused, Err(Refused::Unavailable(_))),
            "{refused:?}"
        );
    }
}
