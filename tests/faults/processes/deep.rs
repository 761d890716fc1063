//! The same for longer: `make check-deep`. Every count has an environment variable of its own, named where it is used.

use crate::processes::{coherence, crash, kills, races, single_flight};
#[cfg(unix)]
use crate::processes::{fork, storm};
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
    deeply(10, fork::every_lookup_beside_writers_sees_what_was_recorded);
}

#[test]
#[ignore = "deep: half a minute"]
fn races_for_long() {
    deeply(
        4,
        races::what_is_confirmed_after_a_clear_is_there_and_what_was_before_is_not,
    );
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

#[cfg(unix)]
#[test]
#[ignore = "deep: six minutes"]
fn two_hundred_storms() {
    deeply(100, storm::many_processes_begin_on_a_new_folder_at_once);
}
