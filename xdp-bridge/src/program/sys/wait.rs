//! Waiting for programs that run.

use std::io;
use std::time::Duration;

/// Longer than any program runs, with the handling of packets that it is part of (two jiffies, or 20 ms where a kernel counts
/// slowly).
const LONG: Duration = Duration::from_millis(100);

/// Waits until every program that was running has ended.
pub(in super::super) fn wait_for_programs() -> io::Result<()> {
    const GLOBAL: libc::c_int = 1;
    // SAFETY: membarrier(2) without addresses.
    let done = match unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    or_long_enough(done)
}

/// A kernel that keeps CPUs free of its clock (`nohz_full`) has no such call, and neither has one without membarrier(2).
fn or_long_enough(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
            std::thread::sleep(LONG);
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_without_the_call_are_waited_for() {
        for (errno, waits) in [
            (libc::EINVAL, true),
            (libc::ENOSYS, true),
            (libc::EPERM, false),
        ] {
            let began = std::time::Instant::now();
            let done = or_long_enough(Err(io::Error::from_raw_os_error(errno)));
            assert_eq!((done.is_ok(), began.elapsed() >= LONG), (waits, waits));
        }
        wait_for_programs().expect("this kernel can be waited for");
    }
}
