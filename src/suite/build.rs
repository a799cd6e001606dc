//! Build script: lists the suite's files, so that the library can embed them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut names = Vec::new();
    for folder in ["cases", "schemas", "snapshots"] {
        println!("cargo::rerun-if-changed={folder}");
        list(&root, &root.join(folder), &mut names)?;
    }
    names.sort();
    let mut code = String::from("&[\n");
    for name in names {
        let path = root.join(&name);
        let path = path.display().to_string();
        let _ = writeln!(code, "    ({name:?}, include_str!({path:?})),");
    }
    code.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(out.join("files.rs"), code)
}

fn list(root: &Path, folder: &Path, names: &mut Vec<String>) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, names)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json" || extension == "snap")
            && let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str)
        {
            names.push(name.replace('\\', "/"));
        }
    }
    Ok(())
}
