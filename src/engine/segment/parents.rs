//! The records of shows, seasons and albums, which the records of items refer to by number.

use super::checked_bytes::{CheckedBytes, ReadResult};
use super::fields::{PackedGuid, RecordReader, put_bytes};
use super::layout::offset_of;
use crate::matching::Season;
use crate::model::Item;

/// The record is a show, season or album, not an entry.
pub const SHOW: u8 = 128;
/// With [`SHOW`]: the record is a season or album. The number of the show's record precedes the strings.
pub const SEASON: u8 = 64;

/// Appends the record of an item's show to `out`, which the caller has aligned.
pub fn put_show(out: &mut Vec<u8>, item: &Item) {
    let guid = PackedGuid::of(&item.show_guid);
    out.extend_from_slice(&[SHOW, guid.tag()]);
    put_bytes(out, item.show_rating_key.as_bytes());
    put_bytes(out, item.show_title.as_bytes());
    guid.put(out);
}

/// Appends the record of an item's season or album to `out`, which the caller has aligned. `show` is the number of the
/// show's record, or 0.
pub fn put_season(out: &mut Vec<u8>, item: &Item, show: u32) {
    let guid = PackedGuid::of(&item.season_guid);
    out.extend_from_slice(&[SHOW | SEASON, guid.tag()]);
    out.extend_from_slice(&show.to_le_bytes());
    put_bytes(out, item.season_rating_key.as_bytes());
    put_bytes(out, item.season_title.as_bytes());
    guid.put(out);
}

/// Returns the flags and the GUID tag in the record of a season or show, and a reader for its other fields.
pub fn open_parent(file: &CheckedBytes, number: u32) -> ReadResult<(u8, u8, RecordReader<'_>)> {
    let mut cursor = RecordReader::new(file, offset_of(number));
    Ok((cursor.byte()?, cursor.byte()?, cursor))
}

/// Returns the season or album in the record with the number `parent_record`; `None` if the record is a show or
/// `parent_record` is 0.
pub fn season(file: &CheckedBytes, parent_record: u32) -> ReadResult<Option<Season<'_>>> {
    if parent_record == 0 {
        return Ok(None);
    }
    let (flags, tag, mut cursor) = open_parent(file, parent_record)?;
    if flags & SEASON == 0 {
        return Ok(None);
    }
    // Skip the number of the show's record.
    cursor.take(4)?;
    Ok(Some(Season {
        // The season's number is in its episodes.
        number: -1,
        rating_key: cursor.text()?,
        title: cursor.text()?,
        guid: cursor.guid(tag)?,
    }))
}

/// Returns the rating key in the record of a season or show.
pub fn parent_key(file: &CheckedBytes, number: u32) -> ReadResult<&str> {
    let (flags, _, mut cursor) = open_parent(file, number)?;
    if flags & SEASON != 0 {
        cursor.take(4)?; // the number of the show's record
    }
    cursor.text()
}

/// Returns the file offset after the record of a show, season or album at the offset `at`.
pub fn offset_after_show(file: &CheckedBytes, at: usize) -> ReadResult<usize> {
    let mut cursor = RecordReader::new(file, at);
    let (flags, tag) = (cursor.byte()?, cursor.byte()?);
    if flags & SEASON != 0 {
        cursor.take(4)?; // the number of the show's record
    }
    // Skip the rating key, the title and the GUID.
    cursor.bytes()?;
    cursor.bytes()?;
    cursor.guid(tag)?;
    Ok(cursor.at)
}
