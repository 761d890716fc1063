//! The same for longer: `make check-deep`. Every count has an environment variable of its own, named where it is used.

use crate::worker::deeply;
use crate::{broken, full, growth};

#[test]
#[ignore = "deep: half a minute"]
fn every_page_may_be_lost() {
    deeply(1_000, broken::any_page_may_be_lost);
}

#[test]
#[ignore = "deep: half a minute"]
fn broken_stores_are_found_by_many_at_once() {
    deeply(
        10,
        broken::the_first_to_find_it_broken_sets_it_aside_and_the_others_take_the_new_one,
    );
}

#[test]
#[ignore = "deep: half a minute"]
fn failing_writers_for_long() {
    deeply(20, full::a_writer_that_fails_hides_no_commit_of_others);
}

#[test]
#[ignore = "deep: a minute"]
fn refreshes_for_long() {
    deeply(4, growth::refreshes_that_change_everything_do_not_grow_the_store);
    deeply(4, growth::clearing_and_fetching_again_does_not_grow_the_store);
}
