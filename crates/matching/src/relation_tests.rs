use super::*;

fn relation(path: &str, other: &str) -> (bool, bool, usize) {
    let Relation {
        is_equal,
        is_under,
        common_components,
    } = NormalPath::with(path.as_bytes(), |path| Relation::of(path, other.as_bytes()));
    (is_equal, is_under, common_components)
}

#[test]
fn paths_are_related_by_component_in_their_normal_form() {
    assert_eq!(relation("/data/A.mkv", "/DATA/a.mkv"), (true, false, 2));
    assert_eq!(relation("C:\\data\\a.mkv", "c:/data//a.mkv"), (true, false, 3));
    assert_eq!(relation("/data/a.mkv", "/mnt/data/a.mkv"), (false, false, 2));
    assert_eq!(relation("/data/film/a.mkv", "/data/film"), (false, true, 0));
    assert_eq!(relation("/data/film/a.mkv", "/data/fil"), (false, false, 0));
    assert_eq!(relation("/data", "/data"), (true, false, 1));
    assert_eq!(relation("/data/Cafe\u{301}.mkv", "/x/CAF\u{c9}.mkv"), (false, false, 1));
    assert_eq!(relation("", "/a"), (false, false, 0));
}
