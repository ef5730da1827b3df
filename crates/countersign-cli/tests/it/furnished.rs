//! The house, read from the source tree: every room has every file in every place, no room imports a room, and the
//! crates know only whom they may. Adding a method needs no checklist: this test names what is missing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What every room has, in reading order.
const ROOM: [&str; 9] = [
    "mod.rs",
    "credential.rs",
    "record.rs",
    "verify.rs",
    "store.rs",
    "authenticator.rs",
    "issue.rs",
    "config.rs",
    "tests.rs",
];

/// What a room does not have yet: operators do not look after signed tokens so far. Whoever adds one takes its line out.
const TO_COME: [&str; 4] = [
    "countersign-methods/src/jwt/tests.rs",
    "countersign-server/src/admin/v1/jwt.rs",
    "countersign-cli/src/commands/jwt.rs",
    "../fuzz/fuzz_targets/jwt.rs",
];

/// The halls: rooms may import them, they import no room.
const HALLS: [&str; 5] = ["password", "principal", "revocation", "session", "signing"];

/// Who may depend on whom, normal dependencies only.
const EDGES: [(&str, &[&str]); 8] = [
    ("crypto", &[]),
    ("core", &[]),
    ("methods", &["core", "crypto"]),
    ("store", &["methods", "core", "crypto"]),
    ("tower", &["methods", "core", "crypto"]),
    ("gateway", &["tower", "methods", "core", "crypto"]),
    ("server", &["tower", "methods", "core", "crypto"]),
    ("cli", &["gateway", "server", "store", "tower", "methods", "core", "crypto"]),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn rooms() -> Vec<String> {
    let methods = crates().join("countersign-methods/src");
    let mut rooms: Vec<String> = fs::read_dir(methods)
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.path().is_dir())
        .map(|e| e.file_name().into_string().unwrap())
        .filter(|name| !HALLS.contains(&name.as_str()))
        .collect();
    rooms.sort();
    rooms
}

/// A file of that name, or a folder that it grew into.
fn stands(path: &Path) -> bool {
    path.is_file() || path.with_extension("").join("mod.rs").is_file()
}

#[test]
fn every_room_has_every_file_in_every_place() {
    let crates = crates();
    let mut missing = Vec::new();
    for room in rooms() {
        for file in ROOM {
            let path = crates.join("countersign-methods/src").join(&room).join(file);
            if !stands(&path) {
                missing.push(path);
            }
        }
        for place in [
            format!("countersign-store/src/sql/{room}.rs"),
            format!("countersign-server/src/admin/v1/{room}.rs"),
            format!("countersign-cli/src/commands/{room}.rs"),
            format!("countersign-testkit/src/conformance/{room}.rs"),
            format!("../fuzz/fuzz_targets/{room}.rs"),
        ] {
            if !stands(&crates.join(&place)) {
                missing.push(crates.join(place));
            }
        }
    }
    for place in TO_COME {
        let path = crates.join(place);
        assert!(missing.contains(&path), "{place} is there: take it out of what is to come");
        missing.retain(|lacking| *lacking != path);
    }
    assert!(!rooms().is_empty(), "no room at all: is the tree where this test looks?");
    assert!(missing.is_empty(), "the house lacks: {missing:#?}");
}

#[test]
fn the_registry_lists_every_room() {
    let registry = fs::read_to_string(crates().join("countersign-methods/src/registry.rs")).unwrap();
    for room in rooms() {
        assert!(registry.contains(&format!("\"{room}\"")), "registry.rs does not list `{room}`");
    }
}

#[test]
fn no_room_imports_a_room_and_no_hall_imports_a_room() {
    let src = crates().join("countersign-methods/src");
    let rooms = rooms();
    for folder in rooms.iter().map(String::as_str).chain(HALLS) {
        for file in sources(&src.join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            for other in rooms.iter().filter(|r| *r != folder) {
                assert!(
                    !text.contains(&format!("crate::{other}")),
                    "{} reaches into the room {other}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn crates_depend_only_on_whom_they_may() {
    for (name, allowed) in EDGES {
        let manifest = fs::read_to_string(crates().join(format!("countersign-{name}/Cargo.toml"))).unwrap();
        let normal = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let found: BTreeSet<&str> = normal
            .lines()
            .filter_map(|line| line.strip_prefix("countersign-"))
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .collect();
        for dependency in found {
            assert!(
                allowed.contains(&dependency),
                "countersign-{name} may not depend on countersign-{dependency}"
            );
        }
    }
}

/// The judgement and the rooms do no I/O: they name no socket, no file, no runtime, no SQL.
#[test]
fn core_and_methods_do_no_io() {
    for name in ["core", "methods"] {
        for file in sources(&crates().join(format!("countersign-{name}/src"))) {
            if file.file_name().is_some_and(|f| f == "tests.rs")
                || file.components().any(|c| c.as_os_str() == "tests")
            {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            for word in
                ["std::fs", "std::net::Tcp", "tokio::", "sqlx::", "hyper::", "std::env::", "SystemTime"]
            {
                assert!(!text.contains(word), "{} names `{word}`", file.display());
            }
        }
    }
}

/// A folder opens with a door: its `mod.rs` says what it owns.
#[test]
fn every_folder_has_a_door_that_says_what_it_owns() {
    for krate in EDGES.map(|(name, _)| name) {
        for file in sources(&crates().join(format!("countersign-{krate}/src"))) {
            let name = file.file_name().unwrap();
            if name == "mod.rs" || name == "lib.rs" {
                let text = fs::read_to_string(&file).unwrap();
                assert!(text.trim_start().starts_with("//!"), "{} opens without a word", file.display());
            }
        }
    }
}
