//! Where the configuration, its data and the operator's key are: given, or found upward from the working folder.

use crate::{
    config::{self, Environment, FILE_NAME, FOLDER_NAME, Origins, Settings, Sources},
    output::{Exit, Failure},
};
use std::path::{Path, PathBuf};

pub const ADMIN_KEY: &str = "admin.key";
pub const AUTHORITY: &str = "ca.pem";
pub const KEYRING: &str = "keyring.toml";
/// As `packaging/systemd/countersign.service` has it.
const INSTALLED: &str = "/etc/countersign/countersign.toml";
const INSTALLED_DATA: &str = "/var/lib/countersign";

#[derive(Debug, Clone)]
pub struct Place {
    pub config: PathBuf,
    pub folder: PathBuf,
}

impl Place {
    pub fn of_config(config: &Path) -> Self {
        let folder = match config.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Self { config: config.to_path_buf(), folder }
    }

    pub fn of_folder(folder: &Path) -> Self {
        Self { config: folder.join(FILE_NAME), folder: folder.to_path_buf() }
    }

    /// `--config`, `--dir`, or both: a configuration that whoever serves may not write to, and a folder of its own.
    pub fn named(config: Option<&Path>, dir: Option<&Path>) -> Option<Self> {
        match (config, dir) {
            (Some(config), Some(dir)) => {
                Some(Self { config: config.to_path_buf(), folder: dir.to_path_buf() })
            }
            (Some(config), None) => Some(Self::of_config(config)),
            (None, Some(dir)) => Some(Self::of_folder(dir)),
            (None, None) => None,
        }
    }

    /// [`named`](Self::named), or the nearest `.countersign/` upward, or `countersign.toml` beside it, or what a package
    /// installed.
    pub fn find(config: Option<&Path>, dir: Option<&Path>) -> Result<Self, Failure> {
        if let Some(named) = Self::named(config, dir) {
            return Ok(named);
        }
        let here = std::env::current_dir()
            .map_err(|e| Failure::failed(format!("cannot tell the working folder: {e}")))?;
        Self::above(&here).or_else(Self::installed).ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                format!(
                    "no `{FOLDER_NAME}/` and no `{FILE_NAME}` in `{}` or above it, and no `{INSTALLED}` that this \
                     user may look at",
                    here.display()
                ),
            )
            .todo("start one with `countersign dev --demo`, or say where it is with `--dir` or `--config`")
        })
    }

    fn above(here: &Path) -> Option<Self> {
        here.ancestors().find_map(|folder| {
            let data = folder.join(FOLDER_NAME);
            if data.join(FILE_NAME).is_file() {
                return Some(Self::of_folder(&data));
            }
            let config = folder.join(FILE_NAME);
            config.is_file().then(|| Self::of_config(&config))
        })
    }

    fn installed() -> Option<Self> {
        let config = Path::new(INSTALLED);
        config.is_file().then(|| Self { config: config.to_path_buf(), folder: INSTALLED_DATA.into() })
    }

    pub fn load(&self, environment: &Environment) -> Result<Settings, Failure> {
        self.read(environment).0
    }

    /// The same, and the files that it came from.
    pub fn read(&self, environment: &Environment) -> (Result<Settings, Failure>, Sources) {
        let (mut settings, sources) = config::read(&self.config, environment);
        if let Ok(settings) = &mut settings
            && !settings.keyring.given
        {
            settings.keyring.path = self.file(KEYRING);
        }
        (settings.map_err(|error| self.absence().unwrap_or_else(|| error.into())), sources)
    }

    /// What is in effect, without secrets, and where each value came from.
    pub fn explain(&self, environment: &Environment) -> Result<(serde_json::Value, Origins), Failure> {
        let explained = config::explain(&self.config, environment);
        explained.map_err(|error| self.absence().unwrap_or_else(|| error.into()))
    }

    fn absence(&self) -> Option<Failure> {
        // a link that leads nowhere is not there either
        if !self.config.exists() {
            return Some(Failure::new(Exit::NotFound, format!("there is no `{}`", self.config.display()))
                .todo("make one with `countersign config init > countersign.toml`, or name another with `--config`"));
        }
        None
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

#[cfg(test)]
mod tests;
