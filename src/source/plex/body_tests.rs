use super::*;

#[test]
fn a_body_slower_than_compression_is_slow() {
    let ms = Duration::from_millis;
    for (waited, slow) in [(0, false), (1, false), (50, false), (60, true)] {
        assert_eq!(is_slow(836_000, ms(waited)), Some(slow), "{waited} ms");
    }
    assert_eq!(is_slow(10_000, ms(60)), None);
}

#[test]
fn a_link_is_slow_after_three_slow_replies_in_a_row() {
    let way = LinkSpeed::default();
    for was_slow in [true, true, false, true, true] {
        way.record(Some(was_slow));
        assert!(!way.is_slow());
    }
    way.record(None);
    assert!(!way.is_slow());
    way.record(Some(true));
    assert!(way.is_slow());
    way.record(Some(false));
    assert!(way.is_slow());
}
