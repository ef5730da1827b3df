use std::{io::Write, process::Command};

/// Says by name which test did not run and what it lacks; fails where `COUNTERSIGN_TEST_REQUIRE` says that it must run.
pub fn skip(needs: &str, test: &str) {
    let required = environment("COUNTERSIGN_TEST_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|r| r.trim() == needs), "`{test}` needs {needs}, which is not here");
    // past the capture of the test harness, which shows nothing of a test that passes
    std::io::stderr().write_all(format!("SKIPPED {test}: needs {needs}\n").as_bytes()).unwrap();
}

/// Is this program here? Where it is not, the test is skipped aloud.
pub fn has_program(program: &str, test: &str) -> bool {
    if Command::new(program).arg("--version").output().is_ok() {
        return true;
    }
    skip(program, test);
    false
}

/// How a test learns of the servers around it.
#[expect(clippy::disallowed_methods, reason = "the one place where tests read the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
