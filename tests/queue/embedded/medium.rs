//! A disk in memory: it can lose its process, fail, be full, and tell what was written.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use queue::embedded::Disk;

/// A disk in memory; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Medium {
    state: Arc<Mutex<State>>,
    /// Whose process this handle belongs to.
    life: u64,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    life: u64,
    events: Option<Vec<Event>>,
    failing: Failing,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Failing {
    #[default]
    Nothing,
    /// The file cannot become longer, and nothing is written to it.
    Full,
    /// The next sync fails; afterwards the disk behaves as if nothing had been.
    Sync,
    /// So many syncs succeed still.
    SyncAfter(u64),
    /// Writes fail.
    Writes,
}

/// What was done to the disk.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Write {
        at: u64,
        bytes: Vec<u8>,
    },
    SetLength(u64),
    Sync,
    /// What a test says, in between.
    Mark(u64),
}

impl Medium {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        let medium = Self::default();
        medium.state().bytes = bytes;
        medium
    }

    /// The process dies: what it still does has no effect. The disk of the next one.
    pub(crate) fn cut(&self) -> Self {
        let mut state = self.state();
        state.life += 1;
        Self {
            state: Arc::clone(&self.state),
            life: state.life,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    pub(crate) fn record(&self) {
        self.state().events = Some(Vec::new());
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.state().events.take().unwrap_or_default()
    }

    pub(crate) fn mark(&self, what: u64) {
        self.note(&mut self.state(), Event::Mark(what));
    }

    pub(crate) fn fail(&self, failing: Failing) {
        self.state().failing = failing;
    }

    pub(crate) fn flip(&self, byte: usize, bit: u8) {
        self.state().bytes[byte] ^= 1 << bit;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        match state.life == self.life {
            true => Ok(state),
            false => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn writable(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.alive()?;
        match state.failing {
            Failing::Full => Err(io::ErrorKind::StorageFull.into()),
            Failing::Writes => Err(io::Error::other("the disk is broken")),
            Failing::Nothing | Failing::Sync | Failing::SyncAfter(_) => Ok(state),
        }
    }

    fn note(&self, state: &mut State, event: Event) {
        if let Some(events) = &mut state.events {
            events.push(event);
        }
    }
}

impl Disk for Medium {
    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.alive()?;
        let start = offset as usize;
        let bytes = state.bytes.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.writable()?;
        write(&mut state.bytes, offset, bytes);
        let bytes = bytes.to_vec();
        self.note(&mut state, Event::Write { at: offset, bytes });
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.writable()?;
        state.bytes.resize(length as usize, 0);
        self.note(&mut state, Event::SetLength(length));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        match state.failing {
            Failing::Sync | Failing::SyncAfter(0) => {
                state.failing = Failing::Nothing;
                return Err(io::Error::other("it cannot be synced"));
            }
            Failing::SyncAfter(syncs) => state.failing = Failing::SyncAfter(syncs - 1),
            Failing::Nothing | Failing::Full | Failing::Writes => {}
        }
        self.note(&mut state, Event::Sync);
        Ok(())
    }
}

/// As a file takes it: it becomes as long as it must.
pub(crate) fn write(file: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (start, end) = (at as usize, at as usize + bytes.len());
    if file.len() < end {
        file.resize(end, 0);
    }
    file[start..end].copy_from_slice(bytes);
}
