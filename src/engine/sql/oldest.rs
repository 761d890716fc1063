//! Finds the log's oldest records, so that plexindex can evict them if hosts exceed a size limit.

use super::cached::CachedStatements;
use super::record_log::{NO_VALUES, OF_A_LIBRARY, ROWS_AFTER, RecordRow, RecordTx, rows};
use crate::model::TableId;

/// Maximum number of rows that one write examines for eviction.
const EVICTED_PER_WRITE: usize = 10_000;
/// Number of rows that one query reads.
const ROWS: usize = 64;

impl RecordTx<'_> {
    /// Passes rows with confirmed matches, oldest first, to `each`, which evicts them and returns `false` to stop.
    /// Examines a limited number of rows, so that a write stays short.
    pub fn oldest_matches<E: From<rusqlite::Error>>(
        &self,
        mut each: impl FnMut(RecordRow) -> std::result::Result<bool, E>,
    ) -> std::result::Result<(), E> {
        let matches_after = format!(
            "id > ?1 AND value IS NOT NULL AND in_table IN (SELECT id FROM tables WHERE {OF_A_LIBRARY}) ORDER BY id"
        );
        let mut last_id = 0;
        for _ in 0..EVICTED_PER_WRITE / ROWS {
            let rows = rows(self.log.connection, &matches_after, last_id, NO_VALUES, ROWS)?;
            let Some(last_row) = rows.last() else { return Ok(()) };
            last_id = last_row.id;
            for row in rows {
                if !each(row)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Passes rows with entries of hosts' tables, oldest first, to `each`, which deletes the row to evict its entry, or
    /// returns `false` to stop. Examines a limited number of rows. Stores the row id up to which no entries are left,
    /// so that later writes skip these rows.
    pub fn oldest_entries<E: From<rusqlite::Error>>(
        &self,
        mut each: impl FnMut(RecordRow) -> std::result::Result<bool, E>,
    ) -> std::result::Result<(), E> {
        let c = self.log.connection;
        let tables: Vec<(TableId, i64)> = c.rows("SELECT id, swept FROM tables WHERE name IS NOT NULL", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let mut last_id = tables.iter().map(|(_, swept)| *swept).min().unwrap_or(0);
        // Hosts' tables have no rows up to the id `gone_upto`. `is_gone` becomes false at the first row that stays.
        let (mut gone_upto, mut is_gone) = (last_id, true);
        let mut batches = 0;
        'all: while batches < EVICTED_PER_WRITE / ROWS {
            let rows = rows(c, ROWS_AFTER, last_id, NO_VALUES, ROWS)?;
            let Some(last_row) = rows.last() else { break };
            last_id = last_row.id;
            batches += 1;
            for row in rows {
                let id = row.id;
                if tables.iter().any(|(table, _)| *table == row.table) {
                    // A row without a value removes an entry. The row must stay until a segment contains the removal;
                    // otherwise the entry would reappear from an older segment.
                    is_gone &= row.value.is_some();
                    if row.value.is_some() && !each(row)? {
                        break 'all;
                    }
                }
                if is_gone {
                    gone_upto = id;
                }
            }
        }
        // Reading one batch again is cheap, so store the position only after several batches.
        if batches > 1 {
            self.tx.run(
                "UPDATE tables SET swept = ?1 WHERE name IS NOT NULL AND swept < ?1",
                [gone_upto],
            )?;
        }
        Ok(())
    }
}
