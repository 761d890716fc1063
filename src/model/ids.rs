//! Numbers that the store gives out, each of a type of its own: none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// An identity: one user's view of one server. No number is ever used twice; 0 is invalid.
    IdentityId(i64)
}

number! {
    /// A library of an identity. No number is ever used twice; 0 is invalid.
    LibraryId(i64)
}

number! {
    /// A table of what a host keeps itself. No number is ever used twice.
    TableId(i64)
}

number! {
    /// A library's listing: a number that moves only when its content changes. 0: never fetched. Below 0: the same again, since
    /// the listing of that number was evicted.
    Generation(i64)
}

number! {
    /// The change sequence: one number for each store, raised by every write transaction.
    Sequence(u64)
}

impl IdentityId {
    /// Stands for every identity.
    pub const ALL: Self = Self(0);
}

impl LibraryId {
    /// Stands for every library.
    pub const ALL: Self = Self(0);
}

impl Generation {
    /// Whether there is such a listing: the library was fetched, and not evicted since.
    #[must_use]
    pub fn is_fetched(self) -> bool {
        self.0 > 0
    }

    /// The one that a listing becomes which begins now.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.abs() + 1)
    }

    /// Up to which generation rows are gone; 0: none.
    #[must_use]
    pub fn evicted(self) -> i64 {
        if self.0 < 0 { -self.0 } else { 0 }
    }
}

impl Sequence {
    /// That of the transaction after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The name of a listing's segment: what it is made of, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ListingName {
    /// The library.
    pub library: LibraryId,
    /// The generation of its listing.
    pub generation: Generation,
    /// The change sequence up to which it is true.
    pub sequence: Sequence,
    /// A random number: those above repeat after a power cut, and no two contents ever share a name.
    pub number: u32,
}

/// The name of a segment of records: when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SegmentName {
    /// The change sequence of the write that named it.
    pub sequence: Sequence,
    /// As in [`ListingName`].
    pub number: u32,
}
