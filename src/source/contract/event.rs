//! Events that a server sends. An event never contains data; it only identifies an item or library to fetch again.

/// A notification or webhook that a host received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Machine identifier of the server that sent the notification; `None` if the notification does not contain one.
    pub server: Option<String>,
    /// The events in the notification; may be empty.
    pub events: Vec<Event>,
}

/// An event from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The event stream has started. The server does not send earlier events.
    Connected,
    /// An item was added or changed.
    Changed {
        /// Section id of the item's library; `None` if the event does not contain one.
        section: Option<String>,
        /// Rating key of the item; empty if the event does not contain one.
        rating_key: String,
        /// Time of the change, set only for events that servers repeat. Events with the same item and stamp are
        /// repetitions.
        stamp: Option<i64>,
    },
    /// An item was deleted.
    Deleted {
        /// Section id of the item's library; `None` if the event does not contain one.
        section: Option<String>,
        /// Rating key of the item.
        rating_key: String,
    },
    /// The server is processing items, and will send another event.
    Working {
        /// Section id of the library; `None` if the event does not contain one.
        section: Option<String>,
    },
    /// A scan is running.
    Scanning {
        /// Section id of the library; `None` if the event does not contain one.
        section: Option<String>,
    },
    /// A scan has ended.
    Scanned {
        /// Section id of the library; `None` if the event does not contain one.
        section: Option<String>,
    },
    /// Something has changed, but the event does not say what.
    Unspecific {
        /// Section id of the library; `None` if the event does not contain one.
        section: Option<String>,
    },
}
