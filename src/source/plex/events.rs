//! Receives and parses Plex's events: the lines of an event stream, which is the reply to one request that never ends, and
//! the JSON of notifications and webhooks in all forms that servers send.
//!
//! A WebSocket frame is `{"NotificationContainer":{"type":"timeline","TimelineEntry":[{…}]}}`. Server-sent events omit
//! the wrapper and the list. In both forms, the member names identify the content. The parser ignores unknown content,
//! because servers send dozens of kinds of events.

use std::io::Read;

use serde_json::{Map, Value};

use super::super::contract::{Bounds, Event, Notification};
use super::errors::{AttemptError, BodyError, NOT_EVENT_STREAM};
use super::plex_http::PlexHttp;
use super::send::{Omitted, ServerRequest, SuccessReply};
use crate::error::{Error, Result, Status};

/// Maximum length of an event in bytes. Real events are at most a few kilobytes long.
const MAX_EVENT_BYTES: usize = 1 << 20;
/// Identifier of Plex's timeline entries about libraries. Other entries concern TV guides and plug-ins.
const LIBRARY_IDENTIFIER: &str = "com.plexapp.plugins.library";
/// Types of items that have no files: collections, playlists and playlist folders.
const TYPES_WITHOUT_FILES: [i64; 3] = [15, 16, 18];
/// States of an item in Plex's timeline entries.
const STATE_CREATED: i64 = 0;
const STATE_PROCESSING: i64 = 1;
const STATE_FINISHED: i64 = 5;
const STATE_DELETED: i64 = 9;

/// What stands for an event that cannot be read, which may be about anything. No scan makes it superfluous.
const UNREADABLE: Event = Event::Changed {
    section: None,
    rating_key: String::new(),
    stamp: None,
};

/// Parses the JSON of a notification, with or without its wrapper `NotificationContainer`, or of a webhook. Also returns
/// the server that sent a webhook. Fails with advice for the host if the body is neither a notification nor a webhook.
pub fn parse_notification(json: &[u8]) -> Result<Notification> {
    let invalid = |text| Err(Error::new(Status::InvalidArgument, text));
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(json) else {
        return invalid(
            "the body is not a JSON object: pass the webhook's field 'payload', or the notification's whole text",
        );
    };
    let wrapped = body.get("NotificationContainer").and_then(Value::as_object);
    let inner = wrapped.unwrap_or(&body);
    let is_ancient = |body: &Map<String, Value>| body.contains_key("_children") || body.contains_key("_elementType");
    if is_ancient(&body) || is_ancient(inner) {
        return invalid("the body is JSON from a server of 2015 or earlier (`_children`): update the server");
    }
    let mut events = Vec::new();
    let is_notification = add_notification_events(inner, &mut events);
    if !is_notification && wrapped.is_none() {
        let Some(event) = text(body.get("event")) else {
            return invalid(
                "the body is JSON, but neither a webhook of Plex (it has no 'event'), Sonarr or Radarr (no 'eventType') nor \
                 a notification (no 'NotificationContainer', 'TimelineEntry' or 'ActivityNotification'): pass a webhook \
                 or a notification",
            );
        };
        events.extend(webhook_event(&event, body.get("Metadata")));
    }
    Ok(Notification {
        server: server_identifier(&body),
        events,
    })
}

/// Returns the machine identifier of the server that sent a webhook; `None` if the body contains no identifier.
fn server_identifier(body: &Map<String, Value>) -> Option<String> {
    let uuid = body.get("Server")?.get("uuid")?.as_str()?.trim();
    (!uuid.is_empty()).then(|| uuid.to_owned())
}

/// Adds the events in a notification to `events`. Returns whether `body` is a notification.
fn add_notification_events(body: &Map<String, Value>, events: &mut Vec<Event>) -> bool {
    let mut is_notification = false;
    for (name, value) in body {
        let to_event: fn(&Map<String, Value>) -> Option<Event> = match name.as_str() {
            "TimelineEntry" => timeline_event,
            "ActivityNotification" => activity_event,
            "StatusNotification" => status_event,
            // These notifications are not about items.
            _ if name.ends_with("Notification") || name == "Setting" || name == "TranscodeSession" => |_| None,
            _ => continue,
        };
        is_notification = true;
        match value {
            Value::Array(entries) => events.extend(entries.iter().filter_map(Value::as_object).filter_map(to_event)),
            Value::Object(entry) => events.extend(to_event(entry)),
            _ => {}
        }
    }
    is_notification
}

/// Converts one of Plex's timeline entries to an event; `None` if it is about neither an item with files nor a library.
fn timeline_event(entry: &Map<String, Value>) -> Option<Event> {
    if text(entry.get("identifier")).is_some_and(|identifier| identifier != LIBRARY_IDENTIFIER) {
        return None;
    }
    if number(entry.get("type")).is_some_and(|item_type| TYPES_WITHOUT_FILES.contains(&item_type)) {
        return None;
    }
    let section = id(entry.get("sectionID"));
    let ids = ["itemID", "ratingKey"].map(|name| id(entry.get(name)));
    let rating_key = ids.into_iter().flatten().next().unwrap_or_default();
    let state = number(entry.get("state"));
    let metadata_state = text(entry.get("metadataState")).unwrap_or_default();
    let media_state = text(entry.get("mediaState"));
    if rating_key.is_empty() {
        return section.is_some().then_some(Event::Unspecific { section });
    }
    if state == Some(STATE_DELETED) || metadata_state == "deleted" {
        return Some(Event::Deleted { section, rating_key });
    }
    // The server is analyzing a new or replaced file. Replacing a file may leave the item's times unchanged.
    let is_analyzing = media_state.is_some_and(|state| !state.is_empty())
        && matches!(state, Some(STATE_PROCESSING | STATE_FINISHED) | None);
    if is_analyzing || matches!(state, Some(STATE_CREATED | STATE_FINISHED)) || metadata_state == "created" {
        // The server repeats the entry for a finished item twice, and then every 40 s. The stamp identifies
        // repetitions.
        let is_repeated = state == Some(STATE_FINISHED) && !is_analyzing && metadata_state.is_empty();
        return Some(Event::Changed {
            section,
            rating_key,
            stamp: number(entry.get("updatedAt")).filter(|_| is_repeated),
        });
    }
    Some(Event::Working { section })
}

/// Converts an activity notification about a scan or a metadata update to an event; `None` for other activities.
fn activity_event(notification: &Map<String, Value>) -> Option<Event> {
    let activity = notification.get("Activity")?.as_object()?;
    let context = activity.get("Context");
    let section = context.and_then(|context| id(context.get("librarySectionID")));
    let has_ended = text(notification.get("event")).is_some_and(|event| event == "ended");
    match text(activity.get("type"))?.as_str() {
        "library.update.section" if has_ended => Some(Event::Scanned { section }),
        "library.update.section" => Some(Event::Scanning { section }),
        "library.update.item.metadata" => Some(Event::Working { section }),
        // Servers also send `library.refresh.items` when a user opens an item, and `media.generate.*` changes no path.
        _ => None,
    }
}

/// Converts a status notification. Only `LIBRARY_UPDATE` is an event, which does not name its library; `None` for
/// others.
fn status_event(notification: &Map<String, Value>) -> Option<Event> {
    let name = text(notification.get("notificationName"))?;
    (name == "LIBRARY_UPDATE").then_some(Event::Unspecific { section: None })
}

/// Converts a webhook about new items to an event; `None` for other webhooks, which are about playback, ratings and
/// devices.
fn webhook_event(event: &str, metadata: Option<&Value>) -> Option<Event> {
    if !matches!(event, "library.new" | "library.on.deck") {
        return None;
    }
    let field = |name: &str| metadata.and_then(|metadata| id(metadata.get(name)));
    Some(match (field("librarySectionID"), field("ratingKey")) {
        (section @ Some(_), rating_key) => Event::Changed {
            section,
            rating_key: rating_key.unwrap_or_default(),
            stamp: None,
        },
        (None, _) => Event::Unspecific { section: None },
    })
}

/// Returns whether a text begins like a JSON object, but is no JSON.
fn is_malformed_object(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<Value>(text).is_err()
}

/// Returns the string in a value; `None` for other types.
fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::to_owned)
}

/// Returns the integer in a value, which may be a string; `None` for other values.
fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Parses an identifier, which is a string or a number; `None` for other values, for invalid identifiers, and for `-1`,
/// with which servers denote that there is none.
fn id(value: Option<&Value>) -> Option<String> {
    let id = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!id.is_empty() && !id.starts_with('-') && !id.contains('\0') && id.len() <= 64).then_some(id)
}

/// Assembles the lines of an event stream into events.
#[derive(Default)]
pub struct EventLines {
    line: Vec<u8>,
    /// The data of the current event.
    data: Vec<u8>,
    /// Whether the last byte was `\r`. A `\n` that follows is part of the same line ending.
    is_after_return: bool,
    /// Whether the current event exceeds [`MAX_EVENT_BYTES`].
    is_too_long: bool,
}

impl EventLines {
    /// Passes the complete events in the received bytes to `each`. Returns `false` as soon as `each` returns `false`.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Event) -> bool) -> bool {
        for byte in bytes {
            let is_after_return = std::mem::replace(&mut self.is_after_return, *byte == b'\r');
            match byte {
                b'\n' if is_after_return => {}
                b'\n' | b'\r' => {
                    if !self.end_line(each) {
                        return false;
                    }
                }
                _ if self.line.len() + self.data.len() < MAX_EVENT_BYTES => self.line.push(*byte),
                _ => self.is_too_long = true,
            }
        }
        true
    }

    /// Adds a line to the current event. An empty line completes the event. Returns `false` if `each` returned `false`.
    fn end_line(&mut self, each: &mut dyn FnMut(Event) -> bool) -> bool {
        if self.line.is_empty() {
            return self.end_event(each);
        }
        // Ignores other lines, such as comments, ids, retry times and the event's name, which the data implies.
        if let Some(data) = self.line.strip_prefix(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
        }
        self.line.clear();
        true
    }

    /// Passes the current event to `each`; [`UNREADABLE`] if it is too long, or if its JSON is malformed, such as by half a
    /// surrogate pair in a truncated title. Returns `false` if `each` returned `false`.
    fn end_event(&mut self, each: &mut dyn FnMut(Event) -> bool) -> bool {
        let data = std::mem::take(&mut self.data);
        let is_too_long = std::mem::take(&mut self.is_too_long);
        match parse_notification(&data) {
            Ok(body) if !is_too_long => body.events.into_iter().all(each),
            _ if is_too_long || is_malformed_object(&data) => each(UNREADABLE),
            _ => true, // neither a notification nor a webhook, such as a ping
        }
    }
}

impl PlexHttp {
    /// Passes events to `sink` until the server ends the stream, `sink` returns `false`, or the host aborts the call.
    pub(super) fn receive_event_stream(
        &self,
        bounds: &Bounds<'_>,
        sink: &mut dyn FnMut(Event) -> bool,
    ) -> std::result::Result<(), AttemptError> {
        let request = ServerRequest::events();
        let SuccessReply {
            request_meter,
            parts,
            body,
            errors,
        } = self.round_trip(&request, Omitted::Nothing, bounds)?;
        drop(request_meter); // counts the request now, because the stream may last for weeks
        let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        if !content_type.is_none_or(is_event_stream) {
            return Err(errors.error(Status::NotPlex, NOT_EVENT_STREAM));
        }
        let mut body = body.into_with_config().limit(u64::MAX).reader();
        let mut lines = EventLines::default();
        let mut buffer = vec![0; 16 << 10];
        let mut is_wanted = sink(Event::Connected);
        while is_wanted && !(bounds.aborted)() {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(amount) => {
                    self.counters.bytes_received.add(amount as u64);
                    is_wanted = lines.feed(buffer.get(..amount).unwrap_or_default(), sink);
                }
                Err(_) if (bounds.aborted)() => break,
                Err(error) => return Err(errors.body_error(BodyError::Connection(error.into()), 0)),
            }
        }
        Ok(())
    }
}

/// Returns whether this is the content type of an event stream. Ignores case and parameters.
fn is_event_stream(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    // A newer description of Plex's API names the second type.
    ["text/event-stream", "application/octet-stream"]
        .iter()
        .any(|expected| name.eq_ignore_ascii_case(expected))
}

/// Parses an event stream that arrives in `pieces`, for the fuzz targets. Passes the events to `each` until `each` returns
/// `false`.
#[cfg(feature = "testing")]
pub fn parse_event_stream<'p>(pieces: impl Iterator<Item = &'p [u8]>, each: &mut dyn FnMut(Event) -> bool) {
    let mut lines = EventLines::default();
    for piece in pieces {
        if !lines.feed(piece, each) {
            return;
        }
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
