//! Canonical text.
use crate::replay::verdict::Outcome;
use crate::suite::Suite;
use std::path::PathBuf;
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Baseline { Embedded, Folder(PathBuf) }
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Change;
#[allow(missing_docs)]
impl Change { pub fn is_difference(&self) -> bool { false } }
impl std::fmt::Display for Change { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
#[allow(missing_docs)]
impl Baseline {
  pub fn compare(&self, _: &Suite, _: &[Outcome]) -> Vec<Change> { Vec::new() }
  pub fn record(&self, _: &Suite, _: &[Outcome]) -> Result<Vec<Change>, std::io::Error> { Ok(Vec::new()) }
}
