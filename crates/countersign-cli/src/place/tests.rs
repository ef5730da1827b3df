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
