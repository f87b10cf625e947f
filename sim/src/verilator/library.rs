//! The compiled model's C interface: the one place with `unsafe`.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use libloading::{Library, Symbol};

use super::build::Trace;
use crate::SimError;

/// Ends a run when all accesses are done.
pub const UNTIL_OPS: u32 = 1;
/// Ends a run when all input is taken.
pub const UNTIL_TAKEN: u32 = 2;
/// Ends a run when a unit's worth of output has come.
pub const UNTIL_OUTPUT: u32 = 4;

/// A register access, as the shim lays it out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Op {
    pub write: u32,
    pub address: u32,
    pub value: u32,
    pub strobe: u32,
    pub address_after: u32,
    pub data_after: u32,
    pub response_after: u32,
}

/// What a run is given, and what it did, as the shim lays it out.
#[repr(C)]
struct Run {
    cycles: u64,
    input: *const u8,
    input_bytes: u64,
    offer: *const u64,
    accept: *const u64,
    output: *mut u8,
    output_room: u64,
    ops: *mut Op,
    op_count: u64,
    until: u32,
    faults: u32,
    ran: u64,
    taken: u64,
    made: u64,
    ops_done: u64,
    idle: u64,
    stalls: u64,
    out_stalls: u64,
}

/// What a run is given.
pub struct Given<'a> {
    /// Cycles at most.
    pub cycles: u64,
    /// Whole beats; nothing is taken of a beat that is not whole.
    pub input: &'a [u8],
    /// A bit a cycle: a beat may be offered. `None`: always. Cycles beyond it are not run.
    pub offer: Option<&'a [u64]>,
    /// A bit a cycle: output may be taken.
    pub accept: Option<&'a [u64]>,
    /// Where output goes; what does not fit waits in the core.
    pub output: &'a mut [u8],
    /// Register accesses, one after another.
    pub ops: &'a mut [Op],
    /// `UNTIL_…`, any of them.
    pub until: u32,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Did {
    /// Cycles.
    pub ran: u64,
    /// Bytes of input.
    pub taken: usize,
    /// Bytes of output.
    pub made: usize,
    /// Accesses done.
    pub ops: usize,
    /// Cycles in which a beat was there and not offered.
    pub idle: u64,
    /// Cycles in which a beat was offered and not taken.
    pub stalls: u64,
    /// Cycles in which output was offered and not taken.
    pub out_stalls: u64,
    /// Rules of the interfaces that the core broke, as bits.
    pub faults: u32,
}

type Create = unsafe extern "C" fn(u64) -> *mut c_void;
type Destroy = unsafe extern "C" fn(*mut c_void);
type ErrorText = unsafe extern "C" fn(*const c_void) -> *const c_char;
type Forget = unsafe extern "C" fn(*mut c_void);
type Cycle = unsafe extern "C" fn(*const c_void) -> u64;
type Reset = unsafe extern "C" fn(*mut c_void, u64) -> c_int;
type RunCore = unsafe extern "C" fn(*mut c_void, *mut Run) -> c_int;
type TraceTo = unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int;

/// An instance of a compiled model.
pub struct Instance {
    core: NonNull<c_void>,
    destroy: Destroy,
    error: ErrorText,
    cycle: Cycle,
    forget: Forget,
    reset: Reset,
    run: RunCore,
    trace: TraceTo,
    lanes: usize,
    /// Keeps the code there; dropped last.
    _library: Library,
    /// A core may be handed to another thread, but is used by one at a time.
    _not_sync: PhantomData<*mut c_void>,
}

// SAFETY: an instance owns its `VerilatedContext` and model, which hold nothing of a thread; calls need `&mut`, or read
// a counter or a string that only such calls change.
unsafe impl Send for Instance {}

impl Instance {
    /// Loads a model made by [`super::build::Recipe::build`]. Registers without an initial value are drawn from `seed`; with
    /// 0 they are zero.
    pub fn load(path: &Path, lanes: usize, trace: Trace, seed: u64) -> Result<Self, SimError> {
        let wrong = |why: String| SimError::Library {
            path: PathBuf::from(path),
            why,
        };
        let refused = |why: libloading::Error| wrong(why.to_string());
        // SAFETY: the file was compiled from the shim and Verilator's output under a name that is the hash of its sources;
        // loading it runs the C++ runtime's constructors, which have no conditions.
        let library = unsafe { Library::new(path) }.map_err(refused)?;
        // SAFETY: the types are those of the shim's definitions.
        let layout: u64 = unsafe {
            let layout: Symbol<'_, unsafe extern "C" fn() -> u64> =
                library.get(b"weir_layout\0").map_err(refused)?;
            layout()
        };
        let expected = size_of::<Run>() as u64
            | (size_of::<Op>() as u64) << 16
            | (lanes as u64) << 32
            | u64::from(trace as u8) << 48;
        if layout != expected {
            return Err(wrong(format!(
                "layout {layout:x} where {expected:x} is expected"
            )));
        }
        // SAFETY: the types are those of the shim's definitions, whose layout was just compared; `library` outlives
        // the function pointers, because both stand in this struct and nothing hands the pointers out.
        let (create, destroy, error, cycle, forget, reset, run, trace) = unsafe {
            (
                *library.get::<Create>(b"weir_create\0").map_err(refused)?,
                *library.get::<Destroy>(b"weir_destroy\0").map_err(refused)?,
                *library.get::<ErrorText>(b"weir_error\0").map_err(refused)?,
                *library.get::<Cycle>(b"weir_cycle\0").map_err(refused)?,
                *library.get::<Forget>(b"weir_forget\0").map_err(refused)?,
                *library.get::<Reset>(b"weir_reset\0").map_err(refused)?,
                *library.get::<RunCore>(b"weir_run\0").map_err(refused)?,
                *library.get::<TraceTo>(b"weir_trace\0").map_err(refused)?,
            )
        };
        // SAFETY: has no conditions.
        let core = unsafe { create(seed) };
        let core = NonNull::new(core).ok_or_else(|| wrong("no memory for a core".to_owned()))?;
        Ok(Self {
            core,
            destroy,
            error,
            cycle,
            forget,
            reset,
            run,
            trace,
            lanes,
            _library: library,
            _not_sync: PhantomData,
        })
    }

    /// Clock cycles so far.
    pub fn cycle(&self) -> u64 {
        // SAFETY: `core` is alive until drop.
        unsafe { (self.cycle)(self.core.as_ptr()) }
    }

    /// Forgets what output has begun: what comes next begins a unit.
    pub fn forget(&mut self) {
        // SAFETY: `core` is alive until drop.
        unsafe { (self.forget)(self.core.as_ptr()) };
    }

    /// Holds the reset for so many cycles.
    pub fn reset(&mut self, cycles: u64) -> Result<(), SimError> {
        // SAFETY: `core` is alive until drop.
        let status = unsafe { (self.reset)(self.core.as_ptr(), cycles) };
        self.check(status)
    }

    /// Runs.
    pub fn run(&mut self, given: Given<'_>) -> Result<Did, SimError> {
        let schedules = [given.offer, given.accept];
        let scheduled = schedules.into_iter().flatten().map(<[u64]>::len).min();
        let cycles = scheduled.map_or(given.cycles, |words| given.cycles.min(words as u64 * 64));
        let pointer = |schedule: Option<&[u64]>| schedule.map_or(std::ptr::null(), <[u64]>::as_ptr);
        let whole = given.input.len() / self.lanes * self.lanes;
        let mut run = Run {
            cycles,
            input: given.input.as_ptr(),
            input_bytes: whole as u64,
            offer: pointer(given.offer),
            accept: pointer(given.accept),
            output: given.output.as_mut_ptr(),
            output_room: given.output.len() as u64,
            ops: given.ops.as_mut_ptr(),
            op_count: given.ops.len() as u64,
            until: given.until,
            faults: 0,
            ran: 0,
            taken: 0,
            made: 0,
            ops_done: 0,
            idle: 0,
            stalls: 0,
            out_stalls: 0,
        };
        // SAFETY: `core` is alive until drop; the pointers are of slices that are borrowed for the call, with their
        // lengths, within which the shim stays: it takes whole beats of `input`, writes whole beats of `output` while there is room,
        // looks at the schedules for the first `cycles` bits only, and at `op_count` accesses.
        let status = unsafe { (self.run)(self.core.as_ptr(), &raw mut run) };
        self.check(status)?;
        Ok(Did {
            ran: run.ran,
            taken: run.taken as usize,
            made: run.made as usize,
            ops: run.ops_done as usize,
            idle: run.idle,
            stalls: run.stalls,
            out_stalls: run.out_stalls,
            faults: run.faults,
        })
    }

    /// Starts a waveform in this file, or ends it.
    pub fn trace(&mut self, path: Option<&Path>) -> Result<(), SimError> {
        let name = path.map(|path| CString::new(path.as_os_str().as_encoded_bytes()));
        let name = name.transpose().map_err(|why| SimError::Library {
            path: path.map(PathBuf::from).unwrap_or_default(),
            why: why.to_string(),
        })?;
        let name = name.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
        // SAFETY: `core` is alive until drop; `name` is null or a string that lives until the call is over.
        let status = unsafe { (self.trace)(self.core.as_ptr(), name) };
        self.check(status)
    }

    fn check(&self, status: c_int) -> Result<(), SimError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: `core` is alive until drop; the text is the core's own and ends with a zero.
        let text = unsafe { CStr::from_ptr((self.error)(self.core.as_ptr())) };
        Err(SimError::Circuit {
            cycle: self.cycle(),
            what: text.to_string_lossy().into_owned(),
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: `core` came from `create`, is destroyed once, and the library is still loaded.
        unsafe { (self.destroy)(self.core.as_ptr()) };
    }
}
