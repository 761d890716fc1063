use super::*;

#[test]
fn the_last_answer_counts() {
    let owed = PendingReply::new();
    assert_eq!(owed.lasts(), None);
    let first = owed.begin();
    std::thread::sleep(Duration::from_millis(5));
    let second = owed.begin();
    assert!(owed.lasts().is_some_and(|time| time >= Duration::from_millis(4)));
    let before = owed.lasts();
    drop(second);
    assert!(owed.lasts() < before, "one answer came");
    drop(first);
    assert_eq!(owed.lasts(), None);
    let lost = owed.begin();
    owed.forget();
    drop(lost);
    assert_eq!(owed.lasts(), None);
}
