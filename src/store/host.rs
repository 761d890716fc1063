//! Libraries that the host fills itself, and what it keeps in them: values by name, one of them a listing.

use rusqlite::{OptionalExtension, params};

use super::libraries::{LibraryRow, upsert};
use super::open::Store;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{IdentityId, ImageName, Library, LibraryId};

/// Expired values that one call removes.
const EXPIRED: i64 = 10;

/// A value to be stored.
pub struct HostValue<'v> {
    /// Its name; empty for the library's listing.
    pub name: &'v [u8],
    /// What is stored.
    pub value: &'v [u8],
    /// Until when it is given, Unix ms; `None`: for ever.
    pub expires_ms: Option<i64>,
    /// For a listing: its image, and how many items it holds.
    pub listing: Option<(ImageName, u64)>,
    /// Now, Unix ms.
    pub now_ms: i64,
    /// Bytes that all values of the store may take.
    pub limit: u64,
}

impl Store {
    /// Makes the library of this name, unless it is there. `false`: the store holds what a server gave, and host and
    /// server do not share one.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn make_host_library(&self, name: &str) -> Result<bool> {
        self.write(|tx| {
            let c = tx.connection;
            if c.prepare("SELECT 1 FROM servers WHERE machine_identifier <> ''")?
                .exists([])?
            {
                return Ok(false);
            }
            c.execute_batch(
                "INSERT OR IGNORE INTO servers (machine_identifier, version) VALUES ('', ''); \
                 INSERT OR IGNORE INTO identities (server, who) SELECT id, x'' FROM servers;",
            )?;
            let identity: IdentityId = c.query_row("SELECT id FROM identities", [], |row| row.get(0))?;
            let there = c
                .prepare("SELECT 1 FROM libraries WHERE identity = ?1 AND uuid = ?2")?
                .exists(params![identity, name])?;
            if !there {
                let library = Library {
                    uuid: name.to_owned(),
                    title: name.to_owned(),
                    ..Library::default()
                };
                upsert(tx, identity, 0, &library)?;
            }
            tx.libraries_changed(IdentityId::ALL)?;
            Ok(true)
        })
    }

    /// Stores a value in the place of the one of the same name, and removes others: some that have expired, and, while all
    /// take more than the limit, those stored longest ago. `false`: the library was cleared.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn put_value(&self, identity: IdentityId, library: LibraryId, given: &HostValue<'_>) -> Result<bool> {
        self.write(|tx| {
            if tx.expect_library(library).optional()?.is_none() {
                return Ok(false);
            }
            let c = tx.connection;
            c.prepare_cached(
                "INSERT OR REPLACE INTO host_values (library, name, expires_ms, sequence, bytes, value) \
                 VALUES (?1, ?2, ?3, ?4, length(?2) + length(?5), ?5)",
            )?
            .execute(params![
                library,
                given.name,
                given.expires_ms,
                tx.sequence,
                given.value
            ])?;
            if let Some((image, items)) = &given.listing {
                // Never smaller than what any match was recorded at.
                c.prepare_cached(
                    "UPDATE libraries SET generation = max(generation + 1, ?3), generation_seq = ?4, image = ?2, image_seq = ?4, \
                     begun_seq = ?4, listed_items = ?5, listed_ms = ?6, checked_ms = ?6 WHERE id = ?1",
                )?
                .execute(params![
                    library,
                    image,
                    image.generation,
                    tx.sequence,
                    items.cast_signed(),
                    given.now_ms
                ])?;
                c.prepare_cached("DELETE FROM unverified WHERE library = ?1")?
                    .execute([library])?;
                tx.libraries_changed(identity)?;
            }
            evict(tx, identity, given)?;
            Ok(true)
        })
    }

    /// Hands a value to `then` when it has at most `room` bytes: a larger one is not read. Gives its length, `None` when it
    /// is absent or has expired by `now_ms`.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn value(
        &self,
        library: LibraryId,
        name: &[u8],
        now_ms: i64,
        room: usize,
        then: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<usize>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT length(value), CASE WHEN length(value) <= ?4 THEN value END FROM host_values \
                 WHERE library = ?1 AND name = ?2 AND (expires_ms IS NULL OR expires_ms > ?3)",
            )?;
            let most = i64::try_from(room).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![library, name, now_ms, most])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            if let Ok(value) = row.get_ref(1)?.as_blob() {
                then(value);
            }
            Ok(Some(usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0)))
        })
    }

    /// How many values an identity has, expired ones that are still stored included.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn count_values(&self, identity: IdentityId) -> Result<u64> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT count(*) FROM host_values v JOIN libraries l ON l.id = v.library WHERE l.identity = ?1",
                )?
                .query_row([identity], |row| row.get::<_, i64>(0))
                .map(i64::cast_unsigned)
        })
    }
}

impl LibraryRow {
    /// Whether the host fills it: a server's has a section.
    #[must_use]
    pub fn is_the_host_s(&self) -> bool {
        self.library.section.is_empty()
    }
}

/// Removes values that have expired, a few at a time, and the oldest while all take more than the limit. The one just
/// stored stays, however large: it goes when the next comes.
fn evict(tx: &Tx<'_>, identity: IdentityId, given: &HostValue<'_>) -> rusqlite::Result<()> {
    let c = tx.connection;
    let stored_now = tx.sequence;
    let mut gone: Vec<(LibraryId, Vec<u8>)> = c
        .prepare_cached(
            "SELECT library, name FROM host_values WHERE expires_ms <= ?1 AND sequence <> ?2 ORDER BY expires_ms LIMIT ?3",
        )?
        .query_map(params![given.now_ms, stored_now, EXPIRED], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut emptied = forget(tx, &gone)?;
    let mut taken: i64 = c
        .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM host_values")?
        .query_row([], |row| row.get(0))?;
    let limit = i64::try_from(given.limit).unwrap_or(i64::MAX);
    gone.clear();
    if taken > limit {
        let mut oldest =
            c.prepare_cached("SELECT library, name, bytes FROM host_values WHERE sequence <> ?1 ORDER BY sequence")?;
        let mut rows = oldest.query([stored_now])?;
        while taken > limit {
            let Some(row) = rows.next()? else { break };
            taken -= row.get::<_, i64>(2)?;
            gone.push((row.get(0)?, row.get(1)?));
        }
    }
    emptied |= forget(tx, &gone)?;
    if emptied {
        tx.libraries_changed(identity)?;
    }
    Ok(())
}

/// Removes values; gives whether listings were among them.
fn forget(tx: &Tx<'_>, values: &[(LibraryId, Vec<u8>)]) -> rusqlite::Result<bool> {
    let c = tx.connection;
    let mut emptied = false;
    for (library, name) in values {
        c.prepare_cached("DELETE FROM host_values WHERE library = ?1 AND name = ?2")?
            .execute(params![library, name])?;
        if name.is_empty() {
            c.prepare_cached("UPDATE libraries SET generation = 0, image = '', listed_items = 0 WHERE id = ?1")?
                .execute([library])?;
            emptied = true;
        }
    }
    Ok(emptied)
}
