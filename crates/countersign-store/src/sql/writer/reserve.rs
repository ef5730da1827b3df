//! Space kept for revocations (RULES 3.9): a file beside the database that is given up when the disk is full. As long
//! as it cannot be made again, only revocations are written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Room for some ten thousand revocations with their trail.
const BYTES: u64 = 8 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    stands: bool,
}

impl Reserve {
    pub(super) fn beside(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push("-reserve");
        Self { path: name.into(), stands: false }
    }

    /// Asked before every group of writes: makes it (again) where it is not.
    pub(super) fn stands(&mut self) -> bool {
        if self.stands {
            return true;
        }
        self.stands = match make(&self.path) {
            Ok(()) => true,
            // only a full disk is a reason to hold writes back; a file system that cannot reserve is none
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            ),
        };
        self.stands
    }

    pub(super) fn release(&mut self) {
        self.stands = false;
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the space kept for revocations cannot be given up");
        }
    }
}

fn make(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // Twice as much must be free as is kept: otherwise what was just given up would be taken again by the next
    // ordinary write, before a revocation could use it.
    let made = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 2 * BYTES)
        .map_err(io::Error::from)
        .and_then(|()| file.set_len(BYTES));
    if let Err(error) = made {
        drop(file);
        fs::remove_file(path).ok();
        return Err(error);
    }
    Ok(())
}
