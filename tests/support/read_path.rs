//! Generated movies, to measure the read path with: titles of some 21 bytes, paths of some 78.

use plexindex::model::{Item, ItemType};

const WORDS: [&str; 32] = [
    "Dark", "River", "Silent", "Moon", "Return", "King", "Last", "Night", "City", "Broken", "Glass", "Winter",
    "Summer", "Red", "Blue", "Empire", "Shadow", "Light", "House", "Garden", "Storm", "Fire", "Water", "Stone",
    "Golden", "Hidden", "Lost", "Secret", "Road", "Bridge", "Island", "Dream",
];

/// Numbers that look random and are the same in each run.
pub struct Random(pub u64);

impl Random {
    /// The next one, below `below`.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let scaled = (u128::from(self.0) * below as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }

    /// The numbers below `count` in some order.
    pub fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

/// The movie with this number.
pub fn movie(number: usize) -> Item {
    let mut random = Random(number as u64 ^ 0x9E37_79B9_7F4A_7C15);
    random.below(1);
    let mut word = || WORDS[random.below(WORDS.len())];
    let title = format!("{} {} {} {}", word(), word(), word(), number % 1000);
    let year = 1950 + number % 75;
    let path = format!("/mnt/media/movies/{title} ({year})/{title} {number}.mkv");
    Item {
        rating_key: (100_000 + number).to_string(),
        kind: ItemType::Movie,
        title,
        year: i32::try_from(year).unwrap_or(0),
        season: -1,
        episode: -1,
        guid: format!("plex://movie/5d77{number:020x}"),
        parts: vec![path],
        ..Item::default()
    }
}
