//! The libraries, as JSON.

use super::room::Queries;
use crate::error::Result;
use crate::freshness;
use crate::reading;
use crate::sync::Call;

impl Queries {
    /// # Errors
    /// The server's, when none is known yet; the store's.
    pub fn libraries_json(&self, call: &Call<'_>) -> Result<String> {
        self.reading.catch_up()?;
        if self.reading.snapshot().rows.is_empty() && self.sync.may_ask(call) {
            let since = self.reading.snapshot().sequence();
            self.sync.probe(call, since)?;
            self.reading.catch_up()?;
        }
        let snapshot = self.reading.snapshot();
        let now = self.clock.now_ms();
        let rows: Vec<_> = snapshot
            .rows
            .iter()
            .map(|row| {
                let age = reading::age(row);
                serde_json::json!({
                    "section": row.library.section,
                    "uuid": row.library.uuid,
                    "title": row.library.title,
                    "kind": row.library.kind.name(),
                    "locations": row.library.locations,
                    "items": row.items,
                    "age_ms": (row.generation.is_fetched()).then(|| now - row.checked_ms),
                    "fresh": freshness::need(&age, &self.policy, now) == freshness::Need::Nothing,
                    "generation": row.generation.0.max(0),
                })
            })
            .collect();
        Ok(serde_json::Value::Array(rows).to_string())
    }
}
