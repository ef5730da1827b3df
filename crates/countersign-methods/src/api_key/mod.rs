pub mod config;
pub mod issue;
pub mod record;
pub mod store;
