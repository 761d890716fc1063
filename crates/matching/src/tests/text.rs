use proptest::prelude::*;

use crate::words::{fold_title, has_all_words};

#[test]
fn titles_lose_case_accents_and_punctuation() {
    for (title, wanted) in [
        ("Amélie", "amelie"),
        ("AME\u{301}LIE", "amelie"),
        ("Ocean's Eleven", "oceans eleven"),
        ("Ocean\u{2019}s  Eleven!", "oceans eleven"),
        ("WALL·E", "wall e"),
        ("Spider-Man: No Way Home", "spider man no way home"),
        ("  (500) Days of Summer ", "500 days of summer"),
        ("Smørrebrød & Łódź", "smorrebrod and lodz"),
        ("Straße", "strasse"),
        ("İstanbul ılık", "istanbul ilik"),
        ("ﬁn", "fin"),
        ("Ⅻ", "xii"),
        ("千と千尋の神隠し", "千と千尋の神隠し"),
        ("Alien³", "alien 3"),
        ("Alien 3", "alien 3"),
        ("Area51", "area 51"),
        ("S.W.A.T.", "swat"),
        ("S.W.A.T", "swat"),
        ("SWAT", "swat"),
        ("M*A*S*H", "mash"),
        ("Marvel's Agents of S.H.I.E.L.D.", "marvels agents of shield"),
        ("E.T. the Extra-Terrestrial", "et the extra terrestrial"),
        ("Mr. T and B.A. Baracus", "mr t and ba baracus"),
        ("A. B.", "a b"),
        ("A*\u{10140}", "a \u{10140}"),
        ("Vol. 2", "vol 2"),
        ("2.0", "2 0"),
        ("!!!", "!!!"),
        ("", ""),
    ] {
        assert_eq!(fold_title(title), wanted, "{title}");
    }
}

#[test]
fn words_are_found_whole_and_in_any_order() {
    assert!(has_all_words("the dark knight rises", "knight dark"));
    assert!(!has_all_words("the dark knight rises", "night"));
    assert!(!has_all_words("the dark knight", "dark knight rises"));
}

proptest! {
    #[test]
    fn folding_twice_changes_nothing(title in "\\PC{0,60}") {
        let once = fold_title(&title);
        prop_assert_eq!(fold_title(&once), once);
    }

    #[test]
    fn accents_and_case_never_matter(title in "[a-zA-Z éÉüÜñß-]{1,30}") {
        prop_assert_eq!(fold_title(&title.to_uppercase()), fold_title(&title));
    }
}
