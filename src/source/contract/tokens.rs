//! The token of an open index, which its host may replace. What is under way goes on with the one that it began with: what a
//! token may see is never stored for the user of another.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::model::{Claims, Token};
use crate::platform::mutex::lock;

/// A token, from when it was given until it is replaced and nothing uses it any more.
pub struct Session {
    number: u64,
    pub token: Option<Token>,
    pub claims: Option<Claims>,
    given_ms: OnceLock<i64>,
}

/// The tokens that an index had since it was opened.
pub struct Tokens(pub Mutex<State>);

/// What is known of them.
pub struct State {
    current: Arc<Session>,
    /// Those that were replaced and are still used.
    replaced: Vec<Weak<Session>>,
    /// The first one of the view that the current one has.
    view_since: u64,
    /// The first one of the user who has the current one, as far as the host said so.
    user_since: u64,
}

/// What the host says of a token that replaces another one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Anybody's.
    Any,
    /// Of the user who had the one of this number.
    Renews(u64),
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
        })
    }

    /// Counts the tokens of an index, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When it was first used to answer, Unix ms: `now` at the first call.
    #[must_use]
    pub fn given_ms(&self, now: impl FnOnce() -> i64) -> i64 {
        *self.given_ms.get_or_init(now)
    }
}

impl Tokens {
    /// The first one.
    #[must_use]
    pub fn new(token: Option<Token>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            current: Session::new(1, token),
            replaced: Vec::new(),
            view_since: 1,
            user_since: 1,
        })))
    }

    /// The one that was given last.
    #[must_use]
    pub fn current(&self) -> Arc<Session> {
        Arc::clone(&lock(&self.0).current)
    }

    /// The one of this number, as long as it is used; 0 is the current one.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<Session>> {
        let state = lock(&self.0);
        if number == 0 || number == state.current.number {
            return Some(Arc::clone(&state.current));
        }
        let mut replaced = state.replaced.iter().filter_map(Weak::upgrade);
        replaced.find(|one| one.number == number)
    }

    /// The text without anything of a token that is used.
    #[must_use]
    pub fn scrubbed(&self, text: &str) -> String {
        let state = lock(&self.0);
        let replaced = state.replaced.iter().filter_map(Weak::upgrade);
        let sessions: Vec<_> = replaced.chain([Arc::clone(&state.current)]).collect();
        drop(state); // each call takes it
        // All at once: one may begin as another does.
        let tokens: Vec<&Token> = sessions.iter().filter_map(|session| session.token.as_ref()).collect();
        Token::scrub(&tokens, text)
    }

    /// The current one, if its view is that of a call that began with the token of this number.
    #[must_use]
    pub fn current_for(&self, number: u64) -> Option<Arc<Session>> {
        let state = lock(&self.0);
        (number >= state.view_since).then(|| Arc::clone(&state.current))
    }

    /// The number of the current one; and whether it shows what that of this number shows, without asking the server.
    #[must_use]
    pub fn current_after(&self, number: u64) -> (u64, bool) {
        let state = lock(&self.0);
        (state.current.number, number >= state.user_since.min(state.view_since))
    }

    /// Replaces the token. `same_view`: what is shown does not depend on it.
    pub fn replace(&self, token: Option<Token>, next_is: Next, same_view: bool) {
        let mut state = lock(&self.0);
        let next = Session::new(state.current.number + 1, token);
        if !same_view {
            state.view_since = next.number;
        }
        // One that was set while the host was asked may be anybody's.
        if next_is != Next::Renews(state.current.number) {
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
