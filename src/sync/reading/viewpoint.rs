//! The user and server that a handle reads: endpoint and token.

use std::sync::Arc;

use crate::engine::{Endpoint, LibraryRows, SameUser, Store};
use crate::error::Result;
use crate::model::IdentityId;
use crate::options::Options;
use crate::platform::clock::Clock;
use crate::source::{self, Session, Tokens, View, Viewer};

/// The user and server that a handle reads.
pub struct Viewpoint {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    tokens: Arc<Tokens>,
    /// The server and the user; `None` without a source.
    view: Option<View>,
}

impl Viewpoint {
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, tokens: Arc<Tokens>, options: &Options) -> Self {
        Self {
            store,
            clock,
            tokens,
            view: source::view(options),
        }
    }

    /// The time, Unix ms.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

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

    /// Returns whether the token decides which user reads.
    pub fn depends_on_token(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.viewer == Viewer::Holder)
    }
}
