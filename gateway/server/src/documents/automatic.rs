//! Automatic persisted queries: documents that clients sent, by their hash.
//!
//! Owns the bounded memory of them. Only valid documents come in, each under
//! its own hash, so a client can neither fill it with anything nor put one
//! document under another's name.

use std::sync::Arc;

use moka::sync::Cache;
use ring::digest;

/// What an entry takes beside its text.
const OVERHEAD: usize = 128;

/// SHA-256 of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hash([u8; 32]);

/// Documents by their hash.
pub(super) struct Automatic {
    documents: Cache<Hash, Arc<str>>,
    bytes: u64,
}

/// What became of a document and the hash that came with it.
pub(super) enum Checked {
    /// They belong together, and are known.
    Known,
    /// They belong together.
    New(Hash),
    /// They do not.
    Wrong,
}

impl Hash {
    /// 64 hexadecimal digits, in whatever case; also after `sha256:`, as GraphQL over HTTP writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
        }
        Some(Self(hash))
    }

    pub(super) fn of(text: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        Self(hash)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Automatic {
    pub(super) fn new(bytes: u64) -> Self {
        let size =
            |_: &Hash, text: &Arc<str>| u32::try_from(text.len() + OVERHEAD).unwrap_or(u32::MAX);
        Self {
            documents: Cache::builder().weigher(size).max_capacity(bytes).build(),
            bytes,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn get(&self, hash: &Hash) -> Option<Arc<str>> {
        self.documents.get(hash)
    }

    pub(super) fn insert(&self, hash: Hash, text: &str) {
        self.documents.insert(hash, text.into());
    }

    /// Hashes only what is not known.
    pub(super) fn check(&self, hash: Hash, text: &str) -> Checked {
        match self.get(&hash) {
            Some(known) if *known == *text => Checked::Known,
            Some(_) => Checked::Wrong,
            None if Hash::of(text) == hash => Checked::New(hash),
            None => Checked::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "{ ada }";

    #[test]
    fn a_hash_is_read_in_either_case_and_with_its_prefix() {
        let text = Hash::of(ADA).to_string();
        for written in [text.clone(), text.to_uppercase(), format!("sha256:{text}")] {
            assert_eq!(Hash::parse(&written), Some(Hash::of(ADA)), "{written}");
        }
        for wrong in ["", "ada", &text[1..], &format!("{}g", &text[1..])] {
            assert_eq!(Hash::parse(wrong), None, "{wrong}");
        }
        // sha256sum of the empty file.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Hash::of("").to_string(), empty);
    }

    #[test]
    fn memory_is_bounded_in_bytes() {
        let automatic = Automatic::new(10_000);
        for n in 0..1_000 {
            let text = format!("{{ field{n} }}{}", " ".repeat(1_000));
            automatic.insert(Hash::of(&text), &text);
        }
        automatic.documents.run_pending_tasks();
        assert!(automatic.documents.weighted_size() <= 10_000);
        let huge = " ".repeat(20_000);
        automatic.insert(Hash::of(&huge), &huge);
        automatic.documents.run_pending_tasks();
        assert!(automatic.documents.weighted_size() <= 10_000);
    }
}
