//! Everything the server knows, and the changes that tests make to it.

use serde_json::{Value, json};

use crate::changes::number_media;
use crate::config::{Config, Identity, Token};
use crate::events::Event;
use crate::generate::Generator;
use crate::library::{Library, Location, Row};
use crate::model::Link;
use crate::spec::{ItemSpec, LibrarySpec};

/// The time at which a server starts, epoch seconds. Its clock stands still but for a second with each
/// change, so that replies depend on changes only.
pub const START_TIME: i64 = 1_790_000_000;

/// The first new rating key.
pub const FIRST_KEY: u64 = 1_001;

/// Rows inserted or removed just before a page of a listing is answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shift {
    pub library: u32,
    pub page: u64,
    pub seen: u64,
    pub remove: Vec<u64>,
    pub add: Vec<ItemSpec>,
}

/// The state of a server.
pub struct State {
    /// The answer of `/identity`.
    pub identity: Identity,
    /// Who is let in; empty: everyone, as an unclaimed server would.
    pub tokens: Vec<Token>,
    /// The switches.
    pub config: Config,
    pub(crate) libraries: Vec<Library>,
    pub(crate) shifts: Vec<Shift>,
    pub(crate) activities: Vec<Value>,
    pub(crate) events: Vec<Event>,
    /// Raised by whatever changes replies without changing a library.
    pub(crate) version: u64,
    pub(crate) next_key: u64,
    now: i64,
    wall_clock: bool,
}

impl Default for State {
    fn default() -> Self {
        State::new(Identity::default(), Vec::new(), Config::default())
    }
}

impl State {
    /// A server without libraries.
    pub fn new(identity: Identity, tokens: Vec<Token>, config: Config) -> Self {
        State {
            identity,
            tokens,
            config,
            libraries: Vec::new(),
            shifts: Vec::new(),
            activities: Vec::new(),
            events: Vec::new(),
            version: 1,
            next_key: FIRST_KEY,
            now: START_TIME,
            wall_clock: false,
        }
    }
}

/// The error text of a change.
pub type Outcome<T> = Result<T, String>;

fn uuid(seed: u64, key: u32) -> String {
    let a = seed
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(key % 64);
    let b = a.wrapping_mul(0xD1B5_4A32_D192_ED03) ^ u64::from(key);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        (a >> 32) as u32,
        (a >> 16) as u16,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

impl State {
    /// The server's now, epoch seconds.
    pub fn now(&self) -> i64 {
        if self.wall_clock {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(self.now, |d| d.as_secs() as i64)
        } else {
            self.now
        }
    }

    /// Sets the server's clock, or lets it follow the machine's.
    pub fn set_now(&mut self, now: Option<i64>) {
        self.wall_clock = now.is_none();
        if let Some(now) = now {
            self.now = now;
        }
    }

    pub(crate) fn tick(&mut self) -> i64 {
        self.now += 1;
        self.now()
    }

    /// The libraries, in the order in which they were added.
    pub fn libraries(&self) -> &[Library] {
        &self.libraries
    }

    /// A library by its section id.
    pub fn library(&self, key: u32) -> Option<&Library> {
        self.libraries.iter().find(|l| l.key == key)
    }

    /// A library by its section id, to change it.
    pub fn library_mut(&mut self, key: u32) -> Outcome<&mut Library> {
        self.libraries
            .iter_mut()
            .find(|l| l.key == key)
            .ok_or_else(|| format!("no library {key}"))
    }

    /// The library that has an item.
    pub fn library_of(&self, key: u64) -> Option<&Library> {
        self.libraries.iter().find(|l| l.find(key).is_some())
    }

    /// The title of an item.
    pub fn title_of(&self, key: u64) -> Option<String> {
        let library = self.library_of(key)?;
        let (kind, at) = library.find(key)?;
        Some(library.title_at(kind, at).into_owned())
    }

    pub(crate) fn section_of(&self, key: u64) -> Outcome<u32> {
        self.library_of(key)
            .map(|l| l.key)
            .ok_or_else(|| format!("no item {key}"))
    }

    fn free_section(&self) -> u32 {
        self.libraries.iter().map(|l| l.key).max().unwrap_or(0) + 1
    }

    /// A title that no library has: `Movies`, `Movies 2`, …
    fn free_title(&self, title: &str) -> String {
        let taken = |t: &String| self.libraries.iter().any(|l| l.title == *t);
        let numbered = (2..).map(|n| format!("{title} {n}"));
        std::iter::once(title.to_owned())
            .chain(numbered)
            .find(|t| !taken(t))
            .unwrap_or_default()
    }

    pub(crate) fn push_event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Adds a library. Returns its section id.
    pub fn add_library(&mut self, mut spec: LibrarySpec) -> Outcome<u32> {
        let key = spec.key.unwrap_or_else(|| self.free_section());
        if self.library(key).is_some() {
            return Err(format!("there is a library {key} already"));
        }
        if spec.title.is_empty() {
            spec.title = self.free_title(spec.kind.default_title());
        }
        let base = spec.first_rating_key.unwrap_or(self.next_key);
        let uuid = spec.uuid.clone().unwrap_or_else(|| uuid(spec.seed, key));
        let generator = Generator::new(spec, base);
        let end = base + generator.span();
        let taken = |l: &Library| {
            l.tables
                .keys()
                .any(|k| (0..l.count(*k) as u32).any(|at| (base..end).contains(&l.key_at(*k, at))))
        };
        if base < self.next_key && self.libraries.iter().any(taken) {
            return Err("its rating keys are taken".to_owned());
        }
        self.next_key = self.next_key.max(end);
        let locations = self.make_locations(generator.spec().locations.clone());
        let mut library = Library::generated(key, uuid, generator);
        library.locations = locations;
        library.created_at = self.now() - 5_000_000;
        library.scanned_at = self.now() - 3_600;
        self.libraries.push(library);
        self.version += 1;
        Ok(key)
    }

    fn make_locations(&self, paths: Vec<String>) -> Vec<Location> {
        let first = self
            .libraries
            .iter()
            .flat_map(|l| &l.locations)
            .map(|l| l.id)
            .max()
            .unwrap_or(0)
            + 1;
        (first..).zip(paths).map(|(id, path)| Location { id, path }).collect()
    }

    /// The same files under new rating keys, as after a library was emptied and scanned again.
    pub fn rekey_library(&mut self, key: u32) -> Outcome<()> {
        let now = self.tick();
        let base = self.next_key;
        let library = self.library_mut(key)?;
        let old = library.generator.as_ref().map(|g| (g.base(), g.span()));
        let span = old.map_or(0, |(_, span)| span);
        if let Some(generator) = &mut library.generator {
            generator.set_base(base);
        }
        let mut next = base + span;
        let mut renamed = std::collections::HashMap::new();
        for item in library.tables.values_mut().flat_map(|t| &mut t.rows) {
            let Row::Own(item) = item else { continue };
            let new = match old {
                Some((from, span)) if (from..from + span).contains(&item.key) => base + (item.key - from),
                _ => {
                    next += 1;
                    next - 1
                }
            };
            renamed.insert(item.key, new);
            if item.guid == format!("local://{}", item.key) {
                item.guid = format!("local://{new}");
            }
            item.key = new;
            number_media(&mut item.media, new);
        }
        let moved = |link: &mut Link| {
            if let Some(new) = renamed.get(&link.key) {
                link.key = *new;
            } else if let Some((from, span)) = old
                && (from..from + span).contains(&link.key)
            {
                link.key = base + (link.key - from);
            }
        };
        let generator = library.generator.clone();
        for (kind, table) in &mut library.tables {
            for row in &mut table.rows {
                if let Row::Own(item) = row {
                    item.parent.as_mut().map(moved);
                    item.grandparent.as_mut().map(moved);
                }
            }
            table.rows.sort_by_key(|row| match row {
                Row::Own(item) => item.key,
                Row::Gen(i) => generator.as_ref().map_or(0, |g| g.key(*kind, *i)),
            });
        }
        let rows: usize = library.tables.values().map(|t| t.rows.len()).sum();
        library.count_change(2 * rows as u64);
        library.scanned_at = now;
        library.bump();
        self.next_key = next;
        Ok(())
    }

    /// The start of a scan: `refreshing` is set, and the activity begins.
    pub(crate) fn begin_scan(&mut self, section: u32) -> Outcome<()> {
        let library = self.library_mut(section)?;
        library.refreshing = true;
        let title = library.title.clone();
        let activity = json!({
            "uuid": format!("scan-{section}"), "type": "library.update.section", "cancellable": false,
            "userID": 1, "title": "Scanning", "subtitle": title, "progress": 0,
            "Context": {"librarySectionID": section.to_string()},
        });
        self.activities.push(activity.clone());
        self.push_event(Event::activity("started", activity));
        Ok(())
    }

    /// The end of a scan: staged items appear, `scannedAt` moves, `refreshing` falls.
    pub(crate) fn end_scan(&mut self, section: u32) -> Outcome<()> {
        let staged = std::mem::take(&mut self.library_mut(section)?.staged);
        self.add_items(section, staged, true)?;
        self.library_mut(section)?.refreshing = false;
        let id = format!("scan-{section}");
        let mut ended = Vec::new();
        self.activities.retain(|a| {
            let mine = a["uuid"] == id.as_str();
            if mine {
                ended.push(a.clone());
            }
            !mine
        });
        for mut activity in ended {
            activity["progress"] = json!(100);
            self.push_event(Event::activity("ended", activity));
        }
        self.push_event(Event::status("Library scan complete", "LIBRARY_UPDATE"));
        Ok(())
    }

    /// A whole scan at once.
    pub fn scan(&mut self, section: u32) -> Outcome<()> {
        self.begin_scan(section)?;
        self.end_scan(section)
    }
}
