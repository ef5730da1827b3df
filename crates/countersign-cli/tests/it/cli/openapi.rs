//! The description of the admin API that programs are made from is looked at before it changes.

use crate::support::{binary, text};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");

/// docs/reference/openapi.json is what the program says of its API, without a server and without a configuration.
#[test]
fn the_openapi_reference_is_what_the_program_says() {
    let folder = tempfile::tempdir().unwrap();
    let output = binary().args(["config", "openapi"]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let says = text(&output.stdout);
    if countersign_cli::config::Environment::of_process().get("COUNTERSIGN_WRITE_REFERENCE").is_some() {
        std::fs::write(REFERENCE, &says).unwrap();
    }
    let written = std::fs::read_to_string(REFERENCE).unwrap_or_default();
    let first = says.lines().zip(written.lines()).find(|(says, stands)| says != stands);
    assert!(
        says == written,
        "docs/reference/openapi.json does not say what the program says, first at {first:?}; write it anew with \
         `COUNTERSIGN_WRITE_REFERENCE=1 cargo test -p countersign-cli --test it the_openapi_reference`"
    );
}
