use super::likeness;

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
