//! A whole view of the store at one moment, and what happened since.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};

use super::changes::{Change, ChangeKind};
use super::columns::{list, read};
use super::endpoints::{Endpoint, identity_of, one_of_several};
use super::libraries::{LibraryRow, libraries};
use super::open::{Store, Timeline};
use super::places::end_of;
use super::tx::sequence_of;
use super::unverified::unverified_of;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Sequence};

/// Everything that a process needs in order to answer, read at one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The change sequence of that moment.
    pub sequence: Sequence,
    /// The timeline that this is of.
    pub timeline: Timeline,
    /// The libraries that the last probe showed, in the server's order.
    pub libraries: Vec<LibraryRow>,
    /// Confirmed matches and single items that came or went since their images were made, oldest first; then what is not
    /// to be answered. Of [`State::continued`] libraries all that happened since.
    pub changes: Vec<Change>,
    /// Libraries of which only the changes since an earlier state were read.
    pub continued: Vec<LibraryId>,
    /// When the identity was last noted to be used, Unix ms: 0 where that has to be asked, [`NEVER_FORGOTTEN`] where it is
    /// not noted.
    ///
    /// [`NEVER_FORGOTTEN`]: super::NEVER_FORGOTTEN
    pub used_ms: i64,
}

/// Everything that a process needs for an identity, as the rows say it.
pub fn state_of(connection: &Connection, timeline: Timeline, identity: Option<IdentityId>) -> rusqlite::Result<State> {
    state(connection, timeline, identity, &|_| None)
}

/// Returns the sequence up to which the caller knows all changes of a library, if it goes on from there. It may raise the
/// sequences up to which the library's images are known.
pub type KnownUpTo<'k> = dyn Fn(&mut LibraryRow) -> Option<Sequence> + 'k;

fn state(
    connection: &Connection,
    timeline: Timeline,
    identity: Option<IdentityId>,
    known: &KnownUpTo<'_>,
) -> rusqlite::Result<State> {
    let Some(identity) = identity else {
        return Ok(State {
            sequence: sequence_of(connection)?,
            timeline,
            ..State::default()
        });
    };
    let mut libraries = libraries(connection, identity)?;
    let sequence = sequence_of(connection)?;
    let mut changes = Vec::new();
    let mut continued = Vec::new();
    let listed = list::<Change>();
    for row in &mut libraries {
        let since = known(row).filter(|since| *since <= sequence);
        if let Some(since) = since
            && trimmed_of(connection)? <= since
        {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {listed} FROM changes WHERE id > ?1 AND library = ?2 AND kind IN (1, 2, 3, 4, 5, 6, 8, 9) \
                 ORDER BY id"
            ))?;
            for one in statement.query_map(params![end_of(since), row.id], read::<Change>)? {
                changes.push(one?);
            }
            continued.push(row.id);
            continue;
        }
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {listed} FROM changes WHERE id > ?4 AND library = ?2 AND (kind IN (1, 2) AND sequence > ?1 \
             OR kind IN (8, 9) AND sequence > ?3) ORDER BY id"
        ))?;
        let found = statement.query_map(
            params![
                row.matches_compacted,
                row.id,
                row.image_sequence,
                end_of(row.matches_compacted.min(row.image_sequence))
            ],
            read::<Change>,
        )?;
        for one in found {
            changes.push(one?);
        }
    }
    let unverified = unverified_of(connection, identity, sequence)?;
    changes.extend(unverified.into_iter().filter(|one| !continued.contains(&one.library)));
    Ok(State {
        sequence,
        timeline,
        libraries,
        changes,
        continued,
        ..State::default()
    })
}

/// The change sequence up to which the log is not whole any more.
fn trimmed_of(connection: &Connection) -> rusqlite::Result<Sequence> {
    connection
        .prepare_cached("SELECT trimmed FROM store")?
        .query_row([], |row| row.get(0))
}

impl Store {
    /// Everything that a process needs in order to answer for this identity.
    #[cfg(test)]
    pub fn state(&self, identity: Option<IdentityId>) -> Result<State> {
        self.read(|connection| state_of(connection, self.timeline(), identity))
    }

    /// The same for the identity that an endpoint leads to, which is given too. Of one moment: otherwise the sequence could
    /// say that the commit shows which made the identity known. Of libraries that are `known`
    /// up to a sequence which is still in the log only what happened since is read.
    pub fn state_at(&self, endpoint: Option<&Endpoint>, known: &KnownUpTo<'_>) -> Result<(Option<IdentityId>, State)> {
        if let Some((identity, mut state)) = self.kept_state(endpoint) {
            for row in &mut state.libraries {
                let _ = known(row); // the first state continues none
            }
            return Ok((identity, state));
        }
        self.read_first(|connection| {
            // Before anything is read: a log that is lost meanwhile ends the timeline.
            let timeline = self.timeline();
            let identity = identity_of(connection, endpoint)?;
            if endpoint.is_none()
                && !self.is_chosen.load(Ordering::Relaxed)
                && let Some(identity) = identity
                && let Some(told) = one_of_several(connection, identity)?
                && !self.is_chosen.swap(true, Ordering::Relaxed)
            {
                log::warn!("{told}");
            }
            Ok((identity, state(connection, timeline, identity, known)?))
        })
    }

    /// What happened after `since`, which is of this timeline, oldest first, with the sequence up to which it is told. `None` when so much
    /// happened, or such things, that [`Store::state_at`] has to be read again. With `patient` unset: `None`
    /// when another thread goes on reading.
    pub fn changes(
        &self,
        identity: Option<IdentityId>,
        since: Sequence,
        timeline: Timeline,
        patient: bool,
    ) -> Option<Result<(Sequence, Option<Vec<Change>>)>> {
        let work = |connection: &Connection| {
            let now = sequence_of(connection)?;
            if now == since {
                return Ok((now, Some(Vec::new())));
            }
            if trimmed_of(connection)? > since || now < since {
                return Ok((now, None));
            }
            let found: Vec<Change> = connection
                .prepare_cached(&format!(
                    "SELECT {} FROM changes WHERE id > ?1 AND (?2 IS NULL OR identity IN (0, ?2)) ORDER BY id LIMIT 2000",
                    list::<Change>()
                ))?
                .query_map(params![end_of(since), identity], read::<Change>)?
                .collect::<rusqlite::Result<_>>()?;
            let again = found.len() == 2000 || found.iter().any(|one| one.kind == ChangeKind::Library);
            Ok((now, (!again).then_some(found)))
        };
        let read = if patient {
            Some(self.read(work))
        } else {
            self.read_shortly(work)
        };
        if self.timeline() != timeline {
            return read.map(|read| read.map(|(now, _)| (now, None)));
        }
        read
    }
}
