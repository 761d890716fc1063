//! A simulated history: its steps, each made of a few random words so that a history stays one when steps are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::support::index::{Ask as _, Index, Match, Selector, freeze_coarse_clock};
use plexindex::error::{Error, Status};
use plexindex::model::{Confidence, Token as Secret};
use plexindex::options::{Mapping, Options};
use plexindex::source::Event;

use crate::disk;
use crate::model::{Asked, Model, Row, Who};
use crate::net::{Net, URLS};
use plexindex_tests::memory::Token::{Coarse, Exact, Lagging, Lying};
use plexindex_tests::memory::{Fault, Memory};
use plexindex_tests::worker::Dice;

/// Where all that is asked for begins.
const START_MS: i64 = 4_000_000_000_000;
pub const TITLES: [&str; 3] = ["Films", "Shorts", "Later"];
/// Words of a step.
const WORDS: usize = 6;
/// Longer than any of the library's own pauses is shorter: a call with this deadline has all the time there is.
const LONG: Duration = Duration::from_secs(1_000);
/// What confirmed matches may take where many are recorded.
const MATCHES_LIMIT: u64 = 350_000;
/// How many are recorded at once there.
const MANY: usize = 1_100;

/// A step: what it does, it makes of these.
pub type Step = [u64; WORDS];

/// The steps of a seed.
pub fn steps_of(seed: u64, count: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed ^ 0x5EED);
    let mut step = || std::array::from_fn(|_| dice.roll(1 << 40));
    (0..count).map(|_| step()).collect()
}

/// What went wrong: the step, what, and the log up to it.
pub struct Failure {
    pub step: usize,
    pub what: String,
    pub log: String,
}

struct Handle {
    index: Index,
    who: Who,
    mapped: bool,
    number: usize,
    /// It was opened on a full disk, where there is no room for the segments that it lacks.
    may_lack_segments: bool,
}

#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub struct World {
    net: Arc<Net>,
    /// Holds the folders.
    place: tempfile::TempDir,
    folder: PathBuf,
    handles: Vec<Handle>,
    model: Model,
    log: String,
    opened: usize,
    files: usize,
    /// What the step is made of.
    words: Step,
    /// Bytes that the folder may take.
    size_limit: Option<u64>,
    /// Many matches are recorded, by one user, so that the limit on them is reached.
    many: bool,
    /// The disk is full until this step.
    full: Option<usize>,
    /// What the clock showed when it got room.
    emptied_ms: i64,
    /// Segments of listings went, so that on a full disk a library may be neither answered nor fetched again.
    have_listings_gone: bool,
    /// A call has no time at all.
    hurried: bool,
    /// A server changes before some request of what is done now.
    is_overtaken: bool,
    /// A write failed: it may have been made.
    unsure: bool,
    counts: BTreeMap<String, u64>,
    /// A copy of the folder that may be put back.
    kept: Option<Kept>,
    readers: Vec<Reader>,
}

fn word(words: &Step, at: usize, below: usize) -> usize {
    usize::try_from(words[at] % below.max(1) as u64).unwrap_or(0)
}

/// A folder in memory where there is one: a run is mostly writes.
fn scratch() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    let made = if shared.is_dir() {
        tempfile::tempdir_in(shared)
    } else {
        tempfile::tempdir()
    };
    made.or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// Runs a history. Gives its log, or what went wrong.
pub fn run(seed: u64, steps: &[Step]) -> Result<String, Failure> {
    let mut world = World::new(seed);
    for (number, step) in steps.iter().enumerate() {
        if let Err(what) = world.step(number, step) {
            return Err(world.failed(number, what));
        }
    }
    disk::fill(false);
    world.full = None;
    let done = world.compare().and_then(|()| world.readers_have_all());
    world.sum_up();
    match done {
        Ok(()) => Ok(std::mem::take(&mut world.log)),
        Err(what) => Err(world.failed(steps.len(), what)),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        freeze_coarse_clock(0);
        let mut dice = Dice::new(seed);
        let token = [Exact, Coarse, Coarse, Lagging, Lying][dice.roll(5) as usize];
        let no_uuids = dice.roll(6) == 0;
        let server = |number| Memory::numbered(number, token, !no_uuids);
        let servers: Vec<Memory> = (0..2 * URLS).map(server).collect();
        let size_limit = (dice.roll(4) == 0).then(|| 1_000 * (60 + dice.roll(300)));
        let many = dice.roll(6) == 0;
        let net = Net::new(START_MS, servers);
        let place = scratch();
        disk::watch(place.path(), &net);
        let folder = place.path().join("0");
        let mut world = Self {
            net,
            folder,
            place,
            handles: Vec::new(),
            model: Model::new(token, START_MS),
            log: String::new(),
            opened: 0,
            files: 0,
            words: [0; WORDS],
            size_limit,
            many,
            full: None,
            emptied_ms: 0,
            have_listings_gone: false,
            hurried: false,
            is_overtaken: false,
            unsure: false,
            counts: BTreeMap::new(),
            kept: None,
            readers: readers(),
        };
        for server in 0..2 * URLS {
            for title in &TITLES[..2] {
                let section = world.net.servers[server].add_library(title, &location(title));
                for _ in 0..dice.roll(14) {
                    world.files += 1;
                    let (name, path) = film(server, title, world.files);
                    world.net.servers[server].add(&section, &name, &path);
                }
            }
            world.net.servers[server].catch_up();
        }
        let _ = writeln!(
            world.log,
            "{token:?}, no uuids {no_uuids}, size_limit {size_limit:?}, many {many}"
        );
        world.see();
        world.open(Who { url: 0, user: 0 }, false).expect("the first handle");
        world
    }

    fn failed(&self, step: usize, what: String) -> Failure {
        Failure {
            step,
            what,
            log: self.log.clone(),
        }
    }

    fn say(&mut self, words: &str) {
        let _ = writeln!(self.log, "{:4} {words}", self.model.now());
    }

    /// The same of a handle.
    fn tell(&mut self, at: usize, words: &str) {
        let number = self.handles[at].number;
        self.say(&format!("{number}: {words}"));
    }

    fn word(&self, at: usize, below: usize) -> usize {
        word(&self.words, at, below)
    }

    fn step(&mut self, number: usize, step: &Step) -> Result<(), String> {
        self.words = *step;
        (self.hurried, self.unsure) = (false, false);
        self.net.advance(1 + self.word(5, 20).cast_signed() as i64);
        self.model.times.push(self.net.now());
        if self.full.is_some_and(|until| until <= self.model.now()) {
            self.empty();
        }
        let mut was_full = self.full.is_some();
        self.model.begun = self.model.now();
        if self.handles.is_empty() {
            let who = self.any_who();
            self.open(who, false)?;
        }
        let what = self.word(0, 200);
        // A kill comes at some point of what the other words are made into.
        if what < 6 {
            self.killed()?;
        } else if what < 14 {
            self.overtaken()?;
        } else {
            self.act(what)?;
            was_full |= self.full.is_some();
            if self.word(4, 4) == 0 {
                self.read_on()?;
            }
            if number % 20 == 19 {
                self.compare()?;
                self.readers_have_all()?;
            }
        }
        let said = disk::take_log();
        // The disk may have got room within the step.
        let is_full = was_full || self.full.is_some();
        let never = |line: &&String| !is_full && disk::NEVER.iter().any(|never| line.contains(never));
        let unexplained = |line| Err(format!("a warning that nothing explains: {line}"));
        said.iter().find(never).map_or(Ok(()), unexplained)
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// What happened, for the sums of all histories.
    fn sum_up(&mut self) {
        for status in self.net.failures() {
            self.count(&format!("requests that failed: {status:?}"));
        }
        for server in &self.net.servers {
            for (kind, times) in server.take_requests() {
                *self.counts.entry(format!("requests: {kind}")).or_default() += times;
            }
        }
        if let Some(Ok(stats)) = self.handles.last().map(|handle| handle.index.stats()) {
            *self.counts.entry("libraries evicted".to_owned()).or_default() += stats.evictions;
        }
        disk::count(&mut self.counts);
    }

    /// The disk has room again.
    fn empty(&mut self) {
        if self.full.take().is_some() {
            self.emptied_ms = self.net.now();
            self.say("the disk has room");
            disk::fill(false);
        }
    }

    fn act(&mut self, what: usize) -> Result<(), String> {
        let (name, done) = match what {
            0..42 => ("match_path", self.match_path()),
            42..56 => ("lookup_key", self.look_up()),
            56..62 => ("match_paths", self.batch()),
            62..66 => ("match_guid", self.guid()),
            66..70 => ("search_title", self.title()),
            70..82 => ("record_matches", self.record()),
            82..88 => ("invalidate_path", self.invalidate_path()),
            88..92 | 106..109 => ("invalidate_item", self.invalidate_item()),
            92..94 => ("invalidate", self.invalidate()),
            94 => ("clear", self.clear()),
            95..98 => ("refresh", self.refresh(false)),
            98..101 => ("refresh, full", self.refresh(true)),
            101..106 => ("notify", self.notify()),
            109..116 => {
                let who = self.any_who();
                let mapped = self.word(3, 4) == 0;
                ("open", self.open(who, mapped))
            }
            116..121 => ("close", self.close()),
            121..144 => ("a server changes", self.change()),
            144..151 => ("a server fails, or does no more", self.fault()),
            151..164 => ("time goes by", self.time()),
            164..172 if self.many => ("many matches", self.record_many()),
            164..178 => ("a copy of the folder", self.backup()),
            178 => ("the folder goes while a handle opens", self.gone_while_opening()),
            179..183 => ("the disk fills", self.fill()),
            183..186 => ("watch_start", self.watch()),
            186..190 => ("files go", self.vanish()),
            190 => ("another server", self.swap()),
            191..193 => ("a scan", self.scan()),
            193..197 => {
                self.say("tokens catch up");
                self.net.servers.iter().for_each(Memory::catch_up);
                ("tokens catch up", Ok(()))
            }
            _ => ("stats, libraries, store", self.facts()),
        };
        self.count(name);
        done
    }

    /// Nothing more can be written for some steps.
    fn fill(&mut self) -> Result<(), String> {
        let until = self.model.now() + 1 + self.word(1, 12);
        self.say(&format!("the disk is full until step {until}"));
        // Each handle answers from the segments of its own mappings, and makes those that it lacks at a question. On a
        // full disk it answers from what it had when the disk became full.
        for handle in &self.handles {
            let _ = handle.index.query().offline().matched(host_path(0));
        }
        self.full = Some(until);
        disk::fill(true);
        Ok(())
    }

    // What the servers have.

    /// The libraries of the server behind a URL: title and section.
    fn libraries(&self, url: usize) -> Vec<(String, String)> {
        self.net.server(url).sections()
    }

    fn see(&mut self) {
        // What has changed during a call is another step, at the same time.
        if std::mem::take(&mut self.is_overtaken) && self.net.has_changed() {
            self.count("changes during a call");
            self.model.times.push(self.net.now());
        }
        for url in 0..URLS {
            let server = self.net.server(url);
            let mut rows = BTreeMap::new();
            for (title, section) in server.sections() {
                let shown = server.is_mounted(&section);
                let shown_at_all = |item: &plexindex::model::Item| item.has_valid_key() && !item.trashed;
                for item in server.items(&section).into_iter().filter(shown_at_all) {
                    let row = Row {
                        path: item.parts[0].to_string(),
                        title: item.title.clone(),
                        shown,
                    };
                    rows.insert((title.clone(), item.rating_key), row);
                }
            }
            self.model.see(url, self.net.route(url), &rows);
        }
    }

    /// A server that is behind a URL, with its number, and a library of it: title and section.
    fn any_library(&self, word_at: usize) -> (usize, Memory, (String, String)) {
        let number = self.net.route(self.word(word_at, URLS));
        let server = self.net.servers[number].clone();
        let libraries = server.sections();
        let library = libraries[self.word(word_at + 1, libraries.len())].clone();
        (number, server, library)
    }

    fn change(&mut self) -> Result<(), String> {
        let (number, server, (title, section)) = self.any_library(1);
        let has_room = server.sections().len() < TITLES.len();
        let items: Vec<_> = (server.items(&section).into_iter())
            .filter(plexindex::model::Item::has_valid_key)
            .collect();
        let one = (!items.is_empty()).then(|| items[self.word(3, items.len())].clone());
        self.files += 1;
        let (name, path) = film(number, &title, self.files);
        match (self.word(4, 24), one) {
            (0, _) if has_room => {
                self.say(&format!("server {number} gets another library"));
                let section = server.add_library(TITLES[2], &location(TITLES[2]));
                server.add(&section, &name, &film(number, TITLES[2], self.files).1);
            }
            (1, Some(_)) => {
                self.say(&format!("'{title}' of server {number} is keyed anew"));
                server.rekey(&section);
            }
            (2 | 3, _) => {
                let mounted = server.is_mounted(&section);
                self.say(&format!("'{title}' of server {number}: mounted {}", !mounted));
                server.mount(&section, !mounted);
            }
            (4..=7, Some(item)) => {
                self.say(&format!("{} goes from '{title}' of server {number}", item.rating_key));
                server.remove(&section, &item.rating_key);
            }
            (8..=10, Some(item)) => {
                self.say(&format!("{} becomes {path}", item.rating_key));
                server.rename(&section, &item.rating_key, &path);
            }
            (11, Some(item)) => {
                // Another item takes its file: the old one goes, with or without a trace.
                self.say(&format!("{} is replaced at {}", item.rating_key, item.parts[0]));
                server.remove(&section, &item.rating_key);
                server.add(&section, &name, &item.parts[0].to_string());
            }
            (12, Some(item)) => {
                self.say(&format!("another item has {} too", item.parts[0]));
                server.add(&section, &name, &item.parts[0].to_string());
            }
            (13, Some(item)) => {
                // The count stays, as when one goes while another comes.
                self.say(&format!("{} goes, and {path} comes", item.rating_key));
                server.remove(&section, &item.rating_key);
                server.add(&section, &name, &path);
            }
            (15, Some(item)) if items.len() > 1 => {
                let (key, mut keys) = (&item.rating_key, items.iter().map(|other| &other.rating_key));
                let other = keys.find(|other| *other != key).expect("two");
                self.say(&format!("{key} and {other} exchange their files"));
                server.swap(&section, key, other);
            }
            (16, Some(item)) => {
                self.say(&format!("{} goes to the trash, or comes back", item.rating_key));
                server.trash(&section, &item.rating_key, !item.trashed);
            }
            (14, _) => {
                // Behind a NUL C would not read on: such an item is none.
                self.say(&format!("{path} comes to server {number}, with a NUL in its key"));
                server.add_as(&section, format!("{}\0{}", self.files, self.files), &name, &path);
            }
            _ => {
                self.say(&format!("{path} comes to '{title}' of server {number}"));
                server.add(&section, &name, &path);
            }
        }
        self.see();
        Ok(())
    }

    /// A server changes between two requests of what is done now.
    fn overtaken(&mut self) -> Result<(), String> {
        let (number, server, (title, section)) = self.any_library(2);
        let mut keys: Vec<String> = server.items(&section).into_iter().map(|item| item.rating_key).collect();
        keys.retain(|key| !key.contains('\0'));
        self.files += 1;
        let (name, path) = film(number, &title, self.files);
        let (which, shown) = (self.word(4, keys.len()), title.clone());
        let what = self.word(5, 5);
        let request = self.word(0, 1 << 30) as u64 / 200 % 8;
        self.say(&format!(
            "'{title}' of server {number} changes before request {request}: {what}, {:?}, {path}",
            keys.get(which)
        ));
        let change = move || match (what, keys.get(which)) {
            (0 | 1, Some(key)) => {
                // The count stays.
                server.remove(&section, key);
                server.add(&section, &name, &path);
            }
            (2, Some(key)) => server.remove(&section, key),
            (3, Some(key)) => server.rename(&section, key, &path),
            _ => drop(server.add(&section, &name, &path)),
        };
        self.net.change_before(request, Box::new(change));
        self.is_overtaken = true;
        self.act([10, 60, 95, 98, 99, 100][self.word(1, 6)])?;
        self.see();
        // What is torn is seen after the delta that follows, and before the next listing.
        for at in 0..self.handles.len() {
            let _ = self.handles[at].index.query().refreshed(false);
            for path in self.model.paths(self.handles[at].who.url, Some(&shown), false) {
                self.ask_path(at, Some(&shown), &path, None, true, None)?;
            }
        }
        Ok(())
    }

    fn scan(&mut self) -> Result<(), String> {
        let url = self.word(1, URLS);
        let libraries = self.libraries(url);
        let (title, section) = &libraries[self.word(2, libraries.len())];
        let busy = self.word(3, 2) == 0;
        self.say(&format!("a scan of '{title}' behind {url}: {busy}"));
        self.net.server(url).scan(section, busy);
        Ok(())
    }

    fn fault(&mut self) -> Result<(), String> {
        let url = self.word(1, URLS);
        let fault = match self.word(2, 14) {
            0 => Some(Fault::Down),
            1 => Some(Fault::Starting),
            2 => Some(Fault::Unauthorized),
            3 => Some(Fault::Forbidden),
            4 | 5 => Some(Fault::CutAfter(self.word(3, 4))),
            6 => Some(Fault::Slow(LONG * 2)),
            7 => Some(Fault::Slow(LONG / 2 + LONG / 4)),
            8 => {
                for (kind, times) in self.net.server(url).take_requests() {
                    *self.counts.entry(format!("requests: {kind}")).or_default() += times;
                }
                Some(Fault::DownAfterPages(1 + self.word(3, 3) as u64))
            }
            _ => None,
        };
        self.say(&format!("behind {url}: {fault:?}"));
        if let Some(fault) = fault {
            let name = format!("{fault:?}");
            self.count(&format!("fault: {}", name.split('(').next().unwrap_or("")));
        }
        self.net.server(url).fail(fault);
        Ok(())
    }

    fn time(&mut self) -> Result<(), String> {
        const HOUR: i64 = 3_600_000;
        let by = match self.word(1, 40) {
            0..12 => 5_000 + self.word(2, 30_000).cast_signed() as i64,
            12..22 => 61_000 + self.word(2, 600_000).cast_signed() as i64,
            22..32 => HOUR + 1 + self.word(2, 1_000).cast_signed() as i64,
            32..35 => 25 * HOUR,
            35 => -20_000,
            36 => -HOUR,
            37 => -30 * HOUR,
            38 => 10 * 24 * HOUR,
            _ => 31 * 24 * HOUR,
        };
        self.say(&format!("{by} ms go by"));
        self.net.advance(by);
        let now = self.model.now();
        self.model.times[now] = self.net.now();
        Ok(())
    }

    /// Another server answers behind a URL, and the next refresh finds it out.
    fn swap(&mut self) -> Result<(), String> {
        self.empty();
        let url = self.word(1, URLS);
        let Some(at) = self.handles.iter().position(|handle| handle.who.url == url) else {
            return Ok(());
        };
        // A server that goes before it told its name is a gap ('What does not hold yet', 13).
        self.net.server(url).fail(None);
        for handle in self.handles.iter().filter(|handle| handle.who.url == url) {
            drop(handle.index.query().server());
        }
        self.net.swap(url);
        // A store of before takes the new server for the old one until it asks.
        self.kept = None;
        self.net.server(url).fail(None);
        self.see();
        let users = if self.many { 1 } else { 3 };
        let others: Vec<Who> = (0..users).map(|user| Who { url, user }).collect();
        self.say(&format!("server {} answers behind {url}", self.net.route(url)));
        let mut seen = Vec::new();
        for place in std::iter::once(at).chain(0..self.handles.len()) {
            let who = self.handles[place].who;
            if who.url != url || seen.contains(&who) {
                continue;
            }
            seen.push(who);
            let done = self.handles[place].index.query().server();
            done.map_err(|error| format!("the new server was not found: {error}"))?;
        }
        // Users without a handle find it out when they come.
        for who in others.iter().filter(|who| !seen.contains(who)) {
            self.open(*who, false)?;
            let handle = self.handles.last().expect("a handle");
            let done = handle.index.query().server();
            done.map_err(|error| format!("the new server was not found: {error}"))?;
        }
        Ok(())
    }

    // Handles.

    fn any_who(&self) -> Who {
        Who {
            url: usize::from(self.word(1, 4) == 0),
            user: if self.many {
                0
            } else {
                [0, 0, 0, 1, 1, 2][self.word(2, 6)]
            },
        }
    }

    fn options(&self, who: Who, mapped: bool, number: usize) -> Options {
        let mut options = self.plain_options(who);
        options.page_size = 2 + number as u32 % 11;
        if mapped {
            let mapping = |title| Mapping::server_to_host(location(title), format!("/mnt/{title}"));
            options.mappings = TITLES.map(mapping).into();
        }
        options
    }

    fn plain_options(&self, who: Who) -> Options {
        Options {
            cache_dir: self.folder.clone(),
            server_url: Some(format!("http://server-{}", who.url)),
            token: Secret::new(&format!("token-{}", who.user)),
            user: (!who.is_token()).then(|| format!("user-{}", who.user)),
            slow: None,
            size_limit: self.size_limit,
            matches_limit: Some(MATCHES_LIMIT),
            ..Options::default()
        }
    }

    fn new_handle(&mut self, who: Who, mapped: bool) -> Result<Handle, String> {
        let made = self.try_open(who, mapped);
        if let Err(error) = &made
            && self.full.is_some()
            && error.message.contains("client identifier")
        {
            // Its file had gone, and cannot be made.
            self.empty();
            return self.new_handle(who, mapped);
        }
        made.map_err(|error| format!("no handle can be opened: {:?}: {error}", error.status))
    }

    fn try_open(&mut self, who: Who, mapped: bool) -> Result<Handle, Error> {
        self.opened += 1;
        let number = self.opened;
        let options = self.options(who, mapped, number);
        let net = Arc::clone(&self.net);
        let index = Index::open_with(options, Arc::clone(&self.net) as _, |_, _, counters| {
            Ok(net.source(who.url, who.user, &counters))
        });
        Ok(Handle {
            index: index?,
            who,
            mapped,
            number,
            may_lack_segments: self.full.is_some(),
        })
    }

    fn open(&mut self, who: Who, mapped: bool) -> Result<(), String> {
        if self.handles.len() >= 8 {
            let handle = self.handles.remove(0);
            self.end(handle)?;
        }
        let handle = self.new_handle(who, mapped)?;
        self.say(&format!("handle {} opens: {who:?}, mapped {mapped}", handle.number));
        self.handles.push(handle);
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let at = self.word(1, self.handles.len());
        let handle = self.handles.remove(at);
        self.say(&format!("handle {} closes", handle.number));
        self.end(handle)
    }

    fn end(&self, handle: Handle) -> Result<(), String> {
        match handle.index.close() {
            // Counters could not be stored.
            Err(error) if self.full.is_some() && is_of_the_disk(error.status) => Ok(()),
            done => done.map_err(|error| format!("closing: {:?}: {error}", error.status)),
        }
    }

    /// All processes are killed at some point of what is done now.
    fn killed(&mut self) -> Result<(), String> {
        let copy = self.place.path().join(format!("{}", self.opened + 1_000));
        let point = self.word(0, 1 << 30) as u64 / 200 % 16;
        self.net.arm(point, &self.folder, &copy);
        let what = [10, 60, 70, 75, 82, 88, 92, 94, 95, 98, 99, 100, 170, 173, 175][self.word(4, 15)];
        self.say(&format!("killed at point {point} of:"));
        let done = self.act(what);
        let in_time = self.net.disarm();
        let when = if in_time { "killed" } else { "killed behind it" };
        self.say(when);
        self.count(when);
        done?;
        let dead = std::mem::take(&mut self.handles);
        let whos: Vec<(Who, bool)> = dead.iter().map(|handle| (handle.who, handle.mapped)).collect();
        drop(dead);
        let _ = std::fs::remove_dir_all(&self.folder);
        self.folder = copy;
        self.readers_killed();
        for (who, mapped) in whos.into_iter().take(2) {
            self.open(who, mapped)?;
        }
        Ok(())
    }

    /// A file of the folder goes, or two exchange their names.
    fn vanish(&mut self) -> Result<(), String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.folder)
            .expect("the folder")
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        // By kind: names hold random numbers.
        let kind = self.word(1, 60);
        names.retain(|name| match kind {
            0..40 => name.ends_with(".segment"),
            40..48 => name.ends_with(".lock"),
            48..54 => name == "plexindex-client-id",
            54..57 => name.ends_with(".page"),
            57..59 => name == "plexindex-1.db",
            _ => true,
        });
        let kinds = "listings exchanged locks client page database all";
        let kinds: Vec<&str> = kinds.split(' ').collect();
        let what = kinds[[0, 30, 40, 48, 54, 57, 59].partition_point(|from| *from <= kind) - 1];
        self.say(&format!("files go: {what}"));
        self.count(&format!("files go: {what}"));
        self.have_listings_gone |= matches!(what, "listings" | "exchanged" | "all");
        self.empty();
        if what == "exchanged" {
            // What is mapped stays so: those who open it later get the other file.
            let whos: Vec<(Who, bool)> = self.handles.iter().map(|handle| (handle.who, handle.mapped)).collect();
            if self.word(2, 4) > 0 {
                self.say("while none has the folder open");
                for handle in std::mem::take(&mut self.handles) {
                    self.end(handle)?;
                }
            }
            names.sort();
            // Of a user's libraries, or of the same library as users see it.
            let apart = 1 + self.word(3, 3);
            for some in names.chunks(2 * apart) {
                for (one, other) in some.iter().zip(&some[apart.min(some.len())..]) {
                    let [one, other, between] = [one.as_str(), other, "between"].map(|name| self.folder.join(name));
                    let _ = std::fs::rename(&one, &between);
                    let _ = std::fs::rename(&other, &one);
                    let _ = std::fs::rename(&between, &other);
                }
            }
            if self.handles.is_empty() {
                for (who, mapped) in whos {
                    self.open(who, mapped)?;
                }
                // All of them read the same files: what is right is asked of the model.
                for at in 0..self.handles.len() {
                    for path in self.model.paths(self.handles[at].who.url, None, true) {
                        self.ask_path(at, None, &path, None, true, None)?;
                        self.agree(at, None, &path)?;
                    }
                }
            }
            return Ok(());
        }
        for name in &names {
            let _ = std::fs::remove_file(self.folder.join(name));
        }
        if what == "all" && self.word(2, 2) == 0 {
            self.say("and the folder");
            self.count("files go: the folder");
            let _ = std::fs::remove_dir(&self.folder);
        }
        if matches!(what, "database" | "all") {
            self.model.lose_records();
        }
        if matches!(what, "page" | "database" | "all") {
            // Lookups notice within half a second.
            freeze_coarse_clock(600);
            for handle in &self.handles {
                let done = handle.index.stats();
                done.map_err(|error| format!("after files went: {:?}: {error}", error.status))?;
            }
        }
        Ok(())
    }
}

/// Whether this is what a full disk is reported as.
pub fn is_of_the_disk(status: Status) -> bool {
    matches!(status, Status::Store | Status::StoreFull)
}

/// The folder of a library.
pub fn location(title: &str) -> String {
    format!("/srv/{title}")
}

/// The title and file of a film. Servers have other films.
fn film(server: usize, title: &str, number: usize) -> (String, String) {
    let name = format!("Film {number} of {server}");
    let path = format!("{}/Folder {}/{name}.mkv", location(title), number % 5);
    (name, path)
}

#[path = "calls.rs"]
mod calls;
#[path = "readers.rs"]
mod readers;
#[path = "trouble.rs"]
mod trouble;
use calls::host_path;
use readers::{Reader, readers};
use trouble::Kept;
