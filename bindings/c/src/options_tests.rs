use super::*;

/// The values that the header names.
#[test]
fn zeros_mean_the_defaults() {
    // SAFETY: numbers and pointers, for which zero is a value.
    let zeros = unsafe { std::mem::zeroed::<OptionsRecord>() };
    let record = OptionsRecord {
        size: size_of::<OptionsRecord>(),
        ..zeros
    };
    // SAFETY: all of it is there.
    let Ok(CheckedOptions { options, .. }) = (unsafe { options(&raw const record) }) else {
        panic!("zeros are options");
    };
    let seconds = Duration::from_secs;
    assert_eq!(options.library_ttl, Ttl::For(seconds(3600)));
    assert_eq!(options.max_age, seconds(24 * 3600));
    assert_eq!(options.timeout, None);
    assert_eq!(options.connect_timeout, seconds(5));
    assert_eq!(options.read_timeout, seconds(60));
    assert_eq!(options.stale_answer_timeout, seconds(2));
    assert_eq!(options.retry_for, seconds(30));
    assert_eq!(options.page_size, 1000);
    assert_eq!(options.matches_limit, None);
    assert_eq!(options.size_limit, None);
    assert_eq!(options.slow, Some(seconds(1)));
    assert_eq!(options.user, None);
}
