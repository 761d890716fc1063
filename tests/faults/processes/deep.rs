//! The same for longer: `make check-deep`. Every count has an environment variable of its own, named where it is used.

#[cfg(unix)]
use crate::processes::fork;
use crate::processes::{coherence, crash, kills, single_flight};
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
    deeply(
        10,
        crash::a_kill_while_the_store_is_made_or_set_aside_leaves_a_whole_one,
    );
}

#[cfg(unix)]
#[test]
#[ignore = "deep: a minute"]
fn forks_for_long() {
    deeply(10, fork::parent_and_child_both_go_on_and_lose_nothing);
}

#[test]
#[ignore = "deep: half a minute"]
fn single_flight_of_fifty_processes_with_eight_threads() {
    single_flight::one_fetch(50, 8);
    single_flight::one_continuation(50, 8);
    deeply(8, single_flight::who_comes_while_it_is_fetched_waits_and_asks_nothing);
}

#[test]
#[ignore = "deep: five minutes"]
fn kills_at_any_moment_for_long() {
    deeply(42, kills::a_kill_at_any_moment_loses_nothing_acknowledged);
}
