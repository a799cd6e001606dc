//! Reading session templates (TPL-001, TPL-002, TPL-016).

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::session::Template;
use super::answer::{self, Response};
use super::call::Call;

impl Call<'_> {
    pub(super) fn list_templates(&self, scid: &str) -> Result<Response, Failure> {
        let config = self.edge.provisions.service_config(scid, self.caller)?;
        let results: Vec<_> = config
            .templates()
            .into_iter()
            .map(|template| json!(template.name))
            .collect();
        Ok(answer::document(StatusCode::OK, &json!({ "results": results })))
    }

    pub(super) fn get_template(&self, scid: &str, name: &str) -> Result<Response, Failure> {
        let template = self.edge.provisions.template(scid, name, self.caller)?;
        Ok(answer::document(StatusCode::OK, &Value::Object(body(template))))
    }
}

/// What a PUT could say, and nothing more (TPL-003).
fn body(template: &Template) -> Map<String, Value> {
    let part = |name: &str| template.constants.get(name).cloned().unwrap_or_else(|| json!({}));
    let mut document = Map::new();
    let constants = json!({ "system": part("system"), "custom": part("custom") });
    document.insert("constants".to_owned(), constants);
    if !template.role_types.is_null() {
        document.insert("roleTypes".to_owned(), template.role_types.clone());
    }
    document
}
