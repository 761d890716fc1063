//! The same for longer: `make check-deep`. Every count has an environment variable of its own, named where it is used.

use crate::disk::{blocks, broken, every_write, growth, mutations, power};
use crate::support::worker::deeply;

#[test]
#[ignore = "deep: half a minute"]
fn broken_stores_are_found_by_many_at_once() {
    deeply(10, broken::the_first_to_find_it_broken_sets_it_aside_for_all);
}

#[test]
#[ignore = "deep: a minute"]
fn refreshes_for_long() {
    deeply(4, growth::refreshes_that_change_everything_do_not_grow_the_store);
    deeply(4, growth::clearing_and_fetching_again_does_not_grow_the_store);
}

#[test]
#[ignore = "deep: two minutes"]
fn power_cuts_for_long() {
    deeply(30, power::a_power_cut_takes_the_last_commits_at_most);
    deeply(30, power::a_power_cut_takes_nothing_that_is_for_other_hosts_and_durable);
    deeply(30, power::a_power_cut_while_a_database_is_set_aside_leaves_no_mixture);
    deeply(60, power::a_power_cut_where_no_memory_is_shared_takes_nothing);
}

#[test]
#[ignore = "deep: five minutes"]
fn damage_of_all_kinds() {
    deeply(51, mutations::a_closed_store_may_be_damaged_in_any_way);
}

#[test]
#[ignore = "deep: a minute"]
fn every_block_is_damaged_before_every_call() {
    deeply(7, blocks::a_flipped_bit_in_any_block_makes_no_answer_wrong);
}

#[test]
#[ignore = "deep: three minutes"]
fn every_write_fails_once() {
    deeply(36, every_write::any_write_may_fail);
}
