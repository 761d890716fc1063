//! Rows of a statement, handed over while `SQLite` is at them.
//!
//! To step to a row and to ask for its cells, one after the other, takes as long as to find the row. So a statement calls a
//! function with the cells of each, as the last of its conditions, and steps to none: the condition holds where no more rows are
//! wanted, and the statement comes back then.

use std::any::Any;
use std::cell::Cell;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rusqlite::ffi::{
    SQLITE_BLOB, SQLITE_DIRECTONLY, SQLITE_FLOAT, SQLITE_INTEGER, SQLITE_OK, SQLITE_TEXT, SQLITE_UTF8, sqlite3_context,
    sqlite3_create_function_v2, sqlite3_result_int, sqlite3_value, sqlite3_value_blob, sqlite3_value_bytes,
    sqlite3_value_double, sqlite3_value_int64, sqlite3_value_text, sqlite3_value_type,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Statement};

/// The cells of a row, for as long as it is handed over.
pub struct Cells<'r>(&'r [*mut sqlite3_value]);

impl<'r> Cells<'r> {
    /// The cell at this place of those that the statement hands over; beyond them there is nothing.
    #[inline]
    #[must_use]
    pub fn get(&self, place: usize) -> ValueRef<'r> {
        let Some(&value) = self.0.get(place) else {
            return ValueRef::Null;
        };
        // SAFETY: SQLite's values live while the function is called with them, as long as `'r`. Asked for the same text again it
        // gives the same memory.
        unsafe {
            let bytes = |from: *const u8| match usize::try_from(sqlite3_value_bytes(value)) {
                Ok(length) if !from.is_null() => std::slice::from_raw_parts(from, length),
                _ => &[],
            };
            match sqlite3_value_type(value) {
                SQLITE_INTEGER => ValueRef::Integer(sqlite3_value_int64(value)),
                SQLITE_FLOAT => ValueRef::Real(sqlite3_value_double(value)),
                SQLITE_TEXT => ValueRef::Text(bytes(sqlite3_value_text(value))),
                SQLITE_BLOB => ValueRef::Blob(bytes(sqlite3_value_blob(value).cast())),
                _ => ValueRef::Null,
            }
        }
    }

    /// A whole number; 0 where there is none. For numbers of rows.
    #[inline]
    #[must_use]
    pub fn id(&self, place: usize) -> i64 {
        match self.get(place) {
            ValueRef::Integer(number) => number,
            _ => 0,
        }
    }
}

/// What rows are handed to: it says whether it wants more.
struct Taker<'t> {
    take: &'t mut dyn FnMut(&Cells<'_>) -> bool,
    panic: Option<Box<dyn Any + Send>>,
}

thread_local! {
    /// To whom this thread's statement hands its rows now.
    static TAKER: Cell<*mut Taker<'static>> = const { Cell::new(std::ptr::null_mut()) };
}

/// Gives a connection the function `hand`.
///
/// # Errors
/// `SQLite` has no memory for it.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    // SAFETY: the connection is open, and the function stays where it is for as long as SQLite's code does.
    let made = unsafe {
        sqlite3_create_function_v2(
            connection.handle(),
            c"hand".as_ptr(),
            -1,
            SQLITE_UTF8 | SQLITE_DIRECTONLY,
            std::ptr::null_mut(),
            Some(hand),
            None,
            None,
            None,
        )
    };
    if made == SQLITE_OK {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(made), None))
}

/// Runs a statement with the condition `hand(…)`: each row's cells are handed to `take`, in the order in which they are found,
/// until it wants no more. Conditions that stand beside it may not have been looked at, but for ranges of an index.
///
/// # Errors
/// `SQLite`'s.
pub fn each(
    statement: &mut Statement<'_>,
    with: impl Params,
    take: &mut dyn FnMut(&Cells<'_>) -> bool,
) -> rusqlite::Result<()> {
    let mut taker = Taker { take, panic: None };
    let own: *mut Taker<'_> = &raw mut taker;
    let before = TAKER.replace(own.cast());
    let done = statement.query(with).and_then(|mut rows| rows.next().map(|_| ()));
    TAKER.set(before);
    if let Some(panic) = taker.panic {
        resume_unwind(panic);
    }
    done
}

/// 1: no more. The statement comes back at once then.
unsafe extern "C" fn hand(context: *mut sqlite3_context, count: c_int, cells: *mut *mut sqlite3_value) {
    let taker = TAKER.replace(std::ptr::null_mut());
    // SAFETY: `each` waits for the statement, so what it put there lives, and none else has it: it was taken out. SQLite hands
    // over so many values, and a context that takes a result.
    unsafe {
        let cells = match usize::try_from(count) {
            Ok(count) if count > 0 => Cells(std::slice::from_raw_parts(cells, count)),
            _ => Cells(&[]),
        };
        let more = taker.as_mut().is_some_and(|taker| {
            // A panic must not unwind SQLite's frames.
            catch_unwind(AssertUnwindSafe(|| (taker.take)(&cells))).unwrap_or_else(|panic| {
                taker.panic = Some(panic);
                false
            })
        });
        sqlite3_result_int(context, c_int::from(!more));
    }
    TAKER.set(taker);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: i64) -> Connection {
        let connection = Connection::open_in_memory().expect("opened");
        connection
            .execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, x)")
            .expect("made");
        for n in 1..=count {
            connection
                .execute("INSERT INTO t VALUES (?1, 'text ' || ?1)", [n])
                .expect("written");
        }
        prepare(&connection).expect("prepared");
        connection
    }

    #[test]
    fn rows_come_until_no_more_are_wanted() {
        let connection = numbers(10);
        let mut statement = connection
            .prepare("SELECT 1 FROM t WHERE n > ?1 AND hand(n, x, NULL, 1.5, x'00ff')")
            .expect("prepared");
        for most in [1, 3, 100] {
            let mut seen = Vec::new();
            each(&mut statement, [4], &mut |cells| {
                assert_eq!(cells.get(2), ValueRef::Null);
                assert_eq!(cells.get(3), ValueRef::Real(1.5));
                assert_eq!(cells.get(4), ValueRef::Blob(b"\0\xff"));
                assert_eq!(cells.get(5), ValueRef::Null);
                seen.push((cells.id(0), cells.get(1).as_str().expect("a text").to_owned()));
                seen.len() < most
            })
            .expect("read");
            let expected: Vec<_> = (5..=10).take(most).map(|n| (n, format!("text {n}"))).collect();
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn a_panic_goes_on_in_who_reads_and_leaves_nothing_behind() {
        let connection = numbers(3);
        let mut statement = connection.prepare("SELECT 1 FROM t WHERE hand(n)").expect("prepared");
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            each(&mut statement, [], &mut |_| panic!("within a row"))
        }));
        assert!(panicked.is_err());
        let mut count = 0;
        each(&mut statement, [], &mut |_| {
            count += 1;
            true
        })
        .expect("read");
        assert_eq!(count, 3);
        // A statement whose rows are taken by none calls no other one's taker.
        assert!(
            connection
                .query_row("SELECT hand(1)", [], |row| row.get::<_, bool>(0))
                .expect("no more")
        );
    }
}
