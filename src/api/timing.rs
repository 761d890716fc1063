//! Duration of calls, for the totals, and a log line for slow calls.

use std::fmt::Write;
use std::time::Duration;

use crate::meter::RequestKind;
use crate::stats::{CallBegun, Counters, Stats};
use crate::sync::Selector;

/// A running call. Counted when it is dropped, however it ends.
pub struct Timed<'a> {
    counters: &'a Counters,
    slow: Option<Duration>,
    what: &'static str,
    /// The library of the call.
    selector: Option<&'a Selector>,
    /// Number of paths of a batch.
    many: Option<usize>,
    begun: CallBegun,
    before: Stats,
    /// Entries of other hosts, and the time of their exchange, before the call.
    exchanged: (u64, Duration),
}

impl<'a> Timed<'a> {
    /// Starts the clock of a call. A call that takes longer than `slow` is logged.
    pub fn begin(
        counters: &'a Counters,
        slow: Option<Duration>,
        what: &'static str,
        selector: Option<&'a Selector>,
        many: Option<usize>,
    ) -> Self {
        Self {
            counters,
            slow,
            what,
            selector,
            many,
            before: counters.read(),
            exchanged: counters.exchanged(),
            begun: counters.call_begins(),
        }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let counters = self.counters;
        let (took, alone) = counters.call_ends(&self.begun);
        if self.slow.is_none_or(|slow| took < slow) {
            return;
        }
        counters.count_slow_call();
        let (before, after) = (&self.before, counters.read());
        let fetched = |kind: RequestKind| after.requests[kind as usize] > before.requests[kind as usize];
        let waited = after.waiting.saturating_sub(before.waiting) > Duration::from_millis(1);
        let text = self.text(took, &after, alone);
        // Fetching a listing, or waiting for another fetch, is expected to take long.
        if fetched(RequestKind::Page) || waited {
            log::info!("{text}");
        } else {
            log::warn!("{text}");
        }
    }
}

impl Timed<'_> {
    /// The log line. It contains no path.
    fn text(&self, took: Duration, after: &Stats, alone: bool) -> String {
        let before = &self.before;
        let mut text = self.what.to_owned();
        if let Some(many) = self.many {
            let _ = write!(text, " of {many} paths");
        }
        match self.selector {
            None | Some(Selector::All) => text.push_str(" in all libraries"),
            Some(selector) => _ = write!(text, " in '{}'", selector.name()),
        }
        let _ = write!(text, " took {:.2} s", took.as_secs_f64());
        let requests = after.all_requests() - before.all_requests();
        let plural = if requests == 1 { "" } else { "s" };
        let since = Duration::saturating_sub;
        let (taken, exchanging) = self.counters.exchanged();
        let taken = taken.saturating_sub(self.exchanged.0);
        let plural_of_taken = if taken == 1 { "y" } else { "ies" };
        let parts = [
            (
                &*format!("the server ({requests} request{plural})"),
                since(after.network, before.network),
            ),
            (
                &*format!("taking {taken} entr{plural_of_taken} of other hosts"),
                since(exchanging, self.exchanged.1),
            ),
            ("parsing", since(after.parsing, before.parsing)),
            ("the store", since(after.storing, before.storing)),
            ("segments", since(after.indexing, before.indexing)),
            ("matching", since(after.matching, before.matching)),
            (
                "waiting for another fetch or to try again",
                since(after.waiting, before.waiting),
            ),
        ];
        let mut separator = ": ";
        for (part, took) in parts.iter().filter(|(_, took)| took.as_millis() > 0) {
            let _ = write!(text, "{separator}{part} {:.2} s", took.as_secs_f64());
            separator = ", ";
        }
        if !alone {
            text.push_str(" (includes other calls on this handle)");
        }
        text
    }
}
