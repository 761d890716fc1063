//! How the rows of entries and matches are encoded, and their sizes.

use rusqlite::Connection;
use xxhash_rust::xxh3::Xxh3;

use super::schema::CachedStatements;
use crate::model::TableId;

/// Overhead per row in bytes. The size limits include the overhead.
const ROW_OVERHEAD: i64 = 64;

/// Returns the checksum of a row.
pub fn sum_of(id: i64, table: TableId, parts: [&[u8]; 3], expires_ms: Option<i64>) -> i64 {
    let mut hasher = Xxh3::new();
    hasher.update(&id.to_le_bytes());
    hasher.update(&table.0.to_le_bytes());
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.update(&expires_ms.unwrap_or(i64::MIN).to_le_bytes());
    hasher.digest().cast_signed()
}

/// Returns the size of a row with these contents, as limits count it.
pub fn row_size(contents: &[&[u8]]) -> i64 {
    let length: usize = contents.iter().map(|bytes| bytes.len()).sum();
    i64::try_from(length).unwrap_or(i64::MAX - ROW_OVERHEAD) + ROW_OVERHEAD
}

/// Number of bits of a stored total that check the rest.
const CHECK_BITS: u32 = 16;

/// Returns a total as the row with this id stores it: with a checksum in the low bits.
pub fn stored_total(id: i64, total: i64) -> i64 {
    total << CHECK_BITS | sum_of(id, TableId(total), [b""; 3], None) & ((1 << CHECK_BITS) - 1)
}

/// Returns the total that the row with this id stores; `None` if it is damaged.
pub fn total_in(id: i64, stored: i64) -> Option<i64> {
    let total = stored >> CHECK_BITS;
    (stored_total(id, total) == stored).then_some(total)
}

/// A kind of rows: the entries of hosts' tables, or confirmed matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    Entries,
    Matches,
}

impl RecordKind {
    pub const ALL: [Self; 2] = [Self::Entries, Self::Matches];

    /// The name of the rows' table in the database.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Matches => "matches",
        }
    }

    /// A row's size in SQL, as limits count it: [`row_size`].
    pub const fn size(self) -> &'static str {
        match self {
            Self::Entries => "length(name) + length(value) + 64",
            Self::Matches => {
                "octet_length(item) \
                 + iif(substr(spelling, 1, 1) = x'01', length(spelling) - 1, length(form)) + 64"
            }
        }
    }

    /// The name of an entry, or the form of a match's path, in SQL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entries => "name",
            Self::Matches => "form",
        }
    }

    /// Counts the total size of all rows of this kind.
    pub fn count_total(self, c: &Connection) -> rusqlite::Result<i64> {
        let [size, table] = [self.size(), self.table()];
        c.value(&format!("SELECT coalesce(sum({size}), 0) FROM {table}"), [])
    }

    /// Stores the total size of all rows of this kind in the newest one, if there is one.
    pub fn store_total(self, c: &Connection, total: i64) -> rusqlite::Result<()> {
        let table = self.table();
        let Some(newest) = c.value(&format!("SELECT max(id) FROM {table}"), [])? else {
            return Ok(());
        };
        let update = format!("UPDATE {table} SET total = ?1 WHERE id = ?2");
        c.run(&update, [stored_total(newest, total), newest])
    }
}

/// Encodes how a path differs from its normal form, so that rows need not contain it twice: nothing if both are equal; 0
/// and a bit for each byte that is an upper case letter; or 1 and the path.
pub fn spelling_of(form: &[u8], path: &[u8]) -> Vec<u8> {
    if form == path {
        return Vec::new();
    }
    if !path.eq_ignore_ascii_case(form) || form.iter().any(u8::is_ascii_uppercase) {
        return [&[1], path].concat();
    }
    let mut bits = vec![0; 1 + path.len().div_ceil(8)];
    for (index, _) in path.iter().enumerate().filter(|(_, byte)| byte.is_ascii_uppercase()) {
        bits[1 + index / 8] |= 1 << (index % 8);
    }
    while bits.len() > 1 && bits.last() == Some(&0) {
        bits.pop();
    }
    bits
}

/// Returns the spelling of a path, and the checksum of the row of its match, which is stored XOR the time of the match.
/// `form`: the path's normal form.
pub fn encode_match(id: i64, table: TableId, (form, path): (&[u8], &[u8]), rating_key: &str) -> (Vec<u8>, i64) {
    let spelling = spelling_of(form, path);
    let sum = sum_of(id, table, [form, &spelling, rating_key.as_bytes()], None);
    (spelling, sum)
}

/// Returns the path from its normal form and its spelling.
pub fn path_of(form: &[u8], spelling: &[u8]) -> Vec<u8> {
    match spelling.split_first() {
        None => form.to_vec(),
        Some((0, bits)) => {
            let is_upper = |index: usize| bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
            let spelled = form.iter().enumerate();
            let spelled = spelled.map(|(index, byte)| {
                if is_upper(index) {
                    byte.to_ascii_uppercase()
                } else {
                    *byte
                }
            });
            spelled.collect()
        }
        Some((_, path)) => path.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matching::normal::normal_form;

    proptest! {
        #[test]
        fn a_path_is_its_form_and_its_spelling(path in "[a-zA-Z0-9/ ._äÄßİΣ-]{0,60}") {
            let form = normal_form(path.as_bytes());
            let spelling = spelling_of(&form, path.as_bytes());
            prop_assert_eq!(path_of(&form, &spelling), path.as_bytes());
            // Only a path that ASCII case does not explain is stored a second time.
            prop_assert!(spelling.first() == Some(&1) || spelling.len() <= 1 + path.len().div_ceil(8));
        }
    }

    #[test]
    fn the_spelling_of_a_path_in_ascii_is_a_bit_for_each_byte() {
        let path = b"/Films/Heat (1995)/Heat.mkv";
        let form = normal_form(path);
        assert_eq!(spelling_of(&form, path), [0, 0b1000_0010, 0, 0b1000]);
        assert_eq!(spelling_of(&form, &form), b"");
    }
}
