//! Whether the server is asked about one path: where its library was never fetched, or does not list it.

use super::room::Queries;
use crate::error::Result;
use crate::matching::{Outcome, Scope};
use crate::model::{Confidence, Rung};
use crate::reading::{Snapshot, places};
use crate::store::LibraryRow;
use crate::sync::Call;

impl Queries {
    /// Whether a library that was never fetched answers with what a path search found a while ago.
    pub fn is_remembered(&self, snapshot: &Snapshot, outcome: &Outcome<'_>, path: &[u8]) -> Result<bool> {
        if outcome.rung == Rung::None || outcome.unverified {
            return Ok(false);
        }
        let (Some(found), Some(identity)) = (outcome.single(), snapshot.identity) else {
            return Ok(false);
        };
        let row = &snapshot.rows[found.library];
        if row.generation.is_fetched() || row.due || !matches!(outcome.rung, Rung::Exact | Rung::Mapped) {
            return Ok(false);
        }
        self.sync.remembers_path(identity, row, path)
    }

    /// Libraries that were never fetched and may have this path, when the caller has not the time to fetch them.
    pub fn cold(&self, call: &Call<'_>, snapshot: &Snapshot, scope: Scope, path: &[u8]) -> Vec<LibraryRow> {
        let is_cold = |row: &LibraryRow| !row.generation.is_fetched();
        let asked = snapshot.asked(scope);
        if !asked.iter().any(is_cold) || call.until.is_none() {
            return Vec::new();
        }
        match scope {
            Scope::One(_) => asked.to_vec(),
            Scope::All => self.owners(snapshot, scope, path).into_iter().filter(is_cold).collect(),
        }
    }

    /// Libraries that should list this path, and do not: it may be new.
    pub fn owners_without_it(
        &self,
        snapshot: &Snapshot,
        scope: Scope,
        outcome: &Outcome<'_>,
        path: &[u8],
    ) -> Vec<LibraryRow> {
        let missed = match outcome.rung {
            Rung::None => true,
            Rung::Suffix | Rung::FileName => outcome.confidence == Confidence::Low,
            _ => false,
        };
        if !missed || outcome.unverified {
            return Vec::new();
        }
        let mut owners = self.owners(snapshot, scope, path);
        owners.retain(|row| row.generation.is_fetched());
        owners
    }

    fn owners(&self, snapshot: &Snapshot, scope: Scope, path: &[u8]) -> Vec<LibraryRow> {
        let owns = snapshot.owners(path, self.reading.mappings());
        places(scope, snapshot.rows.len())
            .filter(|place| owns[*place])
            .map(|place| snapshot.rows[place].clone())
            .collect()
    }
}
