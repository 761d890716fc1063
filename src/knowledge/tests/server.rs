//! The server: what is true. It knows nothing of tickets, doubts or rules.

/// Number of items that may exist.
pub const KEYS: usize = 2;

/// How the server tells of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The token changes, and deltas show the item.
    Told,
    /// Only deltas show the item.
    Late,
    /// The token changes, but no delta shows the item.
    Hidden,
    /// Only the item itself, or a listing, shows the change.
    Silent,
}

/// What the versions of an item contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Each version differs from all earlier ones.
    Counting,
    /// The item is there in every other version, and then as it was before.
    Toggling,
    /// In every other version, the item has the other item's file.
    Swapping,
}

impl Shape {
    pub fn content(self, version: u8) -> Option<u8> {
        match self {
            Self::Counting => Some(version),
            Self::Toggling => version.is_multiple_of(2).then_some(0),
            Self::Swapping => Some(version % 2),
        }
    }

    /// The path of an item with this content.
    pub fn path(self, key: usize, content: u8) -> usize {
        match self {
            Self::Counting | Self::Toggling => key,
            Self::Swapping => (key + usize::from(content)) % KEYS,
        }
    }
}

#[derive(Clone, Default, Hash)]
pub struct Server {
    pub version: [u8; KEYS],
    /// For each token so far, the versions of which tokens have told.
    pub at_token: Vec<[u8; KEYS]>,
    /// Number of changes that deltas show.
    pub shown: u8,
    /// The number of the last of them, by item.
    pub shown_at: [u8; KEYS],
    /// The version at the last of them.
    pub shown_version: [u8; KEYS],
}

impl Server {
    pub fn new() -> Self {
        Self {
            at_token: vec![[0; KEYS]],
            ..Self::default()
        }
    }

    pub fn token(&self) -> usize {
        self.at_token.len() - 1
    }

    pub fn change(&mut self, key: usize, change: Change) {
        self.version[key] += 1;
        if matches!(change, Change::Told | Change::Late) {
            self.shown += 1;
            self.shown_at[key] = self.shown;
            self.shown_version[key] = self.version[key];
        }
        if matches!(change, Change::Told | Change::Hidden) {
            let mut told = self.at_token[self.token()];
            told[key] = self.version[key];
            self.at_token.push(told);
        }
    }
}
