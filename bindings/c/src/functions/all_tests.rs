//! Calls every exported function with invalid arguments, and with a planted panic.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_void};
use std::mem::size_of;
use std::ops::Deref;
use std::ptr::{from_ref, null, null_mut, without_provenance, without_provenance_mut};

use super::*;
use crate::constants as c;
use crate::for_tests::{self, buffer, query, text};
use crate::guard::tests::{Plant, message, with_planted};
use crate::types::{
    AnswerRecord, Buffer, Bytes, CallOptionsRecord, FileRecord, Handle, ItemRecord, LibraryHandle, LogFn,
    OptionsRecord, QueryRecord, StatsRecord, TableHandle, TableOp, Text,
};
use plexindex::error::Status;
use serde_json::Value;

/// How an argument is invalid.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    /// A NULL pointer, or the lowest number.
    Null,
    /// A misaligned pointer to zeros.
    Odd,
    /// A pointer to bytes that are all 255, so that each size in them is the largest; or the highest number.
    Full,
}

/// The result of a function.
#[derive(Debug, PartialEq)]
enum Given {
    Status(i32),
    Number(u32),
    Text(*const c_char),
    /// The number of answers in a block; 0 without a block.
    Count(usize),
    Record(*const c_void),
}

macro_rules! given {
    ($($type:ty: $name:pat => $given:expr;)*) => {
        $(impl From<$type> for Given {
            fn from($name: $type) -> Self {
                $given
            }
        })*
    };
}

given! {
    i32: status => Self::Status(status);
    u32: number => Self::Number(number);
    usize: count => Self::Count(count);
    (): () => Self::Count(0);
    *const c_char: text => Self::Text(text);
    *const AnswerRecord: answer => Self::Record(answer.cast());
    *const ItemRecord: item => Self::Record(item.cast());
    *const FileRecord: file => Self::Record(file.cast());
}

/// An open index, and memory that calls may read and write.
struct Scene {
    open: for_tests::Scene,
    memory: RefCell<Vec<Box<[u64]>>>,
}

impl Deref for Scene {
    type Target = for_tests::Scene;

    fn deref(&self) -> &Self::Target {
        &self.open
    }
}

impl Scene {
    fn new() -> Self {
        Self {
            open: for_tests::Scene::new(),
            memory: RefCell::default(),
        }
    }

    fn put<T>(&self, value: T) -> *mut T {
        let place = self.bytes(0, 0).cast::<T>();
        // SAFETY: there is room, and it is aligned.
        unsafe { place.write(value) };
        place
    }

    /// Memory for any argument, filled with `byte` from an offset on, and ended by a NUL.
    fn bytes(&self, byte: u8, offset: usize) -> *mut u8 {
        let mut words = vec![u64::from_ne_bytes([byte; 8]); 1024].into_boxed_slice();
        words[1023] = 0;
        let place = words.as_mut_ptr().cast::<u8>();
        self.memory.borrow_mut().push(words);
        // SAFETY: within it.
        unsafe { place.add(offset) }
    }

    fn wrong<T>(&self, wrong: Wrong) -> *mut T {
        match wrong {
            Wrong::Null => null_mut(),
            Wrong::Odd => self.bytes(0, 1).cast(),
            Wrong::Full => self.bytes(0xff, 0).cast(),
        }
    }

    fn wrong_input<T>(&self, wrong: Wrong) -> *const T {
        self.wrong::<T>(wrong).cast_const()
    }

    /// Whether a buffer or a pointer still has the answer of an earlier call.
    fn has_old_answer(&self) -> bool {
        let is = |word: u64, old: usize| usize::try_from(word) == Ok(old);
        let memory = self.memory.borrow();
        let mut all = memory.iter();
        all.any(|words| is(words[2], OLD_ANSWER) || is(words[0], OLD_POINTER))
    }
}

/// The length of what an earlier call wrote to a buffer. No error has this length.
const OLD_ANSWER: usize = 4095;

/// The pointer that an earlier call wrote.
const OLD_POINTER: usize = 0x5a5a_5a50;

/// A type of argument, with its valid and invalid values.
trait Argument: Sized {
    fn good(scene: &Scene) -> Self;
    fn bad(scene: &Scene, wrong: Wrong) -> Option<Self>;
    /// Whether a misaligned value is refused, rather than accepted.
    const MUST_BE_ALIGNED: bool = false;
}

/// Implements [`Argument`] for types, with a valid value for each.
macro_rules! arguments {
    ($($type:ty, $good:expr, $bad:expr, $aligned:literal;)*) => {
        $(impl Argument for $type {
            fn good(scene: &Scene) -> Self {
                let good: fn(&Scene) -> Self = $good;
                good(scene)
            }

            fn bad(scene: &Scene, wrong: Wrong) -> Option<Self> {
                let bad: fn(&Scene, Wrong) -> Option<Self> = $bad;
                bad(scene, wrong)
            }

            const MUST_BE_ALIGNED: bool = $aligned;
        })*
    };
}

macro_rules! numbers {
    ($($type:ty, $good:expr;)*) => {
        arguments! {
            $($type, |_| $good, |_, wrong| match wrong {
                Wrong::Null => Some(<$type>::MIN),
                Wrong::Odd => None,
                Wrong::Full => Some(<$type>::MAX),
            }, false;)*
        }
    };
}

numbers! {
    i32, 0;
    u32, 0;
    i64, 0;
    u64, 0;
    usize, 1;
}

/// An invalid handle. A wrong pointer cannot be detected unless it is misaligned.
fn no_handle<T>(scene: &Scene, wrong: Wrong) -> Option<*mut T> {
    (wrong != Wrong::Full).then(|| scene.wrong(wrong))
}

extern "C" fn receive(_: *mut c_void, _: i32, _: *const c_char, _: usize) {}

arguments! {
    *const Handle, |scene| scene.handle, |scene, wrong| no_handle(scene, wrong).map(<*mut _>::cast_const), true;
    // NULL is the valid argument of plexindex_close(), as the scene's handle is needed later.
    *mut Handle, |_| null_mut(), no_handle, true;
    *const LibraryHandle, |scene| scene.library, |scene, wrong| no_handle(scene, wrong).map(<*mut _>::cast_const), true;
    *const TableHandle, |scene| scene.table, |scene, wrong| no_handle(scene, wrong).map(<*mut _>::cast_const), true;
    *mut *mut Handle, |scene| scene.put(without_provenance_mut(OLD_POINTER)), |scene, wrong| Some(scene.wrong(wrong)), true;
    *mut *const LibraryHandle, |scene| scene.put(without_provenance(OLD_POINTER)), |scene, wrong| Some(scene.wrong(wrong)), true;
    *mut *const TableHandle, |scene| scene.put(without_provenance(OLD_POINTER)), |scene, wrong| Some(scene.wrong(wrong)), true;
    *mut *const c_char, |scene| scene.put(null()), |scene, wrong| Some(scene.wrong(wrong)), true;
    *const c_char, |scene| scene.put([b'1', 0]).cast(), |scene, wrong| Some(scene.wrong_input(wrong)), false;
    *const OptionsRecord, |_| null(), |scene, wrong| Some(scene.wrong_input(wrong)), false;
    *const QueryRecord, |scene| scene.put(query(scene.library, SLASH)), |scene, wrong| Some(scene.wrong_input(wrong)), false;
    *const CallOptionsRecord, |_| null(), |scene, wrong| Some(scene.wrong_input(wrong)), false;
    *mut *mut c_char, |scene| scene.put(without_provenance_mut(OLD_POINTER)), |scene, wrong| Some(scene.wrong(wrong)), true;
    *mut c_char, |_| null_mut(), |_, _| None, false;
    *mut StatsRecord, |scene| scene.put(stats()), |scene, wrong| Some(scene.wrong(wrong)), false;
    *mut Buffer, |scene| scene.put(Buffer { length: OLD_ANSWER, ..buffer(scene.bytes(0, 0), 4096) }), |scene, wrong| Some(scene.wrong(wrong)), true;
    *const Buffer, |scene| scene.put(Buffer { length: 4096, ..buffer(scene.bytes(0, 0), 4096) }), |scene, wrong| Some(scene.wrong_input(wrong)), true;
    *const AnswerRecord, |scene| scene.put(AnswerRecord::default()), |scene, wrong| Some(scene.wrong_input(wrong)), false;
    *const ItemRecord, |scene| scene.put(ItemRecord::default()), |scene, wrong| Some(scene.wrong_input(wrong)), false;
    *const Text, |scene| scene.put(Text::default()), |scene, wrong| Some(scene.wrong_input(wrong)), false;
    *const TableOp, |scene| scene.put(op(scene.table)), |scene, wrong| Some(scene.wrong_input(wrong)), false;
    Option<LogFn>, |_| Some(receive), |_, wrong| (wrong == Wrong::Null).then_some(None), false;
    *mut c_void, |_| null_mut(), |_, _| None, false;
}

const SLASH: Bytes = text("/a\0");

fn stats() -> StatsRecord {
    // SAFETY: numbers and bytes, for which zero is a value.
    let zero = unsafe { std::mem::zeroed::<StatsRecord>() };
    StatsRecord {
        size: size_of::<StatsRecord>(),
        ..zero
    }
}

fn op(table: *const TableHandle) -> TableOp {
    TableOp {
        kind: c::PLEXINDEX_TABLE_PUT,
        reserved: 0,
        table,
        name: SLASH,
        value: SLASH,
    }
}

/// An exported function.
trait Function {
    /// How many arguments it takes.
    fn count(&self) -> usize;
    /// Returns whether this argument must be aligned.
    fn must_be_aligned(&self, argument: usize) -> bool;
    /// Calls it with one argument invalid; `None` if this argument cannot be invalid in this way.
    fn call(&self, scene: &Scene, wrong: Option<(usize, Wrong)>) -> Option<Given>;
}

macro_rules! callable {
    ($count:literal $(, $type:ident $at:literal)*) => {
        impl<R: Into<Given>, $($type: Argument),*> Function for unsafe extern "C" fn($($type),*) -> R {
            fn count(&self) -> usize {
                $count
            }

            fn must_be_aligned(&self, argument: usize) -> bool {
                match argument {
                    $($at => $type::MUST_BE_ALIGNED,)*
                    _ => unreachable!("it has no more arguments"),
                }
            }

            #[allow(non_snake_case, unused_variables)]
            fn call(&self, scene: &Scene, wrong: Option<(usize, Wrong)>) -> Option<Given> {
                $(let $type = match wrong {
                    Some(($at, how)) => $type::bad(scene, how)?,
                    _ => $type::good(scene),
                };)*
                // SAFETY: each pointer is NULL, or to memory of the scene, or misaligned.
                Some(unsafe { self($($type),*) }.into())
            }
        }
    };
}

callable!(0);
callable!(1, A 0);
callable!(2, A 0, B 1);
callable!(3, A 0, B 1, C 2);
callable!(4, A 0, B 1, C 2, D 3);
callable!(5, A 0, B 1, C 2, D 3, E 4);
callable!(6, A 0, B 1, C 2, D 3, E 4, F 5);
callable!(7, A 0, B 1, C 2, D 3, E 4, F 5, G 6);
callable!(8, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
callable!(9, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);

macro_rules! functions {
    ($($name:ident($($any:tt),*),)*) => {
        vec![$((
            stringify!($name),
            Box::new($name as unsafe extern "C" fn($($any),*) -> _) as Box<dyn Function>,
        )),*]
    };
}

/// Whether plexindex_table_lookup() finds a value. Its status has no text.
unsafe extern "C" fn table_lookup(table: *const TableHandle, name: *const c_char, value: *mut *const c_char) -> usize {
    // SAFETY: guaranteed by the caller.
    usize::from(unsafe { plexindex_table_lookup(table, name, value) } == Status::Ok as i32)
}

/// All of them.
fn functions() -> Vec<(&'static str, Box<dyn Function>)> {
    let lookup = table_lookup as unsafe extern "C" fn(_, _, _) -> _;
    let mut all: Vec<(_, Box<dyn Function>)> = vec![("plexindex_table_lookup", Box::new(lookup))];
    all.extend(functions![
        plexindex_get_abi_version(),
        plexindex_get_version(),
        plexindex_get_status_name(_),
        plexindex_open(_, _, _),
        plexindex_set_token(_, _, _, _),
        plexindex_close(_, _),
        plexindex_get_library(_, _, _, _, _, _),
        plexindex_lookup_key(_, _),
        plexindex_lookup_keys(_, _, _, _, _, _),
        plexindex_match_path(_, _, _, _),
        plexindex_match_paths(_, _, _, _, _),
        plexindex_count_answers(_),
        plexindex_get_answer(_, _),
        plexindex_get_sure_item(_, _),
        plexindex_get_candidate(_, _, _),
        plexindex_get_file(_, _),
        plexindex_get_text(_, _),
        plexindex_record_match(_, _, _, _, _, _, _),
        plexindex_record_matches(_, _, _, _, _, _, _, _, _),
        plexindex_invalidate_path(_, _, _, _),
        plexindex_invalidate_item(_, _, _, _),
        plexindex_invalidate_library(_, _),
        plexindex_clear(_, _),
        plexindex_refresh(_, _, _),
        plexindex_wake_waiting(_, _),
        plexindex_notify(_, _, _, _),
        plexindex_get_table(_, _, _, _, _, _),
        plexindex_table_get(_, _, _, _, _),
        plexindex_table_put(_, _, _, _, _, _, _, _),
        plexindex_table_remove(_, _, _, _),
        plexindex_table_write(_, _, _, _, _, _),
        plexindex_table_get_next(_, _, _, _, _),
        plexindex_get_stats(_, _, _),
        plexindex_drain_log(_, _, _),
        plexindex_call(_, _, _, _, _, _, _),
        plexindex_free(_),
    ]);
    all
}

/// The functions of the header.
fn declared() -> Value {
    let mut header: Value = serde_json::from_str(include_str!("../../../../include/plexindex.json")).expect("JSON");
    header["functions"].take()
}

#[test]
fn the_list_has_every_function_of_the_header() {
    let declared = declared();
    let declared: BTreeSet<&str> = declared
        .as_object()
        .expect("functions")
        .keys()
        .map(String::as_str)
        .collect();
    let listed: BTreeSet<&str> = functions().iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, declared);
}

/// Arguments that may be NULL: function, index of the argument, and the expected result.
const MAY_BE_NULL: [(&str, usize); 3] = [
    ("plexindex_close", 0),
    ("plexindex_call", 4),
    ("plexindex_table_get", 3),
];

#[test]
fn every_invalid_argument_gives_a_status() {
    let scene = Scene::new();
    let (declared, mut calls) = (declared(), 0);
    for (name, function) in functions() {
        for argument in 0..function.count() {
            for wrong in [Wrong::Null, Wrong::Odd, Wrong::Full] {
                scene.memory.borrow_mut().clear();
                let Some(given) = function.call(&scene, Some((argument, wrong))) else {
                    continue;
                };
                calls += 1;
                let what = format!("{name}, argument {argument} {wrong:?}: {given:?}, {}", message());
                let refuses = wrong == Wrong::Odd && function.must_be_aligned(argument);
                match given {
                    Given::Status(status) => {
                        let status = Status::from_number(status).expect(&what);
                        assert_ne!(status, Status::Panic, "{what}");
                        if status as i32 >= 100 {
                            assert!(!scene.has_old_answer(), "{what}");
                        }
                        if refuses {
                            assert_eq!(status, Status::InvalidArgument, "{what}");
                            assert!(message().contains("aligned"), "{what}");
                        }
                        if status == Status::NullPointer {
                            assert!(message().contains("NULL"), "{what}");
                            if wrong == Wrong::Null && name != "plexindex_open" {
                                let argument = &declared[name]["arguments"][argument]["name"];
                                assert!(message().contains(argument.as_str().expect("a name")), "{what}");
                            }
                            assert!(!MAY_BE_NULL.contains(&(name, argument)), "{what}");
                        }
                    }
                    Given::Text(text) => assert!(!refuses || text.is_null(), "{what}"),
                    Given::Number(number) => assert_eq!(number, c::PLEXINDEX_ABI_VERSION),
                    Given::Count(count) => assert_eq!(count, 0, "{what}"),
                    Given::Record(record) => assert!(record.is_null(), "{what}"),
                }
            }
        }
    }
    println!("{calls} calls");
    assert!(calls > 200, "{calls}");
}

/// Every function that returns a status has an error buffer, and fills it in.
#[test]
fn every_failure_writes_an_error_text() {
    let scene = Scene::new();
    let told = |text: &str| {
        // The buffer's memory is one of what the scene made for this call.
        let memory = scene.memory.borrow();
        memory.iter().any(|words| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            bytes.starts_with(text.as_bytes()) && bytes[text.len()] == 0
        })
    };
    for (name, function) in functions() {
        scene.memory.borrow_mut().clear();
        let given = with_planted(Plant::Before, || function.call(&scene, None)).expect("nothing is wrong");
        if let Given::Status(status) = given {
            assert_eq!(status, Status::Panic as i32, "{name}");
            assert!(told(&message()), "{name} takes no buffer for {}", message());
        }
    }
}

/// The library of a query is a pointer too.
#[test]
fn a_library_within_a_query_is_aligned() {
    let scene = Scene::new();
    let odd = scene.wrong::<LibraryHandle>(Wrong::Odd).cast_const();
    let query = query(odd, SLASH);
    // SAFETY: all of it is there but the library.
    let refused = unsafe { plexindex_refresh(scene.handle, from_ref(&query), null_mut()) };
    assert_eq!(refused, Status::InvalidArgument as i32);
    assert!(message().contains("aligned"), "{}", message());
}

/// A value needs its own length and a NUL.
#[test]
fn a_value_fits_into_a_buffer_that_is_one_byte_longer() {
    let scene = Scene::new();
    let (table, name, value) = (scene.table, c"n".as_ptr(), c"value");
    // SAFETY: all of it is there.
    let put = unsafe { plexindex_table_put(table, name, 1, value.as_ptr(), 5, 0, u64::MAX, null_mut()) };
    assert_eq!(put, Status::Ok as i32, "{}", message());
    for (capacity, status, length) in [(6, Status::Ok, 5), (5, Status::BufferTooSmall, 6)] {
        let data = scene.bytes(0xff, 0);
        let mut buffer = buffer(data, capacity);
        // SAFETY: as above.
        let got = unsafe { plexindex_table_get(table, name, 1, &raw mut buffer, null_mut()) };
        assert_eq!(got, status as i32, "{capacity}");
        assert_eq!(buffer.length, length, "{capacity}");
        // SAFETY: memory of the scene.
        assert_eq!(unsafe { *data.add(capacity) }, 0xff, "{capacity}");
    }
}

/// As the header promises, only another fast lookup ends the life of a key.
#[test]
fn a_key_lasts_until_the_next_fast_lookup() {
    let scene = Scene::new();
    let value = c"the value";
    // SAFETY: all of it is there.
    let kept = unsafe {
        let put = plexindex_table_put(
            scene.table,
            c"n".as_ptr(),
            1,
            value.as_ptr(),
            9,
            0,
            u64::MAX,
            null_mut(),
        );
        assert_eq!(put, Status::Ok as i32, "{}", message());
        // A full read brings the snapshot up to date, so that the fast lookup finds the value.
        let got = plexindex_table_get(scene.table, c"n".as_ptr(), 1, <*mut Buffer>::good(&scene), null_mut());
        assert_eq!(got, Status::Ok as i32);
        let mut kept = std::ptr::null();
        plexindex_table_lookup(scene.table, c"n".as_ptr(), &raw mut kept);
        assert!(!kept.is_null(), "{}", message());
        kept
    };
    let lookups = ["plexindex_lookup_key", "plexindex_table_lookup"];
    for (name, function) in functions() {
        let each =
            (0..function.count()).flat_map(|at| [Wrong::Null, Wrong::Odd, Wrong::Full].map(|wrong| Some((at, wrong))));
        let calls: Vec<_> = if function.count() == 0 {
            vec![None]
        } else {
            each.collect()
        };
        for wrong in calls {
            if !lookups.contains(&name) {
                function.call(&scene, wrong);
            }
            // SAFETY: a text of this thread.
            assert_eq!(unsafe { CStr::from_ptr(kept) }, value, "{name} {wrong:?}");
        }
    }
}

/// A panic becomes a status, or the value that stands for nothing; the handle can be used afterwards.
#[test]
fn a_panic_in_any_function_becomes_a_status() {
    for plant in [Plant::Before, Plant::After] {
        let scene = Scene::new();
        for (name, function) in functions() {
            let given = with_planted(plant, || function.call(&scene, None)).expect("nothing is wrong");
            match given {
                Given::Status(status) => {
                    assert_eq!(status, Status::Panic as i32, "{name}, {plant:?}");
                    assert!(message().contains("a bug in plexindex"), "{name}: {}", message());
                }
                Given::Number(number) => assert_eq!(number, 0, "{name}"),
                Given::Count(count) => assert_eq!(count, 0, "{name}"),
                Given::Record(record) => assert!(record.is_null(), "{name}"),
                Given::Text(text) if text.is_null() => {}
                Given::Text(text) => {
                    // SAFETY: NUL-terminated, static.
                    let text = unsafe { CStr::from_ptr(text) };
                    assert!([c"", c"UNKNOWN"].contains(&text), "{name}: {text:?}");
                }
            }
            let again = function.call(&scene, None);
            assert_ne!(
                again,
                Some(Given::Status(Status::Panic as i32)),
                "{name}: {}",
                message()
            );
        }
    }
}
