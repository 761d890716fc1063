//! Determines the server, and the user whose data a handle reads.

use std::sync::Arc;

use crate::engine::{ClaimedUserHash, Endpoint, LibraryRows, Store};
use crate::error::Result;
use crate::model::ViewId;
use crate::options::Options;
use crate::platform::clock::Clock;
use crate::source::{self, Session, Tokens, View, Viewer};

/// Determines the server, and the user whose data a handle reads.
pub struct EndpointResolver {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    tokens: Arc<Tokens>,
    /// The server and the kind of user; `None` without a source.
    view: Option<View>,
}

impl EndpointResolver {
    /// Creates the resolver. The options contain the source and, if the host specifies the user, the user's name.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, tokens: Arc<Tokens>, options: &Options) -> Self {
        Self {
            store,
            clock,
            tokens,
            view: source::view(options),
        }
    }

    /// Returns the current time in Unix ms.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Returns the endpoint for the current token: the URL, the hash of the user, and the times of the token's expiry
    /// (`until_ms`) and first use (`first_used_ms`); `None` without a source. The database contains the key for the
    /// hash.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint_of(&self.tokens.current())
    }

    /// Returns the URL and the user's hash for the token of any session, current or not; `None` without a source.
    pub fn endpoint_of(&self, session: &Session) -> Option<Endpoint> {
        self.view.as_ref().map(
            |View {
                 location: place,
                 viewer,
             }| Endpoint {
                url: place.clone(),
                until_ms: match (viewer, &session.claims) {
                    // The endpoint expires with the token only if the token determines the user.
                    (Viewer::TokenHolder, Some(claims)) => claims.expires_ms,
                    _ => 0,
                },
                first_used_ms: session.first_used_ms(|| self.clock.now_ms()),
                // The hash has 32 bytes. Append one zero byte for a named user, two for a reader of the server's files,
                // and three for a user without a token, so that users of different kinds never share matches.
                user_hash: match (viewer, &session.token) {
                    (Viewer::Named(user), _) => {
                        [self.store.key().fingerprint(&format!("user {user}")), vec![0]].concat()
                    }
                    (Viewer::TokenHolder, Some(token)) => self.store.key().fingerprint(token.reveal()),
                    // Without a token, each URL has a separate user.
                    (Viewer::TokenHolder, None) => {
                        [self.store.key().fingerprint(&format!("nobody at {place}")), vec![0; 3]].concat()
                    }
                    (Viewer::DatabaseReader, _) => {
                        [self.store.key().fingerprint("the server's own files"), vec![0, 0]].concat()
                    }
                },
            },
        )
    }

    /// Returns a hash of the user that the token names in its claims; `None` if the token names no user, or if the view
    /// does not depend on the token. With the hash, a new token for the same user finds the stored view. The claim
    /// grants no access until the server has accepted the token.
    pub fn claimed_user_hash(&self, session: &Session) -> Option<ClaimedUserHash> {
        let claims = session.claims.as_ref().filter(|_| self.depends_on_token())?;
        let user = claims.user.as_ref()?;
        Some(self.store.key().keyed(format!("same {user}").as_bytes()))
    }

    /// Returns the id of the view for a session's token, which may no longer be the current token; `None` if no server
    /// has accepted the token yet.
    pub fn view_of(&self, session: &Session) -> Result<Option<ViewId>> {
        match self.endpoint_of(session) {
            Some(endpoint) => LibraryRows(&self.store).view_id(&endpoint),
            None => Ok(None),
        }
    }

    /// Returns an identifier of the user that is the same on all hosts, because hosts share entries only within one
    /// user's view; `None` without a server. `hash`: hashes a string with the key that all hosts share, so that the
    /// shared database does not contain the token or the user in its claims.
    pub fn shared_user_id(&self, session: &Session, hash: impl Fn(&str) -> Vec<u8>) -> Option<Vec<u8>> {
        Some(match &self.view.as_ref()?.viewer {
            Viewer::Named(user) => [b"user ", user.as_bytes()].concat(),
            Viewer::TokenHolder => match (
                session.claims.as_ref().and_then(|claims| claims.user.as_ref()),
                &session.token,
            ) {
                // The claim can be trusted, because the server has accepted the token. The prefix keeps users apart
                // from tokens.
                (Some(user), _) => hash(&format!("same {user}")),
                (None, Some(token)) => hash(token.reveal()),
                (None, None) => b"nobody".to_vec(),
            },
            Viewer::DatabaseReader => return None,
        })
    }

    /// Returns the server's URL, or the path of its database; empty without a source.
    pub fn source_address(&self) -> &str {
        self.view.as_ref().map_or("", |view| &view.location)
    }

    /// Returns whether the view depends on the token, because the token determines the user.
    pub fn depends_on_token(&self) -> bool {
        self.view
            .as_ref()
            .is_some_and(|view| view.viewer == Viewer::TokenHolder)
    }
}
