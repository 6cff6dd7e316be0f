//! Compressed replies: <https://www.rfc-editor.org/rfc/rfc9110#section-8.4>.
//!
//! Owns which codings are understood, and decompressing within a limit, so
//! that a small reply cannot become a large one unseen.

use std::io::Read;

use bytes::Bytes;
use http::HeaderValue;

/// What the gateway says it understands.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip, br, zstd");

/// Bytes that brotli keeps ready for its input.
const BUFFER: usize = 4096;

/// Why a body cannot be decompressed.
#[derive(Debug)]
pub(super) enum Undecodable {
    /// It holds more than the limit.
    TooLarge,
    /// It is not what its header says. The text is for the log.
    Garbled(String),
}

/// Undoes the codings of a body, the last one first.
pub(super) fn decode(
    codings: &HeaderValue,
    body: Bytes,
    limit: usize,
) -> Result<Bytes, Undecodable> {
    let codings = codings
        .to_str()
        .map_err(|bad| Undecodable::Garbled(bad.to_string()))?;
    let mut body = body;
    for coding in codings.rsplit(',').map(str::trim) {
        body = match coding.to_ascii_lowercase().as_str() {
            "" | "identity" => body,
            "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(&*body), limit)?,
            "br" => read(brotli::Decompressor::new(&*body, BUFFER), limit)?,
            "zstd" => {
                let decoder = zstd::Decoder::new(&*body);
                read(decoder.map_err(garbled)?, limit)?
            }
            other => return Err(Undecodable::Garbled(format!("unknown coding {other:?}"))),
        };
    }
    Ok(body)
}

fn read(decoder: impl Read, limit: usize) -> Result<Bytes, Undecodable> {
    let mut whole = Vec::new();
    let mut bounded = decoder.take(limit as u64 + 1);
    bounded.read_to_end(&mut whole).map_err(garbled)?;
    match whole.len() > limit {
        true => Err(Undecodable::TooLarge),
        false => Ok(whole.into()),
    }
}

fn garbled(error: std::io::Error) -> Undecodable {
    Undecodable::Garbled(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(text: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap().into()
    }

    fn decoded(coding: &'static str, body: Bytes) -> Result<Bytes, Undecodable> {
        decode(&HeaderValue::from_static(coding), body, 1_000)
    }

    #[test]
    fn every_accepted_coding_is_undone() {
        let text = b"the same text again, the same text again";
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        let mut br = Vec::new();
        brotli::CompressorWriter::new(&mut br, BUFFER, 5, 20)
            .write_all(text)
            .unwrap();
        for (coding, body) in [
            ("gzip", gzip(text)),
            ("br", br.into()),
            ("zstd", zstd.into()),
        ] {
            assert_eq!(decoded(coding, body).unwrap(), &text[..], "{coding}");
        }
        assert_eq!(decoded("gzip, gzip", gzip(&gzip(text))).unwrap(), &text[..]);
        assert_eq!(
            decoded("identity", Bytes::from_static(text)).unwrap(),
            &text[..]
        );
    }

    #[test]
    fn a_small_body_that_holds_a_large_one_is_refused() {
        let bomb = gzip(&vec![0; 1_000_000]);
        assert!(matches!(decoded("gzip", bomb), Err(Undecodable::TooLarge)));
        let fits = gzip(&[0; 1_000]);
        assert_eq!(decoded("gzip", fits).unwrap().len(), 1_000);
    }

    #[test]
    fn what_is_not_as_the_header_says_is_garbled() {
        for coding in ["gzip", "br", "zstd", "compress"] {
            let body = Bytes::from_static(b"{\"plain\":1}");
            assert!(
                matches!(decoded(coding, body), Err(Undecodable::Garbled(_))),
                "{coding}"
            );
        }
        let cut = gzip(b"some text").slice(..12);
        assert!(matches!(decoded("gzip", cut), Err(Undecodable::Garbled(_))));
    }
}
