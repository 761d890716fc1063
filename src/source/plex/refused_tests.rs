use super::*;

#[test]
fn refused_arguments_round_trip() {
    let set = Refused::SORT_ID.and(Refused::PHOTOS);
    assert_eq!(set.words(), "sort=id type=13");
    assert_eq!(Refused::from_words("type=13 unknown sort=id"), set);
    assert_eq!(Refused::from_words(&Refused::NONE.words()), Refused::NONE);
    assert_eq!(set.each().collect::<Vec<_>>(), [Refused::SORT_ID, Refused::PHOTOS]);
    let all = Refused::from_words(&WORDS.join(" "));
    assert!(all.has(Refused::PHOTOS) && all.each().count() == WORDS.len());
    assert_eq!(all.without(set).and(set), all);
}
