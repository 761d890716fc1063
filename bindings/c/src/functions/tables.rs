//! The host's tables.

use std::ffi::{CStr, c_char};
use std::sync::Arc;

use crate::constants as c;
use crate::guard::{
    guard, guard_into, guard_output, guard_slot, guard_value, opened, store_thread_text, table as table_of_handle,
};
use crate::options::ttl;
use crate::strings::{bytes, check_aligned, check_reserved, null_error, set_needed_size, unsupported, write_bytes};
use crate::types::{Buffer, Handle, TableHandle, TableOp};
use plexindex::error::{Result, Status, invalid_argument_error, try_with_capacity};
use plexindex::inside::{Op, Table, TableLimits, Tables};

/// Returns a handle to one of the host's tables. A table stores values by name in the index's folder, for all
/// processes. Names and values can be any bytes. Queries ignore tables, and plexindex never sends tables to a server.
/// plexindex_table_put() creates the table. The methods `tables.count` and `tables.clear` count and remove entries.
///
/// `name`: any bytes; for an empty name, a non-NULL pointer and 0. `flags`: 0, or any PLEXINDEX_TABLE_* flags.
/// `out_table`: the handle, valid as long as the index; NULL after an error. The same name and flags always return the
/// same handle. An index has at most 10,000 table handles.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_table(
    handle: *const Handle,
    name: *const c_char,
    name_length: usize,
    flags: u32,
    out_table: *mut *const TableHandle,
    error: *mut Buffer,
) -> i32 {
    guard_slot(error, out_table, "out_table", std::ptr::null(), |slot| {
        // SAFETY: guaranteed by the caller.
        let (opened, given) = unsafe { (opened(handle)?, bytes(name, name_length, "name")?) };
        if name.is_null() {
            return Err(null_error("name"));
        }
        let (fold, all) = (c::PLEXINDEX_TABLE_FOLD_ASCII, c::PLEXINDEX_TABLE_LIMIT_ALL);
        if flags & !(fold | all) != 0 {
            return unsupported(format!(
                "flags can contain PLEXINDEX_TABLE_FOLD_ASCII and PLEXINDEX_TABLE_LIMIT_ALL, not {flags:#x}"
            ));
        }
        *slot = opened.table(given, flags & fold != 0, flags & all != 0)?;
        Ok(Status::Ok)
    })
}

/// Fast lookup of a value. `name`: NUL-terminated; for a name with a NUL, use plexindex_table_get(). `out_value`: the
/// value, NUL-terminated, valid as long as a key of plexindex_lookup_key(); NULL if there is no value.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND if there is no value or it has expired; PLEXINDEX_NOT_YET if the value has
/// more than 1,000 bytes or contains a NUL, if a change could not be read in time, or for a NULL argument: then call
/// plexindex_table_get(). Waits no longer than plexindex_lookup_key().
///
/// # Safety
/// Pointers must be NULL or valid; `table` must be a handle to a table of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_table_lookup(
    table: *const TableHandle,
    name: *const c_char,
    out_value: *mut *const c_char,
) -> i32 {
    guard_value(Status::NotYet as i32, || {
        if out_value.is_null() || !out_value.is_aligned() {
            return Status::NotYet as i32;
        }
        // SAFETY: guaranteed by the caller.
        let (status, value) = unsafe { lookup_value(table, name) };
        // SAFETY: guaranteed by the caller.
        unsafe { *out_value = value };
        status as i32
    })
}

/// Looks up a value in memory. Returns `Ok` with the NUL-terminated value in this thread's memory; otherwise NULL, with
/// `NotFound` if there is no value, or `NotYet` if the caller must use the slower plexindex_table_get().
///
/// # Safety
/// `table` must be NULL or a handle to a table of an open index; `name` must be NULL or end in a NUL.
#[inline]
unsafe fn lookup_value(table: *const TableHandle, name: *const c_char) -> (Status, *const c_char) {
    let not_yet = (Status::NotYet, std::ptr::null());
    let table = table.cast::<Table>();
    if !table.is_aligned() || name.is_null() {
        return not_yet;
    }
    // SAFETY: guaranteed by the caller.
    let Some(table) = (unsafe { table.as_ref() }) else {
        return not_yet;
    };
    // SAFETY: guaranteed by the caller.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    match table.find(name, |value| store_thread_text([b"", value])) {
        Some(Some(value)) if !value.is_null() => (Status::Ok, value),
        Some(None) => (Status::NotFound, std::ptr::null()),
        _ => not_yet,
    }
}

/// Reads a value. `out_value`: the value, followed by a NUL that `length` does not count; NULL only checks for a value.
/// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND, also for an expired value; or PLEXINDEX_BUFFER_TOO_SMALL.
///
/// # Safety
/// Pointers must be NULL or valid; `table` must be a handle to a table of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_table_get(
    table: *const TableHandle,
    name: *const c_char,
    name_length: usize,
    out_value: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_output(error, out_value, || {
        check_aligned(out_value, "out_value")?;
        // SAFETY: guaranteed by the caller.
        let (table, name, value) = unsafe {
            (
                table_of_handle(table)?,
                bytes(name, name_length, "name")?,
                out_value.as_mut(),
            )
        };
        let Some(buffer) = value else {
            let length = table.get(name, 0, &mut |_| {})?;
            return Ok(length.map_or(Status::NotFound, |_| Status::Ok));
        };
        let mut written = None;
        let room = buffer.capacity.saturating_sub(1);
        let length = table.get(name, room, &mut |value| written = Some(write_bytes(buffer, value)))?;
        match (length, written) {
            (None, _) => Ok(Status::NotFound),
            (Some(_), Some(written)) => written,
            (Some(length), None) => set_needed_size(buffer, length),
        }
    })
}

/// Stores a value, and replaces any value with the same name. `ttl_ms`: time until the value expires, in ms; 0 for one
/// hour; or PLEXINDEX_TTL_AT_ONCE, PLEXINDEX_TTL_NEVER. `limit`: maximum size of the table in bytes, counting each
/// entry's name, its value and 64 bytes; 0 for no limit. Beyond the limit, plexindex removes the table's oldest entries,
/// but no entry from this call. Some calls also remove expired entries.
///
/// Returns PLEXINDEX_OK once all processes see the value; PLEXINDEX_INVALID_ARGUMENT, also for a name above 1 MiB or a
/// value above 900,000,000 bytes; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE; PLEXINDEX_STORE_FULL.
///
/// # Safety
/// Pointers must be NULL or valid; `table` must be a handle to a table of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_table_put(
    table: *const TableHandle,
    name: *const c_char,
    name_length: usize,
    value: *const c_char,
    value_length: usize,
    ttl_ms: i64,
    limit: u64,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        let (table, name, value) = unsafe {
            (
                table_of_handle(table)?,
                bytes(name, name_length, "name")?,
                bytes(value, value_length, "value")?,
            )
        };
        table.put(name, value, &table_limits(ttl_ms, limit)?)
    })
}

/// Removes an entry. Succeeds even if the entry does not exist.
///
/// # Safety
/// Pointers must be NULL or valid; `table` must be a handle to a table of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_table_remove(
    table: *const TableHandle,
    name: *const c_char,
    name_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        let (table, name) = unsafe { (table_of_handle(table)?, bytes(name, name_length, "name")?) };
        table.remove(name)
    })
}

/// Makes many changes in one transaction, in order: all or none. If a limit later removes one of the call's values from
/// a table, it removes all of them there. `ops`: `count` changes to this index's tables. `ttl_ms`, `limit` and the
/// statuses are as for plexindex_table_put().
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_table_write(
    handle: *const Handle,
    ops: *const TableOp,
    count: usize,
    ttl_ms: i64,
    limit: u64,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        let opened = unsafe { opened(handle) }?;
        if ops.is_null() && count > 0 {
            return Err(null_error("ops"));
        }
        let mut checked = try_with_capacity(count, "changes")?;
        for index in 0..count {
            // SAFETY: guaranteed by the caller; a pointer from another language may be misaligned.
            checked.push(unsafe { table_op(ops.add(index).read_unaligned(), index, opened.index().tables()) }?);
        }
        opened.index().tables().write(&checked, &table_limits(ttl_ms, limit)?)
    })
}

/// Converts the TTL in ms and the size limit in bytes of a write; a limit of 0 means no limit.
fn table_limits(ttl_ms: i64, limit: u64) -> Result<TableLimits> {
    Ok(TableLimits {
        ttl: ttl(ttl_ms, "ttl_ms")?,
        limit: (limit > 0).then_some(limit),
    })
}

/// Validates and converts a change to a table. `change_index` is the change's index, for error messages. `tables`: the
/// index's tables, to which the change's table must belong.
///
/// # Safety
/// The pointers in `given` must be NULL or valid.
unsafe fn table_op<'h>(given: TableOp, change_index: usize, tables: &Arc<Tables>) -> Result<Op<'h>> {
    let TableOp {
        kind,
        reserved,
        table,
        name,
        value,
    } = given;
    check_reserved(reserved, &format!("ops[{change_index}]"))?;
    // SAFETY: guaranteed by the caller.
    let table = unsafe { table_of_handle(table) }?;
    if !Arc::ptr_eq(table.tables(), tables) {
        return invalid_argument_error(format!(
            "ops[{change_index}].table belongs to another handle; get the table from plexindex_get_table() with this handle"
        ));
    }
    // SAFETY: guaranteed by the caller.
    let (name, value) = unsafe { (name.get("ops.name")?, value.get("ops.value")?) };
    match kind {
        c::PLEXINDEX_TABLE_PUT => Ok(Op::Put(table, name, value)),
        c::PLEXINDEX_TABLE_REMOVE if value.is_empty() => Ok(Op::Remove(table, name)),
        c::PLEXINDEX_TABLE_CLEAR if name.is_empty() && value.is_empty() => Ok(Op::Clear(table)),
        c::PLEXINDEX_TABLE_REMOVE | c::PLEXINDEX_TABLE_CLEAR => invalid_argument_error(format!(
            "ops[{change_index}] has a name or value, but its kind takes none; set the pointer to NULL and the length to 0"
        )),
        other => invalid_argument_error(format!(
            "ops[{change_index}].kind must be PLEXINDEX_TABLE_PUT, PLEXINDEX_TABLE_REMOVE or PLEXINDEX_TABLE_CLEAR, not \
             {other}"
        )),
    }
}

/// Returns the name of a table's next entry in byte order, skipping expired entries.
///
/// `after`: the name that the last call returned; NULL for the first name; for an empty name, a non-NULL pointer and 0.
/// `after` can be in `out_name`, whose memory PLEXINDEX_BUFFER_TOO_SMALL leaves unchanged but plexindex_buffer_grow()
/// can move. Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND after the last name; or PLEXINDEX_BUFFER_TOO_SMALL.
///
/// # Safety
/// Pointers must be NULL or valid; `table` must be a handle to a table of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_table_get_next(
    table: *const TableHandle,
    after: *const c_char,
    after_length: usize,
    out_name: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_name, "out_name", |name| {
        let is_first = after.is_null();
        // SAFETY: guaranteed by the caller.
        let (table, after) = unsafe { (table_of_handle(table)?, bytes(after, after_length, "after")?) };
        match table.next((!is_first).then_some(after))? {
            Some(next) => write_bytes(name, &next),
            None => Ok(Status::NotFound),
        }
    })
}
