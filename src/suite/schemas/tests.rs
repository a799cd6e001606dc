use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;

/// The real folder.
pub(crate) fn real() -> Schemas {
    Schemas::new(files()).unwrap_or_else(|error| panic!("{error}"))
}

fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_schema_of_the_folder_is_well_formed_and_compiles() {
    let schemas = real();
    if let Err(error) = schemas.compile_all() {
        panic!("{error}");
    }
}
