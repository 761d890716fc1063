//! A server that means harm, or is out of its mind: each call ends in bounded time and memory, with an answer or an error
//! that says what is wrong, and the store is none the worse.

use crate::support::index::Ask as _;
use crate::support::{self, Scene};
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::worker::{Role, Worker, say, told};
use plexindex::model::Token;
use plexindex::options::Options;
use plexindex_standin::{Action, Fault, LibrarySpec, Standin};

const GOOD: &str = "/data/movies/Good (1999)/Good (1999).mkv";

/// What the server does when it is asked for a listing.
type Way = fn(&mut dyn Write, start: u64) -> std::io::Result<()>;

fn row(key: &str, rest: &str, path: &str) -> String {
    format!(
        r#"{{"ratingKey":{key},"type":"movie","title":"T",{rest}"addedAt":1,"updatedAt":2,"Media":[{{"id":1,"Part":[{{"id":1,"file":"{path}","size":5}}]}}]}}"#
    )
}

fn page(head: &str, rows: &[String]) -> Vec<u8> {
    format!(r#"{{"MediaContainer":{{{head}"Metadata":[{}]}}}}"#, rows.join(",")).into_bytes()
}

fn send(out: &mut dyn Write, headers: &str, body: &[u8]) -> std::io::Result<()> {
    begin(out, &format!("{headers}Content-Length: {}", body.len()), "")?;
    out.write_all(body)
}

fn good(out: &mut dyn Write, start: u64) -> std::io::Result<()> {
    let rows = vec![row("\"7\"", "", GOOD); usize::from(start == 0)];
    let head = format!(r#""size":{},"totalSize":1,"offset":{start},"#, rows.len());
    send(out, "", &page(&head, &rows))
}

fn rows_from(start: u64, count: u64) -> Vec<String> {
    let one = |number| row(&format!("\"{number}\""), "", &format!("/data/movies/{number}.mkv"));
    (start..start + count).map(one).collect()
}

/// The beginning of a body of 10 GB.
fn begin(out: &mut dyn Write, headers: &str, body: &str) -> std::io::Result<()> {
    write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}\r\n\r\n{body}"
    )
}

const TEN_GIGABYTES: &str = "Content-Length: 10000000000";
const TITLE: &str = r#"{"MediaContainer":{"size":1,"totalSize":1,"title":""#;

/// So much that only the first part of it is ever sent.
fn ten_gigabytes(out: &mut dyn Write, _: u64) -> std::io::Result<()> {
    begin(out, TEN_GIGABYTES, TITLE)?;
    let piece = vec![b'x'; 1 << 20];
    (0..10_000).try_for_each(|_| out.write_all(&piece))
}

/// A page of rows that goes on and on.
fn ten_gigabytes_of_rows(out: &mut dyn Write, _: u64) -> std::io::Result<()> {
    begin(
        out,
        TEN_GIGABYTES,
        r#"{"MediaContainer":{"size":1,"totalSize":1,"Metadata":["#,
    )?;
    let mut rows = (0..60_000_000_u64).map(|number| row(&number.to_string(), "", &format!("/data/{number}.mkv")));
    rows.try_for_each(|row| write!(out, "{row},"))
}

fn endless(out: &mut dyn Write, start: u64) -> std::io::Result<()> {
    let head = format!(r#""size":1000,"totalSize":{},"offset":{start},"#, start + 2_000);
    send(out, "", &page(&head, &rows_from(start, 1_000)))
}

/// A single row with this in it.
fn one_row(out: &mut dyn Write, rest: &str) -> std::io::Result<()> {
    send(
        out,
        "",
        &page(r#""size":1,"totalSize":1,"#, &[row("\"7\"", rest, GOOD)]),
    )
}

fn deep(out: &mut dyn Write, _: u64) -> std::io::Result<()> {
    let (begin, end) = ("[".repeat(1_000_000), "]".repeat(1_000_000));
    one_row(out, &format!(r#""extra":{begin}1{end},"#))
}

fn deep_objects(out: &mut dyn Write, _: u64) -> std::io::Result<()> {
    let (begin, end) = (r#"{"Media":"#.repeat(1_000_000), "}".repeat(1_000_000));
    one_row(out, &format!(r#""Media":{begin}1{end},"#))
}

/// 10 GB of one letter, and in 10 MB.
fn bomb(out: &mut dyn Write, _: u64) -> std::io::Result<()> {
    begin(out, "Content-Encoding: gzip\r\nConnection: close", "")?;
    let mut gzip = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    gzip.write_all(TITLE.as_bytes())?;
    let piece = vec![b'x'; 1 << 20];
    (0..10_000).try_for_each(|_| gzip.write_all(&piece))
}

fn long_title(out: &mut dyn Write, start: u64) -> std::io::Result<()> {
    let title = format!(r#""summary":"s","originalTitle":"{}","#, "ä".repeat(1 << 19));
    let whole = format!(r#""title":"{}""#, "t".repeat(1 << 20));
    let one = row("\"7\"", &title, GOOD).replace(r#""title":"T""#, &whole);
    let rows = if start == 0 { vec![one] } else { Vec::new() };
    send(out, "", &page(r#""size":1,"totalSize":1,"#, &rows))
}

fn dripping_head(out: &mut dyn Write, _: u64) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 200 OK\r\nX: ")?;
    (0..200).try_for_each(|_| {
        std::thread::sleep(Duration::from_millis(50));
        out.write_all(b"x")
    })
}

fn endless_head(out: &mut dyn Write, _: u64) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 200 OK\r\n")?;
    (0..100_000_000).try_for_each(|number| write!(out, "X-{number}: {number}\r\n"))
}

fn missing_rows(out: &mut dyn Write, start: u64) -> std::io::Result<()> {
    let rows = if start == 0 { rows_from(1, 1) } else { Vec::new() };
    let head = format!(r#""size":{},"totalSize":10000000,"offset":{start},"#, rows.len());
    send(out, "", &page(&head, &rows))
}

/// The first page, whatever is asked for.
fn first_page(out: &mut dyn Write, _: u64) -> std::io::Result<()> {
    send(
        out,
        "",
        &page(r#""size":1000,"totalSize":2500,"offset":0,"#, &rows_from(1, 1_000)),
    )
}

/// The same, without its position.
fn page_without_position(out: &mut dyn Write, _: u64) -> std::io::Result<()> {
    send(out, "", &page(r#""size":1000,"totalSize":2500,"#, &rows_from(1, 1_000)))
}

/// Name, way, and how long the host waits.
const WAYS: [(&str, Way, u64); 7] = [
    ("10 GB of rows", ten_gigabytes_of_rows, 3_000),
    ("an endless listing", endless, 2_000),
    ("a million lists in each other", deep, 60_000),
    ("a million objects in each other", deep_objects, 60_000),
    ("a title of 1 MB", long_title, 60_000),
    ("an endless head", endless_head, 60_000),
    ("nothing wrong", good, 60_000),
];

/// The same, which take seconds without optimisation: what ends them is their size, not a deadline.
const LARGE: [(&str, Way, u64); 2] = [
    ("a body of 10 GB", ten_gigabytes, 60_000),
    ("10 GB in 10 MB of gzip", bomb, 60_000),
];

/// A server whose way may be changed.
fn serve(way: Arc<Mutex<Way>>) -> Standin {
    let server = Standin::builder().open().library(LibrarySpec::movies(0)).serve();
    let listing = Action::write(move |out, start| {
        let way = *way.lock().expect("no panic");
        way(out, start).map(|()| true)
    });
    let mut fault = Fault::new(listing).times(0);
    fault.contains = Some("/all".to_owned());
    server.fault(fault);
    server
}

/// KiB that this process had at most.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    let number = line.split_whitespace().nth(1).expect("a number");
    number.parse().expect("a number")
}

/// In a worker: asks the server once, with so much time, and says what came of it; then again, when told to.
fn ask(words: &[&str]) {
    let mut options = Options::new(words[0]);
    options.server_url = Some(words[1].to_owned());
    options.token = Token::new("s3cret-t0ken-of-the-tests");
    let index = support::open(options, &support::clock());
    let library = index.movies();
    let before = peak();
    let begun = Instant::now();
    let wait = words[2].parse().expect("a number");
    let in_time = library.query().timeout(Duration::from_millis(wait));
    let mut said = String::new();
    match in_time.matched(GOOD) {
        Ok(found) => {
            let key = found.key();
            let _ = write!(said, "{:?} {key:?}", found.status);
        }
        Err(error) => {
            let names = [&words[1]["http://".len()..], "Movies", "section 1"];
            assert!(names.iter().any(|name| error.message.contains(name)), "{error}");
            assert!(!error.message.contains("s3cret"), "{error}");
            let short: String = error.message.chars().take(160).collect();
            let _ = write!(said, "{:?} {short}", error.status);
        }
    }
    let (took, memory) = (begun.elapsed().as_millis(), (peak() - before) / 1024);
    say(&format!("{took} {memory} {said}"));
    told();
    library.query().refreshed(true).expect("listed");
    let found = library.ask(GOOD);
    assert_eq!(found.item.expect("an item").rating_key, "7");
    index.close().expect("closes");
    say("well again");
    told();
}

/// What workers of these tests do.
pub const ROLES: &[Role] = &[("ask", ask)];

/// An index over a server of this way that gives up after this silence, and its server.
fn hurried(way: Way, read_timeout: Duration) -> (plexindex::Index, Scene) {
    let at = Scene::of(serve(Arc::new(Mutex::new(way)))).with(|options| {
        (options.read_timeout, options.retry_for) = (read_timeout, Duration::ZERO);
        options.token = Token::new("t");
    });
    let index = plexindex::Index::open(at.options.clone());
    (index.expect("the index opens"), at)
}

#[test]
fn a_refresh_ends_if_ten_million_rows_never_come() {
    let (index, _server) = hurried(missing_rows, Duration::from_secs(1));
    for refreshed in [index.query().refresh_fully(), index.query().check()] {
        assert_eq!(refreshed.expect("it ends"), plexindex::Refreshed::NotYet);
        let found = index.match_path("/data/movies/1.mkv").expect("an answer");
        assert!(found.sure().is_some() && found.stale, "{found:?}");
    }
}

#[test]
fn a_head_that_drips_is_too_late_at_the_read_timeout() {
    let (index, _server) = hurried(dripping_head, Duration::from_millis(500));
    let error = index.query().refresh_fully().expect_err("the head takes 10 s");
    assert_eq!(error.kind(), plexindex::ErrorKind::Timeout, "{error}");
}

#[test]
fn a_proxy_that_repeats_the_first_page_is_called_one() {
    for way in [first_page, page_without_position] {
        let at = Scene::of(serve(Arc::new(Mutex::new(way as Way))));
        let index = at.open();
        let error = index.movies().query().refreshed(true).expect_err("the first page only");
        assert_eq!(error.status, plexindex::error::Status::BadAnswer);
        for word in ["proxy", "row 999"] {
            assert!(error.message.contains(word), "no '{word}' in: {error}");
        }
    }
}

#[test]
fn whatever_a_server_sends_costs_little_time_and_memory() {
    meet_all(&WAYS);
}

#[test]
#[ignore = "deep: ten seconds"]
fn ten_gigabytes_cost_little_memory() {
    meet_all(&LARGE);
}

fn meet_all(ways: &[(&'static str, Way, u64)]) {
    // Two at a time.
    let left = Mutex::new(ways.to_vec());
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                loop {
                    let next = left.lock().expect("no panic").pop();
                    let Some((name, way, wait)) = next else { return };
                    meet(name, way, wait);
                }
            });
        }
    });
}

fn meet(name: &str, way: Way, wait: u64) {
    let now = Arc::new(Mutex::new(way));
    let server = serve(Arc::clone(&now));
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display().to_string();
    let mut worker = Worker::start("ask", [&*place, &server.url(), &*wait.to_string()]);
    let said = worker.hear();
    println!("{name}: ms, MiB, outcome: {said}");
    let mut words = said.split(' ');
    let mut number = || words.next().expect("a number").parse::<u64>().expect("a number");
    let (took, memory) = (number(), number());
    assert!(took < 20_000, "{name} took {took} ms");
    assert!(memory < 160, "{name} took {memory} MiB");
    *now.lock().expect("no panic") = good;
    assert_eq!(worker.ask("again"), "well again", "{name}");
    worker.end();
}
