//! Parses Plex's events: the lines of an event stream, and the JSON of notifications and webhooks in all shapes that
//! servers send.
//!
//! A WebSocket frame is `{"NotificationContainer":{"type":"timeline","TimelineEntry":[{…}]}}`; a stream of server-sent
//! events has neither the wrapper nor the list. In both, member names identify the content. Unknown content is ignored,
//! since servers send dozens of kinds.

use serde_json::{Map, Value};

use crate::error::{Error, Result, Status};

use super::super::contract::{Event, Notification};

/// Maximum length of an event in bytes; the longest seen have a few kilobytes.
const LONGEST: usize = 1 << 20;

/// Identifier of library timelines; others are guides and plug-ins.
const LIBRARY: &str = "com.plexapp.plugins.library";

/// The content of a notification's body.
#[derive(Debug, PartialEq, Eq)]
pub enum EventBody {
    /// Its events; may be empty.
    Events(Vec<Event>),
    /// JSON that is neither a notification nor a webhook.
    Foreign,
    /// JSON of servers of 2015 and before.
    Ancient,
    /// Not a JSON object.
    NoJson,
}

/// Parses the JSON of a notification, in either shape, or of a webhook.
#[must_use]
pub fn parse(json: &[u8]) -> EventBody {
    object(json).map_or(EventBody::NoJson, |body| classify(&body))
}

/// As [`parse`], with an error for other bodies, and with the server that a webhook names.
pub fn read(json: &[u8]) -> Result<Notification> {
    let refuse = |text| Err(Error::new(Status::InvalidArgument, text));
    let body = object(json);
    match body.as_ref().map_or(EventBody::NoJson, classify) {
        EventBody::Events(events) => Ok(Notification {
            server: body.as_ref().and_then(server_of),
            events,
        }),
        EventBody::NoJson => refuse(
            "the body is not a JSON object: give the field 'payload' of the webhook, or the notification's text, as \
             it came",
        ),
        EventBody::Ancient => {
            refuse("the body is the JSON of servers of 2015 and before (`_children`): update the server")
        }
        EventBody::Foreign => refuse(
            "the body is JSON, but neither a webhook of Plex (it has 'event') nor a notification (it has \
             'NotificationContainer', 'TimelineEntry' or 'ActivityNotification')",
        ),
    }
}

/// Returns the sending server's identifier. Any text is accepted: an unknown one is another server.
fn server_of(body: &Map<String, Value>) -> Option<String> {
    let uuid = body.get("Server")?.get("uuid")?.as_str()?.trim();
    (!uuid.is_empty()).then(|| uuid.to_owned())
}

fn object(json: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(json).ok()
}

fn classify(body: &Map<String, Value>) -> EventBody {
    let mut events = Vec::new();
    let is_ancient = |body: &Map<String, Value>| body.contains_key("_children") || body.contains_key("_elementType");
    if is_ancient(body) {
        return EventBody::Ancient;
    }
    if let Some(Value::Object(inner)) = body.get("NotificationContainer") {
        if is_ancient(inner) {
            return EventBody::Ancient;
        }
        notification(inner, &mut events);
        return EventBody::Events(events);
    }
    if notification(body, &mut events) {
        return EventBody::Events(events);
    }
    match text(body.get("event")) {
        Some(event) => {
            webhook(&event, body.get("Metadata"), &mut events);
            EventBody::Events(events)
        }
        None => EventBody::Foreign,
    }
}

/// Adds the events of a notification; returns whether `body` is one.
fn notification(body: &Map<String, Value>, events: &mut Vec<Event>) -> bool {
    let mut is_one = false;
    for (name, value) in body {
        let read: fn(&Map<String, Value>) -> Option<Event> = match name.as_str() {
            "TimelineEntry" => timeline,
            "ActivityNotification" => activity,
            "StatusNotification" => status,
            // Irrelevant, but a notification.
            _ if name.ends_with("Notification") || name == "Setting" || name == "TranscodeSession" => |_| None,
            _ => continue,
        };
        is_one = true;
        match value {
            Value::Array(entries) => events.extend(entries.iter().filter_map(Value::as_object).filter_map(read)),
            Value::Object(entry) => events.extend(read(entry)),
            _ => {}
        }
    }
    is_one
}

fn timeline(entry: &Map<String, Value>) -> Option<Event> {
    if text(entry.get("identifier")).is_some_and(|sender| sender != LIBRARY) {
        return None;
    }
    // Playlists, their folders and collections are not listed and have no files.
    if matches!(number(entry.get("type")), Some(15 | 16 | 18)) {
        return None;
    }
    let section = id(entry.get("sectionID"));
    let rating_key = id(entry.get("itemID").or(entry.get("ratingKey"))).unwrap_or_default();
    let state = number(entry.get("state"));
    let metadata = text(entry.get("metadataState")).unwrap_or_default();
    let media = text(entry.get("mediaState"));
    if rating_key.is_empty() {
        return section.is_some().then_some(Event::Unspecific { section });
    }
    if state == Some(9) || metadata == "deleted" {
        return Some(Event::Deleted { section, rating_key });
    }
    // A file was replaced; this need not show in the item's clock or state.
    let analyzing = media.is_some_and(|state| !state.is_empty()) && matches!(state, Some(1 | 5) | None);
    if analyzing || matches!(state, Some(0 | 5)) || metadata == "created" {
        // Sent on creation, twice on completion, and then every 40 s. The stamp identifies these repetitions.
        let stamp = number(entry.get("updatedAt")).filter(|_| state == Some(5) && !analyzing && metadata.is_empty());
        return Some(Event::Changed {
            section,
            rating_key,
            stamp,
        });
    }
    Some(Event::Working { section })
}

fn activity(notification: &Map<String, Value>) -> Option<Event> {
    let activity = notification.get("Activity")?.as_object()?;
    let section = activity.get("Context").and_then(|it| id(it.get("librarySectionID")));
    let ended = text(notification.get("event")).is_some_and(|event| event == "ended");
    match text(activity.get("type"))?.as_str() {
        "library.update.section" if ended => Some(Event::Scanned { section }),
        "library.update.section" => Some(Event::Scanning { section }),
        "library.update.item.metadata" => Some(Event::Working { section }),
        // `library.refresh.items` also comes when a user opens an item; `media.generate.*` changes no path.
        _ => None,
    }
}

fn status(notification: &Map<String, Value>) -> Option<Event> {
    let name = text(notification.get("notificationName"))?;
    (name == "LIBRARY_UPDATE").then_some(Event::Unspecific { section: None })
}

fn webhook(event: &str, metadata: Option<&Value>, events: &mut Vec<Event>) {
    // Other webhooks are about playback, ratings and devices.
    if !matches!(event, "library.new" | "library.on.deck") {
        return;
    }
    let field = |name: &str| metadata.and_then(|it| id(it.get(name)));
    events.push(match (field("librarySectionID"), field("ratingKey")) {
        (section @ Some(_), rating_key) => Event::Changed {
            section,
            rating_key: rating_key.unwrap_or_default(),
            stamp: None,
        },
        (None, _) => Event::Unspecific { section: None },
    });
}

fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::to_owned)
}

fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Parses an identifier: text or number, by version; `None` for `-1` and empty text.
fn id(value: Option<&Value>) -> Option<String> {
    let id = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!id.is_empty() && !id.starts_with('-') && !id.contains('\0') && id.len() <= 64).then_some(id)
}

/// Assembles the lines of a stream into events.
#[derive(Default)]
pub struct EventLines {
    line: Vec<u8>,
    data: Vec<u8>,
    /// The last byte was `\r`: a following `
    /// ` belongs to it.
    after_return: bool,
    /// The event exceeds [`LONGEST`].
    too_long: bool,
}

impl EventLines {
    /// Processes received bytes, and passes complete events to `each`. Returns `false` if `each` did.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Event) -> bool) -> bool {
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    if !self.end_line(each) {
                        return false;
                    }
                }
                _ if self.line.len() + self.data.len() < LONGEST => self.line.push(*byte),
                _ => self.too_long = true,
            }
        }
        true
    }

    fn end_line(&mut self, each: &mut dyn FnMut(Event) -> bool) -> bool {
        if self.line.is_empty() {
            return self.end_event(each);
        }
        let line = std::mem::take(&mut self.line);
        if let Some(data) = line.strip_prefix(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
        }
        // Ignored: the event's name, which its data implies, and comments, ids and retry times.
        self.line = line;
        self.line.clear();
        true
    }

    fn end_event(&mut self, each: &mut dyn FnMut(Event) -> bool) -> bool {
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.too_long) {
            // Its content is unknown.
            return each(Event::Unspecific { section: None });
        }
        match parse(&data) {
            EventBody::Events(events) => events.into_iter().all(each),
            EventBody::Foreign | EventBody::Ancient | EventBody::NoJson => true,
        }
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
