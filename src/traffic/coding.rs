//! Bodies as they are on the wire: compressed, and small until they are not.

use std::io::Read;

/// Takes the content codings off a body, the last one first; never makes more than `limit` bytes.
pub fn decode(coding: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut bytes = body.to_vec();
    for name in coding.split(',').map(str::trim).rev() {
        let made = match name.to_ascii_lowercase().as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(bytes.as_slice()), limit),
            // Some send the bare stream, against the standard.
            "deflate" => read(flate2::read::ZlibDecoder::new(bytes.as_slice()), limit)
                .or_else(|_| read(flate2::read::DeflateDecoder::new(bytes.as_slice()), limit)),
            "br" => read(brotli_decompressor::Decompressor::new(bytes.as_slice(), 4096), limit),
            other => Err(format!("it is encoded as `{other}`, which is not understood here")),
        };
        bytes = made.map_err(|reason| format!("it is not {name}: {reason}"))?;
    }
    Ok(bytes)
}

fn read(decoder: impl Read, limit: usize) -> Result<Vec<u8>, String> {
    let mut made = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    decoder
        .take(most.saturating_add(1))
        .read_to_end(&mut made)
        .map_err(|error| error.to_string())?;
    if made.len() > limit {
        return Err(format!("it is longer than {limit} bytes"));
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
    fn a_body_that_grows_without_end_is_refused() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(decode("gzip", &bomb, 1 << 10).unwrap_err().contains("longer than 1024"));
    }

    #[test]
    fn an_unknown_coding_is_named() {
        assert!(decode("zstd", b"x", 10).unwrap_err().contains("`zstd`"));
        assert!(decode("gzip", b"no gzip", 10).unwrap_err().contains("not gzip"));
    }
}
