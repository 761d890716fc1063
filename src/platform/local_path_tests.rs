#![cfg(windows)]

#[test]
fn paths_are_shown_as_users_write_them() {
    for (path, expected) in [
        ("//nas/share/x", r"\\nas\share\x"),
        (r"\\?\Q:\Media", r"Q:\Media"),
        (r"\\?\UNC\nas\share\Films", r"\\nas\share\Films"),
        (r"\\?\Volume{12}\Films", r"\\?\Volume{12}\Films"),
    ] {
        assert_eq!(super::shown(path.as_bytes()), expected.as_bytes(), "{path}");
    }
}

#[test]
fn sqlite_opens_long_paths() {
    let file = |length: usize| {
        let folder = tempfile::tempdir().expect("a folder").path().join("x".repeat(length));
        super::for_sqlite(&folder)
            .into_owned()
            .into_os_string()
            .into_encoded_bytes()
    };
    assert!(!file(20).starts_with(br"\\?\"));
    let long = file(220);
    assert!(long.starts_with(br"\\?\C:\"), "{}", String::from_utf8_lossy(&long));
}
