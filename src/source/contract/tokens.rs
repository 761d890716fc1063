//! The tokens of an open index. The host may replace the token; running calls keep the one that they started with, so
//! that content visible to one token is never stored for another user.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::model::{Claims, Token};
use crate::platform::mutex::lock;

/// A token, from when it was set until it is replaced and unused.
pub struct Session {
    number: u64,
    pub token: Option<Token>,
    pub(crate) claims: Option<Claims>,
    given_ms: OnceLock<i64>,
    /// Whether the server refused it when it was last asked.
    is_refused: AtomicBool,
}

/// The tokens of an index since it was opened.
pub struct Tokens(pub Mutex<State>);

/// The current token and those still in use.
pub struct State {
    current: Arc<Session>,
    /// Replaced tokens that are still in use.
    replaced: Vec<Weak<Session>>,
    /// Number of the first token of the current view.
    view_since: u64,
    /// Number of the first token of the current user, as far as the host declared it.
    user_since: u64,
}

/// The user of a new token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TokenOwner {
    /// Unknown: any user.
    Any,
    /// The user of the token with this number.
    SameAs(u64),
}

impl Session {
    fn new(number: u64, token: Option<Token>) -> Arc<Self> {
        let claims = token.as_ref().and_then(Token::claims);
        let given_ms = OnceLock::new();
        Arc::new(Self {
            number,
            token,
            claims,
            given_ms,
            is_refused: AtomicBool::new(false),
        })
    }

    /// Number of the token within its index, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Time of its first use, Unix ms; the first call sets it to `now`.
    #[must_use]
    pub fn given_ms(&self, now: impl FnOnce() -> i64) -> i64 {
        *self.given_ms.get_or_init(now)
    }

    /// Whether the server refused the token when it was last asked.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    pub(crate) fn set_refused(&self, is_refused: bool) {
        self.is_refused.store(is_refused, Ordering::Relaxed);
    }
}

impl Tokens {
    /// Starts with this token.
    #[must_use]
    pub fn new(token: Option<Token>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            current: Session::new(1, token),
            replaced: Vec::new(),
            view_since: 1,
            user_since: 1,
        })))
    }

    /// Returns the current token.
    #[must_use]
    pub fn current(&self) -> Arc<Session> {
        Arc::clone(&lock(&self.0).current)
    }

    /// Returns the token with this number while it is in use; 0 is the current one.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<Session>> {
        let state = lock(&self.0);
        if number == 0 || number == state.current.number {
            return Some(Arc::clone(&state.current));
        }
        let mut replaced = state.replaced.iter().filter_map(Weak::upgrade);
        replaced.find(|one| one.number == number)
    }

    /// Returns the text with all tokens in use replaced.
    #[must_use]
    pub fn scrubbed(&self, text: &str) -> String {
        let state = lock(&self.0);
        let replaced = state.replaced.iter().filter_map(Weak::upgrade);
        let sessions: Vec<_> = replaced.chain([Arc::clone(&state.current)]).collect();
        drop(state); // each call takes it
        // All at once: one token may be the beginning of another.
        let tokens: Vec<&Token> = sessions.iter().filter_map(|session| session.token.as_ref()).collect();
        Token::scrub(&tokens, text)
    }

    /// Returns the current token if it has the same view as the token with this number.
    #[must_use]
    pub fn current_for(&self, number: u64) -> Option<Arc<Session>> {
        let state = lock(&self.0);
        (number >= state.view_since).then(|| Arc::clone(&state.current))
    }

    /// Returns the current number, and whether the host declared that this token has the view of the token with number
    /// `number`.
    #[must_use]
    pub fn current_after(&self, number: u64) -> (u64, bool) {
        let state = lock(&self.0);
        (state.current.number, number >= state.user_since.min(state.view_since))
    }

    /// Replaces the token. `same_view`: the view does not depend on the token.
    pub fn replace(&self, token: Option<Token>, owner: TokenOwner, same_view: bool) {
        let mut state = lock(&self.0);
        let next = Session::new(state.current.number + 1, token);
        if !same_view {
            state.view_since = next.number;
        }
        // A token set while the host callback ran may be any user's.
        if owner != TokenOwner::SameAs(state.current.number) {
            state.user_since = next.number;
        }
        let before = std::mem::replace(&mut state.current, next);
        state.replaced.retain(|one| one.strong_count() > 0);
        state.replaced.push(Arc::downgrade(&before));
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
