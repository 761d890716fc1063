//! Answers queries by GUID and title. Lists the libraries in the index, with the freshness of each listing.

use std::time::{Duration, Instant, UNIX_EPOCH};

use super::answer::Answer;
use super::ask::{Assessment, QueryContext, QueryKind, QueryState};
use super::explain::{explain_deadline, explain_failure, explain_unfetched};
use super::queries::Queries;
use crate::engine::{ShowRows, library_indexes};
use crate::error::{Result, Status, check_length, invalid_argument_error, truncate_for_message};
use crate::matching::{
    ACCEPTED_SPELLINGS, FoundItem, HitDoubt, LibraryIndex, MAX_CANDIDATES, NormalPath, RequestedGuid,
};
use crate::model::{Confidence, Item, ItemType, LibraryInfo, LibraryKind, MatchKind, Reason, Sequence};
use crate::options::LONGEST_TEXT;
use crate::source::SourceKind;
use crate::stats::Activity;
use crate::sync::{Call, ItemToVerify};

/// A query for the items with a GUID or title.
enum ItemQuery<'q> {
    /// The GUID, and the clause for a message if its spelling is unknown.
    Guid(&'q RequestedGuid, &'static str),
    Title(&'q str),
}

/// The result of searching all libraries in scope.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts
struct FoundItems {
    /// The items and the indexes of their libraries, at most [`MAX_CANDIDATES`].
    items: Vec<(usize, Item)>,
    /// The total number of items, including items beyond [`MAX_CANDIDATES`].
    total: usize,
    /// Whether no item has the whole title, so that `items` has the items whose titles contain all its words.
    has_only_words: bool,
    needs_rebuild: bool,
    /// Whether the timeout passed before each library had an index; then there are no items.
    lacks_index: bool,
    /// Whether a show has the GUID.
    has_show: bool,
}

impl Queries {
    /// Finds the items with a GUID, and passes the answer to `then`. Refreshes stale libraries first.
    pub fn match_guid<R>(&self, call: &Call<'_>, guid: &str, then: impl FnOnce(&Answer<'_>) -> Result<R>) -> Result<R> {
        check_string("the GUID", guid)?;
        if guid.trim().is_empty() {
            return invalid_argument_error("the GUID is empty: specify a GUID, for example 'imdb://tt1254207'");
        }
        let parsed = RequestedGuid::parse(guid);
        let spellings_note = if parsed.is_some() { "" } else { ACCEPTED_SPELLINGS };
        let guid = parsed.unwrap_or_else(|| RequestedGuid::literal(guid));
        let query = ItemQuery::Guid(&guid, spellings_note);
        self.ask(&mut self.reading.eviction_pin(), call, &query, then)
    }

    /// Finds the items with a title, and passes the answer to `then`. Refreshes stale libraries first.
    pub fn search_title<R>(
        &self,
        call: &Call<'_>,
        title: &str,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        check_string("the title", title)?;
        if title.trim().is_empty() {
            return invalid_argument_error("the title is empty: specify the title of an item or show");
        }
        self.ask(&mut self.reading.eviction_pin(), call, &ItemQuery::Title(title), then)
    }
}

/// Validates a GUID or title. Rejects a string that is longer than any item's, because comparing long strings is slow.
/// `argument` is the argument's name in the error message.
fn check_string(argument: &str, text: &str) -> Result<()> {
    check_length(argument, text.len(), LONGEST_TEXT)?;
    if text.contains('\0') {
        return invalid_argument_error(format!(
            "{argument} '{}' contains a NUL byte, which GUIDs and titles cannot contain",
            truncate_for_message(text.as_bytes())
        ));
    }
    Ok(())
}

/// Returns the GUID, rating key and title of an item's parent: of the show or artist if `is_show`, otherwise of the
/// season or album.
fn show_or_season(item: &Item, is_show: bool) -> [&str; 3] {
    if is_show {
        [&item.show_guid, &item.show_rating_key, &item.show_title]
    } else {
        [&item.season_guid, &item.season_rating_key, &item.season_title]
    }
}

/// Explains that the GUID belongs to a show, artist, season or album; `None` unless all `items` have the same parent.
/// `total` also counts items that are not in `items`. `has_show`: whether the GUID is known as a show's.
fn explain_parent(
    guid: &RequestedGuid,
    items: &[(usize, Item)],
    total: usize,
    has_show: bool,
    kind: &SourceKind,
) -> Option<String> {
    let (_, first_item) = items.first()?;
    let is_show = has_show || guid.equals(&first_item.show_guid);
    let [parent_guid, rating_key, title] = show_or_season(first_item, is_show);
    let is_child = |(_, item): &(usize, Item)| show_or_season(item, is_show)[..2] == [parent_guid, rating_key];
    let is_itself = items.iter().any(|(_, item)| guid.is_of_item(item));
    if is_itself || rating_key.is_empty() || !items.iter().all(is_child) {
        return None;
    }
    let guid = &guid.canonical;
    let noun = match (first_item.kind, is_show) {
        (ItemType::Track, true) => "artist",
        (ItemType::Track, false) => "album",
        (_, true) => "show",
        (_, false) => "season",
    };
    let count = items.len();
    let limit_note = if count < total {
        format!("; the answer contains {count} of the items")
    } else {
        String::new()
    };
    Some(format!(
        "the GUID '{guid}' belongs to the {noun} '{title}', {}, which has {total} {}{limit_note}",
        kind.key(rating_key),
        if total == 1 { "item" } else { "items" }
    ))
}

/// Explains that the GUID of an item is, or may be, also that of a show. `criterion` names the GUID.
fn explain_kinds(guid: &RequestedGuid, item: &Item, has_show: bool, criterion: &str) -> String {
    let (site, number) = guid.canonical.split_once("://").unwrap_or_default();
    // Films, shows and episodes have the same numbers, and the one that is meant may not be listed.
    let spellings = format!(
        ": specify '{site}://{}/{number}' or '{site}://show/{number}'",
        item.kind.name()
    );
    format!(
        "{criterion} belongs to '{}' and {}to a show{}",
        item.title,
        if has_show { "" } else { "perhaps " },
        if guid.is_unique() { "" } else { &spellings }
    )
}

impl QueryKind for ItemQuery<'_> {
    type Found<'t> = FoundItems;
    const VERIFIES_FIRST: bool = false;

    /// Searches the fetched libraries in scope.
    fn find(&self, context: &QueryContext<'_>, found: &mut FoundItems) -> Result<()> {
        let (rows, counters) = (context.snapshot.rows_in(context.scope), &context.queries.counters);
        found.has_only_words = true;
        let (reading, deadline) = (&context.queries.reading, context.call.deadline);
        found.lacks_index = !reading.prepare_indexes(context.snapshot, context.scope, deadline)?;
        if found.lacks_index {
            return Ok(());
        }
        let libraries = context.snapshot.libraries_in(context.scope);
        let (mut of_shows, mut total_of_shows) = (Vec::new(), 0);
        for (index, view) in libraries.iter().enumerate() {
            let mut shows = Vec::new();
            if let ItemQuery::Guid(guid, _) = self
                && guid.may_be_of_show()
                && rows[index].library.kind == LibraryKind::Show
            {
                // An unreadable store is no reason to withhold the items in the index.
                let known = ShowRows(&context.queries.store).shows_with(rows[index].id, &guid.canonical);
                shows = known.ok().flatten().unwrap_or_default();
            }
            if !rows[index].generation.is_fetched() {
                continue;
            }
            if view.segment.is_none() {
                found.needs_rebuild = true;
                continue;
            }
            let start = Instant::now();
            let hits = match self {
                ItemQuery::Guid(guid, _) => {
                    for show in shows {
                        let hits = view.items_of_show(show, guid, MAX_CANDIDATES);
                        found.has_show = true;
                        total_of_shows += hits.total;
                        of_shows.extend(hits.items.into_iter().map(|item| (index, item)));
                    }
                    view.items_with_guid(guid, MAX_CANDIDATES)
                }
                ItemQuery::Title(title) => view.items_with_title(title, MAX_CANDIDATES),
            };
            counters.add_time_of_call(Activity::Store, start);
            found.needs_rebuild |= view.is_broken();
            // Items with the whole title take precedence over items in other libraries that have only the words.
            match (found.has_only_words, hits.by_words) {
                (false, true) => continue,
                (true, false) => (found.items, found.total, found.has_only_words) = (Vec::new(), 0, false),
                _ => {}
            }
            found.total += hits.total;
            found.items.extend(hits.items.into_iter().map(|item| (index, item)));
        }
        found.items.append(&mut of_shows);
        found.total += total_of_shows;
        found.items.truncate(MAX_CANDIDATES);
        Ok(())
    }

    /// Assesses the result. An item is never missing, because a GUID or title does not determine the library.
    fn assess(&self, _: &QueryContext<'_>, found: &FoundItems) -> Assessment {
        Assessment {
            needs_rebuild: found.needs_rebuild,
            ..Assessment::default()
        }
    }

    /// Does nothing: the query always depends on all libraries in scope, whatever the result.
    fn each_found_library(_: &FoundItems, _: &mut dyn FnMut(usize)) {}

    /// Returns `true` for all libraries, because any library may have an item with the GUID or title.
    fn owner_flags(&self, context: &QueryContext<'_>) -> Vec<bool> {
        vec![true; context.snapshot.rows.len()]
    }

    /// Returns the found items that have not been verified since the item or one of its files was invalidated.
    fn unverified_items(&self, context: &QueryContext<'_>, found: &FoundItems) -> Result<Vec<ItemToVerify>> {
        let snapshot = context.snapshot;
        let first_library = library_indexes(context.scope, snapshot.rows.len()).start;
        let mut unverified = Vec::new();
        for (index_in_scope, item) in &found.items {
            let (library, key) = (first_library + index_in_scope, item.rating_key.as_str());
            let is_unverified = |path: &[u8]| {
                NormalPath::with(path, |normal| {
                    snapshot.libraries[library].doubt(normal, path, key) != HitDoubt::None
                })
            };
            if is_unverified(b"") || item.parts.iter().any(|part| is_unverified(part.as_bytes())) {
                unverified.push(ItemToVerify {
                    row: snapshot.rows[library].clone(),
                    rating_key: key.to_owned(),
                });
            }
        }
        Ok(unverified)
    }

    /// Builds the answer, passes the answer to `then`, and updates the statistics.
    fn answer<R>(
        &self,
        context: &QueryContext<'_>,
        found: &FoundItems,
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let queries = context.queries;
        let rows = context.snapshot.rows_in(context.scope);
        if found.total == 0 || state.failure.is_some() {
            context.check_miss(state.failure.as_ref())?;
        }
        let FoundItems {
            items,
            total,
            has_only_words,
            has_show,
            lacks_index,
            ..
        } = found;
        let (kind, total, unverified) = (queries.reading.kind, *total, self.unverified_items(context, found)?);
        let criterion = match self {
            ItemQuery::Guid(guid, _) => format!("the GUID '{}'", truncate_for_message(guid.canonical.as_bytes())),
            ItemQuery::Title(title) => format!("the title '{}'", truncate_for_message(title.as_bytes())),
        };
        let found: Vec<FoundItem<'_>> = items
            .iter()
            .map(|(index, item)| FoundItem {
                library: *index,
                ..FoundItem::of(item)
            })
            .collect();
        let mut answer = Answer::of_items(kind, &found, total, rows);
        answer.age_ms = context.age_of(&answer);
        // A doubted item may have changed, or may no longer exist.
        answer.stale = context.is_answer_stale(&state) || !unverified.is_empty();
        let has_unfetched = rows.iter().any(|row| !row.generation.is_fetched());
        let mut message = if answer.status == Status::NotFound {
            if let Some(status) = lacks_index.then_some(Status::NotYet).or(state.timeout_status) {
                answer.status = status;
            }
            if has_unfetched || rows.is_empty() && state.timeout_status.is_some() {
                answer.reason = Reason::NotFetched;
            }
            let words_note = match self {
                ItemQuery::Guid(_, spellings_note) => spellings_note,
                ItemQuery::Title(_) => ", or a title with all its words",
            };
            let cause = match (answer.status, answer.reason) {
                _ if *lacks_index => {
                    ": the timeout passed while plexindex built their index; retry, and the build resumes".to_owned()
                }
                (Status::NotYet | Status::NeedsWarm, _) => format!(": {}", explain_deadline(answer.status, rows, kind)),
                (_, Reason::NotFetched) => format!(": {}", explain_unfetched(rows)),
                _ => String::new(),
            };
            format!("no item in the searched libraries has {criterion}{words_note}{cause}")
        } else if *has_only_words {
            answer.match_kind = MatchKind::None;
            if total == 1 {
                (answer.confidence, answer.reason) = (Confidence::Low, Reason::SameName);
            }
            format!(
                "no item has {criterion}, but {total} {} all its words",
                if total == 1 { "has" } else { "have" }
            )
        } else if total == 1 && has_unfetched {
            // An item of an unfetched library may have it too.
            (answer.confidence, answer.reason) = (Confidence::Low, Reason::NotFetched);
            format!("other items may have {criterion} too: {}", explain_unfetched(rows))
        } else if let ItemQuery::Guid(guid, _) = self
            && (*has_show || !guid.is_unique() && rows.iter().any(|row| row.library.kind != LibraryKind::Movie))
            && let Some((_, item)) = items.first().filter(|(_, item)| guid.is_of_item(item))
        {
            if total == 1 {
                (answer.confidence, answer.reason) = (Confidence::Low, Reason::SameName);
            }
            explain_kinds(guid, item, *has_show, &criterion)
        } else if let ItemQuery::Guid(guid, _) = self
            && let [(_, item)] = &items[..]
            && !guid.is_of_item(item)
        {
            // The GUID is that of the item's show, season, artist or album.
            (answer.confidence, answer.reason) = (Confidence::Low, Reason::SameName);
            explain_parent(guid, items, total, *has_show, kind).unwrap_or_default()
        } else if answer.status == Status::Ambiguous {
            match self {
                ItemQuery::Guid(guid, _) => explain_parent(guid, items, total, *has_show, kind)
                    .unwrap_or_else(|| format!("{total} items have {criterion}")),
                ItemQuery::Title(_) => {
                    format!("{total} items have {criterion}, or belong to a show with this title")
                }
            }
        } else {
            String::new()
        };
        // If the refresh failed, the server may have the missing item.
        if let Some(error) = state.failure.as_ref().filter(|_| answer.status == Status::NotFound) {
            message.push_str(&explain_failure(error, kind));
        }
        answer.message = &message;
        answer.mark_stale(state.failure.as_ref(), context.call.deadline.is_set());
        let result = then(&answer);
        queries.count_answer(state.at_once, &answer, &result);
        result
    }
}

impl Queries {
    /// Returns the call's libraries. Fetches the list of libraries from the server if the index has no libraries.
    ///
    /// # Errors
    /// Returns the errors of the store, and the errors of the server if the index has no libraries. Fails if the index
    /// does not have the library that the call selects, or has several.
    pub fn libraries(&self, call: &Call<'_>) -> Result<Vec<LibraryInfo>> {
        self.reading.catch_up(call.deadline)?;
        if self.reading.snapshot().rows.is_empty() && self.sync.may_send_requests(call) {
            self.sync.probe(call, Sequence::default())?;
            self.reading.catch_up(call.deadline)?;
        }
        let snapshot = self.reading.snapshot();
        self.sync.check_view(call, &snapshot)?;
        let now = self.clock.now_ms();
        // A time can be negative if the clock was set back.
        let time = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let Some(scope) = snapshot.scope(call.library)? else {
            return Err(self.library_error(call, &snapshot, None));
        };
        let infos = snapshot.rows_in(scope).iter().map(|row| {
            let is_fetched = row.generation.is_fetched();
            let mut info = LibraryInfo::from(row.library.clone());
            info.items = Some(row.items).filter(|items| is_fetched || *items > 0);
            info.checked = is_fetched.then(|| UNIX_EPOCH + time(row.checked_ms()));
            info.age = is_fetched.then(|| time(now - row.checked_ms()));
            info.generation = is_fetched.then_some(row.generation.0.cast_unsigned());
            info.fresh = !self.sync.is_stale(row, now);
            info
        });
        Ok(infos.collect())
    }
}
