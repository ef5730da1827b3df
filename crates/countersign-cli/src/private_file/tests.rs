use super::*;

#[test]
fn a_file_is_written_whole_and_private_whatever_stood_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "long and readable by all").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    write(&path, b"new").unwrap();
    assert_eq!(read(&path).unwrap().unwrap(), "new");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left lying about");
    // a link is replaced, not followed
    let target = folder.path().join("target");
    std::fs::write(&target, "untouched").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    write(&link, b"new").unwrap();
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "untouched");
}

#[test]
fn what_stands_there_stays_where_a_file_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    assert!(create(&path, b"first").unwrap());
    assert!(!create(&path, b"second").unwrap());
    assert_eq!(read(&path).unwrap().unwrap(), "first");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_no_private_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read(&folder.path().join("nowhere")).unwrap().is_none());
    assert!(read(folder.path()).is_err());
    let path = folder.path().join("big");
    write(&path, &vec![b'x'; 70_000]).unwrap();
    assert!(read(&path).is_err());
    write(&path, b"\xff").unwrap();
    assert!(read(&path).is_err());
    assert!(write(&folder.path().join("no/such/folder"), b"x").is_err());
}

#[test]
fn a_secret_is_the_first_line_bare_or_as_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    for text in
        ["cs_live_x", "cs_live_x\n", "\nX-API-Key: cs_live_x\r\n", "Authorization: Bearer cs_live_x\nmore"]
    {
        write(&path, text.as_bytes()).unwrap();
        assert_eq!(secret_from(&path).unwrap(), "cs_live_x", "{text:?}");
    }
    write(&path, b"\n\n").unwrap();
    assert!(secret_from(&path).is_err());
}
