//! Events that a server sends. They are hints, never data: they name items or libraries to fetch again.

/// A notification or webhook that a host received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Machine identifier of the server that sent the notification; `None` if the notification has none.
    pub server: Option<String>,
    /// The events of the notification, perhaps none.
    pub events: Vec<Event>,
}

/// An event of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream has started. Earlier events are not sent.
    Connected,
    /// An item was added or changed.
    Changed {
        /// Section id of its library; `None` if not given.
        section: Option<String>,
        /// Its rating key; empty if not given.
        rating_key: String,
        /// Time of the change, for events that servers repeat: a second event with the same item and stamp is a
        /// repetition.
        stamp: Option<i64>,
    },
    /// An item was deleted.
    Deleted {
        /// Section id of its library; `None` if not given.
        section: Option<String>,
        /// Its rating key.
        rating_key: String,
    },
    /// Items are being processed; another event follows.
    Working {
        /// Section id of the library; `None` if not given.
        section: Option<String>,
    },
    /// A scan is running.
    Scanning {
        /// Section id of the library; `None` if not given.
        section: Option<String>,
    },
    /// A scan has ended.
    Scanned {
        /// Section id of the library; `None` if not given.
        section: Option<String>,
    },
    /// An unspecified change.
    Unspecific {
        /// Section id of the library; `None` if not given.
        section: Option<String>,
    },
}
