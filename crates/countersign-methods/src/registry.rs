//! The one list of rooms and halls that own a noun, and what each noun is called. A noun has one name everywhere: the
//! file in `countersign-store`, the file under `admin/v1`, the file of its commands and its table all follow from the
//! entry here, and a test of the source tree asks for each of them.

use countersign_core::MethodName;

/// One noun, in every place where it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noun {
    /// In Rust and SQL: folder, file, table, action (`api_key`, `api_key.create`).
    pub rust: &'static str,
    /// In URLs: `/admin/v1/<url>`.
    pub url: &'static str,
    /// On the command line; the first names the file.
    pub commands: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The folder here, and the file in `countersign-store`, under `admin/v1`, of its commands and of its fuzz target.
    pub folder: &'static str,
    pub method: MethodName,
    pub nouns: &'static [Noun],
}

pub const API_KEY: Noun = Noun { rust: "api_key", url: "api-keys", commands: &["key"] };
pub const APP_PASSWORD: Noun =
    Noun { rust: "app_password", url: "app-passwords", commands: &["app-password"] };
pub const PRINCIPAL: Noun = Noun { rust: "principal", url: "principals", commands: &["user", "service"] };
pub const REVOCATION: Noun = Noun { rust: "revocation", url: "revocations", commands: &[] };

/// Every room, in the order of [`MethodName::ALL`].
pub const ROOMS: &[Room] = &[
    Room { folder: "jwt", method: MethodName::Jwt, nouns: &[] },
    Room { folder: "basic", method: MethodName::Basic, nouns: &[APP_PASSWORD] },
    Room { folder: "api_key", method: MethodName::ApiKey, nouns: &[API_KEY] },
];

/// The halls that keep something of their own.
pub const HALLS: &[Noun] = &[PRINCIPAL, REVOCATION];
