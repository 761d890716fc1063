//! The tokens of an open index. The host may replace the token. A running call keeps the token with which it started,
//! so that plexindex never stores one user's content for another user.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::model::{Claims, Token};
use crate::platform::fork::lock;

/// The period in which an index uses one token: from when the host sets the token until the host has replaced it and no
/// call uses it.
pub struct Session {
    number: u64,
    pub token: Option<Token>,
    /// The token's claims about its user and expiry; `None` if the token is not a JSON Web Token.
    pub(crate) claims: Option<Claims>,
    /// Time of the first use in Unix ms; not set before.
    first_used_ms: OnceLock<i64>,
    /// Whether the server rejected the token in the last request that used it.
    is_rejected: AtomicBool,
}

/// The token of an open index, which the host can replace, and the replaced tokens that calls still use.
pub struct Tokens(pub Mutex<TokenState>);

/// The current token, and the replaced tokens that calls still use.
pub struct TokenState {
    current: Arc<Session>,
    /// Replaced tokens that calls may still use.
    replaced: Vec<Weak<Session>>,
    /// Number of the first token with the current view. All later tokens have the same view.
    view_since: u64,
    /// Number of the first token of the current user. The host declared that all later tokens belong to the same user.
    user_since: u64,
}

/// The owner of a new token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TokenOwner {
    /// Unknown: the host does not say who owns the token.
    Unknown,
    /// The user who owns the token with this number.
    SameAs(u64),
}

impl Session {
    /// Creates a session for a token that the host sets. If `token` is `None`, requests contain no token.
    fn new(number: u64, token: Option<Token>) -> Arc<Self> {
        let claims = token.as_ref().and_then(Token::claims);
        Arc::new(Self {
            number,
            token,
            claims,
            first_used_ms: OnceLock::new(),
            is_rejected: AtomicBool::new(false),
        })
    }

    /// Returns the token's number. An index numbers its tokens from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the time of the token's first use, in Unix ms. The first call stores the result of `now` as this time.
    #[must_use]
    pub fn first_used_ms(&self, now: impl FnOnce() -> i64) -> i64 {
        *self.first_used_ms.get_or_init(now)
    }

    /// Returns whether the server rejected the token in the last request that used it.
    pub(crate) fn is_rejected(&self) -> bool {
        self.is_rejected.load(Ordering::Relaxed)
    }

    /// Records whether the server rejected the token in the latest request.
    pub(crate) fn set_rejected(&self, is_refused: bool) {
        self.is_rejected.store(is_refused, Ordering::Relaxed);
    }
}

impl Tokens {
    /// Creates an index's tokens, with this current token; `None` means that requests contain no token.
    #[must_use]
    pub fn new(token: Option<Token>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(TokenState {
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

    /// Returns the token with this number, or the current token for 0; `None` if the token is no longer in use.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<Session>> {
        let state = lock(&self.0);
        if number == 0 || number == state.current.number {
            return Some(Arc::clone(&state.current));
        }
        let mut replaced = state.replaced.iter().filter_map(Weak::upgrade);
        replaced.find(|session| session.number == number)
    }

    /// Returns `text` with `***` in place of every token that is in use.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let state = lock(&self.0);
        let replaced = state.replaced.iter().filter_map(Weak::upgrade);
        let sessions: Vec<_> = replaced.chain([Arc::clone(&state.current)]).collect();
        drop(state); // scrubbing is slow, and every call needs this lock
        // Replaces all tokens in one pass, because one token may be the beginning of another.
        let tokens: Vec<&Token> = sessions.iter().filter_map(|session| session.token.as_ref()).collect();
        Token::scrub(&tokens, text)
    }

    /// Returns the current token if it has the same view as the token with this number; otherwise `None`, and a call
    /// that started with that token must not continue.
    #[must_use]
    pub fn current_if_same_view(&self, number: u64) -> Option<Arc<Session>> {
        let state = lock(&self.0);
        (number >= state.view_since).then(|| Arc::clone(&state.current))
    }

    /// Returns the current token's number, and whether a call that started with the token `earlier` may continue with
    /// the current token. A call may continue if both tokens have the same view or, as the host declared, the same
    /// user.
    #[must_use]
    pub fn compare_current(&self, earlier: u64) -> (u64, bool) {
        let state = lock(&self.0);
        (state.current.number, earlier >= state.user_since.min(state.view_since))
    }

    /// Replaces the current token. `owner` is the new token's owner. If `same_view` is true, both tokens have the same
    /// view, so running calls may continue.
    pub fn replace(&self, token: Option<Token>, owner: TokenOwner, same_view: bool) {
        let mut state = lock(&self.0);
        let next = Session::new(state.current.number + 1, token);
        if !same_view {
            state.view_since = next.number;
        }
        // If `SameAs` refers to an earlier token, another thread has replaced that token while the host's callback
        // fetched this one. Then `SameAs` says nothing about the current user.
        if owner != TokenOwner::SameAs(state.current.number) {
            state.user_since = next.number;
        }
        let previous = std::mem::replace(&mut state.current, next);
        state.replaced.retain(|session| session.strong_count() > 0);
        state.replaced.push(Arc::downgrade(&previous));
    }
}

impl fmt::Debug for Tokens {
    /// Hides the tokens, so that no log contains one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_token_lives_while_it_is_used() {
        let text = |session: Option<Arc<Session>>| session?.token.as_ref().map(|token| token.reveal().to_owned());
        let tokens = Tokens::new(Token::new("the-first-one"));
        let first = tokens.current();
        tokens.replace(Token::new("the-second-one"), TokenOwner::Unknown, false);
        assert_eq!(text(tokens.get(first.number())).as_deref(), Some("the-first-one"));
        assert_eq!(text(tokens.get(0)).as_deref(), Some("the-second-one"));
        let echo = "the-first-one or the-second-one".to_owned();
        assert_eq!(tokens.scrub(&echo), "*** or ***");
        assert!(tokens.current_if_same_view(first.number()).is_none(), "of another view");
        let number = first.number();
        drop(first);
        assert!(tokens.get(number).is_none());
        assert_eq!(
            tokens.scrub(&echo),
            "the-first-one or ***",
            "nothing can echo it any more"
        );
        let second = tokens.current();
        tokens.replace(None, TokenOwner::Unknown, true);
        let third = tokens.current_if_same_view(second.number()).expect("of the same view");
        assert!(third.token.is_none());
    }

    #[test]
    fn a_renewed_token_belongs_to_the_user_of_the_earlier_one() {
        let tokens = Tokens::new(Token::new("one"));
        let set = |text: &str, owner| {
            tokens.replace(Token::new(text), owner, false);
            tokens.current().number()
        };
        assert_eq!(tokens.compare_current(1), (1, true));
        assert_eq!(set("two", TokenOwner::SameAs(1)), 2);
        assert_eq!(set("three", TokenOwner::SameAs(2)), 3);
        assert_eq!([1, 2, 3].map(|number| tokens.compare_current(number).1), [true; 3]);
        assert_eq!(set("another thread's", TokenOwner::Unknown), 4);
        assert_eq!(set("renewed in the meantime", TokenOwner::SameAs(3)), 5);
        assert_eq!(
            [3, 4, 5].map(|number| tokens.compare_current(number).1),
            [false, false, true]
        );
        assert_eq!(set("renewed", TokenOwner::SameAs(5)), 6);
        assert_eq!([4, 5].map(|number| tokens.compare_current(number).1), [false, true]);
        tokens.replace(None, TokenOwner::Unknown, true);
        assert_eq!(
            [5, 6].map(|number| tokens.compare_current(number)),
            [(7, false), (7, true)]
        );
    }
}
