//! What only a source in memory can be: late, dishonest, busy, made anew.

use std::time::Duration;

use crate::support::index::Ask as _;
use plexindex::error::Status;
use plexindex::options::{Options, Ttl};

use crate::source_contract::in_memory::Place;
use crate::support::hooked::Lies;
use crate::support::memory::{Fault, KIND, Token, file, film};

impl Place {
    fn listed(token: Token, films: u32) -> Self {
        let place = honest(token, films, |_| ());
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

fn honest(token: Token, films: u32, set: impl FnOnce(&mut Options)) -> Place {
    Place::new(token, films, Lies::default(), set)
}

#[test]
fn a_token_that_lags_is_believed_and_a_path_is_found_all_the_same() {
    let at = honest(Token::Lagging, 1_000, |options| {
        options.library_ttl = Ttl::For(Duration::from_secs(60));
    });
    at.index.list();
    at.requests();
    at.memory.add(&at.section, "One", &file("One"));
    at.memory.add(&at.section, "Two", &file("Two"));
    at.clock.advance_ms(60_001);
    // The probe says that nothing changed; the path that is missing is searched, and comes alone.
    assert_eq!(at.ask(&file("One")).status, Status::Ok);
    assert_eq!(at.requests(), [("find_path", 1), ("probe", 1)]);
    // The token moves, and what changed comes without a listing.
    at.memory.catch_up();
    at.clock.advance_ms(60_001);
    assert_eq!(at.ask(&film(1)).status, Status::Ok);
    assert_eq!(at.requests(), [("delta", 1), ("probe", 1)]);
    assert_eq!(at.ask(&file("Two")).status, Status::Ok);
    assert_eq!((at.requests(), at.listings()), (vec![], 1));
}

#[test]
fn rows_that_moved_while_a_listing_was_cut_off_are_noticed() {
    let at = honest(Token::Lagging, 600, |options| options.page_size = 60);
    at.memory.fail(Some(Fault::DownAfterPages(6)));
    at.index.query().refreshed(true).expect_err("the server went away");
    at.memory.fail(None);
    // The token stands still all the while: only the rows tell.
    for item in &at.memory.items(&at.section)[..9] {
        at.memory.remove(&at.section, &item.rating_key);
    }
    at.memory.add(&at.section, "New", &file("New"));
    at.index.list();
    let offline = at.library.query().offline();
    for item in at.memory.items(&at.section) {
        let found = offline.answer(&item.parts[0]);
        assert_eq!(found.status, Status::Ok, "{}", item.title);
    }
}

/// Of many invalidated items one that the server stumbles over holds up no other.
#[test]
fn an_item_that_fails_its_batch_is_asked_for_alone() {
    let at = Place::listed(Token::Coarse, 100);
    let items = at.memory.items(&at.section).into_iter().take(80);
    let keys: Vec<String> = items.map(|item| item.rating_key).collect();
    for key in &keys {
        at.library
            .invalidate_item(&format!("{}{key}", KIND.key_prefix))
            .expect("invalidated");
    }
    at.memory.poison(Some(&keys[20]));
    at.index.query().refreshed(false).expect("refreshed");
    let offline = at.library.query().offline();
    let left = || {
        let is_unsure = |nth: &u32| offline.answer(film(*nth)).stale;
        (0..100).filter(is_unsure).collect::<Vec<u32>>()
    };
    assert_eq!(left(), [20]);
    let asked = at.requests();
    assert!(matches!(asked[..], [("confirm", 8..=16)]), "{asked:?}");
    // Nothing but it is asked for from then on; and a server that fails each time is asked no more often than that.
    let refreshed_after = |ms| {
        at.clock.advance_ms(ms);
        at.index.query().refreshed(false).expect("refreshed");
        at.requests()
    };
    assert_eq!(refreshed_after(0), []);
    assert_eq!(refreshed_after(31_000), [("confirm", 1)]);
    at.memory.poison(None);
    assert_eq!(refreshed_after(0), []);
    assert_eq!((refreshed_after(31_000), left()), (vec![("confirm", 1)], vec![]));
}
