use super::*;

#[test]
fn reads_are_suspended_after_slow_failures() {
    let mut failures = FileFailures::default();
    let error = Error::new(Status::ServerError, "not in time");
    let last = |failures: &FileFailures, stamp: u64, now_ms: i64| failures.suspending_failure(|| Some(stamp), now_ms);
    failures.add(&error, MAX_FAILURE_TIME / 2, Some(1), 1_000);
    assert_eq!(last(&failures, 1, 1_001), None);
    failures.add(&error, MAX_FAILURE_TIME / 2, Some(1), 2_000);
    for (stamp, now_ms, is_left) in [
        (1, 2_000, true),
        (1, 2_000 + SUSPENDED_MS - 1, true),
        (1, 2_000 + SUSPENDED_MS, false),
        (2, 2_000 + SUSPENDED_CHANGED_MS - 1, true),
        (2, 2_000 + SUSPENDED_CHANGED_MS, false),
        (1, 1_999, false),
    ] {
        assert_eq!(last(&failures, stamp, now_ms).is_some(), is_left, "{stamp} {now_ms}");
    }
    // The next failure suspends reads again at once.
    failures.add(&error, Duration::ZERO, Some(1), 20_000);
    assert_eq!(last(&failures, 1, 20_001), Some(error));
}
