//! Sources that break their contract: an index over them ends, and asks no more than a few times.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::index::{Index, Library as Handle, ManualClock, QueryOptions};
use plexindex::error::{Result, Status};
use plexindex::model::{Item, Library, Server};
use plexindex::options::Options;
use plexindex::source::{
    Abilities, Bounds, IndexedItems, LocatedItem, PageEnd, PageRequest, Source, SourceChanges, SourceKind, WantedPath,
};
use tempfile::TempDir;

use crate::source_contract::in_memory::StandInSegments;
use crate::source_contract::rig::{FOLDER, NOW_MS, TITLE};
use crate::support::HOUR_MS;
use crate::support::memory::{Knobs, Memory};

type Page = dyn Fn(u64, &PageRequest<'_>, &mut Vec<Item>, PageEnd) -> PageEnd + Send + Sync;
type Told = dyn Fn(&dyn IndexedItems, SourceChanges) -> SourceChanges + Send + Sync;
type Shown = dyn Fn(u64, Vec<Library>) -> Vec<Library> + Send + Sync;

/// What a source says, and how it is changed on its way: with the number of the call.
struct Lies {
    page: Box<Page>,
    told: Box<Told>,
    shown: Box<Shown>,
    /// So many pages and no more: an index that asks for ever fails then.
    most: u64,
    pages: AtomicU64,
    probes: AtomicU64,
}

impl Default for Lies {
    fn default() -> Self {
        Self {
            page: Box::new(|_, _, _, end| end),
            told: Box::new(|_, told| told),
            shown: Box::new(|_, shown| shown),
            most: 500,
            pages: AtomicU64::new(0),
            probes: AtomicU64::new(0),
        }
    }
}

struct Liar {
    honest: Arc<dyn Source>,
    lies: Arc<Lies>,
}

impl Source for Liar {
    fn kind(&self) -> &'static SourceKind {
        self.honest.kind()
    }

    fn abilities(&self) -> Abilities {
        self.honest.abilities()
    }

    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.honest.server(bounds)
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        let number = self.lies.probes.fetch_add(1, Ordering::Relaxed);
        Ok((self.lies.shown)(number, self.honest.libraries(bounds)?))
    }

    fn partitions(&self, library: &Library) -> usize {
        self.honest.partitions(library)
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        let number = self.lies.pages.fetch_add(1, Ordering::Relaxed);
        assert!(number < self.lies.most, "asked for pages without end");
        let end = self.honest.page(request, bounds, items)?;
        Ok((self.lies.page)(number, request, items, end))
    }

    fn changes(&self, library: &Library, known: &dyn IndexedItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        Ok((self.lies.told)(known, self.honest.changes(library, known, bounds)?))
    }

    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        self.honest.find_path(library, wanted, bounds, is_it)
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        self.honest.items(rating_keys, bounds)
    }
}

struct Scene {
    memory: Memory,
    section: String,
    clock: Arc<ManualClock>,
    lies: Arc<Lies>,
    index: Index,
    library: Handle,
    _folder: TempDir,
}

fn scene(knobs: Knobs, films: u32, lies: Lies) -> Scene {
    let StandInSegments { memory, section } = StandInSegments::with(knobs, films);
    let (clock, lies) = (Arc::new(ManualClock::new(NOW_MS)), Arc::new(lies));
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        cache_dir: folder.path().to_owned(),
        server_url: Some("http://127.0.0.1:9".to_owned()),
        page_size: 5,
        ..Options::default()
    };
    let (server, told) = (memory.clone(), Arc::clone(&lies));
    let index = Index::open_with(options, Arc::clone(&clock) as _, move |_, _, meter| {
        Ok(Arc::new(Liar {
            honest: server.source(meter),
            lies: told,
        }) as Arc<dyn Source>)
    });
    let index = index.expect("opens");
    let library = index.library(TITLE).expect("a handle");
    Scene {
        memory,
        section,
        clock,
        lies,
        index,
        library,
        _folder: folder,
    }
}

impl Scene {
    fn pages(&self) -> u64 {
        self.lies.pages.load(Ordering::Relaxed)
    }
}

fn film(number: u32) -> String {
    format!("{FOLDER}/Film {number}.mkv")
}

/// The first listing of a library whose pages end so.
fn first_listing(page: Box<Page>) -> (Scene, Status, String) {
    let lies = Lies {
        page,
        ..Lies::default()
    };
    let scene = scene(Knobs::USUAL, 40, lies);
    let asked = scene.index.refresh(&QueryOptions::default(), true);
    let (status, text) = asked.map_or_else(|error| (error.status, error.message), |status| (status, String::new()));
    (scene, status, text)
}

/// Pages that end wrongly: the listing fails after a few of them, or takes what is there.
#[test]
fn pages_that_lie_about_their_end() {
    let back: Box<Page> = Box::new(|_, request, _, end| PageEnd {
        next: Some(if request.position == 0 { 5 } else { 0 }),
        ..end
    });
    let empty: Box<Page> = Box::new(|_, request, items, end| {
        items.clear();
        PageEnd {
            rows: 0,
            total: None,
            next: Some(request.position + 1),
            ..end
        }
    });
    let more: Box<Page> = Box::new(|_, request, items, end| {
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
    for number in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1] {
        let totals: Box<Page> = Box::new(move |_, _, _, end| PageEnd {
            total: Some(number),
            ..end
        });
        let rows: Box<Page> = Box::new(move |_, _, _, end| PageEnd { rows: number, ..end });
        let next: Box<Page> = Box::new(move |_, request, _, end| PageEnd {
            next: (request.position == 0).then_some(number),
            ..end
        });
        for page in [totals, rows, next] {
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
    let (scene, status, text) = first_listing(Box::new(move |_, request, items, end| {
        let end = PageEnd { total: None, ..end };
        let mut extra = extra.lock().expect("whole");
        if request.partition == 0 {
            extra.clone_from(items);
        } else if request.position == 0 {
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
        let (scene, status, text) = first_listing(Box::new(move |_, _, items, end| {
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
    for knobs in [Knobs::BEST, Knobs::USUAL, Knobs::BARE] {
        let lies = Lies {
            shown: Box::new(|number, mut shown| {
                for library in &mut shown {
                    library.change.token = format!("{number}");
                }
                shown
            }),
            ..Lies::default()
        };
        let scene = scene(knobs, 40, lies);
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
        let scene = scene(Knobs::USUAL, 40, lies);
        for turn in 0..12 {
            // Whatever comes of it: it ends, and what is answered is right.
            let _ = scene.index.refresh(&QueryOptions::default(), turn % 3 == 0);
            if let Ok(found) = scene.library.match_path(film(3).as_bytes())
                && let Some(item) = found.item
            {
                assert_eq!(item.path, film(3).as_bytes());
            }
            scene.clock.advance_ms(HOUR_MS + 1);
        }
        assert!(scene.pages() <= 120, "{}", scene.pages());
        assert!(scene.lies.probes.load(Ordering::Relaxed) <= 48);
    }
}
