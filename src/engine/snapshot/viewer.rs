//! The user and server that a handle reads: endpoint, token, and whether the server accepted the token.

use std::sync::Arc;

use super::data::Libraries;
use super::reading::Reading;
use crate::engine::current::Shown;
use crate::engine::sql::{Endpoint, LibraryRows, SameUser};
use crate::error::{Error, Result, Status};
use crate::model::{IdentityId, Sequence, Token};
use crate::platform::deadline::Deadline;
use crate::source::{Session, TokenOwner, View, Viewer};

impl Reading {
    /// Returns the endpoint: URL and user. Users are stored as keyed hashes. The key is in the database, and lost with
    /// it.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint_of(&self.tokens.current())
    }

    /// Returns the endpoint for the token of one call.
    pub fn endpoint_of(&self, session: &Session) -> Option<Endpoint> {
        self.view.as_ref().map(|View { place, viewer }| Endpoint {
            url: place.clone(),
            until_ms: match (viewer, &session.claims) {
                (Viewer::Holder, Some(claims)) => claims.expires_ms,
                _ => 0,
            },
            given_ms: session.given_ms(|| self.clock.now_ms()),
            // Kinds of users differ in length: 32 bytes for a token, and 1, 2 or 3 zero bytes more for the others.
            who: match (viewer, &session.token) {
                // No other identity inherits the matches of a named user.
                (Viewer::Named(user), _) => [self.store.key().fingerprint(&format!("user {user}")), vec![0]].concat(),
                (Viewer::Holder, Some(token)) => self.store.key().fingerprint(token.reveal()),
                // Without a token, each URL has a user of its own.
                (Viewer::Holder, None) => {
                    [self.store.key().fingerprint(&format!("nobody at {place}")), vec![0; 3]].concat()
                }
                // Readers of the server's files and users of tokens inherit no matches from each other.
                (Viewer::Reader, _) => [self.store.key().fingerprint("the server's own files"), vec![0, 0]].concat(),
            },
        })
    }

    /// Returns the user that a token claims. It gives no access before the server has accepted the token.
    pub fn same_user(&self, session: &Session) -> Option<SameUser> {
        let claims = session.claims.as_ref().filter(|_| self.depends_on_token())?;
        let user = claims.user.as_ref()?;
        Some(self.store.key().keyed(format!("same {user}").as_bytes()))
    }

    /// Returns whether stored data may belong to this token's user, but the server has not accepted the token yet.
    /// `false` for a named user or without a token.
    pub fn awaits_acceptance(&self) -> Result<bool> {
        if self.identity().is_some() {
            return Ok(false);
        }
        let session = self.tokens.current();
        let is_by_token = self.depends_on_token() && session.token.is_some();
        match self.endpoint_of(&session).filter(|_| is_by_token) {
            Some(endpoint) => LibraryRows(&self.store).has_led_to_libraries(&endpoint),
            None => Ok(false),
        }
    }

    /// Fails while the server has not accepted the token.
    pub fn check_accepted(&self) -> Result<()> {
        if self.awaits_acceptance()? {
            let remedy = if self.is_offline {
                "open it once without the offline flag"
            } else {
                "ask it first (refresh)"
            };
            let why = format!("the server has not accepted the token yet: {remedy}");
            return Err(Error::new(Status::NotFetched, why));
        }
        Ok(())
    }

    /// Says that the server refused the token, instead of an error that asks for a first refresh, which cannot help.
    pub fn refused_or(&self, error: Error) -> Error {
        if error.status == Status::NotFetched && self.tokens.current().is_refused() {
            let why = "nothing is stored yet, and the server rejected the token as invalid or expired: give a new one";
            return Error::new(Status::Unauthorized, why);
        }
        error
    }

    /// Returns the identity that the session's token led to, even if the handle has another token now. `None` before a
    /// server accepted the token.
    pub fn identity_of(&self, session: &Session) -> Result<Option<IdentityId>> {
        match self.endpoint_of(session) {
            Some(endpoint) => LibraryRows(&self.store).identity(&endpoint),
            None => Ok(None),
        }
    }

    /// The user whose view is read, as all hosts name it; `None` without a server. `keyed` hashes a token with the key
    /// that all hosts have.
    pub fn shared_viewer(&self, session: &Session, keyed: impl Fn(&str) -> Vec<u8>) -> Option<Vec<u8>> {
        Some(match &self.view.as_ref()?.viewer {
            Viewer::Named(user) => [b"user ", user.as_bytes()].concat(),
            Viewer::Holder => match (
                session.claims.as_ref().and_then(|claims| claims.user.as_ref()),
                &session.token,
            ) {
                // The server has accepted the token that says so.
                (Some(user), _) => keyed(&format!("same {user}")),
                (None, Some(token)) => keyed(token.reveal()),
                (None, None) => b"nobody".to_vec(),
            },
            Viewer::Reader => return None,
        })
    }

    /// Where the items come from: the URL of the server, or the path of its database. Empty: from nowhere.
    pub fn place(&self) -> &str {
        self.view.as_ref().map_or("", |view| &view.place)
    }

    fn depends_on_token(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.viewer == Viewer::Holder)
    }

    /// Replaces the token. If the view depends on the token, later lookups do not use the earlier view. Returns whether
    /// the token changed.
    pub fn set_token(&self, token: Option<Token>, owner: TokenOwner) -> Result<bool> {
        let _catching_up = self.snapshot.lock();
        if self.tokens.current().token == token {
            return Ok(false);
        }
        let same_view = !self.depends_on_token();
        if !same_view {
            // Replace the snapshot before the token: a call with the new token must not see the old token's snapshot.
            let before = self.snapshot.read();
            let empty = Shown::after(&before, Sequence::default(), Arc::default(), Libraries::default());
            drop(before);
            self.snapshot.replace(empty);
        }
        self.tokens.replace(token, owner, same_view);
        if !same_view {
            self.reload_locked(Some(Deadline::NONE))?;
        }
        Ok(true)
    }
}
