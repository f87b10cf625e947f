//! The few functions of libhs that are used, as `hs_compile.h` and `hs_runtime.h` of version 5 declare them.

use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};

/// `hs_database_t`
#[repr(C)]
pub struct Database([u8; 0]);

/// `hs_scratch_t`
#[repr(C)]
pub struct Scratch([u8; 0]);

/// `hs_compile_error_t`
#[repr(C)]
pub struct CompileError {
    /// A text that ends with 0.
    pub message: *mut c_char,
    /// Index of the expression, negative if none is to blame.
    pub expression: c_int,
}

/// `match_event_handler`: id, start, end, flags, context; what is not 0 ends the scan.
pub type OnMatch =
    unsafe extern "C" fn(c_uint, c_ulonglong, c_ulonglong, c_uint, *mut c_void) -> c_int;

pub const SUCCESS: c_int = 0;
pub const FLAG_CASELESS: c_uint = 1;
pub const FLAG_SINGLEMATCH: c_uint = 8;
pub const MODE_BLOCK: c_uint = 1;

unsafe extern "C" {
    pub fn hs_version() -> *const c_char;
    pub fn hs_valid_platform() -> c_int;
    pub fn hs_compile_lit_multi(
        expressions: *const *const c_char,
        flags: *const c_uint,
        ids: *const c_uint,
        lengths: *const usize,
        elements: c_uint,
        mode: c_uint,
        platform: *const c_void,
        database: *mut *mut Database,
        error: *mut *mut CompileError,
    ) -> c_int;
    pub fn hs_compile_multi(
        expressions: *const *const c_char,
        flags: *const c_uint,
        ids: *const c_uint,
        elements: c_uint,
        mode: c_uint,
        platform: *const c_void,
        database: *mut *mut Database,
        error: *mut *mut CompileError,
    ) -> c_int;
    pub fn hs_free_compile_error(error: *mut CompileError) -> c_int;
    pub fn hs_free_database(database: *mut Database) -> c_int;
    pub fn hs_database_size(database: *const Database, size: *mut usize) -> c_int;
    pub fn hs_alloc_scratch(database: *const Database, scratch: *mut *mut Scratch) -> c_int;
    pub fn hs_free_scratch(scratch: *mut Scratch) -> c_int;
    pub fn hs_scratch_size(scratch: *const Scratch, size: *mut usize) -> c_int;
    pub fn hs_scan(
        database: *const Database,
        data: *const c_char,
        length: c_uint,
        flags: c_uint,
        scratch: *mut Scratch,
        on_match: OnMatch,
        context: *mut c_void,
    ) -> c_int;
}
