//! The libraries that are known, and how fresh each is.

use super::room::Queries;
use crate::error::Result;
use crate::freshness;
use crate::model::Library;
use crate::sync::Call;

/// A library, and how fresh its listing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryFacts {
    /// As the server lists it.
    pub library: Library,
    /// Items listed.
    pub items: u64,
    /// When its listing was last seen to be current, Unix ms; `None` when it was never fetched.
    pub checked_ms: Option<i64>,
    /// How long that is ago, in ms.
    pub age_ms: Option<i64>,
    /// A question would be answered without asking the server.
    pub fresh: bool,
    /// The number of its listing; 0 when it was never fetched.
    pub generation: i64,
}

impl LibraryFacts {
    /// A JSON object.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "section": self.library.section,
            "uuid": self.library.uuid,
            "title": self.library.title,
            "kind": self.library.kind.name(),
            "locations": self.library.locations,
            "items": self.items,
            "age_ms": self.age_ms,
            "fresh": self.fresh,
            "generation": self.generation,
        })
    }
}

impl Queries {
    /// # Errors
    /// The server's, when none is known yet; the store's.
    pub fn libraries(&self, call: &Call<'_>) -> Result<Vec<LibraryFacts>> {
        self.reading.catch_up()?;
        if self.reading.snapshot().rows.is_empty() && self.sync.may_ask(call) {
            let since = self.reading.snapshot().sequence();
            self.sync.probe(call, since)?;
            self.reading.catch_up()?;
        }
        let snapshot = self.reading.snapshot();
        self.sync.check_view(call, &snapshot)?;
        let now = self.clock.now_ms();
        let facts = snapshot.rows.iter().map(|row| {
            let checked_ms = row.generation.is_fetched().then_some(row.checked_ms);
            LibraryFacts {
                library: row.library.clone(),
                items: row.items,
                checked_ms,
                age_ms: checked_ms.map(|ms| now - ms),
                fresh: freshness::need(&self.sync.age(row), &self.policy, now) == freshness::Need::Nothing,
                generation: row.generation.0.max(0),
            }
        });
        Ok(facts.collect())
    }
}
