//! Events pushed by a server. They are hints, never data: they say which items or libraries to fetch again.

/// What a host received and handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Machine identifier of the server that sent it; `None` when it did not say.
    pub server: Option<String>,
    /// The events in it; perhaps none.
    pub events: Vec<Event>,
}

/// Something that a server told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream begins. What happened before it is not told.
    Connected,
    /// An item came, or changed.
    Changed {
        /// Section id of its library; `None` when the server did not say.
        section: Option<String>,
        /// Its rating key; empty when the server did not say.
        rating_key: String,
        /// When it changed, for events that servers repeat: the same item with the same stamp is no news.
        stamp: Option<i64>,
    },
    /// An item is gone.
    Deleted {
        /// As above.
        section: Option<String>,
        /// Its rating key.
        rating_key: String,
    },
    /// Items are being processed: another event follows.
    Working {
        /// As above.
        section: Option<String>,
    },
    /// A scan runs.
    Scanning {
        /// As above.
        section: Option<String>,
    },
    /// A scan is over.
    Scanned {
        /// As above.
        section: Option<String>,
    },
    /// Something may have changed.
    Unspecific {
        /// As above.
        section: Option<String>,
    },
}
