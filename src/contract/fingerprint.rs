//! Fingerprints: short names for content, the same in every build and on every machine.

use crate::contract::Suite;

/// FNV-1a over all parts, each with its end. How lines end is passed over: it depends on who checked the files out.
pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = parts
        .into_iter()
        .flat_map(|part| part.bytes().filter(|byte| *byte != b'\r').chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A fingerprint as reports spell it.
pub fn text(hash: u64) -> String {
    format!("{hash:016x}")
}

impl Suite {
    /// The fingerprint of all that can change a verdict: cases, clauses, world and schemas.
    pub fn fingerprint(&self) -> String {
        let files = self.files().under("cases/").chain(self.files().under("schemas/"));
        text(of(files.flat_map(|(name, content)| [name, content])))
    }

    /// The fingerprint of what all cases share: schemas, invariants, world and templates.
    pub fn common_fingerprint(&self) -> String {
        let is_common = |name: &str| {
            let file = name.rsplit('/').next().unwrap_or_default();
            matches!(file, "invariants.json" | "world.json" | "templates.json") || name.starts_with("schemas/")
        };
        let files = self.files().under("cases/").chain(self.files().under("schemas/"));
        text(of(files
            .filter(|(name, _)| is_common(name))
            .flat_map(|(name, content)| [name, content])))
    }

    /// The fingerprint of a case's file.
    pub fn case_fingerprint(&self, case: &str) -> String {
        text(of(self.files().get(&format!("cases/{case}.json"))))
    }
}
