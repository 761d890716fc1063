//! What every source has to do, and what an index over it has to answer: one suite over each of them.
//!
//! A new source is a file beside `plex.rs` that implements `Rig`, and a line in `over!` below.

mod contract;
mod database;
mod in_memory;
mod index;
mod knobs;
mod liars;
mod plex;
mod rig;

/// The tests, each over each source.
macro_rules! over {
    ($($place:ident { $($test:ident)* })*) => {
        over!(@ best, crate::source_contract::in_memory::Best, $($place { $($test)* })*);
        over!(@ usual, crate::source_contract::in_memory::Usual, $($place { $($test)* })*);
        over!(@ bare, crate::source_contract::in_memory::Bare, $($place { $($test)* })*);
        over!(@ plex_over_http, crate::source_contract::plex::Plex, $($place { $($test)* })*);
        over!(@ plex_own_database, crate::source_contract::database::Database, $($place { $($test)* })*);
    };
    (@ $name:ident, $rig:ty, $($place:ident { $($test:ident)* })*) => {
        mod $name {
            $($(
                #[test]
                fn $test() {
                    crate::source_contract::$place::$test::<$rig>();
                }
            )*)*
        }
    };
}

over! {
    contract {
        keys_are_public
        a_listing_has_each_item_once
        a_listing_goes_on_from_a_position
        a_position_that_stands_misses_nothing
        a_token_moves_as_far_as_it_is_trusted
        changes_lead_to_what_is_there
        a_path_is_found
        items_that_are_gone_are_left_out
        a_failure_says_what_it_means
        rows_that_came_before_a_cut_are_true
        a_library_that_is_gone_is_not_there
        a_call_ends_with_its_bounds
        events_that_hosts_receive_are_read
        what_is_edited_is_edited
    }
    index {
        every_path_guid_and_title_is_answered
        keys_are_taken_in_both_forms
        a_listing_of_two_pages_a_call_ends
        a_listing_that_was_cut_off_ends_whole
        what_cannot_be_done_is_refused_before_anything_is_asked
    }
}
