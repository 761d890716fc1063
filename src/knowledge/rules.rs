//! The three rules of the module's documentation. The tests replace each of them, to see the explorer fail.

use super::model::{Doubt, Interval, Need, Ticket};
use super::policy::has_changed_content;
use crate::model::{MAY_MISS_NEXT_WRITE, SourceState, TokenReliability};

/// Which of two replies the server sent later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Earlier,
    Later,
    /// Unknown, because their intervals overlap.
    Overlap,
}

/// The three rules.
pub trait FreshnessRules {
    /// Rule 1: returns when the server sent `reply`, compared with the `stored` one.
    #[must_use]
    fn order(stored: Interval, reply: Interval) -> Order {
        if reply.asked > stored.came {
            Order::Later
        } else if stored.asked > reply.came {
            Order::Earlier
        } else {
            Order::Overlap
        }
    }

    /// Rule 2: returns whether an observation of the doubt's scope ends the doubt. `shown`: what the observation shows.
    #[must_use]
    fn ends(doubt: &Doubt, shown: &[Need], asked: Ticket) -> bool {
        shown.contains(&doubt.needs()) && asked > doubt.raised
    }

    /// Rule 3: returns whether the token that the server last showed says nothing against the token up to which the
    /// store has all changes. Only the first word of a hint tells of changes; a useless token says nothing.
    #[must_use]
    fn is_equivalent(probed: &SourceState, token: &str) -> bool {
        probed.token == token
            || match probed.trust {
                TokenReliability::Exact => content(&probed.token) == content(token),
                TokenReliability::Hint => !has_changed_content(token, probed),
                TokenReliability::Useless => true,
            }
    }
}

/// Returns a token without [`MAY_MISS_NEXT_WRITE`]: being more certain of the next write changes nothing that was read.
fn content(token: &str) -> &str {
    token.trim_end_matches(MAY_MISS_NEXT_WRITE)
}

/// What rule 1 says about a stored value and a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the reply counts.
    pub is_newer: bool,
    /// Whether neither is known to be newer, and they differ.
    pub is_disputed: bool,
    /// The interval of the value that counts. An equal reply, and one that loses, extend the interval of the stored value:
    /// otherwise, a reply that came before them could replace it.
    pub interval: Interval,
}

impl Verdict {
    /// Compares a stored value with a reply. `is_equal`: whether the values are equal.
    pub fn of<R: FreshnessRules>(stored: Interval, reply: Interval, is_equal: bool) -> Self {
        let order = R::order(stored, reply);
        Self {
            is_newer: order == Order::Later || order == Order::Overlap && reply.asked > stored.asked,
            is_disputed: order == Order::Overlap && !is_equal,
            interval: Interval {
                asked: stored.asked.max(reply.asked),
                came: stored.came.max(reply.came),
            },
        }
    }
}

/// The rules as they are.
pub struct StandardRules;

impl FreshnessRules for StandardRules {}
