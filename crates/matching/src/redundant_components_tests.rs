use super::remove_redundant_components;

#[test]
fn what_changes_nothing_goes() {
    for (path, tidied) in [
        ("/a/b", None),
        ("/a//b", Some("/a/b")),
        ("/a/./b", Some("/a/b")),
        ("///a", Some("/a")),
        ("//a/b", None),
        ("/a/../b", None),
        (r"/a\\b", None),
        (r"D:\a\b", None),
        ("D:/a/b", None),
        (r"D:\", None),
        (r"D:\a\", None),
        (r"D:\a\\b", Some(r"D:\a\b")),
        (r"D:\a\.\b", Some(r"D:\a\b")),
        ("D:/a//./b", Some("D:/a/b")),
        (r"D:/a\.\b", Some(r"D:/a\b")),
        (r"D:\\a\\", Some(r"D:\a\")),
        (r"D:\a\..\b", None),
        (r"D:\a.\b", Some(r"D:\a\b")),
        (r"D:\a \b", None),
        (r"D:\a\b.", Some(r"D:\a\b")),
        (r"D:\a\b. .", Some(r"D:\a\b")),
        (r"D:\a...\b", None),
        (r"\\nas\\share\a", Some(r"\\nas\share\a")),
        (r"\\nas\share\.\a.", Some(r"\\nas\share\a")),
        (r"\\?\D:\a.\b.", None),
        (r"\\?\D:\a\.\b.", Some(r"\\?\D:\a\b.")),
        (r"D:\a. \.", Some(r"D:\a")),
        ("/./a", Some("/a")),
        ("/a/.", Some("/a")),
        ("/a/", None),
        ("/a//", Some("/a/")),
        ("/a/.nfo", None),
        ("./a", Some("a")),
        (".", None),
        ("/", None),
        (r"\a\\b.", Some("/a/b")),
        (r"\a", None),
        (r"\", None),
    ] {
        let found = remove_redundant_components(path.as_bytes()).map(|path| String::from_utf8(path).expect("text"));
        assert_eq!(found.as_deref(), tidied, "{path}");
    }
}
