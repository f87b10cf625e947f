//! What a process with ports may do, and what it gives up.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

use crate::failure::Failure;

/// What goes on being needed: ports that come back are attached to anew, with memory that is locked, and flows are left to the kernel.
const KEPT: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::IPC_LOCK)
    .union(CapabilitySet::BPF);

/// Gives up all capabilities but those that ports take, for this thread and those that it starts from now on. Files that are
/// written later must be the user's own.
///
/// # Errors
/// When the kernel does not let go of them.
pub fn give_up_others() -> Result<(), Failure> {
    let failed = |error: rustix::io::Errno| {
        Failure::Failed(format!(
            "cannot give up capabilities that are not needed: {error}"
        ))
    };
    let had = capabilities(None).map_err(failed)?;
    if had.permitted.contains(CapabilitySet::SETPCAP) {
        for one in CapabilitySet::all().difference(KEPT) {
            // Older kernels do not know all of them.
            match remove_capability_from_bounding_set(one) {
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    set_no_new_privs(true).map_err(failed)?;
    let kept = CapabilitySets {
        effective: had.effective.intersection(KEPT),
        permitted: had.permitted.intersection(KEPT),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, kept).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_what_ports_take_and_no_more() {
        // A thread of its own: what is given up does not come back.
        let left = std::thread::spawn(|| {
            give_up_others().expect("nothing keeps it from giving up");
            capabilities(None).expect("it may ask")
        });
        let left = left.join().expect("it did not panic");
        assert_eq!(left.permitted.difference(KEPT), CapabilitySet::empty());
        assert_eq!(left.effective.difference(KEPT), CapabilitySet::empty());
        assert_eq!(left.inheritable, CapabilitySet::empty());
        let before = capabilities(None).expect("it may ask");
        assert_eq!(
            left.permitted,
            before.permitted.intersection(KEPT),
            "what is needed stays"
        );
    }
}
