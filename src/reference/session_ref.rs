//! What names a session: service config, template and name; and how names are compared.

use std::borrow::{Borrow, Cow};

use serde_json::{Value, json};

/// A text for comparison: the case of letters does not matter (LIVE-025).
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.to_lowercase())
}

/// A session's address, in the spelling it was created with.
#[derive(Clone, Debug)]
pub struct SessionRef {
    /// The service config id, a GUID.
    pub scid: String,
    /// The template's name.
    pub template_name: String,
    /// The session's name.
    pub name: String,
}

/// A [`SessionRef`] for comparison: the case of letters does not matter (LIVE-025, SES-ADDR-003).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(String);

impl SessionKey {
    /// Service config, template and name in lower case, with tildes between them (RTA-016).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SessionRef {
    /// The key that all spellings of this address share.
    pub fn key(&self) -> SessionKey {
        SessionKey(format!("{}~{}~{}", self.scid, self.template_name, self.name).to_lowercase())
    }

    /// The session's path: six segments, relative to the host.
    pub fn path(&self) -> String {
        format!(
            "/serviceconfigs/{}/sessiontemplates/{}/sessions/{}",
            self.scid, self.template_name, self.name
        )
    }

    /// The document form, `{scid, templateName, name}`.
    pub fn to_json(&self) -> Value {
        json!({ "scid": self.scid, "templateName": self.template_name, "name": self.name })
    }

    /// Reads the document form.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let text = |name| Some(value.get(name)?.as_str()?.to_owned());
        Some(Self {
            scid: text("scid")?,
            template_name: text("templateName")?,
            name: text("name")?,
        })
    }
}

impl SessionKey {
    /// What the keys of all sessions of a service config, or of one of its templates, begin with.
    pub(super) fn prefix(scid: &str, template_name: Option<&str>) -> String {
        let template_name = template_name.map(|name| format!("{name}~")).unwrap_or_default();
        format!("{scid}~{template_name}").to_lowercase()
    }
}

impl Borrow<str> for SessionKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}
