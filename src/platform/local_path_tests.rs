use super::{normalize_host_path, root, to_native};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(unix)]
#[test]
fn paths_of_posix_systems_stay_as_they_are() {
    for path in ["/data/films", "/", r"/odd\name", r"C:\x", ""] {
        assert_eq!(text(&normalize_host_path(path.as_bytes())), path);
        assert_eq!(text(&to_native(path.as_bytes())), path);
    }
    let roots = ["/data/films", "/", "films", r"C:\x", ""].map(|path| text(root(path.as_bytes())));
    assert_eq!(roots, ["/", "/", "", "", ""]);
}

#[cfg(windows)]
#[test]
fn paths_of_windows_have_one_form() {
    for (given, inside) in [
        (r"Q:\Media\Films", "Q:/Media/Films"),
        ("q:/Media/Films", "Q:/Media/Films"),
        (r"\\?\Q:\Media", "Q:/Media"),
        (r"\\?\UNC\nas\share\Films", "//nas/share/Films"),
        (r"\\nas\share\Films", "//nas/share/Films"),
        (r"\\?\unc\NAS\Share\Films", "//nas/share/Films"),
        (r"\\NAS\Share", "//nas/share/"),
        (r"\\?\Volume{12}\Films", "//?/volume{12}/Films"),
        (r"\\nas\share", "//nas/share/"),
        (r"\\nas", "//nas"),
        (r"Q:\", "Q:/"),
        (r"Q:\a\..\b*\c", "Q:/a/../b*/c"),
        ("films", "films"),
        ("", ""),
    ] {
        assert_eq!(text(&normalize_host_path(given.as_bytes())), inside, "{given}");
    }
    let roots = [
        "Q:/Media",
        "Q:/",
        "//nas/share/x",
        "/Media",
        "Q:Media",
        "Media",
        "//",
        "///x",
    ]
    .map(|path| text(root(path.as_bytes())));
    assert_eq!(roots, ["Q:/", "Q:/", "//nas/share/", "", "", "", "", ""]);
    assert_eq!(text(&to_native(b"//nas/share/x")), r"\\nas\share\x");
}

#[cfg(windows)]
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
    assert!(file(220).starts_with(br"\\?\C:\"), "{}", text(&file(220)));
}

#[cfg(windows)]
#[test]
fn names_are_those_of_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("Films")).expect("made");
    let given = folder
        .path()
        .join("FILMS")
        .join("Gone")
        .into_os_string()
        .into_encoded_bytes();
    let inside = text(&normalize_host_path(&given));
    assert!(inside.ends_with("/Films/Gone"), "{inside}");
}
