//! What only the compiler's run knows, for `countersign version`. No clock and no look at the version control: the same
//! sources make the same binary, and whoever packages one names its commit in `COUNTERSIGN_COMMIT`.
#![expect(clippy::disallowed_methods, reason = "how cargo speaks to a build script")]

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=COUNTERSIGN_COMMIT");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let commit: String = variable("COUNTERSIGN_COMMIT").chars().filter(char::is_ascii_hexdigit).collect();
    println!("cargo::rustc-env=COUNTERSIGN_BUILD_COMMIT={commit}");
    println!("cargo::rustc-env=COUNTERSIGN_BUILD_TARGET={}", variable("TARGET"));
    let version = Command::new(variable("RUSTC")).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!("cargo::rustc-env=COUNTERSIGN_BUILD_RUSTC={}", version.unwrap_or_default());
}
