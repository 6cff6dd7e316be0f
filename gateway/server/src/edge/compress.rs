//! Compressing answers for clients that accept it. Off by default: it costs
//! more than answering does, and lets secrets be guessed by size where a client
//! chooses what stands beside them (docs/edge.md).
//!
//! Owns the choice of the encoding and the compression itself.

use std::io::Write as _;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use http::header::CONTENT_ENCODING;
use http::header::VARY;
use http_body_util::BodyExt as _;
use http_body_util::Full;

use super::Response;
use crate::config::Compression;

/// Above this the work is done beside the requests of others, not among them.
const LONG: usize = 128 * 1024;
/// The fastest setting of each: the rest of the size costs many times the work.
const GZIP_LEVEL: u32 = 1;
const BROTLI_QUALITY: u32 = 1;
const ZSTD_LEVEL: i32 = 1;

/// How an answer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Zstd,
    Brotli,
    Gzip,
}

impl Encoding {
    /// The cheapest first, for clients that do not prefer one.
    const ALL: [Encoding; 3] = [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip];

    fn name(self) -> &'static str {
        match self {
            Encoding::Zstd => "zstd",
            Encoding::Brotli => "br",
            Encoding::Gzip => "gzip",
        }
    }

    fn encode(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let room = Vec::with_capacity(bytes.len() / 4);
        match self {
            Encoding::Zstd => zstd::encode_all(bytes, ZSTD_LEVEL),
            Encoding::Brotli => {
                let mut writer = brotli::CompressorWriter::new(room, 4096, BROTLI_QUALITY, 20);
                writer.write_all(bytes)?;
                Ok(writer.into_inner())
            }
            Encoding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut writer = flate2::write::GzEncoder::new(room, level);
                writer.write_all(bytes)?;
                writer.finish()
            }
        }
    }
}

/// What the client prefers among ours: <https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3>
pub(super) fn accepted(headers: &HeaderMap) -> Option<Encoding> {
    let weight = |encoding: Encoding| {
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        let items = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let weights = items.filter_map(|item| {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let named = name.trim().eq_ignore_ascii_case(encoding.name());
            (named || name.trim() == "*").then(|| (named, quality(parameters)))
        });
        // A name says more than the wildcard.
        weights
            .max_by_key(|(named, _)| *named)
            .map_or(0, |(_, q)| q)
    };
    let best = Encoding::ALL
        .into_iter()
        .rev()
        .max_by_key(|encoding| weight(*encoding))?;
    (weight(best) > 0).then_some(best)
}

/// In thousandths.
fn quality(parameters: &str) -> u16 {
    let q = parameters.trim().strip_prefix("q=").map(str::parse::<f32>);
    match q {
        Some(Ok(q)) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as u16,
        _ => 1000,
    }
}

impl Compression {
    /// The answer, compressed where that is worth it.
    pub(super) async fn apply(&self, encoding: Option<Encoding>, response: Response) -> Response {
        let (mut head, body) = response.into_parts();
        head.headers
            .append(VARY, HeaderValue::from_static("accept-encoding"));
        let bytes = match body.collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(never) => match never {},
        };
        let compressed = match encoding {
            Some(encoding) if bytes.len() >= self.threshold => {
                encode(encoding, bytes.clone()).await
            }
            _ => None,
        };
        let body = match (encoding, compressed) {
            (Some(encoding), Some(compressed)) => {
                let name = HeaderValue::from_static(encoding.name());
                head.headers.insert(CONTENT_ENCODING, name);
                compressed
            }
            _ => bytes,
        };
        Response::from_parts(head, Full::from(body))
    }
}

/// None where it would not become smaller.
async fn encode(encoding: Encoding, bytes: Bytes) -> Option<Bytes> {
    let length = bytes.len();
    let encoded = match length > LONG {
        true => tokio::task::spawn_blocking(move || encoding.encode(&bytes))
            .await
            .ok()?,
        false => encoding.encode(&bytes),
    };
    let encoded = encoded.ok()?;
    (encoded.len() < length).then(|| encoded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn choice(accept: &str) -> Option<Encoding> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap());
        accepted(&headers)
    }

    #[test]
    fn the_client_is_given_what_it_prefers_and_else_the_cheapest() {
        assert_eq!(choice("gzip, deflate, br, zstd"), Some(Encoding::Zstd));
        assert_eq!(choice("gzip, deflate, br"), Some(Encoding::Brotli));
        assert_eq!(choice("gzip;q=1.0, br;q=0.5"), Some(Encoding::Gzip));
        assert_eq!(choice("GZIP"), Some(Encoding::Gzip));
        assert_eq!(choice("*"), Some(Encoding::Zstd));
        assert_eq!(choice("*;q=0.5, zstd;q=0, br;q=0.1"), Some(Encoding::Gzip));
        assert_eq!(choice("identity"), None);
        assert_eq!(choice("gzip;q=0"), None);
        assert_eq!(choice(""), None);
        assert_eq!(accepted(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn what_is_large_enough_is_compressed_and_reads_the_same() {
        let text = "{\"data\":1}".repeat(100_000);
        for size in [100, 1_024, 1_000_000] {
            for encoding in Encoding::ALL {
                let compression = Compression { threshold: 1_024 };
                let plain = Bytes::copy_from_slice(&text.as_bytes()[..size]);
                let response = Response::new(Full::from(plain.clone()));
                let response = compression.apply(Some(encoding), response).await;
                let named = response.headers().get(CONTENT_ENCODING).cloned();
                assert_eq!(response.headers()[VARY], "accept-encoding");
                let sent = response.into_body().collect().await.unwrap().to_bytes();
                let read = match named {
                    Some(name) => {
                        assert_eq!(name, encoding.name());
                        assert!(sent.len() < plain.len());
                        decode(encoding, &sent)
                    }
                    None => {
                        assert!(size < 1_024);
                        sent.to_vec()
                    }
                };
                assert!(read == plain, "{encoding:?} of {size}");
            }
        }
    }

    fn decode(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        match encoding {
            Encoding::Zstd => read = zstd::decode_all(bytes).unwrap(),
            Encoding::Brotli => {
                brotli::Decompressor::new(bytes, 4096)
                    .read_to_end(&mut read)
                    .unwrap();
            }
            Encoding::Gzip => {
                flate2::read::GzDecoder::new(bytes)
                    .read_to_end(&mut read)
                    .unwrap();
            }
        }
        read
    }
}
