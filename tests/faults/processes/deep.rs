//! The same for longer: `make check-deep`. Every count has an environment variable of its own, named where it is used.

use crate::processes::{coherence, crash, single_flight};
use crate::support::worker::deeply;

#[test]
#[ignore = "deep: half a minute"]
fn coherence_for_long() {
    deeply(20, coherence::what_one_process_commits_all_others_see);
    deeply(5, coherence::a_process_that_maps_nothing_tells_those_that_do);
}

#[test]
#[ignore = "deep: a minute"]
fn kills_for_long() {
    deeply(15, crash::a_listing_goes_on_where_a_kill_stopped_it);
    deeply(15, crash::a_listing_goes_on_in_small_pages);
}

#[test]
#[ignore = "deep: half a minute"]
fn single_flight_of_fifty_processes_with_eight_threads() {
    single_flight::one_fetch(50, 8);
    single_flight::one_continuation(50, 8);
}
