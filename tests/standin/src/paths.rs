//! Where the files of generated items are, and the odd ones among them.

use crate::generate::{EPISODES_PER_SEASON, Generator, SEASONS_PER_SHOW, mix, size_from};
use crate::model::{ItemType, LibraryKind, Media, Part, Text};

/// How many pairs of episodes of a thousand are one file (`S01E03-E04`); none in a plain library.
const SHARED_FILE: u64 = 10;

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
    /// Of a thousand leaves that are not plain some are odd. Episodes that share a file have no other oddity.
    fn oddity(&self, i: u32) -> Oddity {
        if self.spec.plain || self.shared_with(i).is_some() {
            return Oddity::None;
        }
        let mut bucket = self.hash(1, i) % 1000;
        for (rate, oddity) in [
            (25, Oddity::TwoVersions),
            (5, Oddity::Stacked),
            (5, Oddity::Optimized),
            (2, Oddity::WithoutFiles),
            (10, Oddity::Unanalysed),
            (10, Oddity::RepeatedName),
        ] {
            if bucket < rate {
                return oddity;
            }
            bucket -= rate;
        }
        Oddity::None
    }

    fn root(&self, i: u32) -> &str {
        let at = match self.spec.kind {
            LibraryKind::Show => i / (EPISODES_PER_SEASON * SEASONS_PER_SHOW),
            _ => i,
        };
        let at = at as usize % self.spec.locations.len();
        self.spec.locations[at].trim_end_matches('/')
    }

    /// Folder and stem of leaf i, without the root: `("Title (2001)", "Title (2001) - 1080p")`.
    fn place(&self, kind: ItemType, i: u32, oddity: Oddity) -> (String, String) {
        let repeated = oddity == Oddity::RepeatedName;
        if kind == ItemType::Movie {
            let name = format!("{} ({})", self.named(kind, i, true), self.year(kind, i));
            let stem = if repeated { "movie".to_owned() } else { name.clone() };
            return (name, stem);
        }
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

    /// The two episodes that are one file, if episode i is one of such a pair.
    fn shared_with(&self, i: u32) -> Option<(u32, u32)> {
        let first = i & !1;
        if self.spec.plain
            || self.spec.kind != LibraryKind::Show
            || first + 1 >= self.spec.items
            || self.hash(2, first) % 1000 >= SHARED_FILE
        {
            return None;
        }
        Some((first, first + 1))
    }

    /// The path of the first file of leaf i; `None` for a leaf without files.
    pub fn path(&self, i: u32) -> Option<String> {
        self.paths(i).into_iter().flatten().next()
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
        if !self.spec.plain && self.hash(3, i).is_multiple_of(8) {
            "mp4"
        } else {
            "mkv"
        }
    }

    /// Every path of leaf i: versions, each with its parts.
    pub fn paths(&self, i: u32) -> Vec<Vec<String>> {
        let oddity = self.oddity(i);
        if oddity == Oddity::WithoutFiles {
            return Vec::new();
        }
        let kind = self.spec.kind.leaf_type();
        let (folder, stem) = self.place(kind, i, oddity);
        let [first, second] = self.suffixes(oddity);
        let extension = self.extension(i);
        let root = self.root(i);
        let file = |suffix: &str| format!("{root}/{folder}/{stem}{suffix}.{extension}");
        match oddity {
            Oddity::Stacked => vec![vec![file(first), file(second)]],
            Oddity::TwoVersions => vec![vec![file(first)], vec![file(second)]],
            Oddity::Optimized => vec![
                vec![file(first)],
                vec![format!("{root}/Plex Versions/Optimized for TV/{stem}.mp4")],
            ],
            _ => vec![vec![file(first)]],
        }
    }

    pub(crate) fn media(&self, kind: ItemType, i: u32) -> Vec<Media> {
        let key = self.key(kind, i);
        let oddity = self.oddity(i);
        let mut ids = key * 16..;
        self.paths(i)
            .into_iter()
            .enumerate()
            .map(|(version, files)| {
                let optimized = oddity == Oddity::Optimized && version == 1;
                let container = if optimized { "mp4" } else { self.extension(i) };
                Media {
                    container: Text::Borrowed(container),
                    resolution: Text::Borrowed(match (oddity, version) {
                        (Oddity::TwoVersions, 1) => "4k",
                        (Oddity::Optimized, 1) => "720",
                        _ => "1080",
                    }),
                    analysed: oddity != Oddity::Unanalysed,
                    optimized: optimized.then(|| "Optimized for TV".to_owned()),
                    parts: files
                        .into_iter()
                        .zip(&mut ids)
                        .map(|(file, id)| Part {
                            size: size_from(mix(self.spec.seed, 4, id) % 8_000_000_000),
                            file,
                            missing: false,
                        })
                        .collect(),
                }
            })
            .collect()
    }
}
