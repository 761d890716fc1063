//! Where the files of generated items are, and the odd ones among them.

use crate::generate::{
    ALBUMS_PER_ARTIST, EPISODES_PER_SEASON, Generator, PHOTOS_PER_ALBUM, SEASONS_PER_SHOW, TRACKS_PER_ALBUM, mix,
};
use crate::model::{ItemType, LibraryKind, Media, Part, Text};

/// How many items of a thousand are odd, and how; nothing of it in a plain library.
pub mod rates {
    /// Movies, episodes and videos with two versions (50 of 1,955 were seen, Plex API notes §4).
    pub const TWO_VERSIONS: u64 = 25;
    /// Movies, episodes and videos stacked from two parts.
    pub const STACKED: u64 = 5;
    /// Movies, episodes and videos with an optimized version.
    pub const OPTIMIZED: u64 = 5;
    /// Leaves whose media is not analysed: only an id and a part.
    pub const UNANALYSED: u64 = 10;
    /// Movies, episodes and videos without media.
    pub const WITHOUT_FILES: u64 = 2;
    /// Leaves whose file name is repeated in other folders (`movie.mkv`, `S01E01.mkv`…).
    /// Photos repeat their names in every album anyway.
    pub const REPEATED_NAME: u64 = 10;
    /// Pairs of episodes that are one file (`S01E03-E04`).
    pub const SHARED_FILE: u64 = 10;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Oddity {
    None,
    TwoVersions,
    Stacked,
    Optimized,
    Unanalysed,
    WithoutFiles,
    RepeatedName,
}

impl Generator {
    fn oddity(&self, kind: ItemType, i: u32) -> Oddity {
        if self.spec.plain {
            return Oddity::None;
        }
        let mut bucket = self.hash(1, i) % 1000;
        let video = matches!(kind, ItemType::Movie | ItemType::Episode);
        for (rate, oddity, videos_only) in [
            (rates::TWO_VERSIONS, Oddity::TwoVersions, true),
            (rates::STACKED, Oddity::Stacked, true),
            (rates::OPTIMIZED, Oddity::Optimized, true),
            (rates::WITHOUT_FILES, Oddity::WithoutFiles, true),
            (rates::UNANALYSED, Oddity::Unanalysed, false),
            (rates::REPEATED_NAME, Oddity::RepeatedName, false),
        ] {
            if bucket < rate {
                return if videos_only && !video { Oddity::None } else { oddity };
            }
            bucket -= rate;
        }
        Oddity::None
    }

    fn root(&self, i: u32) -> &str {
        let at = match self.spec.kind {
            LibraryKind::Show | LibraryKind::Artist => i / (self.per_mid() * self.per_top()),
            LibraryKind::Photo => i / self.per_mid(),
            _ => i,
        };
        let at = at as usize % self.spec.locations.len();
        self.spec.locations[at].trim_end_matches('/')
    }

    fn join(&self, root: &str, rest: &str) -> String {
        if root.contains('\\') {
            format!("{}\\{}", root.trim_end_matches('\\'), rest.replace('/', "\\"))
        } else {
            format!("{root}/{rest}")
        }
    }

    /// Folder and stem of leaf i, without the root: `("Title (2001)", "Title (2001) - 1080p")`.
    fn place(&self, kind: ItemType, i: u32, oddity: Oddity) -> (String, String) {
        let repeated = oddity == Oddity::RepeatedName;
        match self.spec.kind {
            LibraryKind::Movie => {
                let name = format!("{} ({})", self.named(kind, i, true), self.year(kind, i));
                let stem = if repeated { "movie".to_owned() } else { name.clone() };
                (name, stem)
            }
            LibraryKind::OtherVideos => {
                let name = self.named(kind, i, true);
                let year = self.year(kind, i).to_string();
                if repeated {
                    (format!("{year}/{name}"), "clip".to_owned())
                } else {
                    (year, name)
                }
            }
            LibraryKind::Show => {
                let season = i / EPISODES_PER_SEASON;
                let show = self.named(ItemType::Show, season / SEASONS_PER_SHOW, true);
                let number = season % SEASONS_PER_SHOW + 1;
                let first = self.shared_with(i).unwrap_or((i, i));
                let mut code = format!("S{number:02}E{:02}", first.0 % EPISODES_PER_SEASON + 1);
                if first.1 != first.0 {
                    code.push_str(&format!("-E{:02}", first.1 % EPISODES_PER_SEASON + 1));
                }
                let stem = if repeated {
                    code
                } else {
                    format!("{show} - {code} - {}", self.named(kind, first.0, true))
                };
                (format!("{show}/Season {number:02}"), stem)
            }
            LibraryKind::Artist => {
                let album = i / TRACKS_PER_ALBUM;
                let artist = self.named(ItemType::Artist, album / ALBUMS_PER_ARTIST, true);
                let number = i % TRACKS_PER_ALBUM + 1;
                let folder = format!(
                    "{artist}/{} ({})",
                    self.named(ItemType::Album, album, true),
                    self.year(ItemType::Album, album)
                );
                let stem = if repeated {
                    format!("{number:02} - Track {number:02}")
                } else {
                    format!("{number:02} - {}", self.named(kind, i, true))
                };
                (folder, stem)
            }
            LibraryKind::Photo => {
                let album = i / PHOTOS_PER_ALBUM;
                let folder = format!(
                    "{}/{}",
                    self.year(ItemType::Photoalbum, album),
                    self.named(ItemType::Photoalbum, album, true)
                );
                (folder, self.named(kind, i, true))
            }
        }
    }

    /// The two episodes that are one file, if episode i is one of such a pair.
    fn shared_with(&self, i: u32) -> Option<(u32, u32)> {
        let first = i & !1;
        if self.spec.plain
            || self.spec.kind != LibraryKind::Show
            || first + 1 >= self.spec.items
            || self.hash(2, first) % 1000 >= rates::SHARED_FILE
        {
            return None;
        }
        Some((first, first + 1))
    }

    fn leaf_type(&self, i: u32) -> ItemType {
        if self.is_clip(i) {
            ItemType::Clip
        } else {
            self.spec.kind.leaf_type()
        }
    }

    /// The path of the first file of leaf i; `None` for a leaf without files.
    pub fn path(&self, i: u32) -> Option<String> {
        let oddity = self.file_oddity(i);
        let kind = self.leaf_type(i);
        if oddity == Oddity::WithoutFiles {
            return None;
        }
        let (folder, stem) = self.place(kind, i, oddity);
        let suffix = self.suffixes(oddity)[0];
        let extension = self.extension(i);
        Some(self.join(self.root(i), &format!("{folder}/{stem}{suffix}.{extension}")))
    }

    /// Episodes that share a file have no other oddity.
    fn file_oddity(&self, i: u32) -> Oddity {
        if self.shared_with(i).is_some() {
            Oddity::None
        } else {
            self.oddity(self.leaf_type(i), i)
        }
    }

    fn suffixes(&self, oddity: Oddity) -> [&'static str; 2] {
        let movie = self.spec.kind == LibraryKind::Movie;
        match oddity {
            Oddity::Stacked => [" - part1", " - part2"],
            Oddity::TwoVersions => [" - 1080p", " - 2160p"],
            Oddity::RepeatedName => ["", ""],
            _ if movie => [" - 1080p", ""],
            _ => ["", ""],
        }
    }

    fn extension(&self, i: u32) -> &'static str {
        match self.spec.kind {
            LibraryKind::Artist => "flac",
            LibraryKind::Photo if self.is_clip(i) => "mp4",
            LibraryKind::Photo => "jpg",
            LibraryKind::OtherVideos => "mp4",
            _ if !self.spec.plain && self.hash(3, i).is_multiple_of(8) => "mp4",
            _ => "mkv",
        }
    }

    /// Every path of leaf i: versions, each with its parts.
    pub fn paths(&self, i: u32) -> Vec<Vec<String>> {
        let oddity = self.file_oddity(i);
        if oddity == Oddity::WithoutFiles {
            return Vec::new();
        }
        let kind = self.leaf_type(i);
        let (folder, stem) = self.place(kind, i, oddity);
        let [first, second] = self.suffixes(oddity);
        let extension = self.extension(i);
        let root = self.root(i);
        let file = |suffix: &str| self.join(root, &format!("{folder}/{stem}{suffix}.{extension}"));
        match oddity {
            Oddity::Stacked => vec![vec![file(first), file(second)]],
            Oddity::TwoVersions => vec![vec![file(first)], vec![file(second)]],
            Oddity::Optimized => vec![
                vec![file(first)],
                vec![self.join(root, &format!("Plex Versions/Optimized for TV/{stem}.mp4"))],
            ],
            _ => vec![vec![file(first)]],
        }
    }

    pub(crate) fn media(&self, kind: ItemType, i: u32) -> Vec<Media> {
        let key = self.key(kind, i);
        let oddity = self.file_oddity(i);
        let stamp = self.added_at(i) - 3600;
        let mut part_id = key * 16;
        self.paths(i)
            .into_iter()
            .enumerate()
            .map(|(version, files)| {
                let optimized = oddity == Oddity::Optimized && version == 1;
                let container = if optimized { "mp4" } else { self.extension(i) };
                Media {
                    id: key * 16 + version as u64,
                    container: Text::Borrowed(container),
                    resolution: Text::Borrowed(match (kind, oddity, version) {
                        (ItemType::Track | ItemType::Photo, ..) => "",
                        (_, Oddity::TwoVersions, 1) => "4k",
                        (_, Oddity::Optimized, 1) => "720",
                        _ => "1080",
                    }),
                    analysed: oddity != Oddity::Unanalysed,
                    optimized: optimized.then(|| "Optimized for TV".to_owned()),
                    parts: files
                        .into_iter()
                        .map(|file| {
                            let id = part_id;
                            part_id += 1;
                            Part {
                                id,
                                size: 1_000_000 + mix(self.spec.seed, 4, id) % 8_000_000_000,
                                file,
                                stamp,
                                missing: false,
                            }
                        })
                        .collect(),
                }
            })
            .collect()
    }
}
