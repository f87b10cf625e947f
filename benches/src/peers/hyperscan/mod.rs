//! libhs: Hyperscan, or its portable descendant Vectorscan.

mod ffi;

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulonglong, c_void};
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
        // Vectorscan 5.4.9 takes a literal that begins with a zero byte for an empty one.
        let database = compile_literals(probes).or_else(|_| compile_expressions(probes))?;
        Self::with(database)
    }

    /// Takes a database over and allocates its scratch space.
    fn with(database: *mut ffi::Database) -> Result<Self, BenchError> {
        let mut compiled = Compiled {
            database,
            scratch: ptr::null_mut(),
        };
        // SAFETY: the database is compiled, and a null scratch asks for a new one.
        let code = unsafe { ffi::hs_alloc_scratch(compiled.database, &mut compiled.scratch) };
        if code != ffi::SUCCESS {
            return Err(failed("hs_alloc_scratch", code));
        }
        Ok(Self(Some(compiled)))
    }
}

/// A number and flags for each probe.
fn ids_and_flags(probes: &[Probe]) -> (Vec<c_uint>, Vec<c_uint>) {
    let flags = |probe: &Probe| {
        let case = if probe.folded() {
            ffi::FLAG_CASELESS
        } else {
            0
        };
        ffi::FLAG_SINGLEMATCH | case
    };
    (0..).zip(probes.iter().map(flags)).unzip()
}

/// By the interface for literals.
fn compile_literals(probes: &[Probe]) -> Result<*mut ffi::Database, BenchError> {
    let literals: Vec<*const c_char> = probes
        .iter()
        .map(|probe| probe.bytes().as_ptr().cast())
        .collect();
    let lengths: Vec<usize> = probes.iter().map(|probe| probe.bytes().len()).collect();
    let (ids, flags) = ids_and_flags(probes);
    let (mut database, mut error) = (ptr::null_mut(), ptr::null_mut());
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
            &mut database,
            &mut error,
        )
    };
    result(code, database, error)
}

/// By the interface for regular expressions, every byte as `\xNN`.
fn compile_expressions(probes: &[Probe]) -> Result<*mut ffi::Database, BenchError> {
    let texts: Vec<CString> = probes
        .iter()
        .map(|probe| {
            let bytes = probe.bytes().iter();
            let text: String = bytes.map(|byte| format!("\\x{byte:02x}")).collect();
            CString::new(text).unwrap_or_default()
        })
        .collect();
    let expressions: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    let (ids, flags) = ids_and_flags(probes);
    let (mut database, mut error) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the three arrays have `ids.len()` elements each; every expression ends with 0 and lives in `texts`; both
    // places to write to are valid; a null platform is the present one.
    let code = unsafe {
        ffi::hs_compile_multi(
            expressions.as_ptr(),
            flags.as_ptr(),
            ids.as_ptr(),
            ids.len() as c_uint,
            ffi::MODE_BLOCK,
            ptr::null(),
            &mut database,
            &mut error,
        )
    };
    result(code, database, error)
}

/// What compiling gave: the database, or what is wrong.
fn result(
    code: c_int,
    database: *mut ffi::Database,
    error: *mut ffi::CompileError,
) -> Result<*mut ffi::Database, BenchError> {
    if code == ffi::SUCCESS {
        Ok(database)
    } else {
        Err(take_error(error))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_compile_find_the_same() {
        let probe = |literal: &[u8], folded| Probe::new(literal, folded, 1).expect("short");
        let probes = [
            probe(b"a\\.*", false),
            probe(b"\xffAb\x80", true),
            probe(b"{[(^$|", false),
            probe(b"zero\0", true),
        ];
        let data = b"a\\.* \xffaB\x80 {[(^$| ZERO\0 zero\0";
        let want = [(0, 4), (1, 9), (2, 16), (3, 22)];
        for compile in [compile_literals, compile_expressions] {
            let database = compile(&probes).expect("it compiles");
            let mut matcher = Hyperscan::with(database).expect("scratch");
            let mut found = Vec::new();
            matcher.scan(data, &mut found).expect("it finishes");
            found.sort_unstable();
            let found: Vec<_> = found.iter().map(|hit| (hit.probe, hit.end)).collect();
            assert_eq!(found, want);
        }
    }
}
