//! The shared log of an open index.

use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::options::{Options, without_password};
use crate::platform::fork::Release;
use crate::platform::thread::on_worker;
use crate::shared::SharedLog;
use crate::sync::TICK;

/// The shared log that the options name.
pub struct Sharing {
    address: String,
    /// `None` for an offline index.
    log: Option<Arc<dyn SharedLog>>,
}

impl Sharing {
    /// The log that the options name, or that is given; `None` without either.
    pub fn new(options: &Options, log: Option<Arc<dyn SharedLog>>) -> Option<Self> {
        let address = options.shared.as_deref().or(log.as_deref().map(SharedLog::name))?;
        Some(Self {
            address: without_password(address),
            log,
        })
    }

    /// The address, without a password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Closes the connections, and keeps them closed through a fork.
    pub fn hold(&self) -> Vec<Box<dyn Release>> {
        let log = self.log.as_ref().map(Arc::clone);
        log.map(SharedLog::before_fork).unwrap_or_default()
    }

    /// Runs `work` on a thread of the library: a client leaves values in the thread that uses it.
    pub fn run<T: Send>(&self, work: impl FnOnce(&dyn SharedLog) -> Result<T> + Send) -> Result<T> {
        let Some(log) = self.log.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "cannot ask the shared log: the index is offline; open it without the offline flag",
            ));
        };
        on_worker(|| work(log), TICK, || {})
    }
}
