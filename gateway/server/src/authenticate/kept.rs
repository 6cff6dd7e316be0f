//! A value that is read again and again, from a file or an address.
//!
//! Owns when it is read, and that the last good value stays while what is read
//! is wrong or away. All who want a newer one share one reading. Knows nothing
//! of what the value is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::HeaderMap;
use sources::outbound::Outbound;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// One reading of an address.
const TIME: Duration = Duration::from_secs(5);

/// Where a value is read from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    File(PathBuf),
    Url(Box<Outbound>),
}

/// How often a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// Regularly.
    pub(super) every: Duration,
    /// Because somebody wants a newer one, and after a failure: no more often than this.
    pub(super) cool_down: Duration,
}

/// From bytes to a value, or what is wrong with them.
pub(super) type Parse<T> = fn(&[u8]) -> Result<T, String>;

/// The value, as it is now.
pub(super) struct Kept<T> {
    origin: Origin,
    parse: Parse<T>,
    pace: Pace,
    current: ArcSwapOption<Version<T>>,
    /// Held by the one reading that is under way.
    reading: Mutex<Reading>,
}

/// One of the values that there were.
pub(super) struct Version<T> {
    pub(super) value: T,
    /// Another one for each change.
    pub(super) number: u64,
}

#[derive(Default)]
struct Reading {
    last: Option<Instant>,
    bytes: Bytes,
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Reads a file at once: a wrong one is an error. An address is asked in the background.
    pub(super) fn file(path: PathBuf, parse: Parse<T>, pace: Pace) -> Result<Arc<Self>, String> {
        let wrong = |why: String| format!("{}: {why}", path.display());
        let bytes = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
        let value = parse(&bytes).map_err(wrong)?;
        let reading = Reading {
            last: Some(Instant::now()),
            bytes: bytes.into(),
        };
        let first = Arc::new(Version { value, number: 1 });
        Ok(Self::follow(
            Origin::File(path),
            parse,
            pace,
            Some(first),
            reading,
        ))
    }

    /// Asks an address in the background, beginning with what was known before.
    pub(super) fn url(
        address: Outbound,
        parse: Parse<T>,
        pace: Pace,
        known: Option<Arc<Version<T>>>,
    ) -> Arc<Self> {
        Self::follow(
            Origin::Url(Box::new(address)),
            parse,
            pace,
            known,
            Reading::default(),
        )
    }

    fn follow(
        origin: Origin,
        parse: Parse<T>,
        pace: Pace,
        known: Option<Arc<Version<T>>>,
        reading: Reading,
    ) -> Arc<Self> {
        let begun = reading.last.is_some();
        let kept = Arc::new(Self {
            origin,
            parse,
            pace,
            current: ArcSwapOption::new(known),
            reading: Mutex::new(reading),
        });
        tokio::spawn(read_regularly(Arc::downgrade(&kept), pace, begun));
        kept
    }

    /// None before the first good reading.
    pub(super) fn current(&self) -> Option<Arc<Version<T>>> {
        self.current.load_full()
    }

    /// A newer value than the one with this number, where there is one now or one reading brings it.
    pub(super) async fn newer(self: &Arc<Self>, than: Option<u64>) -> Option<Arc<Version<T>>> {
        let kept = self.clone();
        // On a task of its own: the reading belongs to all who wait, not to the one who came first.
        let read = tokio::spawn(async move { kept.read_if_older(than).await });
        // What a reading that failed leaves is what there was.
        let _ = read.await;
        self.current()
            .filter(|version| Some(version.number) != than)
    }

    async fn read_if_older(&self, than: Option<u64>) {
        let mut reading = self.reading.lock().await;
        let is_newer = self.current().is_some_and(|v| Some(v.number) != than);
        let lately = self.was_read_lately(&reading);
        if !is_newer && !lately {
            self.read(&mut reading).await;
        }
    }

    fn was_read_lately(&self, reading: &Reading) -> bool {
        let pause = self.pace.every.min(self.pace.cool_down);
        reading.last.is_some_and(|at| at.elapsed() < pause)
    }

    /// Whether what there is now could be read.
    async fn read(&self, reading: &mut Reading) -> bool {
        let result = self
            .bytes()
            .await
            .and_then(|bytes| self.take(reading, bytes));
        // Counted from its end, so that waiting for an answer is no pause.
        reading.last = Some(Instant::now());
        if let Err(why) = &result {
            tracing::warn!(origin = %self.name(), why, "what was known before stays");
        }
        result.is_ok()
    }

    fn take(&self, reading: &mut Reading, bytes: Bytes) -> Result<(), String> {
        let current = self.current();
        if current.is_some() && bytes == reading.bytes {
            return Ok(());
        }
        let value = (self.parse)(&bytes)?;
        let number = current.map_or(1, |version| version.number + 1);
        self.current
            .store(Some(Arc::new(Version { value, number })));
        reading.bytes = bytes;
        tracing::debug!(origin = %self.name(), number, "read anew");
        Ok(())
    }

    async fn bytes(&self) -> Result<Bytes, String> {
        match &self.origin {
            Origin::File(path) => {
                let read = tokio::fs::read(path).await;
                read.map(Bytes::from).map_err(|error| error.to_string())
            }
            Origin::Url(address) => {
                let answer = address.get(HeaderMap::new(), Instant::now() + TIME).await;
                match answer.map_err(|error| error.to_string())? {
                    (200, body) => Ok(body),
                    (status, _) => Err(format!("the answer has status {status}")),
                }
            }
        }
    }

    fn name(&self) -> String {
        match &self.origin {
            Origin::File(path) => path.display().to_string(),
            Origin::Url(address) => address.url().to_owned(),
        }
    }
}

/// Until nobody keeps the value any longer.
async fn read_regularly<T: Send + Sync + 'static>(kept: Weak<Kept<T>>, pace: Pace, begun: bool) {
    let mut pause = match begun {
        true => pace.every,
        false => Duration::ZERO,
    };
    loop {
        tokio::time::sleep(pause).await;
        let Some(kept) = kept.upgrade() else {
            return;
        };
        let mut reading = kept.reading.lock().await;
        // Somebody who wanted a newer one may have come first.
        pause = match kept.was_read_lately(&reading) || kept.read(&mut reading).await {
            true => pace.every,
            false => pace.every.min(pace.cool_down),
        };
    }
}
