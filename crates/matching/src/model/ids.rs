//! Numeric IDs that the store assigns. Each kind of ID has its own type, so that the compiler prevents mix-ups.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines the type for one kind of ID, with conversions from and to SQLite values.
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

        #[cfg(feature = "sqlite")]
        #[allow(clippy::cast_possible_wrap)]
        impl rusqlite::ToSql for $name {
            /// Converts the number to a signed integer with the same bits, since SQLite has no unsigned integers.
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok((self.0 as i64).into())
            }
        }

        #[cfg(feature = "sqlite")]
        #[allow(clippy::cast_sign_loss)]
        impl rusqlite::types::FromSql for $name {
            /// Restores the number from the bits of a signed integer.
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                value.as_i64().map(|number| Self(number as $inner))
            }
        }
    };
}

number! {
    /// The ID of a view: one server's libraries as one user sees them. IDs are never reused; 0 means all views.
    ViewId(i64)
}

number! {
    /// The ID of a library in one view. IDs are never reused; 0 means all libraries.
    LibraryId(i64)
}

number! {
    /// The ID of a host's table. IDs are never reused.
    TableId(i64)
}

number! {
    /// The generation of a library's listing: the change sequence at which its content was published. 0 means never
    /// fetched, and -n that the listing was evicted or lost.
    Generation(i64)
}

number! {
    /// A change sequence of the store, which every write transaction increments.
    Sequence(u64)
}

impl ViewId {
    /// All views.
    pub const ALL: Self = Self(0);
}

impl LibraryId {
    /// All libraries.
    pub const ALL: Self = Self(0);
}

impl Generation {
    /// Returns whether the library has a listing: it was fetched, and has not been evicted since.
    #[must_use]
    pub fn is_fetched(self) -> bool {
        self.0 > 0
    }
}

impl Sequence {
    /// Returns the change sequence of the next transaction.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the change sequence of the transaction before; 0 for 0.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// The name of a listing's segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ListingName {
    /// The library.
    pub library: LibraryId,
    /// The generation of the library's listing when the segment was begun.
    pub generation: Generation,
    /// The change sequence up to which the segment is complete.
    pub sequence: Sequence,
    /// A random number that makes the name unique, since generation and sequence may repeat after a power cut.
    pub number: u32,
}
