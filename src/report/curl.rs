//! A request as a line for a shell, to try by hand.

use std::fmt::Write as _;

/// What is asked, of whom and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// Where the service is.
    pub(super) base_url: &'a str,
    /// Who asks; their token is left out.
    pub(super) speaker: &'a str,
    /// The method.
    pub(super) method: &'a str,
    /// The path and query.
    pub(super) path: &'a str,
    /// The headers.
    pub(super) headers: &'a [(String, String)],
    /// The body.
    pub(super) body: Option<&'a str>,
}

impl Asked<'_> {
    /// The line.
    pub(super) fn line(&self) -> String {
        let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let url = quote(&format!("{}{}", self.base_url, self.path));
        let mut line = format!("curl -i --path-as-is -X {} {url}", self.method);
        if let Some(body) = self.body {
            let _ = write!(line, " --data-binary {}", quote(body));
        }
        for (name, value) in self.headers {
            let _ = write!(line, " -H {}", quote(&format!("{name}: {value}")));
        }
        if self.speaker != "nobody" {
            let _ = write!(
                line,
                " -H \"Authorization: $MPSD_TOKEN\" # the token of {}",
                self.speaker
            );
        }
        line
    }
}
