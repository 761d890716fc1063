//! The generator: item i of a library, computed from the seed and never stored.
//!
//! A million items cost 16 MB (a row each in [`crate::library`]); titles, paths and the rest are
//! made when they are asked for. A show has four seasons of ten episodes. Only films and shows are generated.

use serde_json::Value;

use crate::model::{Item, ItemType, LibraryKind, Link, Text};
use crate::spec::LibrarySpec;
use crate::words;

/// Episodes of a season.
pub const EPISODES_PER_SEASON: u32 = 10;
/// Seasons of a show.
pub const SEASONS_PER_SHOW: u32 = 4;
/// The contents of a generated library.
#[derive(Clone, Debug)]
pub struct Generator {
    pub(crate) spec: LibrarySpec,
    base: u64,
}

/// Returns the size of a file. No size lies at a limit of the rules, which is at most 100 MiB, just below a round number, or
/// at whole sectors or packets, where it would prove little.
pub(crate) fn size_from(drawn: u64) -> u64 {
    let size = (120_000_000 + drawn) | 1;
    let mut units = (20..=30)
        .map(|bits| 1 << bits)
        .chain((6..=9).map(|digits| 10_u64.pow(digits)));
    size + if units.any(|unit| unit - size % unit <= unit / 2048) {
        1 << 19
    } else {
        0
    }
}

/// A well-mixed number from three.
pub(crate) fn mix(seed: u64, salt: u64, i: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(salt.wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add(i.wrapping_mul(0xBF58_476D_1CE4_E5B9));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn pick<T: Copy>(list: &[T], number: u64) -> T {
    list[(number % list.len() as u64) as usize]
}

impl Generator {
    /// The generator of a spec. `base` is the rating key of its first container, or of its first
    /// leaf where there are no containers.
    pub fn new(mut spec: LibrarySpec, base: u64) -> Self {
        if spec.locations.is_empty() {
            spec.locations.push(spec.kind.facts().folder.to_owned());
        }
        if spec.title.is_empty() {
            spec.title = spec.kind.facts().title.to_owned();
        }
        Generator { spec, base }
    }

    /// The spec that it was made from, with the defaults filled in.
    pub fn spec(&self) -> &LibrarySpec {
        &self.spec
    }

    pub(crate) fn raise_base(&mut self, by: u64) {
        self.base += by;
    }

    /// How many rating keys it takes.
    pub fn span(&self) -> u64 {
        u64::from(self.shows() + self.seasons()) + u64::from(self.spec.items)
    }

    fn is_shows(&self) -> bool {
        self.spec.kind == LibraryKind::Show
    }

    fn seasons(&self) -> u32 {
        if self.is_shows() {
            self.spec.items.div_ceil(EPISODES_PER_SEASON)
        } else {
            0
        }
    }

    fn shows(&self) -> u32 {
        self.seasons().div_ceil(SEASONS_PER_SHOW)
    }

    /// How many items of a type there are.
    pub fn count(&self, kind: ItemType) -> u32 {
        match kind {
            ItemType::Show => self.shows(),
            ItemType::Season => self.seasons(),
            _ => self.spec.items,
        }
    }

    /// The rating key of item i of a type.
    pub fn key(&self, kind: ItemType, i: u32) -> u64 {
        let before = match kind {
            ItemType::Show => 0,
            ItemType::Season => self.shows(),
            _ => self.shows() + self.seasons(),
        };
        self.base + u64::from(before) + u64::from(i)
    }

    /// The rating key of the container of item i of a type.
    pub fn parent_key(&self, kind: ItemType, i: u32) -> Option<u64> {
        match kind {
            ItemType::Season => Some(self.key(ItemType::Show, i / SEASONS_PER_SHOW)),
            ItemType::Episode => Some(self.key(ItemType::Season, i / EPISODES_PER_SEASON)),
            _ => None,
        }
    }

    pub(crate) fn hash(&self, salt: u64, i: u32) -> u64 {
        mix(self.spec.seed, salt, u64::from(i))
    }

    /// Three words and a number, unique to item i among those with the same salt.
    fn words(&self, salt: u64, i: u32, on_disk: bool) -> (&'static str, &'static str, &'static str, String) {
        const BITS: u32 = 17;
        const MASK: u32 = (1 << BITS) - 1;
        // Multiplication by an odd number permutes the numbers of 17 bits.
        let x = ((i & MASK).wrapping_mul(0x1_E35B) ^ (mix(self.spec.seed, salt, u64::MAX) as u32)) & MASK;
        let places = if self.spec.plain {
            &words::PLACES_PLAIN
        } else if on_disk {
            &words::PLACES_ON_DISK
        } else {
            &words::PLACES
        };
        let block = i >> BITS;
        let suffix = if block == 0 {
            String::new()
        } else {
            format!(" {}", block + 1)
        };
        let (adjective, noun, place) = (x & 63, (x >> 6) & 63, x >> 12);
        let words = (words::ADJECTIVES[adjective as usize], words::NOUNS[noun as usize]);
        (words.0, words.1, places[place as usize], suffix)
    }

    pub(crate) fn named(&self, kind: ItemType, i: u32, on_disk: bool) -> String {
        match kind {
            ItemType::Movie => {
                let (a, n, p, s) = self.words(20, i, on_disk);
                match i % 16 {
                    3 if !self.spec.plain => {
                        let colon = if on_disk { " -" } else { ":" };
                        format!("{p}{colon} The {a} {n}{s}")
                    }
                    7 if !self.spec.plain => format!("The {a} {n} of {p}{s}"),
                    _ => format!("{a} {n} of {p}{s}"),
                }
            }
            ItemType::Show => {
                let (a, n, p, s) = self.words(22, i, on_disk);
                format!("{a} {n} in {p}{s}")
            }
            ItemType::Season => format!("Season {}", i % SEASONS_PER_SHOW + 1),
            _ => {
                let h = self.hash(26, i);
                format!("The {} {}", pick(&words::ADJECTIVES, h), pick(&words::NOUNS, h >> 8))
            }
        }
    }

    /// The title of item i of a type.
    pub fn title(&self, kind: ItemType, i: u32) -> String {
        self.named(kind, i, false)
    }

    /// The year of item i of a type.
    pub fn year(&self, kind: ItemType, i: u32) -> i32 {
        let (salt, at) = match kind {
            ItemType::Season | ItemType::Episode => {
                let is_season = kind == ItemType::Season;
                let season = if is_season { i } else { i / EPISODES_PER_SEASON };
                let show = self.year(ItemType::Show, season / SEASONS_PER_SHOW);
                return show + (season % SEASONS_PER_SHOW) as i32;
            }
            _ => (30, i),
        };
        1950 + (self.hash(salt, at) % 72) as i32
    }

    /// The scalar guid of item i of a type (Plex API notes §3).
    pub fn guid(&self, kind: ItemType, i: u32) -> String {
        let salt = u64::from(kind.number()) << 8;
        let (high, low) = (self.hash(salt, i), self.hash(salt + 1, i) as u32);
        format!("plex://{}/{high:016x}{low:08x}", kind.name())
    }

    fn guids(&self, kind: ItemType, i: u32) -> Vec<String> {
        if kind == ItemType::Season {
            return Vec::new();
        }
        let number = u64::from(i) + (self.spec.seed % 50) * 1_000_000 + 1;
        let (imdb, tvdb) = (number + u64::from(kind.number()) * 1_000_000, number + 70_000);
        let imdb = format!("imdb://tt{imdb:08}");
        [imdb, format!("tmdb://{number}"), format!("tvdb://{tvdb}")].into()
    }

    /// When leaf i or container i was added, epoch seconds: 100 s after the one before it.
    pub fn added_at(&self, i: u32) -> i64 {
        1_600_000_000 + i64::from(i) * 100
    }

    fn link(&self, kind: ItemType, i: u32) -> Link {
        Link {
            key: self.key(kind, i),
            title: self.title(kind, i),
            guid: self.guid(kind, i),
            index: (kind == ItemType::Season).then_some(i % SEASONS_PER_SHOW + 1),
        }
    }

    /// The season and the show of item i of a type.
    pub fn links(&self, kind: ItemType, i: u32) -> (Option<Link>, Option<Link>) {
        let show = |season: u32| Some(self.link(ItemType::Show, season / SEASONS_PER_SHOW));
        match kind {
            ItemType::Season => (show(i), None),
            ItemType::Episode => {
                let season = i / EPISODES_PER_SEASON;
                (Some(self.link(ItemType::Season, season)), show(season))
            }
            _ => (None, None),
        }
    }

    /// Item i of a type, whole.
    pub fn item(&self, kind: ItemType, i: u32) -> Item {
        let mut item = Item::new(self.key(kind, i), kind, self.title(kind, i));
        let h = self.hash(5, i);
        item.guid = self.guid(kind, i);
        item.guids = self.guids(kind, i);
        item.added_at = self.added_at(i);
        item.updated_at = Some(item.added_at + (h % 86_400) as i64);
        (item.parent, item.grandparent) = self.links(kind, i);
        item.index = match kind {
            ItemType::Show => Some(1),
            ItemType::Season => Some(i % SEASONS_PER_SHOW + 1),
            ItemType::Episode => Some(i % EPISODES_PER_SEASON + 1),
            _ => None,
        };
        if kind != ItemType::Season {
            item.year = Some(self.year(kind, i));
            Self::describe(&mut item, h);
            item.duration = 1_200_000 + (h % 6_000_000) as u32;
        }
        if kind.is_leaf() {
            item.media = self.media(kind, i);
        }
        item
    }

    fn describe(item: &mut Item, h: u64) {
        item.summary = pick(&words::SUMMARIES, h >> 4).into();
        let year = item.year.unwrap_or_default();
        let mut set = |name: &str, value: Value| item.fields.insert(name.to_owned(), value);
        let day = format!("{year}-{:02}-{:02}", h % 12 + 1, h / 12 % 28 + 1);
        set("originallyAvailableAt", day.into());
        set("contentRating", pick(&words::RATINGS, h >> 12).into());
        set("rating", (f64::from(30 + (h >> 16) as u32 % 65) / 10.0).into());
        if item.kind != ItemType::Episode {
            set("studio", pick(&words::STUDIOS, h >> 8).into());
            set("tagline", pick(&words::TAGLINES, h >> 6).into());
        }
        if item.kind == ItemType::Movie {
            if let Some(sort) = item.title.strip_prefix("The ") {
                set("titleSort", sort.into());
            }
            set("hasPremiumPrimaryExtra", "1".into());
            set("ratingImage", "imdb://image.rating".into());
        }
        let person = |n: u64| -> Text {
            let p = mix(h, 50, n);
            format!("{} {}", pick(&words::GIVEN, p), pick(&words::FAMILY, p >> 8)).into()
        };
        let mut tags: Vec<(Text, Vec<Text>)> = Vec::with_capacity(6);
        if item.kind != ItemType::Episode {
            let first = (h >> 20) % 12;
            let genres = [0, 3, 7].map(|next| pick(&words::GENRES, first + next).into());
            tags.push(("Genre".into(), genres.into()));
            tags.push(("Country".into(), vec![pick(&words::COUNTRIES, h >> 24).into()]));
        }
        if item.kind != ItemType::Show {
            tags.push(("Director".into(), vec![person(1)]));
            tags.push(("Writer".into(), vec![person(2)]));
        }
        tags.push(("Role".into(), (3..8).map(person).collect()));
        item.tags = tags;
    }
}
