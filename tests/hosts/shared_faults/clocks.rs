//! Clocks that differ or jump.

use std::sync::Arc;

use plexindex_tests::memory_log::Trouble;

use crate::shared_faults::hosts::{World, exchange};
use crate::support::index::ManualClock;
use crate::support::{HOUR_MS, NOW_MS, path_of};

const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

/// The log was away when the clock was set back, and is there again: the pause before the next attempt has ended.
#[test]
fn a_clock_that_was_set_back_does_not_lengthen_the_pause() {
    let world = World::of(20);
    let one = world.host();
    world.log.set_trouble(Trouble::Away);
    assert!(!one.index.exchange());
    world.log.set_trouble(Trouble::None);
    assert!(!one.index.exchange(), "the pause");
    world.clock.advance_ms(-YEAR_MS);
    assert!(one.index.exchange());
}

/// A host whose clock is a year off: the log's order decides.
#[test]
fn a_clock_a_year_off_harms_no_match() {
    for off in [-YEAR_MS, YEAR_MS] {
        let world = World::of(20);
        let one = world.host();
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = one.options.clone();
        options.cache_dir = folder.path().to_owned();
        let two = world.open(options, Arc::new(ManualClock::new(NOW_MS + off)), Some(folder));
        two.refresh();
        let keys = [3, 4].map(|nth| path_of(&world.server, 1, nth).1);
        for (host, key) in [(&two, &keys[0]), (&one, &keys[1]), (&two, &keys[0])] {
            host.record("/mnt/odd.mkv", key);
            exchange(&[&two, &one, &two]);
            assert_eq!(
                [&one, &two].map(|host| host.confirmed("/mnt/odd.mkv")),
                [Some(key.clone()), Some(key.clone())]
            );
        }
        two.movies.invalidate_path(b"/mnt/odd.mkv").expect("invalidated");
        exchange(&[&two, &one]);
        assert_eq!(one.confirmed("/mnt/odd.mkv"), None);
    }
}
