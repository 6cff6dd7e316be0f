//! Keys of token issuers: <https://www.rfc-editor.org/rfc/rfc7517>.
//!
//! Owns reading a key set and verifying a signature. The kind of a key decides
//! which algorithms it verifies: what a token says of itself cannot turn a
//! public key into a shared secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature as sig;
use ring::signature::RsaPublicKeyComponents;
use ring::signature::UnparsedPublicKey;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::config::Algorithm;

/// Of one issuer: more are not looked through.
const MAX_KEYS: usize = 100;
/// A secret shorter than the hash of HS256 can be found by trying: <https://www.rfc-editor.org/rfc/rfc7518#section-3.2>.
const MIN_SECRET: usize = 32;

/// The keys of one issuer.
pub(super) struct KeySet(Vec<Key>);

/// One key.
struct Key {
    id: Option<String>,
    /// The only algorithm that it is for, where it says one.
    algorithm: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    Secret(Vec<u8>),
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<Json>,
}

#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl KeySet {
    /// What an address says: public keys only, since a secret that anybody can fetch is none.
    pub(super) fn public(bytes: &[u8]) -> Result<Self, String> {
        let set = Self::local(bytes)?;
        let keys = set.0.into_iter();
        let keys = keys.filter(|key| !matches!(key.material, Material::Secret(_)));
        Self::some(keys.collect())
    }

    /// What a file of the operator's says. Keys of other kinds and for other purposes are passed over.
    pub(super) fn local(bytes: &[u8]) -> Result<Self, String> {
        // The parser's own message could show a part of a secret.
        let written: Written =
            serde_json::from_slice(bytes).map_err(|_| "it is not a JSON Web Key Set".to_owned())?;
        let keys = written.keys.into_iter().take(MAX_KEYS);
        Self::some(keys.filter_map(Key::of).collect())
    }

    fn some(keys: Vec<Key>) -> Result<Self, String> {
        match keys.is_empty() {
            true => Err("it holds no key that verifies signatures".to_owned()),
            false => Ok(Self(keys)),
        }
    }

    /// Whether any key answers to this name, and is for this algorithm.
    pub(super) fn has(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.candidates(id, algorithm).next().is_some()
    }

    /// Whether one of these keys made the signature.
    pub(super) fn verify(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        // A token without a name is tried with a few keys only: each costs a verification.
        let mut candidates = self.candidates(id, algorithm).take(4);
        candidates.any(|key| key.material.verify(algorithm, message, signature))
    }

    fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| {
            let named = id.is_none() || key.id.as_deref() == id;
            named
                && key.algorithm.is_none_or(|own| own == algorithm)
                && key.material.fits(algorithm)
        })
    }
}

impl Key {
    fn of(json: Json) -> Option<Self> {
        let written: WrittenKey = serde_json::from_value(json).ok()?;
        let signs = written
            .purpose
            .as_deref()
            .is_none_or(|purpose| purpose == "sig");
        // A key for an algorithm that is not known is not for one that is.
        let algorithm = match &written.alg {
            None => None,
            Some(name) => Some(Algorithm::named(name)?),
        };
        let key = Self {
            algorithm,
            material: Material::of(&written)?,
            id: written.kid,
        };
        signs.then_some(key)
    }
}

impl Material {
    fn of(written: &WrittenKey) -> Option<Self> {
        let decoded = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        // Uncompressed, as SEC 1 writes a point.
        let point = || Some([vec![4], decoded(&written.x)?, decoded(&written.y)?].concat());
        match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => Some(Self::Rsa {
                modulus: without_zeros(decoded(&written.n)?),
                exponent: without_zeros(decoded(&written.e)?),
            }),
            ("EC", Some("P-256")) => Some(Self::P256(point()?)),
            ("EC", Some("P-384")) => Some(Self::P384(point()?)),
            ("OKP", Some("Ed25519")) => Some(Self::Ed25519(decoded(&written.x)?)),
            ("oct", _) => {
                let secret = decoded(&written.k)?;
                (secret.len() >= MIN_SECRET).then_some(Self::Secret(secret))
            }
            _ => None,
        }
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        match self {
            Self::Rsa { .. } => matches!(
                algorithm,
                A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512
            ),
            Self::P256(_) => algorithm == A::ES256,
            Self::P384(_) => algorithm == A::ES384,
            Self::Ed25519(_) => algorithm == A::EdDSA,
            Self::Secret(_) => matches!(algorithm, A::HS256 | A::HS384 | A::HS512),
        }
    }

    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            _ if !self.fits(algorithm) => return false,
            Self::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                let Some(parameters) = rsa(algorithm) else {
                    return false;
                };
                key.verify(parameters, message, signature)
            }
            Self::P256(point) => UnparsedPublicKey::new(&sig::ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature),
            Self::P384(point) => UnparsedPublicKey::new(&sig::ECDSA_P384_SHA384_FIXED, point)
                .verify(message, signature),
            Self::Ed25519(key) => {
                UnparsedPublicKey::new(&sig::ED25519, key).verify(message, signature)
            }
            Self::Secret(secret) => {
                let Some(hash) = hash(algorithm) else {
                    return false;
                };
                hmac::verify(&hmac::Key::new(hash, secret), message, signature)
            }
        };
        verified.is_ok()
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static sig::RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&sig::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&sig::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&sig::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&sig::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&sig::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&sig::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn hash(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::HS256 => Some(hmac::HMAC_SHA256),
        Algorithm::HS384 => Some(hmac::HMAC_SHA384),
        Algorithm::HS512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

/// Some writers pad numbers, which the verifier does not take.
fn without_zeros(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}
