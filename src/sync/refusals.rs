//! Arguments that a server refuses: learned by requests, stored for all processes, and tried again with a new server version.

use super::job::SyncJob;
use crate::error::Result;
use crate::model::Server;

impl SyncJob<'_> {
    /// Loads into the source what the server refuses, as found by any process.
    pub(super) fn load_refusals(&self) {
        let known = self.identity().and_then(|identity| match identity {
            Some(identity) => self.sync.store.refusals(identity).map(Some),
            None => Ok(None), // keep what this process found out
        });
        match known {
            Ok(known) => known.iter().for_each(|known| self.source.restore_quirks(known)),
            Err(error) => log::debug!("what the server refuses is not known, and may be found out again: {error}"),
        }
    }

    /// Stores what the server refuses, so that no other process tries it.
    pub fn store_refusals(&self) {
        let learned = self.source.take_new_quirks();
        if learned.is_empty() {
            return;
        }
        let add = |known: &str| {
            let new = learned
                .split(' ')
                .filter(|word| !known.split(' ').any(|one| one == *word));
            let words: Vec<&str> = (!known.is_empty()).then_some(known).into_iter().chain(new).collect();
            words.join(" ")
        };
        let stored = self.identity().and_then(|identity| match identity {
            Some(identity) => self.sync.store.note_refusals(identity, self.bounds.deadline, &add),
            None => Ok(()),
        });
        if let Err(error) = stored {
            log::warn!("what the server refuses could not be stored; it is found out again: {error}");
        }
    }

    /// Requests the version of a server that refuses something: a new version may accept it. Sends nothing to other servers.
    pub fn check_version(&self) -> Result<()> {
        if !self.source.is_limited() {
            return Ok(());
        }
        let server = self.source.server(self.bounds)?;
        self.note_version(&server)
    }

    pub fn note_version(&self, server: &Server) -> Result<()> {
        let Some(identity) = self.identity()? else {
            return Ok(());
        };
        if self.sync.store.machine_identifier(identity)? == server.machine_identifier
            && self
                .sync
                .store
                .note_version(identity, &server.version, self.bounds.deadline)?
            && self.source.is_limited()
        {
            log::info!(
                "the server's version is {} now: what it refused before is asked for again",
                server.version
            );
            self.load_refusals();
        }
        Ok(())
    }
}
