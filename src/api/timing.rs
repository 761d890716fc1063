//! Measures the duration of calls, and logs slow calls.

use std::fmt::Write;
use std::time::Duration;

use crate::meter::RequestKind;
use crate::stats::{CallStart, Counters, Stats};
use crate::sync::Selector;

/// A running call, whose duration plexindex measures. Dropping this value counts the call.
pub struct CallTimer<'a> {
    pub(super) counters: &'a Counters,
    pub(super) slow_threshold: Option<Duration>, // `None`: no call is slow
    pub(super) operation: &'static str,
    pub(super) selector: Option<&'a Selector>, // the call's library; `None` for all libraries
    pub(super) path_count: Option<usize>,
    pub(super) start: CallStart,
    pub(super) before: Stats, // the counters before the call
    /// The entries from other hosts and the time spent on the exchange, before the call.
    pub(super) exchanged: (u64, Duration),
}

impl Drop for CallTimer<'_> {
    /// Counts the call, and logs the call if it was slow.
    fn drop(&mut self) {
        let counters = self.counters;
        let (took, was_alone) = counters.finish_call(&self.start);
        if self.slow_threshold.is_none_or(|slow| took < slow) {
            return;
        }
        counters.count_slow_call();
        let (before, after) = (&self.before, counters.read());
        let has_fetched_page = after.requests[RequestKind::Page as usize] > before.requests[RequestKind::Page as usize];
        let has_waited = after.waiting.saturating_sub(before.waiting) > Duration::from_millis(1);
        let text = self.log_line(took, &after, was_alone);
        // A call that fetches a listing or waits for another fetch is usually slow, so its log line is not a warning.
        if has_fetched_page || has_waited {
            log::info!("{text}");
        } else {
            log::warn!("{text}");
        }
    }
}

impl CallTimer<'_> {
    /// Returns the log line for a call. `took` is the call's duration, `after` contains the counters at its end, and
    /// `was_alone` says whether no other call ran on this index. The line contains no path, since paths are private.
    fn log_line(&self, took: Duration, after: &Stats, was_alone: bool) -> String {
        let before = &self.before;
        let mut text = self.operation.to_owned();
        if let Some(path_count) = self.path_count {
            let _ = write!(text, " of {path_count} paths");
        }
        match self.selector {
            None | Some(Selector::All) => text.push_str(" in all libraries"),
            Some(selector) => _ = write!(text, " in '{}'", selector.name()),
        }
        let _ = write!(text, " took {:.2} s", took.as_secs_f64());
        let requests = after.all_requests() - before.all_requests();
        let request_noun = if requests == 1 { "request" } else { "requests" };
        let since = Duration::saturating_sub; // subtracts the time before the call from the time after it
        let (entries, exchange_time) = self.counters.exchange_totals();
        let entries = entries.saturating_sub(self.exchanged.0);
        let entry_noun = if entries == 1 { "entry" } else { "entries" };
        let parts = [
            (
                &*format!("the server ({requests} {request_noun})"),
                since(after.network, before.network),
            ),
            (
                &*format!("reading {entries} {entry_noun} from other hosts"),
                since(exchange_time, self.exchanged.1),
            ),
            ("parsing", since(after.parsing, before.parsing)),
            ("the store", since(after.storing, before.storing)),
            ("segments", since(after.indexing, before.indexing)),
            ("matching", since(after.matching, before.matching)),
            (
                "waiting for another fetch or before a retry",
                since(after.waiting, before.waiting),
            ),
        ];
        let mut separator = ": ";
        // Omit the parts that took no measurable time.
        for (part, took) in parts.iter().filter(|(_, took)| took.as_millis() > 0) {
            let _ = write!(text, "{separator}{part} {:.2} s", took.as_secs_f64());
            separator = ", ";
        }
        if !was_alone {
            text.push_str(" (includes other calls on this handle)");
        }
        text
    }
}
