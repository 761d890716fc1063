//! A day of ordinary use, request by request: a new process for each file that is looked up, while the library changes.
//!
//! The other side is what the first consumer does on the same day, by a model of it: up to three title searches, really
//! sent; then, unless a listing of less than an hour ago is stored, one of all items in pages of 100, of which one page is
//! really sent and multiplied. `PLEXINDEX_DAY_ITEMS=100000 cargo test --release -p plexindex-tests day_of_requests -- --nocapture` prints the
//! numbers in `docs/design/freshness.md`.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::support::index::ManualClock;
use crate::support::{HOUR_MS, movies, open, options};
use plexindex::error::Status;
use plexindex::model::{ItemType, Token};
use plexindex::options::Options;
use plexindex::source::plex::PlexHttp;
use plexindex::source::plex::{Rows, RowsRequest};
use plexindex::source::{Bounds, Meter, RequestKind};
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
    server
        .change(|state| match event {
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
        })
        .expect("it happens");
}

struct NoMeter;

impl Meter for NoMeter {
    fn request(&self, _: RequestKind, _: u64, _: std::time::Duration) {}
}

/// One page of a listing as the plexapi client asks for it: XML, every field, 100 rows.
fn as_plexapi_lists(server: &Standin) {
    let host = server.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&host).expect("a connection");
    let request = format!(
        "GET /library/sections/1/all?includeGuids=1&type=1 HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\
         X-Plex-Token: {}\r\nX-Plex-Container-Start: 0\r\nX-Plex-Container-Size: 100\r\nConnection: close\r\n\r\n",
        server.token()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// The consumer's day: requests and bytes. `told`: whether file names tell titles.
fn consumer(server: &Standin, day: &Day, told: bool) -> (u64, u64) {
    let options = Options {
        server_url: Some(server.url()),
        token: Token::new(&server.token()),
        ..Options::default()
    };
    let source = PlexHttp::new(&options, "5f1c0a52-7a3e-4a3c-9a53-0f6f0a1d2b3c", Arc::new(NoMeter)).expect("a source");
    let ask = |rows: Rows<'_>, size: u32| {
        let request = RowsRequest {
            section: "1",
            kind: ItemType::Movie,
            rows,
            start: 0,
            size,
        };
        let mut found = Vec::new();
        source
            .fetch_rows(&request, Bounds::NONE, &mut found)
            .expect("an answer");
        found
    };
    server.reset();
    let mut multiplied = (0, 0);
    let mut listed: Option<i64> = None;
    let mut searched: HashMap<String, i64> = HashMap::new();
    let mut events = day.events.iter().peekable();
    for asked in &day.asked {
        while let Some((_, event)) = events.next_if(|(minute, _)| *minute <= asked.minute) {
            happen(server, event);
        }
        let name = asked.path.rsplit('/').next().unwrap_or_default();
        let stem = name.trim_end_matches(".mkv");
        let bare = stem.split(" (").next().unwrap_or(stem);
        let mut titles = vec![bare.to_owned(), stem.to_owned()];
        titles.dedup();
        let mut hit = false;
        for title in titles {
            let title = if told {
                title
            } else {
                format!("{title} in another language")
            };
            if searched.get(&title).is_some_and(|at| asked.minute - at < 60) {
                continue;
            }
            let found = ask(Rows::Title(&title), 100);
            searched.insert(title, asked.minute);
            hit = found
                .iter()
                .any(|item| item.parts.iter().any(|part| part.rsplit('/').next() == Some(name)));
            if hit {
                break;
            }
        }
        if !hit && listed.is_none_or(|at| asked.minute - at >= 60) {
            let before = server.stats();
            as_plexapi_lists(server);
            let pages = server.paths(1).len().div_ceil(100) as u64;
            let page = server.stats().bytes - before.bytes;
            multiplied.0 += pages - 1;
            multiplied.1 += page * (pages - 1);
            listed = Some(asked.minute);
        }
    }
    let stats = server.stats();
    (stats.total + multiplied.0, stats.bytes + multiplied.1)
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
        clock.advance_ms(BEGIN_MS + asked.minute * MINUTE_MS - crate::support::index::Clock::now_ms(&*clock));
        // A new process each time.
        let index = open(options(&server, folder.path()), &clock);
        let library = index.library("Movies").expect("a handle");
        let answer = library.match_path(asked.path.as_bytes()).expect("an answer");
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
    for told in [true, false] {
        let server = movies(items);
        let (requests, bytes) = consumer(&server, &day, told);
        let tenths = |theirs: u64, ours: u64| format!("{}.{}", theirs / ours, theirs * 10 / ours % 10);
        println!(
            "  the consumer where file names {}tell titles: {requests} requests, {bytes} bytes: {} and {} times as many",
            if told { "" } else { "do not " },
            tenths(requests, stats.total),
            tenths(bytes, stats.bytes),
        );
        if !told && items >= 100_000 {
            assert!(requests >= 100 * stats.total, "{requests} against {}", stats.total);
        }
    }
    // What a day costs beyond its first listing: a probe an hour, two pages where something moved, a question for a new
    // path now and then, and a full listing after 15 minutes a page.
    let pages = u64::from(items) / 1_000 + 1;
    let listings = 24 * 60 / (15 * pages) * (pages + 1);
    assert!(stats.total - first <= 24 + 2 * 24 + 2 * 30 + 30 + listings, "{stats:?}");
    assert!(wrong.len() <= 6, "{wrong:?}");
}
