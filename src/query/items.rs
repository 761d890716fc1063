//! Answers for GUIDs and titles. Stale libraries in scope are refreshed first.

use std::time::Instant;

use super::answer::Answer;
use super::explain::{explain_deadline, explain_failure, fetch_once};
use super::queries::Queries;
use super::question::{Asked, Look, Question, Seen};
use crate::engine::places;
use crate::error::{Result, Status, abridged, check_length, refuse};
use crate::matching::{FoundItem, MAX_CANDIDATES, Normal, View};
use crate::model::{Confidence, Item, ItemType, Reason};
use crate::options::LONGEST_TEXT;
use crate::source::Kind;
use crate::stats::Spent;
use crate::sync::{Call, Unverified};

/// A GUID or a title.
enum ItemCriterion<'q> {
    Guid(&'q str),
    Title(&'q str),
}

/// The hits in all libraries of the query.
#[derive(Default)]
struct FoundItems {
    /// The items with the indexes of their libraries: as many as an answer holds.
    items: Vec<(usize, Item)>,
    /// The number of all hits.
    total: usize,
    /// The items have all words of the title; none has the title itself.
    by_words: bool,
    /// A segment is missing or damaged.
    lost: bool,
}

impl Queries {
    pub fn match_guid<R>(&self, call: &Call<'_>, guid: &str, then: impl FnOnce(&Answer<'_>) -> Result<R>) -> Result<R> {
        check_text("the GUID", guid)?;
        if guid.is_empty() {
            return refuse("the GUID is empty: give one, for example 'imdb://tt1254207'");
        }
        self.ask(&mut self.reading.eviction_pin(), call, &ItemCriterion::Guid(guid), then)
    }

    pub fn search_title<R>(
        &self,
        call: &Call<'_>,
        title: &str,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        check_text("the title", title)?;
        if title.trim().is_empty() {
            return refuse("the title is empty: give one");
        }
        self.ask(
            &mut self.reading.eviction_pin(),
            call,
            &ItemCriterion::Title(title),
            then,
        )
    }
}

/// Validates a GUID or title: no item has a longer one, and comparing it would take long.
fn check_text(what: &str, text: &str) -> Result<()> {
    check_length(what, text.len(), LONGEST_TEXT)?;
    if text.contains('\0') {
        return refuse(format!(
            "{what} '{}' contains a NUL byte, which no item has",
            abridged(text.as_bytes())
        ));
    }
    Ok(())
}

/// GUID, rating key and title of an item's show or artist, or of its season or album.
fn parent_of(item: &Item, is_show: bool) -> [&str; 3] {
    if is_show {
        [&item.show_guid, &item.show_rating_key, &item.show_title]
    } else {
        [&item.season_guid, &item.season_rating_key, &item.season_title]
    }
}

/// A sentence that names the show, artist, season or album with this GUID, if all these items belong to it.
fn parent_with(guid: &str, items: &[(usize, Item)], total: usize, kind: &Kind) -> Option<String> {
    let (_, first) = items.first()?;
    let is_show = first.show_guid == guid;
    let [own, rating_key, title] = parent_of(first, is_show);
    let is_of_it = |(_, item): &(usize, Item)| parent_of(item, is_show)[..2] == [guid, rating_key];
    if own != guid || rating_key.is_empty() || !items.iter().all(is_of_it) {
        return None;
    }
    let word = match (first.kind, is_show) {
        (ItemType::Track, true) => "artist",
        (ItemType::Track, false) => "album",
        (_, true) => "show",
        (_, false) => "season",
    };
    let count = items.len();
    let shown = if count < total {
        format!(", of which {count} are given")
    } else {
        String::new()
    };
    Some(format!(
        "the GUID '{guid}' belongs to the {word} '{title}', {}: it has {total} items{shown}",
        kind.key(rating_key)
    ))
}

impl Question for ItemCriterion<'_> {
    type Found<'t> = FoundItems;
    const VERIFIES_FIRST: bool = false;

    /// Searches all libraries that were fetched.
    fn find(&self, look: &Look<'_>, found: &mut FoundItems) -> Result<()> {
        let (rows, counters) = (look.snapshot.rows_in(look.scope), &look.queries.counters);
        found.by_words = true;
        for (index, view) in look.snapshot.views_in(look.scope).iter().enumerate() {
            if !rows[index].generation.is_fetched() {
                continue;
            }
            if view.segment.is_none() {
                found.lost = true;
                continue;
            }
            let reading = Instant::now();
            let hits = match self {
                ItemCriterion::Guid(guid) => view.items_with_guid(guid, MAX_CANDIDATES)?,
                ItemCriterion::Title(title) => view.items_with_title(title, MAX_CANDIDATES)?,
            };
            counters.add_time(Spent::Store, reading.elapsed());
            counters.add_time(Spent::Away, reading.elapsed());
            found.lost |= view.broken();
            // An exact title in one library is better than matching words in all others.
            match (found.by_words, hits.by_words) {
                (false, true) => continue,
                (true, false) => (found.items, found.total, found.by_words) = (Vec::new(), 0, false),
                _ => {}
            }
            found.total += hits.total;
            found.items.extend(hits.items.into_iter().map(|item| (index, item)));
        }
        found.items.truncate(MAX_CANDIDATES);
        Ok(())
    }

    /// Nothing is missed: nothing shows which library should list a GUID or title.
    fn seen(&self, _: &Look<'_>, found: &FoundItems) -> Seen {
        Seen {
            lost: found.lost,
            ..Seen::default()
        }
    }

    fn each_found(_: &FoundItems, _: &mut dyn FnMut(usize)) {}

    /// A GUID or title may be in any library.
    fn owners(&self, look: &Look<'_>) -> Vec<bool> {
        vec![true; look.snapshot.rows.len()]
    }

    /// The items that were invalidated, themselves or by one of their files, and not verified since.
    fn unverified(&self, look: &Look<'_>, found: &FoundItems) -> Result<Vec<Unverified>> {
        let snapshot = look.snapshot;
        let first = places(look.scope, snapshot.rows.len()).start;
        let mut unverified = Vec::new();
        for (at, item) in &found.items {
            let (place, key) = (first + at, item.rating_key.as_str());
            let is_unverified =
                |path: &[u8]| Normal::with(path, |normal| snapshot.is_unverified(place, normal, path, key));
            if is_unverified(b"") || item.parts.iter().any(|part| is_unverified(part.as_bytes())) {
                unverified.push(Unverified {
                    row: snapshot.rows[place].clone(),
                    rating_key: key.to_owned(),
                    paths: item.parts.iter().map(|part| part.as_bytes().to_vec()).collect(),
                });
            }
        }
        Ok(unverified)
    }

    fn answer<R>(
        &self,
        look: &Look<'_>,
        found: &FoundItems,
        asked: Asked,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let queries = look.queries;
        let rows = look.snapshot.rows_in(look.scope);
        if rows.iter().all(|row| !row.generation.is_fetched())
            && let Some(error) = asked.failure
        {
            return Err(error);
        }
        let FoundItems {
            items, total, by_words, ..
        } = found;
        let (kind, total, unverified) = (queries.reading.kind(), *total, self.unverified(look, found)?);
        let what = match self {
            ItemCriterion::Guid(guid) => format!("the GUID '{}'", abridged(guid.as_bytes())),
            ItemCriterion::Title(title) => format!("the title '{}'", abridged(title.as_bytes())),
        };
        let found: Vec<FoundItem<'_>> = items
            .iter()
            .map(|(at, item)| FoundItem {
                library: *at,
                ..FoundItem::of(item)
            })
            .collect();
        let mut answer = Answer::of_items(kind, &found, total, rows);
        answer.set_age(rows, look.now_ms);
        answer.stale = look.has_expired(&asked);
        let message;
        if !unverified.is_empty() {
            (answer.status, answer.confidence) = (Status::NotFound, Confidence::Low);
            answer.reason = Reason::Unconfirmed;
            let noun = kind.noun;
            message = format!("an item with {what} was invalidated, and {noun} has not confirmed it since");
            answer.message = &message;
        } else if answer.status == Status::NotFound {
            if let Some(status) = asked.timeout_status {
                answer.status = status;
            }
            if rows.iter().any(|row| !row.generation.is_fetched()) || rows.is_empty() && asked.timeout_status.is_some()
            {
                answer.reason = Reason::NotFetched;
            }
            let words = match self {
                ItemCriterion::Guid(_) => "",
                ItemCriterion::Title(_) => ", or all its words in its title",
            };
            let lack = match (answer.status, answer.reason) {
                (Status::NotYet | Status::NeedsWarm, _) => format!(": {}", explain_deadline(answer.status, rows, kind)),
                (_, Reason::NotFetched) => format!(": {}", fetch_once(rows)),
                _ => String::new(),
            };
            message = format!("no item of these libraries has {what}{words}{lack}");
            answer.message = &message;
        } else if *by_words {
            message = format!(
                "no item has {what}: {total} {} all its words",
                if total == 1 { "has" } else { "have" }
            );
            answer.message = &message;
        } else if answer.status == Status::Ambiguous {
            message = match self {
                ItemCriterion::Guid(guid) => {
                    parent_with(guid, items, total, kind).unwrap_or_else(|| format!("{total} items have {what}"))
                }
                ItemCriterion::Title(_) => format!("{total} items have {what}, or are of a show with it"),
            };
            answer.message = &message;
        }
        let unanswered;
        if let Some(error) = asked.failure.as_ref().filter(|_| answer.status == Status::NotFound) {
            unanswered = format!("{}{}", answer.message, explain_failure(error, kind));
            answer.message = &unanswered;
        }
        answer.mark_stale(asked.failure.as_ref(), look.call.deadline.is_set());
        queries.deliver(asked.at_once, &answer, then)
    }
}
