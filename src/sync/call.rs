//! One call of the host: what it may do, and its progress.

use std::time::Duration;

use crate::engine::{Resolved, Selection, Snapshot};
use crate::error::Result;
use crate::matching::Scope;
use crate::model::IdentityId;
use crate::platform::deadline::Deadline;

/// How long a server may be silent while one question waits for it. Listings have the time that the options allow: a server
/// that is scanning needs it for a page.
pub const QUESTION_SILENCE: Duration = Duration::from_secs(15);

/// The views that may answer a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedView {
    /// That of the token, of any user.
    Any,
    /// This one alone.
    Of(IdentityId),
    /// Whose token it began with is not known.
    Unknown,
}

/// A call: its library, its deadline, and whether it may send requests.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The library asked; `None` for all.
    pub library: Option<&'a Selection>,
    /// When it must have ended: all its jobs share this moment.
    pub deadline: Deadline,
    /// How long the server may be silent; `None` for as long as the options allow.
    pub silence: Option<Duration>,
    /// The number of the token that the index had when the call began.
    pub session: u64,
    /// Whose view answers it, where it is made again with a token that the host set meanwhile.
    pub whose: AllowedView,
    /// That the server refuses the token ends the call, and no old answer stands in: it is repeated with another token.
    pub renews: bool,
    /// The server is not asked.
    pub offline: bool,
    /// Told how far a fetch has come, on the caller's thread; `false` stops it.
    pub progress: Option<&'a dyn Fn(&Progress<'_>) -> bool>,
}

impl Call<'_> {
    /// Which libraries are meant; `None` if one is named that is not known.
    #[inline]
    pub fn scope(&self, snapshot: &Snapshot) -> Result<Option<Scope>> {
        match self.library.map(|library| library.resolve(snapshot)).transpose()? {
            None => Ok(Some(Scope::All)),
            Some(Resolved::Scope(scope)) => Ok(Some(scope)),
            Some(Resolved::Unknown) => Ok(None),
        }
    }
}

/// How far a fetch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Title of the library; `None` while none is fetched yet: the libraries are asked for, or another process fetches.
    pub library: Option<&'a str>,
    /// Items fetched, those of an earlier, interrupted fetch included.
    pub items: u64,
    /// Items in all, where the server says.
    pub total: Option<u64>,
    /// Since this call began to fetch.
    pub elapsed: Duration,
}
