//! What went wrong within an answer: how many errors, and of which codes.
//!
//! Owns counting them once, where they are known. Nothing is allocated for an
//! answer without errors, nor for most with some.

use plan::code::Code;
use smallvec::SmallVec;

/// The errors of one answer, by code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults(SmallVec<[(Code, u32); 2]>);

impl Faults {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many errors there are.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|(_, times)| *times as usize).sum()
    }

    /// Each code once, and how often.
    pub(crate) fn by_code(&self) -> impl Iterator<Item = (Code, u32)> {
        self.0.iter().copied()
    }

    /// Whether one of the codes is such a one.
    pub(crate) fn any(&self, such: impl Fn(Code) -> bool) -> bool {
        self.0.iter().any(|(code, _)| such(*code))
    }
}

impl From<Code> for Faults {
    fn from(code: Code) -> Self {
        Self::from_iter([code])
    }
}

impl FromIterator<Code> for Faults {
    fn from_iter<I: IntoIterator<Item = Code>>(codes: I) -> Self {
        let mut faults = SmallVec::<[(Code, u32); 2]>::new();
        for code in codes {
            match faults.iter_mut().find(|(known, _)| *known == code) {
                Some((_, times)) => *times += 1,
                None => faults.push((code, 1)),
            }
        }
        Self(faults)
    }
}
