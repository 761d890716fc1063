//! Server-sent events: `/:/eventsource/notifications` (Plex API notes §7).

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::lock;
use crate::model::ItemType;

/// An event: its name and its data, in the unwrapped shape (`{"TimelineEntry":{…}}`).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `timeline`, `activity`, `status`, …
    pub name: String,
    /// The data, one line of JSON.
    pub data: Value,
}

impl Event {
    /// An event with any name and data.
    pub fn new(name: &str, data: Value) -> Self {
        Event {
            name: name.to_owned(),
            data,
        }
    }

    /// A timeline entry. `state`: 0 created, 5 processed, 9 deleted; `metadata`: `metadataState`, may be empty.
    pub fn timeline(
        section: u32,
        key: u64,
        kind: ItemType,
        title: &str,
        state: u32,
        metadata: &str,
        updated_at: i64,
    ) -> Self {
        let mut entry = json!({
            "identifier": "com.plexapp.plugins.library", "sectionID": section.to_string(),
            "itemID": key.to_string(), "type": kind.number(), "title": title, "state": state,
            "updatedAt": updated_at,
        });
        if !metadata.is_empty() {
            entry["metadataState"] = json!(metadata);
        }
        Event::new("timeline", json!({ "TimelineEntry": entry }))
    }

    /// An activity notification. `event`: `started`, `updated`, `ended`.
    pub fn activity(event: &str, activity: Value) -> Self {
        let uuid = activity["uuid"].clone();
        Event::new(
            "activity",
            json!({"ActivityNotification": {"event": event, "uuid": uuid, "Activity": activity}}),
        )
    }

    /// A status notification.
    pub fn status(title: &str, name: &str) -> Self {
        Event::new(
            "status",
            json!({"StatusNotification": {"title": title, "description": title, "notificationName": name}}),
        )
    }

    fn text(&self) -> String {
        format!("event: {}\ndata: {}\n\n", self.name, self.data)
    }
}

/// The ping that keeps a stream alive.
pub(crate) const PING: &str = "event: ping\ndata: {}\n\n";

/// How many events wait for a slow listener before it is dropped.
const BACKLOG: usize = 10_000;

struct Listener {
    to: SyncSender<Arc<str>>,
    filters: Vec<String>,
}

/// Those who listen.
#[derive(Default)]
pub(crate) struct Hub(Mutex<Vec<Listener>>);

impl Hub {
    /// A new listener. `filters`: names of events; empty: all.
    pub fn listen(&self, filters: Vec<String>) -> Receiver<Arc<str>> {
        let (to, from) = sync_channel(BACKLOG);
        lock(&self.0).push(Listener { to, filters });
        from
    }

    /// Sends an event. Returns the number of listeners that received it.
    pub fn send(&self, event: &Event) -> usize {
        let text: Arc<str> = event.text().into();
        let mut sent = 0;
        lock(&self.0).retain(|listener| {
            if !listener.filters.is_empty() && !listener.filters.contains(&event.name) {
                return true;
            }
            match listener.to.try_send(text.clone()) {
                Ok(()) => {
                    sent += 1;
                    true
                }
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            }
        });
        sent
    }

    /// Ends every stream: their receivers see the end.
    pub fn close(&self) {
        lock(&self.0).clear();
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        lock(&self.0).len()
    }
}
