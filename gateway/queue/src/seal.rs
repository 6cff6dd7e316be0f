//! How stored bytes are kept from readers of the disk or of the broker.
//!
//! Owns encryption of what is stored, and the names of lines, which must not
//! tell a key to whom may not read it. Knows nothing of what the bytes say.

use ring::aead::AES_256_GCM;
use ring::aead::Aad;
use ring::aead::LessSafeKey;
use ring::aead::NONCE_LEN;
use ring::aead::Nonce;
use ring::aead::UnboundKey;
use ring::digest;
use ring::hkdf;
use ring::hmac;
use ring::rand::SecureRandom as _;
use ring::rand::SystemRandom;
use uuid::Uuid;

use crate::message::DecodeError;

/// Bytes as they were written.
const PLAIN: u8 = 0;
/// AES-256-GCM: a nonce of 12 bytes, the sealed bytes, a tag of 16.
const SEALED: u8 = 1;

/// The line of a key: messages of one line are delivered in order.
pub type Line = [u8; 16];

/// What stored bytes are sealed with. Bytes that were stored before there was a key are read still.
#[derive(Default)]
pub struct Seal(Option<Keys>);

struct Keys {
    content: LessSafeKey,
    lines: hmac::Key,
    random: SystemRandom,
}

impl Seal {
    /// Nothing is encrypted.
    pub fn none() -> Self {
        Self(None)
    }

    /// With a secret of 32 bytes.
    ///
    /// # Errors
    /// When it has another length.
    pub fn with_key(secret: &[u8]) -> Result<Self, BadKey> {
        if secret.len() != 32 {
            return Err(BadKey(secret.len()));
        }
        let content = derived(secret, b"switchboard queue content");
        let content = UnboundKey::new(&AES_256_GCM, &content).map_err(|_| BadKey(secret.len()))?;
        let lines = derived(secret, b"switchboard queue lines");
        Ok(Self(Some(Keys {
            content: LessSafeKey::new(content),
            lines: hmac::Key::new(hmac::HMAC_SHA256, &lines),
            random: SystemRandom::new(),
        })))
    }

    /// As it is stored; bound to the message, so that contents cannot be exchanged.
    pub fn seal(&self, id: Uuid, content: &[u8]) -> Vec<u8> {
        match &self.0 {
            None => [&[PLAIN], content].concat(),
            Some(keys) => keys.seal(id, content),
        }
    }

    /// What was stored.
    ///
    /// # Errors
    /// When the bytes are damaged, or were sealed with another key.
    pub fn open(&self, id: Uuid, stored: &[u8]) -> Result<Vec<u8>, DecodeError> {
        match (stored.split_first(), &self.0) {
            (Some((&PLAIN, content)), _) => Ok(content.to_vec()),
            (Some((&SEALED, sealed)), Some(keys)) => keys.open(id, sealed),
            (Some((&SEALED, _)), None) => Err(DecodeError::Sealed("there is no key")),
            (Some(_) | None, _) => Err(DecodeError::Sealed("it begins with no known mark")),
        }
    }

    /// The line that a message belongs to: that of its key, or one of its own.
    pub fn line(&self, queue: &str, key: Option<&str>, id: Uuid) -> Line {
        let Some(key) = key else {
            return *id.as_bytes();
        };
        let named = [queue.as_bytes(), &[0], key.as_bytes()].concat();
        let hash = match &self.0 {
            None => first_half(digest::digest(&digest::SHA256, &named).as_ref()),
            Some(keys) => first_half(hmac::sign(&keys.lines, &named).as_ref()),
        };
        hash.unwrap_or(*id.as_bytes())
    }
}

impl Keys {
    fn seal(&self, id: Uuid, content: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        // The system's generator fails on machines without one, where nothing else would work either.
        let filled = self.random.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + content.len() + 16);
        sealed.extend_from_slice(content);
        let tag = filled.and_then(|()| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.content
                .seal_in_place_separate_tag(nonce, Aad::from(id.as_bytes()), &mut sealed)
        });
        match tag {
            Ok(tag) => [&[SEALED], &nonce[..], &sealed, tag.as_ref()].concat(),
            Err(_) => panic!("no random numbers, or a message of more than 64 GiB"),
        }
    }

    fn open(&self, id: Uuid, sealed: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let short = DecodeError::Sealed("it is too short");
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(short)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut content = sealed.to_vec();
        let opened = self
            .content
            .open_in_place(nonce, Aad::from(id.as_bytes()), &mut content);
        let length = opened
            .map(|opened| opened.len())
            .map_err(|_| DecodeError::Sealed("another key, or damaged"))?;
        content.truncate(length);
        Ok(content)
    }
}

/// A key for one purpose. <https://www.rfc-editor.org/rfc/rfc5869>
fn derived(secret: &[u8], purpose: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
    let expanded = salt.extract(secret);
    let info = [purpose];
    let filled = expanded
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|material| material.fill(&mut key));
    assert!(filled.is_ok(), "32 bytes are what SHA-256 gives");
    key
}

fn first_half(hash: &[u8]) -> Option<Line> {
    hash.first_chunk().copied()
}

/// A secret that is no key.
#[derive(Debug, thiserror::Error)]
#[error("a key has 32 bytes, and this one has {0}")]
pub struct BadKey(pub usize);

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn sealed() -> Seal {
        Seal::with_key(&[7; 32]).unwrap()
    }

    #[test]
    fn what_is_sealed_is_read_with_the_same_key_only() {
        let stored = sealed().seal(ID, b"ada@example.com");
        assert!(!stored.windows(3).any(|part| part == b"ada"));
        assert_eq!(sealed().open(ID, &stored).unwrap(), b"ada@example.com");
        let other = Seal::with_key(&[8; 32]).unwrap();
        assert!(other.open(ID, &stored).is_err());
        assert!(Seal::none().open(ID, &stored).is_err());
    }

    #[test]
    fn contents_cannot_be_exchanged_or_changed() {
        let mut stored = sealed().seal(ID, b"1");
        assert!(sealed().open(Uuid::from_u128(8), &stored).is_err());
        stored[14] ^= 1;
        assert!(sealed().open(ID, &stored).is_err());
        for length in 0..stored.len() {
            assert!(sealed().open(ID, &stored[..length]).is_err());
        }
    }

    #[test]
    fn what_was_stored_before_there_was_a_key_is_read_still() {
        let stored = Seal::none().seal(ID, b"1");
        assert_eq!(sealed().open(ID, &stored).unwrap(), b"1");
        assert_eq!(Seal::none().open(ID, &stored).unwrap(), b"1");
    }

    #[test]
    fn a_line_is_that_of_its_queue_and_key_or_of_nobody_else() {
        let seal = sealed();
        let line = |queue, key, id| seal.line(queue, key, Uuid::from_u128(id));
        assert_eq!(line("a", Some("k"), 1), line("a", Some("k"), 2));
        assert_ne!(line("a", Some("k"), 1), line("b", Some("k"), 1));
        assert_ne!(line("a", None, 1), line("a", None, 2));
        assert_ne!(
            line("a", Some("k"), 1),
            Seal::none().line("a", Some("k"), ID)
        );
    }

    #[test]
    fn a_key_has_32_bytes() {
        assert!(Seal::with_key(b"short").is_err());
    }
}
