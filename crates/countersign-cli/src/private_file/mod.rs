//! Files that only their owner may read: written whole or not at all, and refused when others can read them.

use crate::output::{Exit, Failure};
use countersign_crypto::SecretString;
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A secret of ours is never longer.
const LONGEST: u64 = 64 * 1024;

/// Into a new 0600 file beside it, synced, then renamed over it: a reader sees the old or the new, never a part.
pub fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write_mode(path, content, 0o600)
}

/// As [`write`], for what everybody may read.
pub fn write_public(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write_mode(path, content, 0o644)
}

/// As [`write`], but where something stands already it stays, and the answer is `false`.
pub fn create(path: &Path, content: &[u8]) -> Result<bool, Failure> {
    put(path, content, 0o600, |temporary, path| {
        // a link is made only where nothing is
        let linked = std::fs::hard_link(temporary, path);
        std::fs::remove_file(temporary)?;
        match linked {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    })
}

/// A file that is written piece by piece. Nothing stands at its path before [`NewFile::publish`], and what is dropped
/// before that leaves nothing behind.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl NewFile {
    /// Refused where something stands already.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        if path.symlink_metadata().is_ok() {
            return Err(there_already(path));
        }
        let temporary = temporary(path);
        let _ = std::fs::remove_file(&temporary);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.map_err(|e| Failure::failed(format!("cannot write `{shown}`: {e}")))?;
        Ok(Self { file, temporary, path: path.to_path_buf() })
    }

    pub fn publish(self) -> Result<(), Failure> {
        let linked = (|| {
            self.file.sync_all()?;
            // a link is made only where nothing is; some file systems of other machines know none
            match std::fs::hard_link(&self.temporary, &self.path) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists && !self.path.exists() => {
                    std::fs::rename(&self.temporary, &self.path)?;
                }
                linked => linked?,
            }
            sync_folder(&self.path)
        })();
        linked.map_err(|e: std::io::Error| match e.kind() {
            std::io::ErrorKind::AlreadyExists => there_already(&self.path),
            _ => Failure::failed(format!("cannot write `{}`: {e}", self.path.display())),
        })
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn there_already(path: &Path) -> Failure {
    Failure::new(Exit::Conflict, format!("`{}` is there already", path.display()))
        .todo("name another file; this one is not written over")
}

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

/// A name in it must outlive a crash too.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn write_mode(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    put(path, content, mode, |temporary, path| std::fs::rename(temporary, path))
}

fn put<T>(
    path: &Path,
    content: &[u8],
    mode: u32,
    publish: impl FnOnce(&Path, &Path) -> std::io::Result<T>,
) -> Result<T, Failure> {
    let temporary = temporary(path);
    let written = (|| {
        let _ = std::fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        // the umask may have taken bits away; never adds any
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        let published = publish(&temporary, path)?;
        sync_folder(path)?;
        Ok(published)
    })();
    written.map_err(|e: std::io::Error| {
        let _ = std::fs::remove_file(&temporary);
        Failure::failed(format!("cannot write `{}`: {e}", path.display()))
    })
}

/// `Ok(None)` where there is no such file. Refused when group or others can read or write it.
pub fn read(path: &Path) -> Result<Option<String>, Failure> {
    read_kept_from(path, 0o077)
}

/// Of whoever runs this process and says who may read it: systemd and containers hand out secrets that a group may read.
pub fn read_given(path: &Path) -> Result<Option<String>, Failure> {
    read_kept_from(path, 0o037)
}

fn read_kept_from(path: &Path, others: u32) -> Result<Option<String>, Failure> {
    let shown = path.display();
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::failed(format!("cannot read `{shown}`: {e}"))),
    };
    // of the open file, so that nothing can be put in its place between the look and the read
    let about = file.metadata().map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
    if !about.is_file() {
        return Err(Failure::failed(format!("`{shown}` is not a file")));
    }
    if about.mode() & others != 0 {
        return Err(Failure::failed(format!(
            "`{shown}` can be read or written by others (mode {:04o})",
            about.mode() & 0o7777
        ))
        .todo(format!(
            "take that away with `chmod 600 {shown}`; if others had access, replace what is in it"
        )));
    }
    let mut text = String::new();
    if about.len() > LONGEST {
        return Err(Failure::failed(format!("`{shown}` is longer than a secret can be")));
    }
    file.read_to_string(&mut text).map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
    Ok(Some(text))
}

/// A passphrase: the first line of a file that others cannot read, or of stdin for `-`.
pub fn passphrase_from(path: &Path) -> Result<SecretString, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(LONGEST).read_to_string(&mut text);
        read.map_err(|e| Failure::failed(format!("cannot read the passphrase from stdin: {e}")))?;
        text
    } else {
        let missing = || Failure::new(Exit::NotFound, format!("there is no `{}`", path.display()));
        read_given(path)?.ok_or_else(missing)?
    };
    let text = SecretString::new(text);
    Ok(SecretString::new(text.expose().lines().next().unwrap_or_default().to_owned()))
}

/// A folder that only its owner may enter.
pub fn folder(path: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)))
        .map_err(|e| Failure::failed(format!("cannot make the folder `{}`: {e}", path.display())))
}

/// A secret from a file or, for `-`, from stdin: its first line.
pub fn secret_from(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(LONGEST).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.map_err(|e| Failure::failed(format!("cannot read `{}`: {e}", path.display())))?;
    // what `key create --header` wrote is understood too
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let secret = line.rsplit([':', ' ']).next().unwrap_or_default().trim();
    if secret.is_empty() {
        return Err(Failure::usage(format!("`{}` holds no credential", path.display())));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests;
