use super::{are_lookalike_paths, likeness};

#[test]
fn names_differ_only_in_characters_that_other_systems_replace() {
    let listed = "/data/mission: impossible?/mission: impossible?.mkv";
    for shown in [
        "/data/mission\u{F022} impossible\u{F025}/mission\u{F022} impossible\u{F025}.mkv",
        "/data/mission\u{F03A} impossible\u{F03F}/mission\u{F03A} impossible\u{F03F}.mkv",
        "/data/mission： impossible？/mission： impossible？.mkv",
        "/data/mission\u{A789} impossible_/mission\u{A789} impossible_.mkv",
        "/data/mission_ impossible_/mission_ impossible_.mkv",
    ] {
        assert!(are_lookalike_paths(shown.as_bytes(), listed.as_bytes()), "{shown}");
        let elsewhere = shown.replace("/data", "/mnt");
        assert!(
            !are_lookalike_paths(elsewhere.as_bytes(), listed.as_bytes()),
            "{elsewhere}"
        );
    }
    for other in [
        "/data/mission- impossible/mission- impossible.mkv",
        "/data/mission impossible?/mission impossible?.mkv",
        "/data/mission: impossible?/mission: impossible 2.mkv",
    ] {
        assert!(!are_lookalike_paths(other.as_bytes(), listed.as_bytes()), "{other}");
    }
}

#[test]
fn alike_names_have_the_same_letters_and_numbers() {
    for (name, other, expected) in [
        ("it's a – b.mkv", "it’s a - b.mkv", true),
        ("it's.mkv", "itʼs.mkv", true),
        ("“hi”: 2.mkv", "\"hi\" - 2.mkv\r\n", true),
        ("mr. x .mkv", "mr x.mkv.", true),
        ("caf\u{FFFD}\u{FFFD}.mkv", "caf\u{FFFD}.mkv", true),
        ("s01e02-03.mkv", "s01e02 03.mkv", true),
        ("s01e02-03.mkv", "s01e0203.mkv", false),
        ("2 1.mkv", "21.mkv", false),
        ("it's.mkv", "it is.mkv", false),
        ("caf\u{FFFD}.mkv", "caf.mkv", false),
        ("夜の海!.mkv", "夜の海.mkv", true),
        ("?.mkv", "!.mkv", false),
        ("\u{FFFD}.mkv", "\u{FFFD}!.mkv", false),
        (".mkv", "mkv", false),
        ("", "-", false),
    ] {
        let are_alike = likeness(name.as_bytes()) == likeness(other.as_bytes());
        assert_eq!(are_alike, expected, "{name} {other}");
    }
}
