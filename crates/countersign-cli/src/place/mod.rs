//! Where the configuration, its data and the operator's key are: given, or found upward from the working folder.

use crate::{
    config::{self, Environment, FILE_NAME, FOLDER_NAME, Origins, Settings, Sources},
    output::{Exit, Failure},
};
use std::path::{Path, PathBuf};

pub const ADMIN_KEY: &str = "admin.key";
pub const AUTHORITY: &str = "ca.pem";
pub const KEYRING: &str = "keyring.toml";

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

    /// `--config`, `--dir`, the nearest `.countersign/` upward, or `countersign.toml` beside it.
    pub fn find(config: Option<&Path>, dir: Option<&Path>) -> Result<Self, Failure> {
        if let Some(config) = config {
            return Ok(Self::of_config(config));
        }
        if let Some(dir) = dir {
            return Ok(Self::of_folder(dir));
        }
        let here = std::env::current_dir()
            .map_err(|e| Failure::failed(format!("cannot tell the working folder: {e}")))?;
        Self::above(&here).ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                format!("no `{FOLDER_NAME}/` and no `{FILE_NAME}` in `{}` or above it", here.display()),
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

    pub fn load(&self, environment: &Environment) -> Result<Settings, Failure> {
        self.read(environment).0
    }

    /// The same, and the files that it came from.
    pub fn read(&self, environment: &Environment) -> (Result<Settings, Failure>, Sources) {
        let (settings, sources) = config::read(&self.config, environment);
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
