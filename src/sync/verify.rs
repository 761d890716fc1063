//! What was invalidated is asked for before it is answered again.

use super::call::Call;
use super::job::Syncing;
use super::refresh::Why;
use crate::error::Result;
use crate::store::LibraryRow;

/// An item that was invalidated, or the path that it is found by.
pub struct Unverified {
    pub row: LibraryRow,
    pub rating_key: String,
    /// How it is found.
    pub paths: Vec<Vec<u8>>,
}

impl Syncing {
    /// Asks for invalidated items, all in one request; stores what they are now.
    pub fn verify(&self, call: &Call<'_>, unverified: &[Unverified]) -> Result<()> {
        if !self.abilities().is_some_and(|can| can.items) {
            // Then a listing tells, and ends all that was invalidated before it.
            let rows: Vec<LibraryRow> = unverified.iter().map(|one| one.row.clone()).collect();
            return self
                .bring_up_to_date(call, &rows, self.reading.snapshot().sequence(), Why::Full)
                .map(|_| ());
        }
        let keys: Vec<&str> = unverified.iter().map(|one| one.rating_key.as_str()).collect();
        let items = self.items(call, &keys)?;
        let Some(identity) = self.reading.identity() else {
            return Ok(());
        };
        for Unverified { row, rating_key, paths } in unverified {
            if let Some(item) = items.iter().find(|item| item.rating_key == *rating_key) {
                // Rows that the server gives are true whatever became of the path: a changed item is merged as it is now.
                self.store.merge_items(row, std::slice::from_ref(item), None)?;
            } else {
                self.store.invalidate_item(identity, &[row.id], rating_key)?;
                self.store.remove_item(row, rating_key)?;
                log::info!("item {rating_key} is gone from the server; it is answered no more");
            }
            // The index says what is true now: nothing is left to invalidation.
            let paths = paths.iter().map(Vec::as_slice);
            self.maintenance
                .verified(identity, row, paths, |key| key == rating_key)?;
        }
        Ok(())
    }
}
