//! Build script: lists the suite's files, and packs its snapshots, so that the library can embed them.

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
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let (mut texts, mut snapshots) = (String::new(), String::new());
    let mut packed = Vec::new();
    for name in names {
        let path = root.join(&name);
        if path.extension().is_some_and(|extension| extension == "snap") {
            let start = packed.len();
            packed.extend(lz4_flex::block::compress_prepend_size(&fs::read(path)?));
            let _ = writeln!(snapshots, "    ({name:?}, {start}, {}),", packed.len());
        } else {
            let path = path.display().to_string();
            let _ = writeln!(texts, "    ({name:?}, include_str!({path:?})),");
        }
    }
    fs::write(out.join("snapshots.lz4"), packed)?;
    fs::write(out.join("texts.rs"), format!("&[\n{texts}]\n"))?;
    fs::write(out.join("snapshots.rs"), format!("&[\n{snapshots}]\n"))
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
