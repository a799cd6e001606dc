//! A request as a line for a shell, to try by hand: it sends the bytes that were sent.

use std::fmt::Write as _;

use crate::contract::plain;
use crate::report::model::{Exchange, Target};

/// The line; the token of whoever sent the request is left out. A body of more than `limit` bytes is to be put into a file.
pub(super) fn line(target: &Target, exchange: &Exchange, limit: Option<usize>) -> String {
    let request = &exchange.request;
    let (method, path) = request.line.split_once(' ').unwrap_or(("GET", &request.line));
    let url = quote(format!("{}{path}", target.base_url).as_bytes());
    let method_option = if method == "HEAD" {
        "--head".to_owned()
    } else {
        format!("-X {method}")
    };
    // Without these, curl resolves dots and expands brackets.
    let mut line = format!("curl -i --path-as-is -g {method_option} {url}");
    let mut comment = Vec::new();
    let has_header = |wanted: &str| request.header(wanted).is_some();
    let body = request.bytes();
    let is_sized = matches!(method, "PUT" | "POST" | "PATCH");
    if let Some(body) = body.or(is_sized.then_some(b"".as_slice())) {
        if body.len() > limit.unwrap_or(usize::MAX) {
            line.push_str(" --data-binary @body");
            comment.push(format!("`body` is a file with the {} bytes of the body", body.len()));
        } else if body.contains(&0) {
            // No argument can hold a zero.
            line = format!("printf {} | {line} --data-binary @-", octal(body));
        } else {
            let _ = write!(line, " --data-raw {}", quote(body));
        }
        if !has_header("content-type") {
            // curl would send one of its own.
            line.push_str(" -H 'Content-Type:'");
        }
    }
    for (name, value) in &request.headers {
        let header = if value.is_empty() {
            format!("{name};")
        } else {
            format!("{name}: {value}")
        };
        let _ = write!(line, " -H {}", quote(header.as_bytes()));
    }
    if exchange.speaker != "nobody" {
        line.push_str(" -H \"Authorization: $MPSD_TOKEN\"");
        comment.push(format!("the token of {}", exchange.speaker));
    }
    if !comment.is_empty() {
        let _ = write!(line, " # {}", comment.join("; "));
    }
    line
}

/// Bytes as one word of a shell: in plain quotes, or with escapes (`$'...'`) where a terminal would not show them as they are.
fn quote(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(plain::is_steering) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => format!("$'{}'", escaped(bytes, |byte| format!("\\x{byte:02x}"))),
    }
}

/// Bytes as the format of `printf`, where a zero may be among them.
fn octal(bytes: &[u8]) -> String {
    let text = escaped(bytes, |byte| format!("\\{byte:03o}"));
    format!("'{}'", text.replace("\\'", r"'\''").replace('%', "%%"))
}

/// Bytes with escapes for what is no letter, digit, sign or space of ASCII, nor visible in UTF-8.
fn escaped(bytes: &[u8], escape: impl Fn(u8) -> String) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\'' | '\\' => text.extend(['\\', letter]),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                letter if plain::is_steering(letter) => {
                    let mut buffer = [0; 4];
                    text.extend(letter.encode_utf8(&mut buffer).bytes().map(&escape));
                }
                letter => text.push(letter),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| escape(*byte)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell makes of a word.
    fn shell(line: &str) -> Vec<u8> {
        let output = std::process::Command::new("bash").args(["-c", line]).output().unwrap();
        assert!(output.status.success(), "{line}");
        output.stdout
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_the_bytes_that_were_quoted() {
        let hostile: [&[u8]; 9] = [
            b"plain",
            b"it's \\ $HOME `id` \"q\" %s",
            b"a\nb\r\n\tc",
            b"bad \xff\xfe utf",
            "\u{9b}31m \u{202e}abc \u{ffff} é😀".as_bytes(),
            b"\x1b]0;t\x07\x7f1f",
            b"@/etc/hostname",
            b"-n",
            b"",
        ];
        for bytes in hostile {
            assert_eq!(shell(&format!("printf %s {}", quote(bytes))), bytes, "{}", quote(bytes));
        }
        let zeros = b"a\0\x01\n%d \\ ' \xff9";
        assert_eq!(shell(&format!("printf {}", octal(zeros))), zeros, "{}", octal(zeros));
    }

    #[test]
    fn what_is_shown_steers_no_terminal() {
        let shown = quote("\u{1b}[2J\n\u{9b}\u{202e}".as_bytes());
        assert!(!shown.contains(plain::is_steering), "{shown:?}");
    }
}
