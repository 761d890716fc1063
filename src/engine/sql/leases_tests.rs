use super::*;

#[test]
fn a_delayed_write_with_an_old_time_does_not_take_a_lease() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), true).expect("the store opens");
    let take = |holder, now_ms: i64| {
        store
            .take_lease("fetch1", holder, now_ms, now_ms + 60_000, Deadline::NONE)
            .expect("asked")
    };
    assert!(take(1, 1_000_005));
    assert!(!take(2, 1_000_000), "it is held");
    assert!(!take(2, 1_060_000));
    assert!(take(2, 1_060_005), "it ended");
    assert!(take(3, 900_000), "the clock was set back");
}
