//! `countersign config ...`: the file, without any server.

use super::Common;
use crate::{
    config::{self, Environment, FILE_NAME},
    output::{Exit, Failure, Format},
    place::Place,
};
use clap::Subcommand;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check a configuration: every error at once, with its line
    #[command(before_help = "Examples:
  countersign config validate
  countersign config validate staging.toml")]
    Validate {
        /// The file; otherwise as every command finds it
        file: Option<PathBuf>,
    },
    /// The configuration in effect: files, environment and defaults together, without secrets
    #[command(before_help = "Examples:
  countersign config show
  countersign config show staging.toml --output json

As TOML, each value with where it came from; `--output json`, `yaml` and `toml` are for programs.")]
    Show {
        /// The file; otherwise as every command finds it
        file: Option<PathBuf>,
    },
    /// The shape of a configuration, for editors and checkers: JSON Schema, draft 2020-12
    #[command(before_help = "Examples:
  countersign config schema > countersign.schema.json")]
    Schema,
    /// The admin API, for programs that call it: OpenAPI 3.1
    #[command(before_help = "Examples:
  countersign config openapi > admin-api.json
  countersign config openapi --output yaml > admin-api.yaml")]
    Openapi,
    /// Print a configuration to begin with
    #[command(before_help = "Examples:
  countersign config init > countersign.toml
  countersign config init --upstream http://10.0.0.5:3000 > countersign.toml")]
    Init {
        /// The API to protect
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
        upstream: url::Url,
    },
}

const STARTER: &str = include_str!("starter.toml");

pub fn run(command: Config, common: &Common) -> Result<Exit, Failure> {
    match command {
        Config::Validate { file } => {
            let place = match &file {
                Some(file) => Place::of_config(file),
                None => Place::find(common.config.as_deref(), common.dir.as_deref())?,
            };
            let settings = place.load(&Environment::of_process())?;
            let public = settings
                .routes
                .iter()
                .filter(|r| r.security == countersign_core::check::route::SecurityRequirement::Public);
            for route in public {
                common.out().say(&format!("public: {}", route.name));
            }
            common.out().say(&format!(
                "`{}` is good: {} routes",
                place.config.display(),
                settings.routes.len()
            ));
            // `serve` reads the one that stands here, other commands the nearest
            let said = file.is_some() || common.config.is_some() || common.dir.is_some();
            let here = std::env::current_dir().map(|folder| folder.join(FILE_NAME)).unwrap_or_default();
            if !said && here.is_file() && here != place.config {
                common.out().say(&format!(
                    "not looked at: `{FILE_NAME}` in this folder; `countersign config validate {FILE_NAME}` does"
                ));
            }
            Ok(Exit::Ok)
        }
        Config::Show { file } => {
            let place = match &file {
                Some(file) => Place::of_config(file),
                None => Place::find(common.config.as_deref(), common.dir.as_deref())?,
            };
            let (effective, origins) = place.explain(&Environment::of_process())?;
            match common.output {
                Format::Table | Format::Toml => {
                    common.out().line(config::show::to_toml(&effective, &origins).trim_end())?;
                }
                Format::Json | Format::Yaml => common.out().document(&effective)?,
            }
            Ok(Exit::Ok)
        }
        Config::Schema => {
            let schema = serde_json::from_str(config::schema::SCHEMA)
                .map_err(|e| Failure::failed(format!("the schema is broken: {e}")))?;
            common.out().document(&schema)?;
            Ok(Exit::Ok)
        }
        Config::Openapi => {
            common.out().document(&countersign_server::router::description())?;
            Ok(Exit::Ok)
        }
        Config::Init { upstream } => {
            let text = starter(upstream.as_str().trim_end_matches('/'));
            // what we hand out must itself be good, whatever was asked for
            if let Err(error) = config::parse(Path::new(FILE_NAME), &text, &Environment::default()) {
                let wrong = error.problems.iter().find(|p| p.path.starts_with("upstreams"));
                if let Some(problem) = wrong {
                    return Err(Failure::usage(problem.message.clone()));
                }
            }
            common.out().line(text.trim_end())?;
            Ok(Exit::Ok)
        }
    }
}

/// The file that `config init` prints, for this upstream.
pub fn starter(upstream: &str) -> String {
    STARTER.replace("http://127.0.0.1:3000", upstream)
}
