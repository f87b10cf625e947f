//! Room to put a core together.

/// Stack in bytes: a circuit is one value that is moved about while it is made, and with 64 lanes larger than a main thread's stack.
const STACK: usize = 1 << 30;

/// Runs `work` on a stack that holds the widest core.
///
/// # Errors
///
/// In words, when there is no such thread, or `work` panicked.
pub fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(|error| format!("no thread to put the core together on: {error}"))?
            .join()
            .map_err(|_| "the thread that put the core together ended early".to_owned())
    })
}
