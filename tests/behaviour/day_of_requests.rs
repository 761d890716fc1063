//! A day of ordinary use, request by request: a new process for each file that is looked up, while the library changes.
//!
//! `PLEXINDEX_DAY_ITEMS=100000 cargo test --release -p plexindex-tests day_of_requests -- --nocapture` prints the
//! numbers in `docs/design/freshness.md`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::index::ManualClock;
use crate::support::{HOUR_MS, movies, open, options};
use plexindex::error::Status;
use plexindex_standin::{ItemSpec, MediaSpec, Standin};

const MINUTE_MS: i64 = 60_000;
const BEGIN_MS: i64 = 1_800_000_000_000;

/// What happens to the library, by the minute of the day.
#[derive(Clone)]
enum Event {
    Arrives(String),
    /// The file gets another name; no clock moves.
    Renamed(u64, String, String),
    /// A better file takes its place; `updatedAt` stays, the library's counter moves.
    Upgraded(u64, String),
    Deleted(u64),
}

/// A question, and since when its answer is what it is.
struct Asked {
    minute: i64,
    path: String,
}

struct Day {
    events: Vec<(i64, Event)>,
    asked: Vec<Asked>,
    /// When a path's answer last changed, in minutes, and whether a clock moved with it.
    changed: HashMap<String, (i64, bool)>,
}

/// The same day each time: every file that came, moved or went is looked up once soon after; the rest is spread.
fn plan(server: &Standin) -> Day {
    let known: Vec<(u64, String)> = server
        .paths(1)
        .into_iter()
        .filter_map(|(key, path)| Some((key, path?)))
        .collect();
    let mut state = 7_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("fits") % below
    };
    let mut day = Day {
        events: Vec::new(),
        asked: Vec::new(),
        changed: HashMap::new(),
    };
    let mut special: HashMap<i64, String> = HashMap::new();
    let mut slot = |minute: i64, path: &str| {
        // The next question after it, if that is not taken.
        let mut at = (minute / 10 + 1) * 10;
        while special.contains_key(&at) {
            at += 10;
        }
        special.insert(at, path.to_owned());
    };
    let mut taken = 0;
    for number in 0..30 {
        let minute = 15 + number * 46;
        taken += 1 + random(known.len() / 40);
        let (key, path) = known[taken].clone();
        let new = format!("/data/movies/Day {number} (2020)/Day {number} (2020).mkv");
        match number % 6 {
            0..=3 => {
                day.events.push((minute, Event::Arrives(new.clone())));
                day.changed.insert(new.clone(), (minute, true));
                slot(minute, &new);
            }
            4 => {
                day.events
                    .push((minute, Event::Renamed(key, path.clone(), new.clone())));
                day.changed.insert(new.clone(), (minute, false));
                day.changed.insert(path, (minute, false));
                slot(minute, &new);
            }
            _ if number < 18 => {
                day.events.push((minute, Event::Upgraded(key, new.clone())));
                day.changed.insert(new.clone(), (minute, true));
                day.changed.insert(path, (minute, false));
                slot(minute, &new);
            }
            _ => {
                day.events.push((minute, Event::Deleted(key)));
                day.changed.insert(path.clone(), (minute, true));
                slot(minute, &path);
            }
        }
    }
    for at in 0..144 {
        let minute = at * 10;
        let path = match special.get(&minute) {
            Some(path) => path.clone(),
            None => known[random(known.len())].1.clone(),
        };
        day.asked.push(Asked { minute, path });
    }
    day
}

fn happen(server: &Standin, event: &Event) {
    let title = |path: &str| {
        path.rsplit('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(" (2020).mkv")
            .to_owned()
    };
    server.alter(|state| match event {
        Event::Arrives(path) => {
            let spec = ItemSpec {
                title: title(path),
                files: vec![MediaSpec::File(path.clone())],
                ..ItemSpec::default()
            };
            state.add_items(1, vec![spec], true).map(|_| ())
        }
        Event::Renamed(key, from, to) => state.rename_file(*key, from, to),
        Event::Upgraded(key, to) => state.set_files(*key, vec![MediaSpec::File(to.clone())], false, true),
        Event::Deleted(key) => state.remove_items(&[*key], true),
    });
}

#[test]
#[ignore = "deep: ten seconds"]
fn a_day_of_ordinary_use() {
    let items = std::env::var("PLEXINDEX_DAY_ITEMS").map_or(10_000, |items| items.parse().expect("a number"));
    let server = movies(items);
    let day = plan(&server);
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::new(BEGIN_MS));
    server.reset();
    let mut events = day.events.iter().peekable();
    let (mut wrong, mut first) = (Vec::new(), 0);
    for asked in &day.asked {
        while let Some((minute, event)) = events.next_if(|(minute, _)| *minute <= asked.minute) {
            let now = (BEGIN_MS + minute * MINUTE_MS) / 1000;
            server.change(|state| state.set_now(Some(now)));
            happen(&server, event);
        }
        // Plex scans each hour, and mostly finds nothing.
        if asked.minute % 60 == 0 {
            server.scan(1);
        }
        clock.advance_ms(BEGIN_MS + asked.minute * MINUTE_MS - crate::support::index::Clock::now_ms(&*clock));
        // A new process each time.
        let index = open(options(&server, folder.path()), &clock);
        let library = index.library("Movies").expect("a handle");
        let answer = library.ask(&asked.path);
        if asked.minute == 0 {
            first = server.stats().total;
        }
        let ours = answer
            .item
            .filter(|_| answer.status == Status::Ok)
            .map(|item| item.item.rating_key);
        let truth = server
            .paths(1)
            .into_iter()
            .find(|(_, path)| path.as_deref() == Some(&asked.path))
            .map(|(key, _)| key.to_string());
        if ours != truth {
            let (since, clock_moved) = day.changed[&asked.path];
            let promised = if clock_moved { HOUR_MS } else { 24 * HOUR_MS };
            assert!(
                (asked.minute - since) * MINUTE_MS < promised,
                "{}: {ours:?} is wrong for longer than promised",
                asked.path
            );
            wrong.push((asked.minute - since, asked.path.clone()));
        }
    }
    let stats = server.stats();
    println!(
        "{items} items, 144 lookups in new processes: {} requests ({first} of them for the first listing), {} bytes; \
         {} answers wrong within the promise: {wrong:?}\n  {:?}",
        stats.total,
        stats.bytes,
        wrong.len(),
        stats
            .requests
            .iter()
            .filter(|(_, count)| **count > 0)
            .collect::<Vec<_>>()
    );
    // What a day costs beyond its first listing: a probe an hour, two pages after each scan, a question for a new path now
    // and then, and a full listing after 15 minutes a page if the content changed. A scan alone means no listing.
    let pages = u64::from(items) / 1_000 + 1;
    let listings = 24 * 60 / (15 * pages) * (pages + 1);
    assert!(stats.total - first <= 24 + 2 * 24 + 2 * 30 + 30 + listings, "{stats:?}");
    assert!(wrong.len() <= 6, "{wrong:?}");
}
