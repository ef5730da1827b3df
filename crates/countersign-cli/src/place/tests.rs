use super::*;

#[test]
fn the_nearest_folder_upward_is_found() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("a/b/c");
    std::fs::create_dir_all(&deep).unwrap();
    let made = |folder: &Path| {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(FILE_NAME), "").unwrap();
    };
    made(&root.path().join(FOLDER_NAME));
    let found = |from: &Path| Place::above(from).unwrap().folder;
    assert_eq!(found(&deep), root.path().join(FOLDER_NAME));
    made(&root.path().join("a"));
    assert_eq!(found(&deep), root.path().join("a"));
    assert_eq!(found(root.path()), root.path().join(FOLDER_NAME));
    made(&root.path().join("a/b").join(FOLDER_NAME));
    assert_eq!(found(&deep), root.path().join("a/b").join(FOLDER_NAME));
    // a folder of that name without a configuration is somebody else's
    std::fs::create_dir_all(deep.join(FOLDER_NAME)).unwrap();
    assert_eq!(found(&deep), root.path().join("a/b").join(FOLDER_NAME));
}

#[test]
fn what_is_named_is_not_looked_for() {
    let place = Place::find(Some(Path::new("/etc/c.toml")), None).unwrap();
    assert_eq!(
        (place.config.as_path(), place.folder.as_path()),
        (Path::new("/etc/c.toml"), Path::new("/etc"))
    );
    let place = Place::find(None, Some(Path::new("data"))).unwrap();
    assert_eq!(place.config, Path::new("data").join(FILE_NAME));
    assert_eq!(Place::of_config(Path::new("c.toml")).folder, Path::new("."));
}

/// The configuration of a service is not written to by whoever serves it; what is made at the first start is.
#[test]
fn a_configuration_and_a_data_folder_may_be_two_places() {
    let root = tempfile::tempdir().unwrap();
    let (config, data) = (root.path().join("etc/c.toml"), root.path().join("data"));
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let text = "[gateway]\nlisten = \"127.0.0.1:8443\"\n[[upstreams]]\nname = \"api\"\nurl = \"http://127.0.0.1:3000\"\n\
                [[routes]]\npath = \"/\"\nupstream = \"api\"\nsecurity = [{ api_key = [] }]\n";
    std::fs::write(&config, text).unwrap();
    let place = Place::find(Some(&config), Some(&data)).unwrap();
    assert_eq!(place.file(ADMIN_KEY), data.join(ADMIN_KEY));
    let keyring = |variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        place.load(&Environment::new(variables)).unwrap().keyring.path
    };
    assert_eq!(keyring(&[]), data.join(KEYRING));
    assert_eq!(keyring(&[("COUNTERSIGN_KEYRING_FILE", "/run/peppers")]), Path::new("/run/peppers"));
}
