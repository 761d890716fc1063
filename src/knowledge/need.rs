//! Which request a library needs, and whether answers from it are stale.

use super::model::{Cause, Doubt, DoubtScope, Knowledge, ListingState, Need, ProbedState};
use super::policy::{
    PAGE_ROWS, PROVISIONAL_MS, Policy, has_changed_content, is_aged, is_pause_over, listing_interval_ms, tells_content,
};
use super::rules::FreshnessRules;
use crate::model::TokenReliability;
use crate::options::Ttl;

/// The time, and what this process knows about the source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// In Unix ms.
    pub now_ms: i64,
    /// When this process last found the listing to be current, by its own clock; `None` if the store's time counts.
    pub checked_ms: Option<i64>,
    /// Whether a local source's files have changed since the last probe.
    pub source_changed: bool,
    /// Whether the source's deltas contain every change, so that a delta can always replace a listing.
    pub reports_all: bool,
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
        // No probe can show that a library with a useless token is current.
        Need::Probe if probed.state.trust != TokenReliability::Useless => Need::Probe,
        Need::Probe | Need::Changes if deltas_suffice(listing, probed, policy, moment) => Need::Changes,
        Need::Probe | Need::Changes => Need::Listing,
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
    let checked_ms = moment.checked_ms.unwrap_or(listing.checked_ms);
    policy.ttl != Ttl::Forever
        && (moment.source_changed
            || is_too_old(listing, probed, policy, moment)
            // A negative age means that the clock was set back, so the age is unknown.
            || !(0..policy.ttl_ms(0, 0)).contains(&moment.now_ms.saturating_sub(checked_ms)))
}

/// Returns whether the listing is older than the option `max_age`. With an exact token, no listing is too old.
fn is_too_old(listing: &ListingState, probed: &ProbedState, policy: &Policy, moment: &Moment) -> bool {
    probed.state.trust != TokenReliability::Exact && is_aged(listing.listed_ms, policy, moment.now_ms)
}

/// Returns the request that a library needs because of its token or its age.
fn need_by_age(listing: &ListingState, probed: &ProbedState, policy: &Policy, moment: &Moment) -> Option<Need> {
    if probed.state.trust != TokenReliability::Useless && probed.state.token != listing.token {
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
    if moment.reports_all || probed.state.trust == TokenReliability::Exact {
        // Listings with an exact token never expire, so an item that a delta missed would stay wrong forever.
        return moment.reports_all;
    }
    let interval_ms = listing_interval_ms(listing.items, policy);
    // Every scan changes the rest of the token, so a scan alone needs no full listing, unless a delta costs as much.
    let may_list = listing.items < PAGE_ROWS
        || has_changed_content(&listing.token, &probed.state)
        || !tells_content(&probed.state.token);
    !(may_list && is_pause_over(Some(listing.listed_ms), interval_ms, moment.now_ms))
}
