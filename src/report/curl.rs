//! A request as a line for a shell, to try by hand.

use std::fmt::Write as _;

use crate::report::model::{Exchange, Target};

/// The line; the token of whoever sent the request is left out, and the body is cut where it is longer than `limit` bytes.
pub(super) fn line(target: &Target, exchange: &Exchange, limit: Option<usize>) -> String {
    let request = &exchange.request;
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let (method, path) = request.line.split_once(' ').unwrap_or(("GET", &request.line));
    let url = quote(&format!("{}{path}", target.base_url));
    let mut line = format!("curl -i --path-as-is -X {method} {url}");
    if let Some(body) = request.body_within(limit.unwrap_or(usize::MAX)) {
        let _ = write!(line, " --data-binary {}", quote(&body));
    }
    for (name, value) in &request.headers {
        let _ = write!(line, " -H {}", quote(&format!("{name}: {value}")));
    }
    if exchange.speaker != "nobody" {
        let _ = write!(
            line,
            " -H \"Authorization: $MPSD_TOKEN\" # the token of {}",
            exchange.speaker
        );
    }
    line
}
