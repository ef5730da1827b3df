use super::*;
use crate::config::{Environment, read};

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        this.write("c.toml", "[store]\nurl = \"${file:secret}\"\n");
        this.write("secret", "sqlite:a.db");
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn put(&self, name: &str, content: &str) {
        self.write("new", content);
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn state(&self) -> State {
        State::new(&read(&self.path("c.toml"), &Environment::default()).1)
    }
}

#[test]
fn what_is_moved_into_place_is_read_at_once() {
    let files = Files::new();
    let mut state = files.state();
    assert!(!state.look(), "nothing changed");
    files.put("c.toml", "[store]\n");
    assert!(state.look());
    assert!(state.look(), "until somebody read it");
    assert!(!files.state().look());
}

#[test]
fn what_is_written_in_place_is_read_once_it_is_quiet() {
    let files = Files::new();
    let mut state = files.state();
    files.write("c.toml", "[sto");
    assert!(!state.look(), "it may be half written");
    files.write("c.toml", "[store]\nurl = ");
    assert!(!state.look(), "it was");
    files.write("c.toml", "[store]\n");
    assert!(!state.look());
    assert!(state.look());
}

#[test]
fn a_file_that_is_gone_for_a_moment_is_no_news() {
    let files = Files::new();
    let mut state = files.state();
    let content = fs::read_to_string(files.path("c.toml")).unwrap();
    fs::remove_file(files.path("c.toml")).unwrap();
    assert!(!state.look());
    files.write("c.toml", &content);
    assert!(!state.look() && !state.look(), "the same as before");
    // and for good: whoever reads it then says that it cannot be read
    fs::remove_file(files.path("c.toml")).unwrap();
    assert!(!state.look());
    assert!(state.look());
}

#[test]
fn every_file_that_has_a_part_in_it_is_watched() {
    let files = Files::new();
    let mut state = files.state();
    files.put("secret", "sqlite:b.db");
    assert!(state.look());
    // one that is not there yet, too
    fs::remove_file(files.path("secret")).unwrap();
    let mut state = files.state();
    assert!(!state.look());
    files.write("secret", "sqlite:c.db");
    assert!(!state.look());
    assert!(state.look());
}

/// As Kubernetes brings a configmap: `c.toml -> ..data/c.toml`, `..data -> ..1`, and then `..data -> ..2`.
#[test]
fn a_link_that_leads_elsewhere_is_read_at_once() {
    let files = Files::new();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, files.path(name)).unwrap();
    for (folder, content) in [("..1", "[store]\n"), ("..2", "[admin]\n"), ("..3", "[admin]\n")] {
        fs::create_dir(files.path(folder)).unwrap();
        files.write(&format!("{folder}/c.toml"), content);
    }
    fs::remove_file(files.path("c.toml")).unwrap();
    link("..1", "..data");
    link("..data/c.toml", "c.toml");
    let mut state = files.state();
    assert!(!state.look());
    link("..2", "..data_tmp");
    fs::rename(files.path("..data_tmp"), files.path("..data")).unwrap();
    assert!(state.look());
    let mut state = files.state();
    link("..3", "..data_tmp");
    fs::rename(files.path("..data_tmp"), files.path("..data")).unwrap();
    assert!(!state.look() && !state.look(), "another file that says the same");
}

#[test]
fn what_is_no_file_is_not_read() {
    let files = Files::new();
    let mut state = files.state();
    fs::remove_file(files.path("c.toml")).unwrap();
    fs::create_dir(files.path("c.toml")).unwrap();
    assert!(!state.look());
    assert!(state.look(), "whoever reads it then says so");
}

#[test]
fn a_file_that_a_pattern_takes_in_is_noticed_and_so_is_one_that_goes() {
    let files = Files::new();
    fs::create_dir(files.path("more")).unwrap();
    files.write("c.toml", "include = [\"more/*.toml\"]\n");
    files.write("more/a.toml", "");
    let mut state = files.state();
    assert!(!state.look());
    files.write("more/b.toml", "");
    assert!(!state.look());
    assert!(state.look());
    let mut state = files.state();
    files.write("more/.c.toml", "");
    files.write("more/c", "");
    assert!(!state.look() && !state.look(), "none of ours");
    fs::remove_file(files.path("more/b.toml")).unwrap();
    assert!(!state.look());
    assert!(state.look());
}
