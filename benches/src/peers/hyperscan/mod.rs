//! libhs: Hyperscan, or its portable descendant Vectorscan.

mod ffi;

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr;

use weir_engine::matcher::{Hit, Probe};

use crate::BenchError;
use crate::contender::Contender;

/// What `hs_version()` says, such as `5.4.0 2023-03-26`.
pub fn version() -> String {
    // SAFETY: the function takes nothing and returns a pointer to a constant string that ends with 0.
    let text = unsafe { CStr::from_ptr(ffi::hs_version()) };
    format!("libhs {}", text.to_string_lossy())
}

/// Which of the two is installed. They have the same interface, and Vectorscan's numbers go on where Hyperscan's ended for its
/// free version: 5.4.0 to 5.4.2 are Hyperscan's, Debian's Vectorscan begins at 5.4.8.
pub fn name() -> &'static str {
    let version = version();
    let patch = version
        .trim_start_matches("libhs 5.4.")
        .split(|byte: char| !byte.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse::<u32>().ok());
    match patch {
        Some(patch) if patch > 2 => "vectorscan",
        _ => "hyperscan",
    }
}

/// A database in block mode and its scratch space; `None` without probes, which libhs does not take.
pub struct Hyperscan(Option<Compiled>);

struct Compiled {
    /// From `hs_compile_lit_multi`; freed when this is dropped.
    database: *mut ffi::Database,
    /// From `hs_alloc_scratch` for this database; freed when this is dropped.
    scratch: *mut ffi::Scratch,
}

impl Drop for Compiled {
    fn drop(&mut self) {
        // SAFETY: both are null or came from libhs, are freed nowhere else, and no scan is under way.
        unsafe {
            ffi::hs_free_scratch(self.scratch);
            ffi::hs_free_database(self.database);
        }
    }
}

fn failed(what: &str, code: c_int) -> BenchError {
    BenchError::contender(name(), format!("{what} returned {code}"))
}

impl Hyperscan {
    /// Compiles all probes into one database.
    ///
    /// # Errors
    ///
    /// What libhs says: the processor lacks SSSE3, or a set is too large.
    pub fn new(probes: &[Probe]) -> Result<Self, BenchError> {
        if probes.is_empty() {
            return Ok(Self(None));
        }
        // SAFETY: the function takes nothing.
        let valid = unsafe { ffi::hs_valid_platform() };
        if valid != ffi::SUCCESS {
            return Err(failed("hs_valid_platform", valid));
        }
        let literals: Vec<*const c_char> = probes
            .iter()
            .map(|probe| probe.bytes().as_ptr().cast())
            .collect();
        let lengths: Vec<usize> = probes.iter().map(|probe| probe.bytes().len()).collect();
        let ids: Vec<c_uint> = (0..).take(probes.len()).collect();
        let flags: Vec<c_uint> = probes
            .iter()
            .map(|probe| {
                let case = if probe.folded() {
                    ffi::FLAG_CASELESS
                } else {
                    0
                };
                ffi::FLAG_SINGLEMATCH | case
            })
            .collect();
        let mut compiled = Compiled {
            database: ptr::null_mut(),
            scratch: ptr::null_mut(),
        };
        let mut error = ptr::null_mut();
        // SAFETY: the four arrays have `ids.len()` elements each; every literal points into `probes` and has as many bytes
        // as its length says; both places to write to are valid; a null platform is the present one.
        let code = unsafe {
            ffi::hs_compile_lit_multi(
                literals.as_ptr(),
                flags.as_ptr(),
                ids.as_ptr(),
                lengths.as_ptr(),
                ids.len() as c_uint,
                ffi::MODE_BLOCK,
                ptr::null(),
                &mut compiled.database,
                &mut error,
            )
        };
        if code != ffi::SUCCESS {
            return Err(take_error(error));
        }
        // SAFETY: the database is compiled, and a null scratch asks for a new one.
        let code = unsafe { ffi::hs_alloc_scratch(compiled.database, &mut compiled.scratch) };
        if code != ffi::SUCCESS {
            return Err(failed("hs_alloc_scratch", code));
        }
        Ok(Self(Some(compiled)))
    }
}

/// What a compile error says; frees it.
fn take_error(error: *mut ffi::CompileError) -> BenchError {
    if error.is_null() {
        return BenchError::contender(name(), "compiling failed without a reason");
    }
    // SAFETY: libhs set it, its message ends with 0, and it is freed once, after the message was copied.
    let text = unsafe {
        let text = CStr::from_ptr((*error).message)
            .to_string_lossy()
            .into_owned();
        ffi::hs_free_compile_error(error);
        text
    };
    BenchError::contender(name(), text)
}

/// Puts a match into the vector that `context` points to.
///
/// # Safety
///
/// `context` is a `*mut Vec<Hit>` that nothing else uses while the scan runs.
unsafe extern "C" fn on_match(
    id: c_uint,
    _start: c_ulonglong,
    end: c_ulonglong,
    _flags: c_uint,
    context: *mut c_void,
) -> c_int {
    // SAFETY: by this function's contract.
    let found = unsafe { &mut *context.cast::<Vec<Hit>>() };
    found.push(Hit {
        probe: id,
        end: end as u32,
    });
    0
}

impl Contender for Hyperscan {
    fn scan(&mut self, data: &[u8], found: &mut Vec<Hit>) -> Result<(), BenchError> {
        let Some(compiled) = &self.0 else {
            return Ok(());
        };
        let length = c_uint::try_from(data.len())
            .map_err(|_| BenchError::contender(name(), "a buffer of 4 GiB or more"))?;
        let context: *mut Vec<Hit> = found;
        // SAFETY: database and scratch belong together, and `&mut self` keeps other scans from the scratch; `data` has
        // `length` bytes; `on_match` gets the vector that is borrowed for this call alone.
        let code = unsafe {
            ffi::hs_scan(
                compiled.database,
                data.as_ptr().cast(),
                length,
                0,
                compiled.scratch,
                on_match,
                context.cast(),
            )
        };
        if code == ffi::SUCCESS {
            Ok(())
        } else {
            Err(failed("hs_scan", code))
        }
    }

    fn table_bytes(&self) -> Option<usize> {
        let Some(compiled) = &self.0 else {
            return Some(0);
        };
        let (mut database, mut scratch) = (0, 0);
        // SAFETY: both came from libhs, and both sizes can be written to.
        let codes = unsafe {
            [
                ffi::hs_database_size(compiled.database, &mut database),
                ffi::hs_scratch_size(compiled.scratch, &mut scratch),
            ]
        };
        (codes == [ffi::SUCCESS; 2]).then_some(database + scratch)
    }
}
