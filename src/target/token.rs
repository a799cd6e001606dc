//! A token: where it comes from, what it is now, and how a new one is had.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use std::{env, fmt, thread};

use serde_json::Value;

use crate::contract::disk;

/// How long a command may take to print a token.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// A token is replaced this long before it expires, or a tenth of its life before, whichever is less.
const MARGIN: Duration = Duration::from_secs(30);
/// A new token that was refused as well says that tokens are not the point; this long nobody asks for another one.
const DOUBT: Duration = Duration::from_mins(1);

/// Where a secret value comes from; never from the target file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An environment variable.
    Env(String),
    /// A file: its text, or a member of its JSON.
    File(PathBuf, Option<String>),
    /// What a program prints; it is run in the folder.
    Command(Vec<String>, PathBuf),
}

/// What a source gave.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fetched {
    value: String,
    expires_in: Option<Duration>,
}

impl Source {
    /// Whether it may give another value when it is asked again.
    fn is_renewable(&self) -> bool {
        !matches!(self, Self::Env(_))
    }

    /// Fetches a value that is no token, such as that of a header.
    pub fn fetch_value(&self) -> Result<String, String> {
        self.fetch().map(|fetched| fetched.value)
    }

    fn fetch(&self) -> Result<Fetched, String> {
        let fetched = match self {
            Self::Env(name) => {
                let value = env::var(name).map_err(|_| format!("the environment variable `{name}` is not set"))?;
                Fetched {
                    value,
                    expires_in: None,
                }
            }
            Self::File(path, key) => from_file(path, key.as_deref())?,
            Self::Command(command, folder) => from_command(command, folder)?,
        };
        let value = fetched.value.trim().to_owned();
        if value.is_empty() {
            return Err("it is empty".to_owned());
        }
        if value.contains(|c: char| c.is_control()) {
            return Err("it has more than one line, which a header cannot contain".to_owned());
        }
        Ok(Fetched { value, ..fetched })
    }
}

fn from_file(path: &Path, key: Option<&str>) -> Result<Fetched, String> {
    let text = disk::read_text(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let Some(key) = key else {
        return Ok(Fetched {
            value: text,
            expires_in: None,
        });
    };
    // The parser's message would quote the file, and the file holds secrets.
    let root: Value = serde_json::from_str(&text).map_err(|_| format!("`{}` is not JSON", path.display()))?;
    let value = root.get(key).and_then(Value::as_str);
    let value = value.ok_or_else(|| format!("`{}` has no string `{key}`", path.display()))?;
    Ok(Fetched {
        value: value.to_owned(),
        expires_in: None,
    })
}

/// What a program prints: the value, or `{ "token": VALUE, "expiresIn": SECONDS }`.
fn from_command(command: &[String], folder: &Path) -> Result<Fetched, String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let mut started = Command::new(program);
    started.args(arguments).current_dir(folder);
    // What it complains of may hold a secret; whoever wants to see it runs the command by hand.
    let started = started
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = started.map_err(|error| format!("cannot run `{program}`: {error}"))?;
    let output = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        output
            .map(|mut output| output.read_to_end(&mut text))
            .transpose()
            .map(|_| text)
    });
    let deadline = Instant::now() + COMMAND_LIMIT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "`{program}` did not finish within {} s",
                    COMMAND_LIMIT.as_secs()
                ));
            }
            Err(error) => return Err(format!("cannot wait for `{program}`: {error}")),
        }
    };
    if !status.success() {
        return Err(format!("`{program}` failed with {status}; run it by hand to see why"));
    }
    let text = reader
        .join()
        .ok()
        .and_then(Result::ok)
        .and_then(|bytes| disk::decode(bytes).ok());
    let text = text.ok_or_else(|| format!("the output of `{program}` is not UTF-8"))?;
    if !text.trim_start().starts_with('{') {
        return Ok(Fetched {
            value: text,
            expires_in: None,
        });
    }
    let root: Value = serde_json::from_str(&text).map_err(|_| format!("the output of `{program}` is not JSON"))?;
    let value = root.get("token").and_then(Value::as_str);
    let value = value.ok_or_else(|| format!("the output of `{program}` has no string `token`"))?;
    let expires_in = root.get("expiresIn").and_then(Value::as_u64).map(Duration::from_secs);
    Ok(Fetched {
        value: value.to_owned(),
        expires_in,
    })
}

/// The token of an identity; clones share it, and what one renews all have.
#[derive(Clone)]
pub struct Token(Arc<Shared>);

struct Shared {
    source: Option<Source>,
    /// How long a value is good, where the source does not say.
    expires_in: Option<Duration>,
    state: RwLock<State>,
    /// Held by whoever fetches a new value; the others wait and take that.
    turn: Mutex<()>,
}

struct State {
    value: Arc<str>,
    expires: Option<Instant>,
    doubted: Option<Instant>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A token that stays what it is.
    pub fn fixed(value: &str) -> Self {
        Self::made(
            None,
            None,
            Fetched {
                value: value.to_owned(),
                expires_in: None,
            },
        )
    }

    /// Fetches a token; `expires_in` is how long each is good, where the source does not say.
    pub fn fetch(source: Source, expires_in: Option<Duration>) -> Result<Self, String> {
        let fetched = source.fetch()?;
        Ok(Self::made(Some(source), expires_in, fetched))
    }

    fn made(source: Option<Source>, expires_in: Option<Duration>, fetched: Fetched) -> Self {
        let expires = fetched.expires_in.or(expires_in).map(due);
        let state = State {
            value: fetched.value.into(),
            expires,
            doubted: None,
        };
        Self(Arc::new(Shared {
            source,
            expires_in,
            state: RwLock::new(state),
            turn: Mutex::default(),
        }))
    }

    /// The value of the `Authorization` header, for the wire only.
    pub fn reveal(&self) -> Arc<str> {
        Arc::clone(&self.state().value)
    }

    /// Whether there may ever be another value.
    pub fn is_renewable(&self) -> bool {
        self.0.source.as_ref().is_some_and(Source::is_renewable)
    }

    /// Whether its time is over, or nearly.
    pub fn is_due(&self) -> bool {
        self.state().expires.is_some_and(|due| due <= Instant::now())
    }

    /// Whether a refusal of this value is a reason to ask for another one.
    pub fn may_renew(&self, refused: &str) -> bool {
        let state = self.state();
        let is_doubted = state.doubted.is_some_and(|since| since.elapsed() < DOUBT);
        *state.value != *refused || self.is_renewable() && !is_doubted
    }

    /// A value that is not `old`, asking the source unless somebody else did; `None` when it has no other.
    ///
    /// This blocks: it reads a file or waits for a program.
    pub fn renew(&self, old: &str) -> Result<Option<Arc<str>>, String> {
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let value = self.reveal();
        if *value != *old && !self.is_due() {
            return Ok(Some(value));
        }
        let Some(source) = self.0.source.as_ref().filter(|source| source.is_renewable()) else {
            return Ok(None);
        };
        let fetched = source.fetch()?;
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        state.expires = fetched.expires_in.or(self.0.expires_in).map(due);
        if *state.value == *fetched.value {
            state.doubted = Some(Instant::now());
            return Ok(None);
        }
        state.value = fetched.value.into();
        Ok(Some(Arc::clone(&state.value)))
    }

    /// Notes that a new value was refused as the old one had been.
    pub fn doubt(&self) {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner).doubted = Some(Instant::now());
    }

    fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn due(life: Duration) -> Instant {
    Instant::now() + life.saturating_sub(MARGIN.min(life / 10))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), text).unwrap();
        let source = Source::File(folder.path().join("token"), None);
        (folder, source)
    }

    #[test]
    fn a_refused_token_is_replaced_by_what_the_source_has_now() {
        let (folder, source) = file("first\n");
        let token = Token::fetch(source, None).unwrap();
        fs::write(folder.path().join("token"), "second\n").unwrap();
        assert!(token.may_renew("first"));
        assert_eq!(token.renew("first").unwrap().as_deref(), Some("second"));
        assert_eq!(&*token.reveal(), "second");
    }

    #[test]
    fn who_was_refused_with_an_old_value_takes_the_one_that_another_fetched() {
        let (folder, source) = file("first");
        let token = Token::fetch(source, None).unwrap();
        fs::write(folder.path().join("token"), "second").unwrap();
        token.renew("first").unwrap();
        drop(folder);
        assert_eq!(
            token.renew("first").unwrap().as_deref(),
            Some("second"),
            "the file is gone"
        );
    }

    #[test]
    fn a_source_with_nothing_new_is_not_asked_again_and_again() {
        let (_folder, source) = file("same");
        let token = Token::fetch(source, None).unwrap();
        assert_eq!(token.renew("same").unwrap(), None);
        assert!(!token.may_renew("same"));
    }

    #[test]
    fn a_token_is_due_when_its_life_is_over() {
        let (_folder, source) = file("brief");
        assert!(Token::fetch(source.clone(), Some(Duration::ZERO)).unwrap().is_due());
        assert!(!Token::fetch(source, Some(Duration::from_hours(1))).unwrap().is_due());
        assert!(!Token::fixed("x").is_due() && !Token::fixed("x").may_renew("x"));
    }

    #[cfg(unix)]
    #[test]
    fn a_command_may_say_how_long_its_token_is_good() {
        let command = |script: &str| {
            let words = ["sh", "-c", script].map(str::to_owned).to_vec();
            Token::fetch(Source::Command(words, env::temp_dir()), None)
        };
        let token = command(r#"echo '{ "token": "from afar", "expiresIn": 0 }'"#).unwrap();
        assert_eq!((&*token.reveal(), token.is_due()), ("from afar", true));
        assert_eq!(&*command("echo plain").unwrap().reveal(), "plain");
        assert!(command("exit 3").unwrap_err().contains("failed with"));
        assert!(command("echo '{}'").unwrap_err().contains("no string `token`"));
        assert!(command("printf 'a\\nb'").unwrap_err().contains("more than one line"));
        assert!(command("true").unwrap_err().contains("empty"));
    }
}
