//! What the tests share: a clock, clients and servers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use plexindex::error::{Error, Result};
use plexindex::inside::Clock;
use plexindex::model::{Item, ItemType, Token};
use plexindex::options::Options;
use plexindex::source::plex::{PlexHttp, Reply, Rows, RowsRequest};
use plexindex::source::{Bounds, Counters, RequestKind, Source};
use plexindex_standin::{LibrarySpec, Standin};

/// The token of every test: long enough to be looked for in texts.
pub const TOKEN: &str = "s3cret-t0ken-of-the-tests";

/// A clock that only pauses advance.
#[derive(Default)]
pub struct TestClock {
    slept: Mutex<Duration>,
}

impl TestClock {
    /// Time since the start, all of it slept.
    pub fn slept(&self) -> Duration {
        *self.slept.lock().unwrap()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Instant::now() + self.slept()
    }

    fn now_ms(&self) -> i64 {
        784_111_777_000 // 06 Nov 1994 08:49:37 GMT, the moment of HTTP's own examples
    }

    fn sleep(&self, time: Duration) {
        *self.slept.lock().unwrap() += time;
    }
}

/// A client with its counters and clock.
pub struct Client {
    pub plex: PlexHttp,
    counters: Arc<Counters>,
    pub clock: Arc<TestClock>,
}

/// A client of the server at `url`, with the token of the tests.
pub fn client(url: &str) -> Client {
    client_with(url, |_| ())
}

/// The same with other options.
pub fn client_with(url: &str, set: impl FnOnce(&mut Options)) -> Client {
    let mut options = Options::default();
    (options.server_url, options.token) = (Some(url.to_owned()), Token::new(TOKEN));
    set(&mut options);
    let counters = Arc::<Counters>::default();
    let clock = Arc::new(TestClock::default());
    let plex = PlexHttp::new(&options, "plexindex-of-the-tests", counters.clone()).unwrap();
    let plex = plex.with_clock(clock.clone());
    Client { plex, counters, clock }
}

impl Client {
    /// How many requests were sent.
    pub fn count(&self) -> u64 {
        self.counters.read().all_requests()
    }

    /// How many of this kind.
    pub fn count_of(&self, kind: RequestKind) -> u64 {
        self.counters.read().requests(kind)
    }

    /// Bytes of all answers.
    pub fn bytes(&self) -> u64 {
        self.counters.read().bytes_received
    }

    /// One page of section 1.
    pub fn page(&self, rows: Rows<'_>, start: u64, size: u32) -> Result<(Reply, Vec<Item>)> {
        self.page_of("1", ItemType::Movie, rows, start, size)
    }

    /// One page of a section.
    pub fn page_of(
        &self,
        section: &str,
        kind: ItemType,
        rows: Rows<'_>,
        start: u64,
        size: u32,
    ) -> Result<(Reply, Vec<Item>)> {
        let request = RowsRequest {
            section,
            kind,
            rows,
            start,
            size,
        };
        let mut items = Vec::new();
        let end = self.plex.fetch_rows(&request, Bounds::NONE, &mut items)?;
        Ok((end, items))
    }

    /// What asking for the libraries fails with.
    pub fn failure(&self) -> Error {
        let error = self.plex.libraries(Bounds::NONE).unwrap_err();
        assert!(!error.message.contains(TOKEN), "{error}");
        error
    }
}

/// A server with so many movies that takes the token of the tests, and its client.
pub fn standin(movies: u32) -> (Standin, Client) {
    let server = Standin::builder().token(TOKEN);
    let server = server.library(LibrarySpec::movies(movies)).serve();
    let client = client(&server.url());
    (server, client)
}

/// The first page of section 1.
pub const PAGE: RowsRequest<'static> = RowsRequest {
    section: "1",
    kind: ItemType::Movie,
    rows: Rows::All,
    start: 0,
    size: 1_000,
};

/// An answer with a length that fits.
pub fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    // The servers here end each connection with its answer: they say so, or the next request would sometimes go where
    // nothing listens any more, and be sent twice.
    let length = body.len();
    let mut answer =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// `/library/sections` of a server without libraries.
pub fn no_libraries() -> Vec<u8> {
    let json = "Content-Type: application/json\r\n";
    answer("200 OK", json, r#"{"MediaContainer":{"size":0}}"#)
}
