//! Numbers assigned by the store, each with its own type, so that they cannot be confused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines a type for one kind of number, with its conversions.
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

        // SQLite has only signed 64-bit integers, so the conversion of unsigned numbers keeps their bits.
        #[cfg(feature = "sqlite")]
        #[allow(clippy::cast_possible_wrap)]
        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok((self.0 as i64).into())
            }
        }

        #[cfg(feature = "sqlite")]
        #[allow(clippy::cast_sign_loss)]
        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                value.as_i64().map(|number| Self(number as $inner))
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
    /// A table of a host's own data. No number is ever used twice.
    TableId(i64)
}

number! {
    /// The generation of a library's listing, which changes only with the content. 0: never fetched. -n: listing n was
    /// evicted; fetching the same content again restores n.
    Generation(i64)
}

number! {
    /// The change sequence of a store, incremented by every write transaction.
    Sequence(u64)
}

impl IdentityId {
    /// All identities.
    pub const ALL: Self = Self(0);
}

impl LibraryId {
    /// All libraries.
    pub const ALL: Self = Self(0);
}

impl Generation {
    /// Returns whether a listing exists: the library was fetched and not evicted since.
    #[must_use]
    pub fn is_fetched(self) -> bool {
        self.0 > 0
    }

    /// Returns the generation of the next listing.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.abs() + 1)
    }
}

impl Sequence {
    /// Returns the sequence of the next transaction.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The name of a listing's segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ListingName {
    /// The library.
    pub library: LibraryId,
    /// The generation of its listing.
    pub generation: Generation,
    /// The change sequence up to which the segment is complete.
    pub sequence: Sequence,
    /// A random number. The other numbers may repeat after a power cut, and two segments must never share a name.
    pub number: u32,
}

/// The name of a segment of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SegmentName {
    /// The change sequence of the write that created it.
    pub sequence: Sequence,
    /// A random number, as in [`ListingName`].
    pub number: u32,
}
