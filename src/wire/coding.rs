//! Bodies as they are on the wire: compressed, and small until they are not.

use std::io::Read;

use thiserror::Error;

/// Why a body cannot be decoded.
#[derive(Clone, Debug, Error)]
pub enum CodingError {
    /// It is beyond what this program decodes: too long, or in a coding that it does not know.
    #[error("{0}")]
    Beyond(String),
    /// It is not in the coding that is named.
    #[error("{0}")]
    Wrong(String),
}

impl CodingError {
    fn wrong(error: &impl ToString) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// Takes the content codings off a body, the last one first; never makes more than `limit` bytes.
pub fn decode(coding: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, CodingError> {
    let mut bytes = body.to_vec();
    for name in coding.split(',').map(str::trim).rev() {
        let made = match name.to_ascii_lowercase().as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(bytes.as_slice()), limit),
            // Some send the bare stream, against the standard.
            "deflate" => read(flate2::read::ZlibDecoder::new(bytes.as_slice()), limit)
                .or_else(|_| read(flate2::read::DeflateDecoder::new(bytes.as_slice()), limit)),
            "br" => read(brotli_decompressor::Decompressor::new(bytes.as_slice(), 4096), limit),
            "zstd" => zstd(&bytes, limit),
            other => Err(CodingError::Beyond(format!("unknown content encoding `{other}`"))),
        };
        bytes = made.map_err(|error| match error {
            CodingError::Wrong(reason) => CodingError::Wrong(format!("invalid {name}: {reason}")),
            beyond @ CodingError::Beyond(_) => beyond,
        })?;
    }
    Ok(bytes)
}

/// The frames of a zstd stream; a window is as long as a body may be.
fn zstd(mut bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodingError> {
    use ruzstd::decoding::StreamingDecoder;
    let mut made = Vec::new();
    while !bytes.is_empty() {
        let decoder = StreamingDecoder::new(&mut bytes).map_err(|error| CodingError::wrong(&error))?;
        made.extend(read(decoder, limit.saturating_sub(made.len()))?);
    }
    Ok(made)
}

/// The bytes of a body that was captured in its chunks; `None` if it was not.
pub fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut made = Vec::new();
    loop {
        let end = body.windows(2).position(|pair| pair == b"\r\n")?;
        let (head, rest) = body.split_at_checked(end)?;
        let size = std::str::from_utf8(head).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        body = rest.get(2..)?;
        if size == 0 {
            return Some(made);
        }
        made.extend_from_slice(body.get(..size)?);
        body = body.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fn read(decoder: impl Read, limit: usize) -> Result<Vec<u8>, CodingError> {
    let mut made = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    decoder
        .take(most.saturating_add(1))
        .read_to_end(&mut made)
        .map_err(|error| CodingError::wrong(&error))?;
    if made.len() > limit {
        return Err(CodingError::Beyond(format!("longer than {limit} bytes")));
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn codings_are_taken_off_in_reverse() {
        let once = gzip(b"{}");
        assert_eq!(decode("gzip", &once, 10).unwrap(), b"{}");
        assert_eq!(decode("gzip, gzip", &gzip(&once), 100).unwrap(), b"{}");
        assert_eq!(decode("identity", b"{}", 10).unwrap(), b"{}");
    }

    #[test]
    fn deflate_is_read_with_and_without_its_head() {
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        bare.write_all(b"{}").unwrap();
        let mut headed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        headed.write_all(b"{}").unwrap();
        for bytes in [bare.finish().unwrap(), headed.finish().unwrap()] {
            assert_eq!(decode("deflate", &bytes, 10).unwrap(), b"{}");
        }
    }

    #[test]
    fn zstd_is_read_frame_by_frame() {
        // A frame without a checksum: magic, descriptor, size, then one raw block.
        let frame = [&[0x28, 0xB5, 0x2F, 0xFD, 0x20, 2, 0x11, 0, 0][..], b"{}"].concat();
        assert_eq!(decode("zstd", &frame, 10).unwrap(), b"{}");
        assert_eq!(
            decode("zstd", &[frame.as_slice(), &frame].concat(), 10).unwrap(),
            b"{}{}"
        );
        // A block that says one byte over and over.
        let long = [0x28, 0xB5, 0x2F, 0xFD, 0xA0, 0, 0, 2, 0, 0x03, 0, 0x10, b' '];
        assert!(
            decode("zstd", &long, 1000)
                .unwrap_err()
                .to_string()
                .contains("longer than 1000")
        );
        assert!(
            decode("zstd", b"no zstd", 10)
                .unwrap_err()
                .to_string()
                .contains("invalid zstd")
        );
    }

    #[test]
    fn chunks_are_put_together_if_there_are_any() {
        assert_eq!(unchunk(b"2;x=1\r\n{\"\r\n3\r\n\":1\r\n0\r\n\r\n").unwrap(), b"{\"\":1");
        assert_eq!(unchunk(b"{}"), None);
        assert_eq!(unchunk(b"5\r\n{}\r\n"), None);
    }

    #[test]
    fn a_body_that_grows_without_end_is_refused() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(
            decode("gzip", &bomb, 1 << 10)
                .unwrap_err()
                .to_string()
                .contains("longer than 1024")
        );
    }

    #[test]
    fn an_unknown_coding_is_named() {
        assert!(
            decode("compress", b"x", 10)
                .unwrap_err()
                .to_string()
                .contains("`compress`")
        );
        assert!(
            decode("gzip", b"no gzip", 10)
                .unwrap_err()
                .to_string()
                .contains("invalid gzip")
        );
    }
}
