//! What every source has to do: one suite over each of those that hosts have. The source in memory, which the
//! simulation uses, is held to it by the simulation.
//!
//! A new source is a file beside `plex.rs` that implements `Rig`, and a line in `over!` below.

mod contract;
mod database;
mod in_memory;
mod knobs;
mod liars;
mod plex;
pub mod rig;

/// The tests, each over each source.
macro_rules! over {
    ($($test:ident)*) => {
        over!(@ plex_over_http, crate::source_contract::plex::Plex, $($test)*);
        over!(@ plex_own_database, crate::source_contract::database::Database, $($test)*);
    };
    (@ $name:ident, $rig:ty, $($test:ident)*) => {
        mod $name {
            $(
                #[test]
                fn $test() {
                    crate::source_contract::contract::$test::<$rig>();
                }
            )*
        }
    };
}

over! {
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
}
