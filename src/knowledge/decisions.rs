//! Folds a reply into what is known. Nothing else changes a library's items, its token, or ends a doubt.
//! [`need`] says which request a library needs, and [`is_stale`] whether its answers are stale.
//!
//! [`path_question`] says when to ask the server about an unlisted path, which may be new:
//!
//! - plexindex asks about every path about which it has never asked.
//! - A question begins with a probe, which answers for all paths that were missed before the question began, so the
//!   paths of a batch and simultaneous calls share one.
//! - If the library has changed, plexindex fetches the changes, and then searches for the path; also as long as a change
//!   is unexplained. Until a search that began after the change succeeds, the question stays open. If the library has
//!   not changed, one search every 30 s is enough, for files that Plex renamed without changing a token.
//! - plexindex asks about the same path again after 30 s, and again; then it doubles this pause each time. A change of the
//!   library, or a doubt that tells of one, ends the pause.
//! - The requests that find nothing have a budget, which all processes share. While the budget is exhausted, plexindex
//!   asks no question, and marks the answer as stale.

use std::collections::HashSet;

use super::model::{
    Cause, Doubt, DoubtScope, Effects, FreshnessRules, Interval, ItemStore, Knowledge, ListingState, Need, Observation,
    Order, PAGE_ROWS, PROVISIONAL_MS, Policy, ProbedState, StoredItem, SyncRequest, Ticket, Verdict,
    has_changed_content, is_aged, is_older_content, is_pause_over, is_unsettled, is_unsettled_since,
    listing_interval_ms, shrank_too_much, tells_content,
};
use crate::model::{PathSearch, SourceState, TokenReliability};
use crate::options::Ttl;

/// Number of deltas and listings whose times are kept.
const MAX_SYNCS: usize = 16;

/// Returns what a reply changes. `interval`: of the reply; its `came` is the commit that writes the effects. `items` and
/// `doubts`: as this transaction reads them.
#[must_use]
pub fn fold<R: FreshnessRules, V: Clone + PartialEq>(
    knowledge: &Knowledge,
    doubts: &[Doubt],
    items: &dyn ItemStore<V>,
    observation: &Observation<'_, V>,
    interval: Interval,
    now_ms: i64,
) -> Effects<V> {
    let mut fold = Fold {
        doubts,
        items,
        interval,
        now_ms,
        effects: Effects {
            knowledge: knowledge.clone(),
            put: Vec::new(),
            publishes: false,
            end: Vec::new(),
            raise: Vec::new(),
        },
    };
    match *observation {
        Observation::State(state) => fold.state::<R>(state),
        Observation::Items { items, are_doubted } => fold.single_items::<R>(items, are_doubted),
        Observation::Changes {
            request,
            items,
            is_resized,
            cursor,
        } => fold.changes::<R>(request, items, is_resized, cursor),
        Observation::Listing {
            request,
            listed,
            count,
            is_whole,
            may_shrink,
            cursor,
        } => {
            // The store lets only one listing run at a time, but a running one may have been evicted.
            let is_newer = R::order(knowledge.base, interval) == Order::Later;
            if is_newer && (may_shrink || !fold.holds_back(request, count, is_whole)) {
                fold.listing::<R>(request, listed, (count, is_whole), cursor);
            }
        }
    }
    fold.effects
}

/// A reply that is being folded.
struct Fold<'f, V> {
    doubts: &'f [Doubt],
    items: &'f dyn ItemStore<V>,
    interval: Interval,
    now_ms: i64,
    effects: Effects<V>,
}

impl<V: Clone + PartialEq> Fold<'_, V> {
    /// Folds a probe. If it shows the token up to which the store has all changes, the store is current, as far as the
    /// token can be trusted.
    fn state<R: FreshnessRules>(&mut self, state: &SourceState) {
        let shown: &[Need] = match state.trust {
            TokenReliability::Hint => &[Need::Probe],
            TokenReliability::Exact => &[Need::Probe, Need::Changes],
        };
        let mut probed = ProbedState {
            state: state.clone(),
            interval: self.interval,
        };
        let knowledge = &mut self.effects.knowledge;
        let is_unlisted = knowledge.listing.is_none();
        if let Some(last) = knowledge.probed.take() {
            // Without a listing, the token of which counts, single items may have changed.
            if is_unlisted && !R::is_equivalent(state, &last.state.token) {
                self.raise(DoubtScope::Library, Cause::Changed);
            }
            let verdict = Verdict::of::<R>(last.interval, self.interval, last.state.token == state.token);
            if !verdict.is_newer {
                probed.state = last.state;
            }
            probed.interval = verdict.interval;
            if verdict.is_disputed {
                self.raise(DoubtScope::Library, Cause::Overlap);
            }
        }
        let knowledge = &mut self.effects.knowledge;
        knowledge.probed = Some(probed);
        let listing = knowledge.listing.as_mut();
        let current = listing.filter(|listing| listing.token == state.token);
        let is_current = current.is_some();
        if let Some(listing) = current {
            listing.checked_ms = self.now_ms;
        }
        self.end_of_library::<R>(shown);
        let asked = self.interval.asked;
        self.end(|doubt| doubt.cause == Cause::EmptyList && R::ends(doubt, &[Need::Probe], asked));
        // Something changed that the token does not tell. If it tells of a change, the delta must show the item.
        if is_current {
            self.explain::<R>(&[]);
        }
        if is_unsettled(state, self.now_ms) {
            self.raise(DoubtScope::Library, Cause::Scan);
        }
    }

    /// Folds single items. An item that differs, though nobody doubted it, may be one of many that changed.
    fn single_items<R: FreshnessRules>(&mut self, items: &[(String, Option<V>)], are_doubted: bool) {
        for (key, value) in items {
            let is_replaced = self.put::<R>(key, value.as_ref());
            if is_replaced && !are_doubted && self.effects.knowledge.listing.is_some() {
                self.raise(DoubtScope::Item(key.clone()), Cause::Differs);
            }
        }
        self.settle::<R>(items);
    }

    /// Folds a delta, unless another listing has replaced the one that it extends.
    fn changes<R: FreshnessRules>(
        &mut self,
        request: &SyncRequest,
        items: &[(String, Option<V>)],
        is_resized: bool,
        cursor: &str,
    ) {
        let knowledge = &self.effects.knowledge;
        let Some(listing) = knowledge.listing.clone() else {
            return;
        };
        if request.extends != knowledge.base.asked {
            return;
        }
        let is_shown = |(key, value): &(String, Option<V>)| {
            let stored = self.items.get(key);
            stored.value != *value || !knowledge.had_at_last_sync(&stored)
        };
        let shows_change = is_resized || items.iter().any(is_shown);
        let must_show = has_changed_content(&listing.token, &request.state)
            || self.doubts.iter().any(|doubt| doubt.cause == Cause::Unsettled);
        for (key, value) in items {
            self.put::<R>(key, value.as_ref());
        }
        self.settle::<R>(items);
        let syncs = self.syncs();
        self.effects.knowledge.listing = Some(ListingState {
            checked_ms: request.begun_ms,
            token: request.state.token.clone(),
            synced: request.asked,
            cursor: cursor.to_owned(),
            syncs,
            ..listing
        });
        self.end_of_library::<R>(&[Need::Changes]);
        self.explain::<R>(items);
        let is_unsettled = is_unsettled_since(Some(&listing.token), &request.state, self.now_ms);
        match (must_show && !shows_change, is_unsettled) {
            (true, true) => self.raise(DoubtScope::Library, Cause::Unsettled),
            (true, false) => self.raise(DoubtScope::Library, Cause::Unexplained),
            (false, true) => self.raise(DoubtScope::Library, Cause::Scan),
            (false, false) => {}
        }
    }

    /// Returns the commits of the last deltas and listings, with this one.
    fn syncs(&self) -> Vec<(Ticket, i64)> {
        let listing = self.effects.knowledge.listing.as_ref();
        let known = listing.map_or(&[][..], |listing| &listing.syncs);
        let kept = &known[known.len().saturating_sub(MAX_SYNCS - 1)..];
        [kept, &[(self.interval.came, self.now_ms)]].concat()
    }

    /// Returns whether a second listing must confirm a listing, because it lost too many items, or lost items and may lack
    /// rows; if so, raises a doubt.
    fn holds_back(&mut self, request: &SyncRequest, count: u64, is_whole: bool) -> bool {
        let listing = self.effects.knowledge.listing.as_ref();
        let has_shrunk =
            listing.is_some_and(|listing| shrank_too_much(listing.items, count) || !is_whole && count < listing.items);
        let confirms =
            |doubt: &Doubt| doubt.cause == Cause::HeldBack && doubt.is_confirmed_by(request.asked, self.now_ms);
        let is_confirmed = self.doubts.iter().any(confirms);
        let holds_back = has_shrunk && !is_confirmed;
        if holds_back {
            self.raise(DoubtScope::Library, Cause::HeldBack);
        }
        holds_back
    }

    /// Folds a complete listing, which replaces the single rows that it is newer than.
    fn listing<R: FreshnessRules>(
        &mut self,
        request: &SyncRequest,
        listed: &dyn Fn(&str) -> (Option<V>, Interval),
        (count, is_whole): (u64, bool),
        cursor: &str,
    ) {
        for (key, stored) in self.items.singles() {
            let (value, page) = listed(&key);
            let is_equal = stored.value == value;
            let verdict = Verdict::of::<R>(stored.interval, page, is_equal);
            // An equal item that was requested later than its page is known to be right for longer.
            let is_kept = if is_equal {
                stored.interval.asked > page.asked
            } else {
                !verdict.is_newer
            };
            if is_kept {
                let interval = verdict.interval;
                self.effects.put.push((key.clone(), StoredItem { interval, ..stored }));
            }
            if verdict.is_disputed {
                self.raise(DoubtScope::Item(key), Cause::Overlap);
            }
        }
        // A page shows its items; only the whole listing shows what the library and a path have become.
        let asked = request.asked;
        self.end(|doubt| {
            let asked = match &doubt.scope {
                DoubtScope::Item(key) if doubt.needs() == Need::Item => listed(key).1.asked,
                _ => asked,
            };
            R::ends(doubt, &[doubt.needs()], asked)
        });
        self.effects.publishes = true;
        let listing = self.effects.knowledge.listing.as_ref();
        let last_token = listing.map(|listing| listing.token.as_str());
        let is_unsettled = is_unsettled_since(last_token, &request.state, request.begun_ms);
        let syncs = self.syncs();
        self.effects.knowledge.base = self.interval;
        self.effects.knowledge.listing = Some(ListingState {
            listed_ms: self.now_ms,
            checked_ms: self.now_ms,
            token: request.state.token.clone(),
            synced: request.asked,
            cursor: cursor.to_owned(),
            items: count,
            syncs,
        });
        if !is_whole {
            self.raise(DoubtScope::Library, Cause::Partial);
        }
        if is_unsettled {
            self.raise(DoubtScope::Library, Cause::Scan);
        }
    }

    /// Stores an item by rule 1. Returns whether the stored item then differs from the one before.
    fn put<R: FreshnessRules>(&mut self, key: &str, value: Option<&V>) -> bool {
        let stored = self.items.get(key);
        let is_equal = stored.value.as_ref() == value;
        let verdict = Verdict::of::<R>(stored.interval, self.interval, is_equal);
        let is_replaced = verdict.is_newer && !is_equal;
        let row = StoredItem {
            value: if is_replaced { value.cloned() } else { stored.value },
            interval: verdict.interval,
            is_single: is_replaced || stored.is_single,
        };
        self.effects.put.push((key.to_owned(), row));
        if verdict.is_disputed {
            self.raise(DoubtScope::Item(key.to_owned()), Cause::Overlap);
        }
        for rival in value
            .filter(|_| is_replaced)
            .map_or(Vec::new(), |value| self.items.rivals(key, value))
        {
            self.raise(DoubtScope::Item(rival), Cause::Rival);
        }
        is_replaced
    }

    /// Ends doubts about the observed items. Also drops the new doubts about rivals that the same reply has observed.
    fn settle<R: FreshnessRules>(&mut self, items: &[(String, Option<V>)]) {
        let keys = keys_of(items);
        let is_observed = |doubt: &Doubt| is_of_item(doubt, &keys);
        let asked = self.interval.asked;
        self.end(|doubt| is_observed(doubt) && R::ends(doubt, &[Need::Item], asked));
        let raise = &mut self.effects.raise;
        raise.retain(|doubt| doubt.cause != Cause::Rival || !is_observed(doubt));
    }

    /// Ends the doubts about items that differ, which a delta or an equal token was to explain. If it does not show such
    /// an item among `items`, although the token has had time to change, more items may have changed in the same way.
    fn explain<R: FreshnessRules>(&mut self, items: &[(String, Option<V>)]) {
        let (asked, now_ms) = (self.interval.asked, self.now_ms);
        let keys = keys_of(items);
        let is_shown = |doubt: &Doubt| is_of_item(doubt, &keys);
        let is_late = |doubt: &Doubt| is_pause_over(Some(doubt.raised_ms), PROVISIONAL_MS, now_ms);
        let is_over = |doubt: &Doubt| {
            doubt.cause == Cause::Differs
                && R::ends(doubt, &[doubt.needs()], asked)
                && (is_shown(doubt) || is_late(doubt))
        };
        self.end(is_over);
        if self.doubts.iter().any(|doubt| is_over(doubt) && !is_shown(doubt)) {
            self.raise(DoubtScope::Library, Cause::Unexplained);
        }
    }

    /// Ends doubts about the library.
    fn end_of_library<R: FreshnessRules>(&mut self, shown: &[Need]) {
        let asked = self.interval.asked;
        self.end(|doubt| doubt.scope == DoubtScope::Library && R::ends(doubt, shown, asked));
    }

    fn end(&mut self, ends: impl Fn(&Doubt) -> bool) {
        self.effects
            .end
            .extend(self.doubts.iter().filter(|doubt| ends(doubt)).cloned());
    }

    fn raise(&mut self, scope: DoubtScope, cause: Cause) {
        self.effects.raise.push(Doubt {
            scope,
            cause,
            raised: self.interval.came,
            raised_ms: self.now_ms,
        });
    }
}

fn keys_of<V>(items: &[(String, Option<V>)]) -> HashSet<&str> {
    items.iter().map(|(key, _)| key.as_str()).collect()
}

/// Returns whether a doubt is about one of the items with these rating keys.
fn is_of_item(doubt: &Doubt, rating_keys: &HashSet<&str>) -> bool {
    matches!(&doubt.scope, DoubtScope::Item(key) if rating_keys.contains(key.as_str()))
}

/// The time, and what this process knows about the source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// In Unix ms.
    pub now_ms: i64,
    /// Whether a local source's files have changed since the last probe.
    pub source_changed: bool,
}

/// Returns the request that a library needs most now; `None` if no request can make its answers fresher now: nothing is
/// doubted, or a pause is not over. After each request, the caller folds the reply and asks again. Before a delta, the
/// caller also probes, unless it has just done so, because the delta may turn out to be unnecessary. A doubt about a path
/// needs a request only when the path is looked up.
#[must_use]
pub fn need(knowledge: &Knowledge, doubts: &[Doubt], policy: &Policy, moment: &Moment) -> Option<Need> {
    let Some((listing, probed)) = knowledge.listing.as_ref().zip(knowledge.probed.as_ref()) else {
        return Some(Need::Listing);
    };
    let is_due = |doubt: &Doubt| is_due(doubt, listing, policy, moment.now_ms);
    // While a disk may be unmounted, the server would say the same again.
    let waits = |doubt: &Doubt| matches!(doubt.cause, Cause::HeldBack | Cause::EmptyList) && !is_due(doubt);
    let is_waiting = doubts.iter().any(waits);
    let due = doubts
        .iter()
        .filter(|doubt| is_due(doubt) && !matches!(doubt.scope, DoubtScope::Path(_)));
    let needed = due
        .map(Doubt::needs)
        .chain(need_by_age(listing, probed, policy, moment));
    let needed = needed.filter(|need| !is_waiting || *need == Need::Item).max()?;
    Some(match needed {
        Need::Changes if !deltas_suffice(listing, probed, policy, moment) => Need::Listing,
        needed => needed,
    })
}

/// Returns whether an answer is stale. `doubts`: those about the library, about the answer's item, and about its path if
/// they withhold the item.
#[must_use]
pub fn is_stale<'d, R: FreshnessRules>(
    knowledge: &Knowledge,
    doubts: impl IntoIterator<Item = &'d Doubt>,
    policy: &Policy,
    moment: &Moment,
) -> bool {
    let Some((listing, probed)) = knowledge.listing.as_ref().zip(knowledge.probed.as_ref()) else {
        return true;
    };
    let marks = |doubt: &Doubt| doubt.marks_at_once() || is_due(doubt, listing, policy, moment.now_ms);
    doubts.into_iter().any(marks)
        || !R::is_equivalent(&probed.state, &listing.token)
        || has_expired(listing, probed, policy, moment)
}

/// Returns whether the request for a doubt is due.
fn is_due(doubt: &Doubt, listing: &ListingState, policy: &Policy, now_ms: i64) -> bool {
    let (start_ms, pause_ms) = match doubt.cause {
        Cause::Unexplained => (listing.listed_ms, listing_interval_ms(listing.items, policy)),
        // A disk may be unmounted, a scan may still be running, and the event or the token may still follow.
        Cause::HeldBack
        | Cause::EmptyList
        | Cause::Partial
        | Cause::Scan
        | Cause::Unsettled
        | Cause::Differs
        | Cause::News => (doubt.raised_ms, PROVISIONAL_MS),
        _ => return true,
    };
    is_pause_over(Some(start_ms), pause_ms, now_ms)
}

/// Returns whether the TTL or the maximum age is over, or a local source has changed.
fn has_expired(listing: &ListingState, probed: &ProbedState, policy: &Policy, moment: &Moment) -> bool {
    policy.ttl != Ttl::Forever
        && (moment.source_changed
            || is_too_old(listing, probed, policy, moment)
            // A negative age means that the clock was set back, so the age is unknown.
            || !(0..policy.ttl_ms(0, 0)).contains(&moment.now_ms.saturating_sub(listing.checked_ms)))
}

/// Returns whether the listing is older than the option `max_age`. With an exact token, no listing is too old.
fn is_too_old(listing: &ListingState, probed: &ProbedState, policy: &Policy, moment: &Moment) -> bool {
    probed.state.trust != TokenReliability::Exact && is_aged(listing.listed_ms, policy, moment.now_ms)
}

/// Returns the request that a library needs because of its token or its age.
fn need_by_age(listing: &ListingState, probed: &ProbedState, policy: &Policy, moment: &Moment) -> Option<Need> {
    if probed.state.token != listing.token {
        return Some(Need::Changes);
    }
    if !has_expired(listing, probed, policy, moment) {
        None
    } else if is_too_old(listing, probed, policy, moment) {
        Some(Need::Listing)
    } else {
        Some(Need::Probe)
    }
}

/// Returns whether a delta is enough for a library that has changed, and does not cost as much as a listing.
fn deltas_suffice(listing: &ListingState, probed: &ProbedState, policy: &Policy, moment: &Moment) -> bool {
    if probed.state.trust == TokenReliability::Exact {
        return true;
    }
    // Deltas extend a history. Where it went back, as after a restored backup, they would miss what is different now.
    if is_older_content(&probed.state.token, &listing.token) {
        return false;
    }
    let interval_ms = listing_interval_ms(listing.items, policy);
    // Every scan changes the rest of the token, so a scan alone needs no full listing, unless a delta costs as much.
    let may_list = listing.items < PAGE_ROWS
        || has_changed_content(&listing.token, &probed.state)
        || !tells_content(&probed.state.token);
    !(may_list && is_pause_over(Some(listing.listed_ms), interval_ms, moment.now_ms))
}

/// Minimum pause between two questions or searches for the same path.
pub const PATH_REQUEST_INTERVAL_MS: i64 = 30_000;
/// Pause, instead of `PATH_REQUEST_INTERVAL_MS`, after the server refused a connection or was starting. This pause is
/// short because the server may be back soon, and an attempt costs little.
pub const DOWN_SERVER_INTERVAL_MS: i64 = 5_000;
/// Maximum number of searches within `PATH_REQUEST_INTERVAL_MS` for a library that was never fetched. Instead of
/// sending more searches, plexindex fetches the library.
pub const MAX_UNFETCHED_SEARCHES: u64 = 3;
/// Number of fruitless requests that plexindex may send at once.
const BURST: i64 = 20;
/// Interval at which the budget grows by one request.
const REFILL_MS: i64 = 8_000;
/// Maximum number of requests that one question costs, in case other threads sent requests at the same time.
const MAX_COST: u64 = 5;

/// What to do about an unlisted path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathQuestion {
    /// Ask the server.
    #[default]
    Ask,
    /// Do not ask: a probe since the call started is the answer.
    Probed,
    /// Do not ask: the answer to an earlier question is still valid.
    Answered,
    /// Do not ask now, because plexindex has sent too many fruitless requests, for this path or for all. The path may
    /// be new.
    Postponed,
}

/// Returns what to do about an unlisted path. `earlier`: the earlier questions about the path, which are no answer if a
/// search must still follow (`found`); `None` if there was none. `has_news`: whether the library has changed since the
/// last question about the path, or was doubted so ([`Doubt::is_news`](super::Doubt::is_news)).
#[must_use]
pub fn path_question(
    earlier: Option<&PathSearch>,
    has_news: bool,
    budget: RequestBudget,
    policy: &Policy,
    now_ms: i64,
) -> PathQuestion {
    let earlier = earlier.filter(|question| !question.found);
    let last_ms = earlier.map(|question| question.last_ms);
    if has_news {
        PathQuestion::Ask
    } else if !is_pause_over(last_ms, PATH_REQUEST_INTERVAL_MS, now_ms) {
        PathQuestion::Answered
    } else if may_search_again(earlier, policy, now_ms) && budget.has_room(now_ms) {
        PathQuestion::Ask
    } else {
        PathQuestion::Postponed // the path may be new by now, and the answer says so
    }
}

/// The budget for fruitless requests: a token bucket, stored as the time at which the bucket is full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestBudget {
    /// Time at which the budget is whole again, in Unix ms.
    pub whole_ms: i64,
}

impl RequestBudget {
    /// Returns whether the budget allows another question.
    #[must_use]
    pub fn has_room(self, now_ms: i64) -> bool {
        self.whole_ms.saturating_sub(now_ms) < BURST * REFILL_MS
    }

    /// Returns the budget after `requests` more requests.
    #[must_use]
    pub fn spend(self, requests: u64, now_ms: i64) -> Self {
        let cost_ms = i64::try_from(requests.min(MAX_COST)).unwrap_or(0) * REFILL_MS;
        Self {
            whole_ms: self.whole_ms.max(now_ms) + cost_ms,
        }
    }

    /// Returns the budget after `requests` requests turned out to be fruitful.
    #[must_use]
    pub fn refund(self, requests: u64) -> Self {
        let cost_ms = i64::try_from(requests.min(MAX_COST)).unwrap_or(0) * REFILL_MS;
        Self {
            whole_ms: self.whole_ms.saturating_sub(cost_ms),
        }
    }
}

/// Returns whether plexindex may search for the same path again. `search`: the earlier searches for the path; `None` if
/// there was none. A pause equals the time between the first and the last search, so each is about twice as long as the
/// one before. A pause lasts at least `PATH_REQUEST_INTERVAL_MS`, and at most the TTL.
#[must_use]
pub fn may_search_again(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let Some(search) = search else {
        return true;
    };
    let max_pause_ms = policy.ttl_ms(PATH_REQUEST_INTERVAL_MS, policy.max_age_ms);
    let pause_ms =
        (search.last_ms - search.first_ms).clamp(PATH_REQUEST_INTERVAL_MS, max_pause_ms.max(PATH_REQUEST_INTERVAL_MS));
    is_pause_over(Some(search.last_ms), pause_ms, now_ms)
}

/// Returns whether the last search did not find the path, and was less than a TTL ago.
#[must_use]
pub fn was_missed_recently(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let ttl_ms = policy.ttl_ms(i64::MAX, i64::MAX);
    search.is_some_and(|search| !search.found && (0..ttl_ms).contains(&now_ms.saturating_sub(search.last_ms)))
}

/// Returns whether the last search found the path, and was so recent that plexindex can answer without a new request.
#[must_use]
pub fn was_found_recently(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let ttl_ms = policy.ttl_ms(0, i64::MAX); // TTL of zero: never recent; forever: always
    search.is_some_and(|search| search.found && (0..ttl_ms).contains(&now_ms.saturating_sub(search.last_ms)))
}
