use super::*;

#[test]
fn the_last_reply_counts() {
    let pending = PendingReply::new();
    assert_eq!(pending.elapsed(), None);
    let first = pending.start();
    std::thread::sleep(Duration::from_millis(5));
    let second = pending.start();
    assert!(pending.elapsed().is_some_and(|time| time >= Duration::from_millis(4)));
    let before = pending.elapsed();
    drop(second);
    assert!(pending.elapsed() < before, "one answer came");
    drop(first);
    assert_eq!(pending.elapsed(), None);
    let lost = pending.start();
    pending.reset();
    drop(lost);
    assert_eq!(pending.elapsed(), None);
}
