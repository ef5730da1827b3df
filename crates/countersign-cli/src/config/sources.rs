//! The files that a configuration is made of, read with bounds, and what each of them said.

use countersign_crypto::hash::sha256;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Of a file's content; two that are equal say the same.
pub type Mark = [u8; 32];

/// More is no configuration.
const MOST: u64 = 16 * 1024 * 1024;
/// Of one value: a URL, a password.
const MOST_VALUE: u64 = 64 * 1024;

/// Every file that was read or would have been; `None`: it could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    files: BTreeMap<PathBuf, Option<Mark>>,
    /// Files that are not there yet may belong to it tomorrow.
    patterns: BTreeSet<PathBuf>,
}

impl Sources {
    pub fn files(&self) -> impl Iterator<Item = (&Path, Option<Mark>)> {
        self.files.iter().map(|(path, mark)| (path.as_path(), *mark))
    }

    pub fn patterns(&self) -> impl Iterator<Item = &Path> {
        self.patterns.iter().map(PathBuf::as_path)
    }

    pub(super) fn pattern(&mut self, pattern: &Path) {
        self.patterns.insert(pattern.to_path_buf());
    }

    /// The whole of a file.
    pub(super) fn bytes(&mut self, file: &Path) -> Result<Vec<u8>, String> {
        self.take(file, MOST)
    }

    /// What stands for a value, without the line end that editors put there.
    pub(super) fn value(&mut self, file: &Path) -> Result<String, String> {
        let bytes = self.take(file, MOST_VALUE)?;
        let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Read by somebody else.
    pub(super) fn note(&mut self, file: &Path) {
        let _ = self.take(file, MOST);
    }

    fn take(&mut self, file: &Path, most: u64) -> Result<Vec<u8>, String> {
        let read = bounded(file, most);
        // what was read first counts: a change in between is a change
        self.files.entry(file.to_path_buf()).or_insert_with(|| read.as_ref().ok().map(|b| sha256(&[b])));
        read
    }
}

/// What a file says now.
pub fn mark(file: &Path) -> Option<Mark> {
    bounded(file, MOST).ok().map(|bytes| sha256(&[&bytes]))
}

/// A pipe or a device may have no end.
fn bounded(file: &Path, most: u64) -> Result<Vec<u8>, String> {
    let said = std::fs::metadata(file).map_err(|e| e.to_string())?;
    if !said.is_file() {
        return Err("is not a file".into());
    }
    let mut bytes = Vec::new();
    let open = File::open(file).map_err(|e| e.to_string())?;
    open.take(most + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read <= most) {
        return Ok(bytes);
    }
    Err(format!("is longer than {most} bytes"))
}
