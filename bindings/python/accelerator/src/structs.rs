//! Structs of `plexindex.h`; a test of bindings/c compares them with the library's.

use std::ffi::{c_char, c_void};

/// `plexindex_buffer`.
#[repr(C)]
pub struct Buffer {
    pub data: *mut c_char,
    pub capacity: usize,
    pub length: usize,
}

/// `plexindex_query`.
#[repr(C)]
pub struct Query {
    pub size: usize,
    pub library: *const c_void,
    pub text: *const c_char,
    pub length: usize,
    pub timeout_ms: i64,
    pub flags: u32,
    pub reserved: u32,
    pub progress: *const c_void,
    pub progress_user: *mut c_void,
    pub file_size: u64,
}
