//! Requests and responses of HTTP/1.1 as they are on the wire, read and written by hand: a library would tidy them.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt};

/// The longest line of a head, in bytes; the service refuses requests long before.
const LINE: usize = 1 << 20;

/// The start line and the headers of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) start: String,
    pub(super) headers: Vec<(String, String)>,
    /// The bytes as they came.
    pub(super) raw: Vec<u8>,
}

impl Head {
    /// Reads a head; `None` where the connection ends before it.
    pub(super) async fn read(from: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<Self>> {
        let mut head = Self::default();
        loop {
            let start = head.raw.len();
            if from.read_until(b'\n', &mut head.raw).await? == 0 || head.raw.len() > LINE {
                return Ok(None);
            }
            let line = String::from_utf8_lossy(head.raw.get(start..).unwrap_or_default()).into_owned();
            let line = line.trim_end_matches(['\r', '\n']);
            match (line, head.start.is_empty()) {
                ("", true) => {}
                ("", false) => return Ok(Some(head)),
                (line, true) => line.clone_into(&mut head.start),
                (line, false) => {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    head.headers.push((name.to_owned(), value.trim().to_owned()));
                }
            }
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn is_chunked(&self) -> bool {
        let coding = self.header("transfer-encoding").unwrap_or_default();
        coding.to_ascii_lowercase().ends_with("chunked")
    }

    /// Reads the body that follows, as it is on the wire and as it is meant; without a length it ends with the connection
    /// where `is_open`.
    pub(super) async fn read_body(
        &self,
        from: &mut (impl AsyncBufReadExt + Unpin),
        is_open: bool,
    ) -> io::Result<(Vec<u8>, Vec<u8>)> {
        if self.is_chunked() {
            return read_chunks(from).await;
        }
        let mut body = Vec::new();
        match self.header("content-length").and_then(|length| length.parse().ok()) {
            Some(length) => _ = from.take(length).read_to_end(&mut body).await?,
            None if is_open => _ = from.read_to_end(&mut body).await?,
            None => {}
        }
        Ok((body.clone(), body))
    }
}

async fn read_chunks(from: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut raw, mut body) = (Vec::new(), Vec::new());
    loop {
        let start = raw.len();
        from.read_until(b'\n', &mut raw).await?;
        let line = String::from_utf8_lossy(raw.get(start..).unwrap_or_default()).into_owned();
        let size = line.split(';').next().unwrap_or_default().trim();
        let Ok(size) = u64::from_str_radix(size, 16) else {
            return Ok((raw, body));
        };
        if size == 0 {
            break;
        }
        let start = raw.len();
        from.take(size).read_to_end(&mut raw).await?;
        body.extend_from_slice(raw.get(start..).unwrap_or_default());
        from.read_until(b'\n', &mut raw).await?;
    }
    loop {
        let start = raw.len();
        let read = from.read_until(b'\n', &mut raw).await?;
        let is_last = raw.get(start..).unwrap_or_default().trim_ascii().is_empty();
        if read == 0 || is_last {
            return Ok((raw, body));
        }
    }
}

/// A response, taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) version: &'static str,
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(head: Head, body: Vec<u8>) -> Self {
        let mut words = head.start.splitn(3, ' ');
        let _version = words.next();
        Self {
            version: "HTTP/1.1",
            status: words.next().and_then(|word| word.parse().ok()).unwrap_or_default(),
            reason: format!(" {}", words.next().unwrap_or_default()),
            headers: head.headers,
            body,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        let before = self.headers.len();
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.len() < before
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(super) fn is_json(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        kind.to_ascii_lowercase().starts_with("application/json")
    }

    /// Whether the status allows a body at all.
    pub(super) fn may_have_body(&self) -> bool {
        !matches!(self.status, 100..=199 | 204 | 304)
    }
}
