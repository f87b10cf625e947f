//! Sweeps of a table that cannot be read, or not as a whole. Needs root.

use std::os::fd::{AsRawFd, OwnedFd};

use weir_xdp_common::TCP;

use super::super::object::load;
use super::super::tests::on_interfaces;
use super::*;

fn key(port: u16) -> FlowKey {
    let ends = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|address| (address.into(), port));
    FlowKey::between(ends[0], ends[1], TCP, 0, 0).expect("a flow")
}

fn order(action: u32) -> FlowEntry {
    FlowEntry {
        action,
        packets: 3,
        until_ns: u64::MAX,
        ..FlowEntry::default()
    }
}

/// Puts what `from` is in the place of what `to` is.
fn put(from: &impl AsRawFd, to: &Orders) {
    // SAFETY: two descriptors of ours; the second one's owner stays its owner.
    let put = unsafe { libc::dup2(from.as_raw_fd(), to.flows.as_fd().as_raw_fd()) };
    assert!(put >= 0, "{}", io::Error::last_os_error());
}

#[test]
fn what_a_sweep_that_fails_had_found_is_told_by_the_next_and_once() {
    on_interfaces(|_| {
        let loaded = load(None, 64).expect("the kernel takes the program");
        let orders = Orders::new(&loaded.maps).expect("opened");
        for port in 0..3 {
            orders.give(&key(port), order(action::BLOCK)).expect("told");
        }
        orders.sweep(0, 0).expect("swept");
        orders.give(&key(0), order(action::BYPASS)).expect("told");
        orders.give(&key(9), order(action::BLOCK)).expect("told");
        let nothing = std::fs::File::open("/dev/null").expect("opened");
        let table: OwnedFd = orders.flows.as_fd().try_clone_to_owned().expect("copied");
        put(&nothing, &orders);
        for _ in 0..2 {
            orders.sweep(0, 0).expect_err("there is no table");
        }
        put(&table, &orders);
        // Gone before a sweep has seen it: it was given, and is missed.
        orders.flows.take(&key(9)).expect("taken");
        let sweep = orders.sweep(0, 0).expect("swept");
        let mut ended: Vec<_> = sweep.ended.iter().map(|end| (end.key, end.why)).collect();
        ended.sort_by_key(|(_, why)| *why == Ended::Evicted);
        assert_eq!(ended, [(key(0), Ended::Replaced), (key(9), Ended::Evicted)]);
        assert_eq!(sweep.flows, 3);
        let again = orders.sweep(0, u64::MAX).expect("swept");
        assert_eq!((again.ended.len(), again.flows), (0, 3));
    });
}

#[test]
fn flows_that_a_walk_does_not_come_to_are_not_taken_for_forgotten() {
    on_interfaces(|_| {
        let loaded = load(None, 64).expect("the kernel takes the program");
        let mut orders = Orders::new(&loaded.maps).expect("opened");
        for port in 0..10 {
            orders.give(&key(port), order(action::BLOCK)).expect("told");
        }
        assert_eq!(orders.sweep(0, 0).expect("swept").flows, 10);
        // As after many that came and went: two steps, and it is over.
        orders.capacity = 1;
        let sweep = orders.sweep(0, 0).expect("swept");
        assert_eq!((sweep.ended.len(), sweep.flows), (0, 10));
        let sweep = orders.sweep(u64::MAX, 0).expect("swept");
        let expired = |end: &FlowEnd| end.why == Ended::Expired && end.packets == 3;
        assert_eq!((sweep.ended.len(), sweep.flows), (10, 0));
        assert!(sweep.ended.iter().all(expired), "{sweep:?}");
    });
}
