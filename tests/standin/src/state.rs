//! Everything the server knows, and the changes that tests make to it.

use serde_json::json;

use crate::config::{Config, Identity, Token};
use crate::events::Event;
use crate::generate::Generator;
use crate::library::{Library, Location, Row};
use crate::model::{Item, ItemType, LibraryKind};
use crate::spec::{ItemSpec, LibrarySpec};

/// The time at which a server starts, epoch seconds. Its clock stands still but for a second with each
/// change, so that replies depend on changes only.
pub const START_TIME: i64 = 1_790_000_000;

/// The first new rating key.
pub const FIRST_KEY: u64 = 1_001;

/// The state of a server.
pub struct State {
    /// The answer of `/identity`.
    pub identity: Identity,
    /// Who is let in; empty: everyone, as an unclaimed server would.
    pub tokens: Vec<Token>,
    /// The switches.
    pub config: Config,
    pub(crate) libraries: Vec<Library>,
    pub(crate) events: Vec<Event>,
    /// Raised by whatever changes replies without changing a library.
    pub(crate) version: u64,
    pub(crate) next_key: u64,
    now: i64,
}

impl State {
    /// A server without libraries.
    pub fn new(identity: Identity, tokens: Vec<Token>, config: Config) -> Self {
        State {
            identity,
            tokens,
            config,
            libraries: Vec::new(),
            events: Vec::new(),
            version: 1,
            next_key: FIRST_KEY,
            now: START_TIME,
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
        self.now
    }

    pub(crate) fn tick(&mut self) -> i64 {
        self.now += 1;
        self.now
    }

    /// A library by its section id.
    pub fn library(&self, key: u32) -> Option<&Library> {
        self.libraries.iter().find(|l| l.key == key)
    }

    /// A library by its section id, to change it.
    pub fn library_mut(&mut self, key: u32) -> Outcome<&mut Library> {
        let found = self.libraries.iter_mut().find(|l| l.key == key);
        found.ok_or_else(|| format!("no library {key}"))
    }

    /// The library that has an item.
    pub fn library_of(&self, key: u64) -> Option<&Library> {
        self.libraries.iter().find(|l| l.find(key).is_some())
    }

    pub(crate) fn section_of(&self, key: u64) -> Outcome<u32> {
        let library = self.library_of(key).map(|l| l.key);
        library.ok_or_else(|| format!("no item {key}"))
    }

    /// A title that no library has: `Movies`, `Movies 2`, …
    fn free_title(&self, title: &str) -> String {
        let taken = |t: &String| self.libraries.iter().any(|l| l.title == *t);
        let numbered = (2..).map(|n| format!("{title} {n}"));
        let mut all = std::iter::once(title.to_owned()).chain(numbered);
        all.find(|t| !taken(t)).unwrap_or_default()
    }

    /// Adds a library. Returns its section id.
    pub fn add_library(&mut self, mut spec: LibrarySpec) -> Outcome<u32> {
        let last = self.libraries.iter().map(|l| l.key).max().unwrap_or(0);
        let key = spec.key.unwrap_or(last + 1);
        if self.library(key).is_some() {
            return Err(format!("there is a library {key} already"));
        }
        if spec.title.is_empty() {
            spec.title = self.free_title(spec.kind.facts().title);
        }
        let uuid = spec.uuid.clone().unwrap_or_else(|| uuid(spec.seed, key));
        // Of other kinds the items are made one by one.
        let mut others = 0;
        if !matches!(spec.kind, LibraryKind::Movie | LibraryKind::Show) {
            others = std::mem::take(&mut spec.items);
        }
        let generator = Generator::new(spec, self.next_key);
        self.next_key += generator.span();
        let locations = self.make_locations(generator.spec().locations.clone());
        let library = Library::new(key, uuid, generator, locations, self.now());
        self.libraries.push(library);
        self.version += 1;
        self.fill(key, others)?;
        Ok(key)
    }

    /// Adds tracks, photos and clips, or videos, of a plain kind: ten tracks an album, a hundred photos.
    fn fill(&mut self, section: u32, items: u32) -> Outcome<()> {
        let library = self.library_mut(section)?;
        let (kind, root) = (library.kind, library.locations[0].path.clone());
        let is_plain = library.generator.spec().plain;
        let one = |i: u32| match kind {
            LibraryKind::Artist => {
                let (album, number) = (format!("Album {}", i / 10 + 1), i % 10 + 1);
                let (artist, song) = (format!("Artist {}", i / 50 + 1), format!("Song {i}"));
                let path = format!("{root}/{artist}/{album}/{number:02} - {song}.flac");
                ItemSpec::track(&artist, &album, number, &song, &path)
            }
            LibraryKind::Photo => {
                let is_clip = !is_plain && i % 50 == 49;
                let (name, end) = if is_clip { ("VID", "mp4") } else { ("IMG", "jpg") };
                ItemSpec {
                    kind: is_clip.then_some(ItemType::Clip),
                    album: Some(format!("Album {}", i / 100 + 1)),
                    ..ItemSpec::file(
                        &format!("{name}_{i}"),
                        &format!("{root}/{}/{name}_{i:07}.{end}", 1990 + i / 100),
                    )
                }
            }
            _ => ItemSpec::file(&format!("Video {i}"), &format!("{root}/Video {i}.mp4")),
        };
        self.add_items(section, (0..items).map(one).collect(), false).map(drop)
    }

    fn make_locations(&self, paths: Vec<String>) -> Vec<Location> {
        let known = self.libraries.iter().flat_map(|l| &l.locations);
        let first = known.map(|l| l.id).max().unwrap_or(0) + 1;
        (first..).zip(paths).map(|(id, path)| Location { id, path }).collect()
    }

    /// The same files under new rating keys, as after a library was emptied and scanned again.
    pub fn rekey_library(&mut self, section: u32) -> Outcome<()> {
        let now = self.tick();
        let by = self.next_key - FIRST_KEY;
        let library = self.library_mut(section)?;
        library.generator.raise_base(by);
        let rekey = |item: &mut Item| {
            if item.guid == format!("local://{}", item.key) {
                item.guid = format!("local://{}", item.key + by);
            }
            item.key += by;
            for link in [&mut item.parent, &mut item.grandparent].into_iter().flatten() {
                link.key += by;
            }
        };
        let tables = library.tables.values_mut();
        for item in tables.flatten() {
            if let Row::Own(item) = item {
                rekey(item);
            }
        }
        let rows: usize = library.tables.values().map(Vec::len).sum();
        library.count_change(2 * rows as u64);
        library.scanned_at = now;
        library.version += 1;
        self.next_key += by;
        Ok(())
    }

    /// A scan that finds nothing: its activity begins and ends, and `scannedAt` moves.
    pub fn scan(&mut self, section: u32) -> Outcome<()> {
        let now = self.tick();
        let library = self.library_mut(section)?;
        library.scanned_at = now;
        let subtitle = library.title.clone();
        for (event, progress) in [("started", 0), ("ended", 100)] {
            let activity = json!({
                "uuid": format!("scan-{section}"), "type": "library.update.section", "cancellable": false,
                "userID": 1, "title": "Scanning", "subtitle": subtitle, "progress": progress,
                "Context": {"librarySectionID": section.to_string()},
            });
            self.events.push(Event::activity(event, activity));
        }
        self.events
            .push(Event::status("Library scan complete", "LIBRARY_UPDATE"));
        Ok(())
    }
}
