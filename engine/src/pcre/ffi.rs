//! The calls into PCRE2: all of the `unsafe` there is, behind types that keep its rules.

use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use pcre2_sys::{
    PCRE2_ANCHORED, PCRE2_CASELESS, PCRE2_DOLLAR_ENDONLY, PCRE2_DOTALL, PCRE2_ERROR_JIT_STACKLIMIT,
    PCRE2_ERROR_NOMATCH, PCRE2_EXTENDED, PCRE2_INFO_CAPTURECOUNT, PCRE2_JIT_COMPLETE,
    PCRE2_MULTILINE, PCRE2_NO_AUTO_CAPTURE, PCRE2_NO_JIT, PCRE2_UNGREEDY, pcre2_code_8,
    pcre2_code_free_8, pcre2_compile_8, pcre2_get_error_message_8, pcre2_get_ovector_pointer_8,
    pcre2_jit_compile_8, pcre2_match_8, pcre2_match_context_8, pcre2_match_context_create_8,
    pcre2_match_context_free_8, pcre2_match_data_8, pcre2_match_data_create_8,
    pcre2_match_data_free_8, pcre2_pattern_info_8, pcre2_set_depth_limit_8, pcre2_set_heap_limit_8,
    pcre2_set_match_limit_8,
};

use super::Flags;

/// "Reference to non-existent subpattern", which a back-reference gets when groups do not capture.
const NO_SUCH_GROUP: c_int = 115;

/// Pairs of offsets that a match leaves: its own and those of the first group.
const PAIRS: u32 = 2;

/// A compiled pattern, with machine code from its first match on.
pub(super) struct Code {
    code: NonNull<pcre2_code_8>,
    /// Set once the pattern was offered to the JIT compiler, which changes it in place.
    jit: OnceLock<()>,
}

// SAFETY: a compiled pattern belongs to no thread, and after compilation PCRE2 only reads it (pcre2api, MULTITHREADING).
// The one later change, JIT compilation, happens inside `jit`, which every match waits for.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

/// Why a pattern was refused.
pub(super) struct Refused {
    error: c_int,
    offset: usize,
}

/// A match ended by a limit or an error.
pub(super) struct GaveUp;

impl Code {
    /// Compiles a pattern; `captures` lets plain groups capture.
    pub(super) fn compile(pattern: &[u8], flags: Flags, captures: bool) -> Result<Self, Refused> {
        let mut options = if captures { 0 } else { PCRE2_NO_AUTO_CAPTURE };
        for (set, option) in [
            (flags.caseless, PCRE2_CASELESS),
            (flags.dotall, PCRE2_DOTALL),
            (flags.multiline, PCRE2_MULTILINE),
            (flags.extended, PCRE2_EXTENDED),
            (flags.anchored, PCRE2_ANCHORED),
            (flags.dollar_endonly, PCRE2_DOLLAR_ENDONLY),
            (flags.ungreedy, PCRE2_UNGREEDY),
        ] {
            if set {
                options |= option;
            }
        }
        let (mut error, mut offset) = (0, 0);
        // SAFETY: pointer and length are those of `pattern`, which PCRE2 copies from; `error` and `offset` are written
        // to; a null context asks for the defaults.
        let code = unsafe {
            pcre2_compile_8(
                pattern.as_ptr(),
                pattern.len(),
                options,
                &mut error,
                &mut offset,
                ptr::null_mut(),
            )
        };
        let code = NonNull::new(code).ok_or(Refused { error, offset })?;
        Ok(Self {
            code,
            jit: OnceLock::new(),
        })
    }

    /// First match at or after `start`, which is at most the subject's length.
    pub(super) fn find(
        &self,
        subject: &[u8],
        start: usize,
        matching: &mut Matching,
    ) -> Result<Option<(usize, usize)>, GaveUp> {
        let found = self.search(subject, start, matching)?;
        Ok(found.map(|_| {
            // SAFETY: there is a match.
            let [start, end] = unsafe { matching.pair(0) };
            // A `\K` in a look-around, which this version of PCRE2 refuses, could put the beginning after the end: such a
            // match would be taken to be empty.
            (start.min(end), end)
        }))
    }

    /// What the first group captures in the first match.
    pub(super) fn find_group(
        &self,
        subject: &[u8],
        matching: &mut Matching,
    ) -> Result<Option<(usize, usize)>, GaveUp> {
        // A pattern without groups, or a match that needs none, sets one pair only.
        let Some(_) = self
            .search(subject, 0, matching)?
            .filter(|&pairs| pairs != 1)
        else {
            return Ok(None);
        };
        // SAFETY: there is a match, and it set more than its own pair.
        let [start, end] = unsafe { matching.pair(1) };
        // A group that has no part in the match has offsets beyond any subject.
        Ok((start <= end && end <= subject.len()).then_some((start, end)))
    }

    /// How many groups capture.
    pub(super) fn groups(&self) -> u32 {
        let mut count = 0u32;
        // SAFETY: the pattern is alive, and this kind of information is a `uint32_t`, which `count` has room for.
        unsafe {
            pcre2_pattern_info_8(
                self.code.as_ptr(),
                PCRE2_INFO_CAPTURECOUNT,
                (&raw mut count).cast(),
            )
        };
        count
    }

    /// Looks for the first match at or after `start`: how many pairs of offsets it set, 0 for more than there is room for.
    fn search(
        &self,
        subject: &[u8],
        start: usize,
        matching: &mut Matching,
    ) -> Result<Option<c_int>, GaveUp> {
        self.jit.get_or_init(|| {
            // SAFETY: the pattern is alive, and no one matches with it before `jit` is set. A pattern that the
            // compiler cannot take stays as it is, and is interpreted: the result does not matter.
            unsafe { pcre2_jit_compile_8(self.code.as_ptr(), PCRE2_JIT_COMPLETE) };
        });
        let mut result = self.run(subject, start, 0, matching);
        if result == PCRE2_ERROR_JIT_STACKLIMIT {
            result = self.run(subject, start, PCRE2_NO_JIT, matching);
        }
        match result {
            0.. => Ok(Some(result)),
            PCRE2_ERROR_NOMATCH => Ok(None),
            _ => Err(GaveUp),
        }
    }

    fn run(&self, subject: &[u8], start: usize, options: u32, matching: &mut Matching) -> c_int {
        debug_assert!(start <= subject.len());
        // SAFETY: the pattern is alive and no longer changes; pointer and length are those of `subject` (never null);
        // match data and context are alive and `matching` is borrowed for this call alone.
        unsafe {
            pcre2_match_8(
                self.code.as_ptr(),
                subject.as_ptr(),
                subject.len(),
                start,
                options,
                matching.data.as_ptr(),
                matching.context.as_ptr(),
            )
        }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: it came from `pcre2_compile_8` and is freed once; its machine code goes with it.
        unsafe { pcre2_code_free_8(self.code.as_ptr()) }
    }
}

impl Refused {
    /// True when the pattern may compile with capturing groups.
    pub(super) fn wants_captures(&self) -> bool {
        self.error == NO_SUCH_GROUP
    }

    /// Byte offset in the pattern.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// PCRE2's words.
    pub(super) fn message(&self) -> String {
        let mut text = [0u8; 256];
        // SAFETY: the buffer's pointer and length; PCRE2 writes at most that much.
        let written =
            unsafe { pcre2_get_error_message_8(self.error, text.as_mut_ptr(), text.len()) };
        let text = usize::try_from(written)
            .ok()
            .and_then(|length| text.get(..length));
        String::from_utf8_lossy(text.unwrap_or(b"unknown error")).into_owned()
    }
}

/// Match data (the offsets of one match, and the interpreter's heap) and match context (the limits).
#[derive(Debug)]
pub(super) struct Matching {
    data: NonNull<pcre2_match_data_8>,
    context: NonNull<pcre2_match_context_8>,
}

// SAFETY: both are plain memory that belongs to no thread, and reached only through `&mut`.
unsafe impl Send for Matching {}

impl Matching {
    pub(super) fn new(match_limit: u32, depth_limit: u32, heap_limit: u32) -> Self {
        // SAFETY: null asks for the default allocator.
        let data = NonNull::new(unsafe { pcre2_match_data_create_8(PAIRS, ptr::null_mut()) });
        // SAFETY: as above.
        let context = NonNull::new(unsafe { pcre2_match_context_create_8(ptr::null_mut()) });
        let (Some(data), Some(context)) = (data, context) else {
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<[usize; 32]>());
        };
        // SAFETY: `context` was just made; setting a limit cannot fail.
        unsafe {
            pcre2_set_match_limit_8(context.as_ptr(), match_limit);
            pcre2_set_depth_limit_8(context.as_ptr(), depth_limit);
            pcre2_set_heap_limit_8(context.as_ptr(), heap_limit);
        }
        Self { data, context }
    }

    /// The offsets of the last match (0), or of its first group (1).
    ///
    /// # Safety
    ///
    /// The last match set them: there was one, and its result was not 1 when the group is asked for.
    unsafe fn pair(&self, index: usize) -> [usize; 2] {
        debug_assert!(index < PAIRS as usize);
        // SAFETY: the match data is alive.
        let offsets = unsafe { pcre2_get_ovector_pointer_8(self.data.as_ptr()) };
        // SAFETY: the data has room for `PAIRS` of them, and the caller knows that this one is set.
        unsafe { offsets.cast::<[usize; 2]>().add(index).read() }
    }
}

impl Drop for Matching {
    fn drop(&mut self) {
        // SAFETY: both came from their `create` and are freed once.
        unsafe {
            pcre2_match_data_free_8(self.data.as_ptr());
            pcre2_match_context_free_8(self.context.as_ptr());
        }
    }
}
