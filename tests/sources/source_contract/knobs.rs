//! What only a source in memory can be: late, dishonest, busy, made anew.

use std::time::Duration;

use crate::support::index::QueryOptions;
use plexindex::error::Status;
use plexindex::options::{Options, Ttl};
use plexindex::source::{Abilities, Delta, Resume};

use crate::source_contract::in_memory::{Place, path};
use crate::support::HOUR_MS;
use crate::support::hooked::Lies;
use crate::support::memory::{Fault, Knobs, Token};

impl Place {
    fn listed(knobs: Knobs, films: u32) -> Self {
        let place = honest(knobs, films, |_| ());
        place.index.list();
        place.memory.take_requests();
        place
    }

    fn listings(&self) -> u64 {
        self.index.counts().listings
    }

    /// Requests since this was asked last, by their names.
    fn requests(&self) -> Vec<(&'static str, u64)> {
        self.memory.take_requests().into_iter().collect()
    }
}

fn with(token: Token, change: impl FnOnce(&mut Abilities)) -> Knobs {
    let mut knobs = Knobs { token, ..Knobs::USUAL };
    change(&mut knobs.abilities);
    knobs
}

fn honest(knobs: Knobs, films: u32, set: impl FnOnce(&mut Options)) -> Place {
    Place::new(knobs, films, Lies::default(), set)
}

#[test]
fn a_token_that_lags_is_believed_and_a_path_is_found_all_the_same() {
    let at = honest(with(Token::Lagging, |_| ()), 1_000, |options| {
        options.library_ttl = Ttl::For(Duration::from_secs(60));
    });
    at.index.list();
    at.requests();
    at.memory.add(&at.section, "One", &path("One"));
    at.memory.add(&at.section, "Two", &path("Two"));
    at.clock.advance_ms(60_001);
    // The probe says that nothing changed; the path that is missing is searched, and comes alone.
    assert_eq!(at.ask(&path("One")).status, Status::Ok);
    assert_eq!(at.requests(), [("find_path", 1), ("probe", 1)]);
    // The token moves, and what changed comes without a listing.
    at.memory.catch_up();
    at.clock.advance_ms(60_001);
    assert_eq!(at.ask(&path("Film 1")).status, Status::Ok);
    assert_eq!(at.requests(), [("delta", 1), ("probe", 1)]);
    assert_eq!(at.ask(&path("Two")).status, Status::Ok);
    assert_eq!((at.requests(), at.listings()), (vec![], 1));
}

#[test]
fn rows_that_moved_while_a_listing_was_cut_off_are_noticed() {
    for resume in [Resume::ByRow, Resume::ByPosition] {
        let at = honest(with(Token::Lagging, |can| can.resume = resume), 600, |options| {
            options.page_size = 60;
        });
        at.memory.fail(Some(Fault::DownAfterPages(6)));
        at.index
            .refresh(&QueryOptions::default(), true)
            .expect_err("the server went away");
        at.memory.fail(None);
        // The token stands still all the while: only the rows tell.
        for item in &at.memory.items(&at.section)[..9] {
            at.memory.remove(&at.section, &item.rating_key);
        }
        at.memory.add(&at.section, "New", &path("New"));
        at.index.list();
        let offline = at.library.query().offline();
        for item in at.memory.items(&at.section) {
            let found = at.index.ask(&offline, item.parts[0].as_bytes());
            // What came behind the back of a position that stands is for the token to tell.
            if item.title != "New" || resume == Resume::ByRow {
                assert_eq!(found.status, Status::Ok, "{resume:?}: {}", item.title);
            }
        }
    }
}

#[test]
fn a_source_that_tells_no_changes_is_listed_for_each() {
    let at = Place::listed(with(Token::Exact, |can| can.changes = Delta::None), 6_000);
    at.memory.add(&at.section, "New", &path("New"));
    at.clock.advance_ms(HOUR_MS + 1);
    // A search finds the path. The next query that may wait lists the library.
    assert_eq!(at.ask(&path("New")).status, Status::Ok);
    assert_eq!(at.ask(&path("Film 3")).status, Status::Ok);
    assert_eq!(at.listings(), 2);
    assert!(at.requests().iter().all(|(name, _)| *name != "delta"));
}

/// Of many invalidated items one that the server stumbles over holds up no other.
#[test]
fn an_item_that_fails_its_batch_is_asked_for_alone() {
    let at = Place::listed(Knobs::USUAL, 100);
    let items = at.memory.items(&at.section).into_iter().take(80);
    let keys: Vec<String> = items.map(|item| item.rating_key).collect();
    for key in &keys {
        at.library
            .invalidate_item(&format!("{}{key}", crate::support::memory::KIND.key_prefix))
            .expect("invalidated");
    }
    at.memory.poison(Some(&keys[20]));
    at.index.refresh(&QueryOptions::default(), false).expect("refreshed");
    let offline = at.library.query().offline();
    let left = || {
        let is_unsure = |nth: &usize| {
            let path = path(&format!("Film {nth}"));
            at.index.ask(&offline, path.as_bytes()).stale
        };
        (0..100).filter(is_unsure).collect::<Vec<usize>>()
    };
    assert_eq!(left(), [20]);
    let asked = at.requests();
    assert!(matches!(asked[..], [("confirm", 8..=16)]), "{asked:?}");
    // Nothing but it is asked for from then on; and a server that fails each time is asked no more often than that.
    at.clock.advance_ms(31_000);
    at.index.refresh(&QueryOptions::default(), false).expect("refreshed");
    assert_eq!(at.requests(), [("confirm", 1)]);
    at.memory.poison(None);
    at.clock.advance_ms(31_000);
    at.index.refresh(&QueryOptions::default(), false).expect("refreshed");
    assert_eq!((at.requests(), left()), (vec![("confirm", 1)], vec![]));
}
