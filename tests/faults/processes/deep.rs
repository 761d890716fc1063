//! The same for longer: `make check-deep`. Every count has an environment variable of its own, named where it is used.

use crate::processes::{coherence, crash, single_flight};
use crate::support::worker::deeply;

#[test]
#[ignore = "deep: half a minute"]
fn coherence_for_long() {
    deeply(
        20,
        coherence::what_one_process_commits_the_next_lookup_of_all_others_shows,
    );
    deeply(5, coherence::a_process_that_maps_nothing_tells_those_that_do);
}

#[test]
#[ignore = "deep: a minute"]
fn kills_for_long() {
    deeply(15, crash::a_listing_goes_on_where_a_kill_stopped_it);
    deeply(
        15,
        crash::a_listing_goes_on_also_when_a_page_is_smaller_than_the_overlap,
    );
}

#[test]
#[ignore = "deep: half a minute"]
fn single_flight_of_fifty_processes_with_eight_threads() {
    single_flight::one_fetch(50, 8);
    single_flight::one_continuation(50, 8);
}
