//! Plex's events: the lines of a stream, and the JSON of notifications and webhooks in the shapes that servers send.
//!
//! A WebSocket's frame is `{"NotificationContainer":{"type":"timeline","TimelineEntry":[{…}]}}`; a stream of
//! server-sent events has neither the wrapper nor the list. Names of members tell what is there, in both. What is not
//! understood is passed over: servers send dozens of kinds.

use serde_json::{Map, Value};

use crate::error::{Error, Result, Status};

use super::super::contract::{Event, Notification};

/// The longest event that is read; the longest seen are a few kilobytes.
const LONGEST: usize = 1 << 20;

/// The only sender of a library's timeline; others are guides and plug-ins.
const LIBRARY: &str = "com.plexapp.plugins.library";

/// A body that tells something.
#[derive(Debug, PartialEq, Eq)]
pub enum EventBody {
    /// These events; perhaps none.
    Events(Vec<Event>),
    /// It is JSON, but neither a notification nor a webhook.
    Foreign,
    /// It is the JSON of servers of 2015 and before.
    Ancient,
    /// It is no JSON object.
    NoJson,
}

/// Reads the JSON of a notification, in either shape, or of a webhook.
#[must_use]
pub fn parse(json: &[u8]) -> EventBody {
    object(json).map_or(EventBody::NoJson, |body| told(&body))
}

/// The same, with what is wrong with a body that tells nothing, and which server it is of: webhooks say so.
pub fn read(json: &[u8]) -> Result<Notification> {
    let refuse = |text| Err(Error::new(Status::InvalidArgument, text));
    let body = object(json);
    match body.as_ref().map_or(EventBody::NoJson, told) {
        EventBody::Events(events) => Ok(Notification {
            server: body.as_ref().and_then(server_of),
            events,
        }),
        EventBody::NoJson => refuse(
            "the body is no JSON object: give the field 'payload' of the webhook, or the notification's text, as it came",
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

/// Which server sent it: any text, since one that no server of Plex has is not this one either.
fn server_of(body: &Map<String, Value>) -> Option<String> {
    let uuid = body.get("Server")?.get("uuid")?.as_str()?.trim();
    (!uuid.is_empty()).then(|| uuid.to_owned())
}

fn object(json: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(json).ok()
}

fn told(body: &Map<String, Value>) -> EventBody {
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

/// Gives whether it is one.
fn notification(body: &Map<String, Value>, events: &mut Vec<Event>) -> bool {
    let mut is_one = false;
    for (name, value) in body {
        let read: fn(&Map<String, Value>) -> Option<Event> = match name.as_str() {
            "TimelineEntry" => timeline,
            "ActivityNotification" => activity,
            "StatusNotification" => status,
            // Of no concern, but of this shape.
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
    // Playlists, their folders and collections: none of them is listed, nor has it files.
    if matches!(number(entry.get("type")), Some(15 | 16 | 18)) {
        return None;
    }
    let section = id(entry.get("sectionID"));
    let rating_key = id(entry.get("itemID")).unwrap_or_default();
    let state = number(entry.get("state"));
    let metadata = text(entry.get("metadataState")).unwrap_or_default();
    let media = text(entry.get("mediaState"));
    if rating_key.is_empty() {
        return section.is_some().then_some(Event::Unspecific { section });
    }
    if state == Some(9) || metadata == "deleted" {
        return Some(Event::Deleted { section, rating_key });
    }
    // A file was replaced: neither the item's clock nor its state need say so.
    let analyzing = media.is_some_and(|state| !state.is_empty()) && matches!(state, Some(1 | 5) | None);
    if analyzing || matches!(state, Some(0 | 5)) || metadata == "created" {
        // Told when it is made, twice when it is done, and again every 40 s: the last ones are no news.
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
    // The others tell of playing, rating and devices.
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

/// An identifier: text or a number, by version; `-1` and an empty one say that there is none.
fn id(value: Option<&Value>) -> Option<String> {
    let id = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!id.is_empty() && !id.starts_with('-') && !id.contains('\0') && id.len() <= 64).then_some(id)
}

/// Gathers the lines of a stream into events.
#[derive(Default)]
pub struct Lines {
    line: Vec<u8>,
    data: Vec<u8>,
    /// The last byte ended a line as `\r`: a `\n` behind it ends no other.
    after_return: bool,
    /// The event is longer than any that makes sense.
    too_long: bool,
}

impl Lines {
    /// Takes what came, and hands over the events that are whole; `false` of `each` ends it.
    pub fn take(&mut self, bytes: &[u8], each: &mut dyn FnMut(Event) -> bool) -> bool {
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
        // The event's name says no more than its data; comments, ids and times to retry are of no use here.
        self.line = line;
        self.line.clear();
        true
    }

    fn end_event(&mut self, each: &mut dyn FnMut(Event) -> bool) -> bool {
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.too_long) {
            // What it told is not known.
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
