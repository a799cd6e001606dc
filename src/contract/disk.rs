//! The files of users: read with whatever editors and shells put into them, and replaced only when what replaces them is whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What a file begins with that Windows tools have saved as UTF-8.
const MARK: &str = "\u{feff}";

/// The text of a file, without the byte order mark that it may begin with.
pub fn read_text(path: &Path) -> io::Result<String> {
    decode(fs::read(path)?)
}

/// As [`read_text`], of bytes that came from elsewhere.
///
/// Fails with [`io::ErrorKind::InvalidData`] where they are in another encoding than UTF-8, which is named if it is known.
pub fn decode(bytes: Vec<u8>) -> io::Result<String> {
    let wrong = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    if let Some(encoding) = utf16(&bytes) {
        return Err(wrong(format!("it is encoded as {encoding}; save it as UTF-8")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        wrong(format!(
            "it is not UTF-8: byte {place} begins no character; save it as UTF-8"
        ))
    })?;
    Ok(match text.strip_prefix(MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// What of the encodings with two bytes for a letter a text is in: PowerShell's `>` writes one.
fn utf16(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, ..] => Some("UTF-16 (little endian)"),
        [0xfe, 0xff, ..] => Some("UTF-16 (big endian)"),
        // Without a mark: a first letter of ASCII, and a zero on one of its sides.
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => Some("UTF-16 (little endian, without a mark)"),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => Some("UTF-16 (big endian, without a mark)"),
        _ => None,
    }
}

/// The folder that a file is in: `.` of a bare name, whose [`Path::parent`] is a name that no folder has.
pub fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Whether two paths are of one file, whichever of them is there already.
pub fn is_same(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        let whole = path.canonicalize();
        let folder = || Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?));
        whole.ok().or_else(folder).unwrap_or_else(|| path.to_owned())
    };
    place(a) == place(b)
}

/// Replaces a file by a text, or makes it: whoever reads it meanwhile finds the old one or the new one, and a failure leaves the old.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut replacement = Replacement::begin(path)?;
    replacement.file().write_all(text.as_bytes())?;
    replacement.commit()
}

/// As [`replace`], for a text that only the user may read.
pub fn replace_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut replacement = Replacement::begin(path)?;
    #[cfg(unix)]
    if let Some(file) = &replacement.file {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    replacement.file().write_all(text.as_bytes())?;
    replacement.commit()
}

/// A file that is being written beside the one that it replaces. One that is dropped before it is published leaves nothing.
#[derive(Debug)]
pub struct Replacement {
    /// Closed, on some systems, before it can be moved.
    file: Option<File>,
    /// Where it is written; `None` where the path is no regular file, as of a pipe, and is written itself.
    beside: Option<PathBuf>,
    path: PathBuf,
}

impl Replacement {
    /// Begins to write; nothing happens to the old file.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let old = fs::metadata(path).ok();
        if old.as_ref().is_some_and(|old| !old.is_file()) {
            return Ok(Self {
                file: Some(File::options().write(true).open(path)?),
                beside: None,
                path: path.to_owned(),
            });
        }
        // What a link leads to is replaced, and not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if old.as_ref().is_some_and(|old| old.permissions().readonly()) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it may only be read"));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = folder_of(&path).join(format!(".{name}.{}.part", std::process::id()));
        let file = File::create(&beside)?;
        if let Some(old) = old {
            // Where a system has no such permissions, there is nothing to keep.
            let _ = file.set_permissions(old.permissions());
        }
        Ok(Self {
            file: Some(file),
            beside: Some(beside),
            path,
        })
    }

    /// The file, to write to.
    pub fn file(&mut self) -> impl io::Write + io::Seek + '_ {
        // It is there until it is committed.
        Opened(self.file.as_mut())
    }

    /// Puts the file, which is whole, into the old one's place; what is written from now on is written there.
    pub fn publish(&mut self) -> io::Result<()> {
        match &self.beside {
            Some(beside) => fs::rename(beside, &self.path)?,
            None => return Ok(()),
        }
        self.beside = None;
        Ok(())
    }

    /// Puts the file into the old one's place, and ends.
    pub fn commit(mut self) -> io::Result<()> {
        self.publish()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        self.file = None;
        if let Some(beside) = self.beside.take() {
            // Nobody is there to be told.
            let _ = fs::remove_file(beside);
        }
    }
}

struct Opened<'f>(Option<&'f mut File>);

impl Opened<'_> {
    fn get(&mut self) -> io::Result<&mut File> {
        self.0.as_deref_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl io::Write for Opened<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.get()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.get()?.flush()
    }
}

impl io::Seek for Opened<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.get()?.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_no_part_of_the_text_and_another_encoding_is_named() {
        let utf16 = |text: &str, is_big: bool| -> Vec<u8> {
            let bytes = |unit: u16| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).collect()
        };
        for (bytes, meant) in [
            (b"{}".to_vec(), Ok("{}")),
            (b"\xef\xbb\xbf{}\r\n".to_vec(), Ok("{}\r\n")),
            (Vec::new(), Ok("")),
            (b"\xef\xbb\xbf".to_vec(), Ok("")),
            (utf16("\u{feff}{}", false), Err("UTF-16 (little endian)")),
            (utf16("\u{feff}{}", true), Err("UTF-16 (big endian)")),
            (utf16("{}", false), Err("UTF-16 (little endian, without a mark)")),
            (utf16("{}", true), Err("UTF-16 (big endian, without a mark)")),
            (b"{\"a\":\"caf\xe9\"}".to_vec(), Err("byte 9 begins no character")),
        ] {
            match (decode(bytes), meant) {
                (Ok(text), Ok(meant)) => assert_eq!(text, meant),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, meant) => panic!("{found:?}, not {meant:?}"),
            }
        }
    }

    #[test]
    fn a_file_is_replaced_only_by_one_that_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        replace(&path, "old").unwrap();
        let mut begun = Replacement::begin(&path).unwrap();
        begun.file().write_all(b"ne").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        drop(begun);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left");
        replace(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left");
    }

    #[cfg(unix)]
    #[test]
    fn links_modes_and_what_is_no_file_stay_what_they_are() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("b"));
        replace(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        assert!(is_same(&path, &link) && !is_same(&path, folder.path()));
        replace(&link, "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        replace(Path::new("/dev/null"), "nothing").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_bare_name_is_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("a.json")), Path::new("."));
        assert_eq!(folder_of(Path::new("./a.json")), Path::new("."));
        assert_eq!(folder_of(Path::new("b/a.json")), Path::new("b"));
        assert!(is_same(Path::new("a.json"), Path::new("./a.json")));
    }
}
