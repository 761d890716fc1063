//! The generator: item i of a library, computed from the seed and never stored.
//!
//! A million items cost 16 MB (a row each in [`crate::library`]); titles, paths and the rest are
//! made when they are asked for. A show has four seasons of ten episodes, an artist five albums of
//! ten tracks, a photo album a hundred photos.

use crate::model::{Item, ItemType, LibraryKind, Link, Text};
use crate::spec::LibrarySpec;
use crate::words;

/// Episodes of a season.
pub const EPISODES_PER_SEASON: u32 = 10;
/// Seasons of a show.
pub const SEASONS_PER_SHOW: u32 = 4;
/// Tracks of an album.
pub const TRACKS_PER_ALBUM: u32 = 10;
/// Albums of an artist.
pub const ALBUMS_PER_ARTIST: u32 = 5;
/// Photos (and clips) of a photo album.
pub const PHOTOS_PER_ALBUM: u32 = 100;
/// In a photo library that is not plain, leaf i is a clip when i mod 50 is 49.
pub const PHOTOS_PER_CLIP: u32 = 50;
/// The contents of a generated library.
#[derive(Clone, Debug)]
pub struct Generator {
    pub(crate) spec: LibrarySpec,
    base: u64,
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
            spec.locations.push(spec.kind.default_location().to_owned());
        }
        if spec.title.is_empty() {
            spec.title = spec.kind.default_title().to_owned();
        }
        Generator { spec, base }
    }

    /// The spec that it was made from, with the defaults filled in.
    pub fn spec(&self) -> &LibrarySpec {
        &self.spec
    }

    /// The first rating key.
    pub fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn set_base(&mut self, base: u64) {
        self.base = base;
    }

    /// How many rating keys it takes.
    pub fn span(&self) -> u64 {
        u64::from(self.tops()) + u64::from(self.mids()) + u64::from(self.spec.items)
    }

    pub(crate) fn per_mid(&self) -> u32 {
        match self.spec.kind {
            LibraryKind::Show => EPISODES_PER_SEASON,
            LibraryKind::Artist => TRACKS_PER_ALBUM,
            LibraryKind::Photo => PHOTOS_PER_ALBUM,
            LibraryKind::Movie | LibraryKind::OtherVideos => 0,
        }
    }

    pub(crate) fn per_top(&self) -> u32 {
        match self.spec.kind {
            LibraryKind::Show => SEASONS_PER_SHOW,
            LibraryKind::Artist => ALBUMS_PER_ARTIST,
            _ => 0,
        }
    }

    fn mids(&self) -> u32 {
        match self.per_mid() {
            0 => 0,
            n => self.spec.items.div_ceil(n),
        }
    }

    fn tops(&self) -> u32 {
        match self.per_top() {
            0 => 0,
            n => self.mids().div_ceil(n),
        }
    }

    /// The indexes that a type has. Photos and clips share one range.
    pub fn indexes(&self, kind: ItemType) -> Box<dyn Iterator<Item = u32> + '_> {
        let clips = self.spec.kind == LibraryKind::Photo;
        match kind {
            ItemType::Show | ItemType::Artist => Box::new(0..self.tops()),
            ItemType::Season | ItemType::Album | ItemType::Photoalbum => Box::new(0..self.mids()),
            ItemType::Clip | ItemType::Photo if clips => {
                let wanted = kind == ItemType::Clip;
                Box::new((0..self.spec.items).filter(move |i| self.is_clip(*i) == wanted))
            }
            _ => Box::new(0..self.spec.items),
        }
    }

    pub(crate) fn is_clip(&self, i: u32) -> bool {
        !self.spec.plain && self.spec.kind == LibraryKind::Photo && i % PHOTOS_PER_CLIP == PHOTOS_PER_CLIP - 1
    }

    /// The rating key of item i of a type.
    pub fn key(&self, kind: ItemType, i: u32) -> u64 {
        let offset = match kind {
            ItemType::Show | ItemType::Artist => 0,
            ItemType::Season | ItemType::Album | ItemType::Photoalbum => u64::from(self.tops()),
            _ => u64::from(self.tops()) + u64::from(self.mids()),
        };
        self.base + offset + u64::from(i)
    }

    fn mid_type(&self) -> Option<ItemType> {
        match self.spec.kind {
            LibraryKind::Show => Some(ItemType::Season),
            LibraryKind::Artist => Some(ItemType::Album),
            LibraryKind::Photo => Some(ItemType::Photoalbum),
            _ => None,
        }
    }

    /// The rating key of the container of item i of a type.
    pub fn parent_key(&self, kind: ItemType, i: u32) -> Option<u64> {
        match kind {
            ItemType::Show | ItemType::Artist | ItemType::Photoalbum | ItemType::Movie => None,
            ItemType::Season => Some(self.key(ItemType::Show, i / self.per_top())),
            ItemType::Album => Some(self.key(ItemType::Artist, i / self.per_top())),
            _ => self.mid_type().map(|mid| self.key(mid, i / self.per_mid().max(1))),
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
        (
            words::ADJECTIVES[(x & 63) as usize],
            words::NOUNS[((x >> 6) & 63) as usize],
            places[(x >> 12) as usize],
            suffix,
        )
    }

    pub(crate) fn named(&self, kind: ItemType, i: u32, on_disk: bool) -> String {
        match kind {
            ItemType::Movie if self.spec.kind == LibraryKind::OtherVideos => {
                let (a, n, p, s) = self.words(21, i, on_disk);
                format!("{a} {n} at {p}{s}")
            }
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
            ItemType::Artist => {
                let (a, n, p, s) = self.words(23, i, on_disk);
                format!("{p} {a} {n}s{s}")
            }
            ItemType::Album => {
                let (a, n, p, s) = self.words(24, i, on_disk);
                format!("{a} {n}, {p}{s}")
            }
            ItemType::Photoalbum => {
                let (a, n, p, s) = self.words(25, i, on_disk);
                format!("{p} {a} {n}{s}")
            }
            ItemType::Episode | ItemType::Track => {
                let h = self.hash(26, i);
                let adjective = pick(&words::ADJECTIVES, h);
                let noun = pick(&words::NOUNS, h >> 8);
                if kind == ItemType::Episode {
                    format!("The {adjective} {noun}")
                } else {
                    format!("{adjective} {noun}")
                }
            }
            ItemType::Photo | ItemType::Clip => {
                let number = if self.spec.plain {
                    format!("{i:07}")
                } else {
                    format!("{:04}", i % PHOTOS_PER_ALBUM + 1)
                };
                let prefix = if self.is_clip(i) { "VID" } else { "IMG" };
                format!("{prefix}_{number}")
            }
        }
    }

    /// The title of item i of a type.
    pub fn title(&self, kind: ItemType, i: u32) -> String {
        self.named(kind, i, false)
    }

    /// `titleSort`, where it differs from the title.
    pub fn title_sort(&self, kind: ItemType, i: u32) -> Option<String> {
        if kind != ItemType::Movie {
            return None;
        }
        self.title(kind, i).strip_prefix("The ").map(str::to_owned)
    }

    /// The year of item i of a type.
    pub fn year(&self, kind: ItemType, i: u32) -> i32 {
        let (salt, at) = match kind {
            ItemType::Season | ItemType::Episode => {
                let season = if kind == ItemType::Season {
                    i
                } else {
                    i / EPISODES_PER_SEASON
                };
                let show = self.year(ItemType::Show, season / SEASONS_PER_SHOW);
                return show + (season % SEASONS_PER_SHOW) as i32;
            }
            ItemType::Track => (31, i / TRACKS_PER_ALBUM),
            ItemType::Album => (31, i),
            ItemType::Photo | ItemType::Clip => (32, i / PHOTOS_PER_ALBUM),
            ItemType::Photoalbum => (32, i),
            _ => (30, i),
        };
        1950 + (self.hash(salt, at) % 72) as i32
    }

    /// The scalar guid of item i of a type (Plex API notes §3).
    pub fn guid(&self, kind: ItemType, i: u32) -> String {
        let local = matches!(kind, ItemType::Photo | ItemType::Photoalbum | ItemType::Clip)
            || self.spec.kind == LibraryKind::OtherVideos;
        if local {
            return format!("local://{}", self.key(kind, i));
        }
        let salt = u64::from(kind.number()) << 8;
        format!(
            "plex://{}/{:016x}{:08x}",
            kind.name(),
            self.hash(salt, i),
            self.hash(salt + 1, i) as u32
        )
    }

    fn guids(&self, kind: ItemType, i: u32) -> Vec<String> {
        let number = u64::from(i) + (self.spec.seed % 50) * 1_000_000 + 1;
        match kind {
            _ if self.spec.kind == LibraryKind::OtherVideos => Vec::new(),
            ItemType::Movie | ItemType::Show | ItemType::Episode => vec![
                format!("imdb://tt{:08}", number + u64::from(kind.number()) * 1_000_000),
                format!("tmdb://{number}"),
                format!("tvdb://{}", number + 70_000),
            ],
            ItemType::Artist | ItemType::Album | ItemType::Track => {
                let (a, b) = (self.hash(40, i), self.hash(41, i));
                vec![format!(
                    "mbid://{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                    (a >> 32) as u32,
                    (a >> 16) as u16,
                    a & 0xfff,
                    b >> 52,
                    b & 0xffff_ffff_ffff
                )]
            }
            _ => Vec::new(),
        }
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
            index: match kind {
                ItemType::Season => Some(i % SEASONS_PER_SHOW + 1),
                ItemType::Album => Some(i % ALBUMS_PER_ARTIST + 1),
                _ => None,
            },
        }
    }

    /// The season (album, photo album) and the show (artist) of item i of a type.
    pub fn links(&self, kind: ItemType, i: u32) -> (Option<Link>, Option<Link>) {
        let (mid, top) = match self.spec.kind {
            LibraryKind::Show => (ItemType::Season, Some(ItemType::Show)),
            LibraryKind::Artist => (ItemType::Album, Some(ItemType::Artist)),
            LibraryKind::Photo => (ItemType::Photoalbum, None),
            _ => return (None, None),
        };
        if kind == mid {
            let parent = top.map(|top| self.link(top, i / self.per_top()));
            (parent, None)
        } else if kind.is_leaf() {
            let at = i / self.per_mid();
            let grandparent = top.map(|top| self.link(top, at / self.per_top()));
            (Some(self.link(mid, at)), grandparent)
        } else {
            (None, None)
        }
    }

    /// Item i of a type, whole.
    pub fn item(&self, kind: ItemType, i: u32) -> Item {
        let mut item = Item::new(self.key(kind, i), kind, self.title(kind, i));
        let h = self.hash(5, i);
        item.title_sort = self.title_sort(kind, i);
        item.guid = self.guid(kind, i);
        item.guids = self.guids(kind, i);
        item.added_at = self.added_at(i);
        // Tracks have no updatedAt (Plex API notes §3).
        item.updated_at = (kind != ItemType::Track).then(|| item.added_at + (h % 86_400) as i64);
        (item.parent, item.grandparent) = self.links(kind, i);
        item.clip = self.spec.kind == LibraryKind::OtherVideos;
        item.index = match kind {
            ItemType::Show => Some(1),
            ItemType::Season => Some(i % SEASONS_PER_SHOW + 1),
            ItemType::Album => Some(i % ALBUMS_PER_ARTIST + 1),
            ItemType::Episode => Some(i % EPISODES_PER_SEASON + 1),
            ItemType::Track => Some(i % TRACKS_PER_ALBUM + 1),
            _ => None,
        };
        if !matches!(kind, ItemType::Season | ItemType::Artist | ItemType::Photoalbum) {
            let year = self.year(kind, i);
            item.year = Some(year);
            item.available = Some(format!("{year}-{:02}-{:02}", h % 12 + 1, h / 12 % 28 + 1));
        }
        if kind.is_leaf() {
            item.media = self.media(kind, i);
        }
        if matches!(kind, ItemType::Movie | ItemType::Show | ItemType::Episode) && !item.clip {
            self.describe(&mut item, h);
        }
        if matches!(kind, ItemType::Album | ItemType::Artist) {
            item.tags = vec![("Genre".into(), vec![pick(&words::GENRES, h).into()])];
        }
        item.duration = match kind {
            ItemType::Movie | ItemType::Episode | ItemType::Show => 1_200_000 + (h % 6_000_000) as u32,
            ItemType::Track => 120_000 + (h % 300_000) as u32,
            ItemType::Clip => 10_000 + (h % 60_000) as u32,
            _ => 0,
        };
        item
    }

    fn describe(&self, item: &mut Item, h: u64) {
        item.summary = pick(&words::SUMMARIES, h >> 4).into();
        item.content_rating = pick(&words::RATINGS, h >> 12).into();
        item.rating = Some(30 + (h >> 16) as u32 % 65);
        if item.kind != ItemType::Episode {
            item.studio = pick(&words::STUDIOS, h >> 8).into();
            item.tagline = pick(&words::TAGLINES, h >> 6).into();
        }
        let person = |n: u64| -> Text {
            let p = mix(h, 50, n);
            format!("{} {}", pick(&words::GIVEN, p), pick(&words::FAMILY, p >> 8)).into()
        };
        let mut tags: Vec<(Text, Vec<Text>)> = Vec::with_capacity(6);
        if item.kind != ItemType::Episode {
            let first = (h >> 20) % 12;
            tags.push((
                "Genre".into(),
                vec![
                    pick(&words::GENRES, first).into(),
                    pick(&words::GENRES, first + 3).into(),
                    pick(&words::GENRES, first + 7).into(),
                ],
            ));
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
