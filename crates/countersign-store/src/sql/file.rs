//! Is the database still the file that was opened? SQLite works on through its open descriptor when the file is moved,
//! deleted or replaced; whoever is told "written" then finds nothing of it after the next start.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl DatabaseFile {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self { path: path.to_path_buf(), device: about.dev(), inode: about.ino() })
    }

    /// RULES 4.1: asked before every read and before every commit.
    pub(super) fn stands(&self) -> sqlx::Result<()> {
        if Self::at(&self.path).is_ok_and(|now| now == *self) {
            return Ok(());
        }
        let path = self.path.display();
        let why = format!(
            "`{path}` is not the file that was opened: it was moved, deleted or replaced; put it back, or start again"
        );
        Err(sqlx::Error::Io(io::Error::other(why)))
    }
}
