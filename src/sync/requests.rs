//! Requests whose replies plexindex does not store.

use super::call::Call;
use super::job::Synchronizer;
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::model::{Item, Library};
use crate::source::{EditRequest, LocatedItem, PageRequest};

impl Synchronizer {
    /// Fetches items by rating key from the source. The result leaves out items that the server does not have.
    pub fn items(&self, call: &Call<'_>, keys: &[&str]) -> Result<Vec<LocatedItem>> {
        self.job(call, |job| match job.source.items(keys, job.bounds) {
            Err(error) if error.status.retry_advice() == RetryAdvice::NothingThere => Ok(Vec::new()),
            result => result,
        })
    }

    /// Fetches a page of a library's trash; returns the items and the cursor of the next page. Stores nothing. A cursor
    /// contains a position and a partition; 0 is the first page.
    pub fn trash(
        &self,
        call: &Call<'_>,
        library: &Library,
        cursor: u64,
        size: u32,
    ) -> Result<(Vec<Item>, Option<u64>)> {
        self.job(call, |job| {
            let partitions = job.source.partitions(library).max(1);
            let (position, partition) = (cursor / partitions as u64, cursor % partitions as u64);
            let request = PageRequest {
                library,
                partition: usize::try_from(partition).unwrap_or(0),
                position,
                size,
            };
            let mut items = Vec::new();
            let end = job.source.trash(&request, job.bounds, &mut items)?;
            if end.has_shifted {
                let message = "cannot read the trash: the server returned other rows than requested; retry";
                return Err(Error::new(Status::BadAnswer, message));
            }
            items.retain(|item| item.trashed);
            let next_partition = (partition + 1 < partitions as u64).then_some(partition + 1);
            let next = end.next.filter(|next| *next > position);
            let next = next.and_then(|next| next.checked_mul(partitions as u64)?.checked_add(partition));
            Ok((items, next.or(next_partition)))
        })
    }

    /// Sends an edit request, on a worker thread and within the call's limits.
    pub fn edit(&self, call: &Call<'_>, request: &EditRequest<'_>) -> Result<()> {
        self.job(call, |job| job.source.edit(request, job.bounds))
    }

    /// Tells the server to scan a folder.
    pub fn scan(&self, call: &Call<'_>, section: &str, folder: &[u8]) -> Result<()> {
        self.job(call, |job| job.source.scan(section, folder, job.bounds))
    }
}
