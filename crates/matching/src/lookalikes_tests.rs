use super::{are_lookalikes, has_lookalikes};

#[test]
fn names_differ_only_in_characters_that_other_systems_replace() {
    let listed = "/data/mission: impossible?/mission: impossible?.mkv";
    for shown in [
        "/mnt/mission\u{F022} impossible\u{F025}/mission\u{F022} impossible\u{F025}.mkv",
        "/mnt/mission\u{F03A} impossible\u{F03F}/mission\u{F03A} impossible\u{F03F}.mkv",
        "/mnt/mission： impossible？/mission： impossible？.mkv",
        "/mnt/mission\u{A789} impossible_/mission\u{A789} impossible_.mkv",
        "/mnt/mission_ impossible_/mission_ impossible_.mkv",
    ] {
        assert!(has_lookalikes(shown.as_bytes()), "{shown}");
        assert!(are_lookalikes(shown.as_bytes(), listed.as_bytes(), 2), "{shown}");
        assert!(!are_lookalikes(shown.as_bytes(), listed.as_bytes(), 3), "{shown}");
    }
    for other in [
        "/data/mission- impossible/mission- impossible.mkv",
        "/data/mission impossible?/mission impossible?.mkv",
        "/data/mission: impossible?/mission: impossible 2.mkv",
    ] {
        assert!(!are_lookalikes(other.as_bytes(), listed.as_bytes(), 2), "{other}");
    }
    assert!(!are_lookalikes(listed.as_bytes(), listed.as_bytes(), 2));
    assert!(!has_lookalikes("/data/Plain (1999)/Plain.mkv".as_bytes()) && !has_lookalikes(b"/data/_\xff.mkv"));
}
