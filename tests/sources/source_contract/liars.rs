//! Sources that break their contract: an index over them ends, and asks no more than a few times.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use plexindex::error::Status;
use plexindex::model::{Item, Library};
use plexindex::source::{PageEnd, PageRequest};

use crate::source_contract::in_memory::Place;
use crate::support::HOUR_MS;
use crate::support::hooked::Lies;
use crate::support::index::Ask as _;
use crate::support::memory::{Token, film};

type Page = Box<dyn Fn(&PageRequest<'_>, &mut Vec<Item>, PageEnd) -> PageEnd + Send + Sync>;

fn scene(token: Token, films: u32, lies: Lies) -> Place {
    Place::new(token, films, lies, |options| options.page_size = 5)
}

impl Place {
    fn pages(&self) -> u64 {
        self.lies.pages.load(Ordering::Relaxed)
    }
}

/// The first listing of a library whose pages end so.
fn first_listing(page: Page) -> (Place, Status, String) {
    let lies = Lies {
        page,
        ..Lies::default()
    };
    let scene = scene(Token::Coarse, 40, lies);
    let asked = scene.index.query().refreshed(true);
    let (status, text) = asked.map_or_else(|error| (error.status, error.message), |status| (status, String::new()));
    (scene, status, text)
}

/// Pages that end wrongly: the listing fails after a few of them, or takes what is there.
#[test]
fn pages_that_lie_about_their_end() {
    let back: Page = Box::new(|request, _, end| PageEnd {
        next: Some(if request.position == 0 { 5 } else { 0 }),
        ..end
    });
    let empty: Page = Box::new(|request, items, end| {
        items.clear();
        PageEnd {
            rows: 0,
            total: None,
            next: Some(request.position + 1),
            ..end
        }
    });
    let more: Page = Box::new(|request, items, end| {
        items.truncate(1);
        PageEnd {
            rows: 5,
            total: Some(12),
            next: Some(request.position + 5),
            ..end
        }
    });
    let back = ("positions go back", back);
    for (what, page) in [back, ("no page is the last", empty), ("more rows than all", more)] {
        let (scene, status, text) = first_listing(page);
        assert_eq!(status, Status::BadAnswer, "{what}: {text}");
        assert!(scene.pages() < 20, "{what}: {}", scene.pages());
    }
    for number in [0, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1] {
        let totals: Page = Box::new(move |_, _, end| PageEnd {
            total: Some(number),
            ..end
        });
        let rows: Page = Box::new(move |_, _, end| PageEnd { rows: number, ..end });
        let next: Page = Box::new(move |request, _, end| PageEnd {
            next: (request.position == 0).then_some(number),
            ..end
        });
        let last: Page = Box::new(move |_, _, end| PageEnd {
            rows: if end.next.is_none() { number } else { end.rows },
            ..end
        });
        for page in [totals, rows, next, last] {
            let (scene, status, text) = first_listing(page);
            let is_right = matches!(status, Status::Ok | Status::NotYet | Status::BadAnswer);
            assert!(is_right, "{number}: {status:?} {text}");
            assert!(scene.pages() < 100, "{number}: {}", scene.pages());
        }
    }
}

#[test]
fn partitions_that_overlap_answer_each_item_once() {
    let extra: Arc<std::sync::Mutex<Vec<Item>>> = Arc::default();
    let (scene, status, text) = first_listing(Box::new(move |request, items, end| {
        let end = PageEnd { total: None, ..end };
        let mut extra = extra.lock().expect("whole");
        if request.partition == 0 {
            extra.clone_from(items);
        } else if end.next.is_none() {
            let more = extra.len() as u64;
            items.extend(extra.iter().cloned());
            return PageEnd {
                rows: end.rows + more,
                ..end
            };
        }
        end
    }));
    assert_eq!(status, Status::NotYet, "{text}");
    assert_eq!(scene.index.counts().items, 40);
    for number in 0..40 {
        let found = scene.library.ask(film(number).as_bytes());
        assert_eq!((found.status, found.candidates.len()), (Status::Ok, 1), "{number}");
    }
    // It is asked for again from time to time, and each time once.
    let before = scene.pages();
    for _ in 0..20 {
        scene.library.ask(film(3).as_bytes());
    }
    assert!(scene.pages() - before <= 30, "{}", scene.pages() - before);
}

#[test]
fn keys_of_any_shape_are_answered_as_they_are_if_hosts_can_be_given_them() {
    let long = "k".repeat(400);
    for (odd, is_left_out) in [
        ("", true),
        ("a\0b", true),
        ("a/b", false),
        ("../../x", false),
        (&long, false),
        (" ", false),
        ("\u{202e}x", false),
        ("=", false),
        ("memory:items:7", false),
    ] {
        let key = odd.to_owned();
        let (scene, status, text) = first_listing(Box::new(move |_, items, end| {
            for item in items.iter_mut().filter(|item| item.parts[0] == film(7)) {
                item.rating_key.clone_from(&key);
            }
            end
        }));
        assert_eq!(status, Status::Ok, "{text}");
        for item in scene.memory.items(&scene.section) {
            let is_odd = item.parts[0] == film(7);
            let right = if is_odd { odd } else { &item.rating_key };
            let looked_up = scene.library.fast(&item.parts[0]);
            let right = Some(right).filter(|_| !is_odd || !is_left_out);
            assert_eq!(looked_up.as_deref(), right, "{odd:?}");
        }
        let items = scene.index.counts().items;
        assert_eq!(items, 40 - u64::from(is_left_out), "{odd:?}");
    }
}

#[test]
fn a_token_that_always_moves_costs_a_few_requests_an_hour() {
    for token in [Token::Exact, Token::Coarse] {
        let lies = Lies {
            shown: Box::new(|number, mut shown| {
                for library in &mut shown {
                    library.change.token = format!("{number}");
                }
                shown
            }),
            ..Lies::default()
        };
        let scene = scene(token, 40, lies);
        scene.index.list();
        for _ in 0..10 {
            scene.clock.advance_ms(HOUR_MS + 1);
            scene.memory.take_requests();
            for number in 0..40 {
                let found = scene.library.ask(film(number).as_bytes());
                assert_eq!(found.status, Status::Ok);
            }
            let requests = scene.memory.take_requests();
            assert!(requests.values().sum::<u64>() <= 20, "{requests:?}");
        }
    }
}

#[test]
fn a_library_that_vanishes_at_each_other_probe_costs_no_more_than_its_listings() {
    for two in [false, true] {
        let lies = Lies {
            shown: Box::new(move |number, mut shown| {
                if number % 2 == 1 {
                    shown.clear();
                }
                if two && let Some(first) = shown.first().cloned() {
                    // The same uuid twice.
                    shown.push(Library {
                        section: "other".to_owned(),
                        ..first
                    });
                }
                shown
            }),
            ..Lies::default()
        };
        let scene = scene(Token::Coarse, 40, lies);
        for turn in 0..12 {
            // Whatever comes of it: it ends, and what is answered is right.
            let _ = scene.index.query().refreshed(turn % 3 == 0);
            if let Ok(found) = scene.library.query().matched(film(3))
                && let Some(item) = found.item
            {
                assert_eq!(item.path.as_deref(), Some(film(3).as_ref()));
            }
            scene.clock.advance_ms(HOUR_MS + 1);
        }
        assert!(scene.pages() <= 120, "{}", scene.pages());
        assert!(scene.lies.probes.load(Ordering::Relaxed) <= 48);
    }
}
