//! Frames that the kernel forwards and a port does not send. Needs root.

mod host;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use host::{End, balanced, bpffs, bridge, ip, mount_tracefs, on_a_host, tcp};
use weir_xdp::program::{AttachMode, Attached, Ports};
use weir_xdp_common::{Cause, Outcome};

/// One test at a time: what others lose within the same milliseconds may be taken for what a generic bridge lost.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn attach(path: &Path, mode: AttachMode) -> Attached {
    let attached = Ports::attach(&bridge(path, mode)).expect("attached");
    assert_eq!(attached.warnings(), Vec::<String>::new());
    assert!(attached.counts_unsent());
    attached
}

/// Of the frames that came on the ports: forwarded, and of those not sent.
fn forwarded(attached: &Attached) -> [(u64, u64); 2] {
    balanced(attached);
    let ports = attached.counters().expect("counters").ports;
    [0, 1].map(|port| {
        let port = &ports[port];
        (
            port.outcome(Outcome::FailedOpen).packets,
            port.cause(Cause::XmitDropped),
        )
    })
}

fn frame(bytes: usize) -> Vec<u8> {
    let mut frame = tcp((1, 1000), (2, 80), 0x10);
    frame.resize(bytes, 0);
    frame
}

fn what_is_not_sent(mode: AttachMode, mounted: bool) {
    let _alone = alone();
    on_a_host(1, move || {
        if mounted {
            mount_tracefs();
        }
        let (_folder, path) = bpffs();
        let attached = attach(&path, mode);
        let native = mode == AttachMode::Native;
        let (client, server) = (End::of("client"), End::of("server"));
        let send = |count: usize, bytes: usize| (0..count).for_each(|_| client.send(&frame(bytes)));
        let arrive = |wanted: usize| server.received(&frame(60), wanted);
        send(10, 60);
        assert_eq!(arrive(10), 10);
        assert_eq!(forwarded(&attached), [(10, 0), (0, 0)]);
        // Longer than the other port may send.
        ip("link set dev b mtu 500");
        send(7, 1000);
        send(1, 60);
        assert_eq!(arrive(1), 1);
        assert_eq!(forwarded(&attached), [(18, 7), (0, 0)]);
        // Without a process, too.
        attached.leave();
        send(2, 1000);
        let attached = self::attach(&path, mode);
        send(3, 1000);
        assert_eq!(forwarded(&attached), [(23, 12), (0, 0)]);
        ip("link set dev b mtu 1500");
        // Down, and then up with nobody at the other end.
        let mut dropped = 12;
        for (end, is_told) in [("b", true), ("server", native)] {
            ip(&format!("link set dev {end} down"));
            send(5, 60);
            ip(&format!("link set dev {end} up"));
            dropped += if is_told { 5 } else { 0 };
            assert_eq!(forwarded(&attached)[0].1, dropped, "{end} was down");
        }
        assert_eq!(forwarded(&attached)[0].0, 33);
        send(4, 60);
        assert_eq!(arrive(4), 4);
        assert_eq!(forwarded(&attached), [(37, dropped), (0, 0)]);
        attached.detach().expect("detached");
    });
}

#[test]
fn what_a_driver_does_not_send_is_counted() {
    what_is_not_sent(AttachMode::Native, false);
}

#[test]
fn what_the_network_stack_cannot_send_is_counted() {
    what_is_not_sent(AttachMode::Generic, true);
}

#[test]
fn what_bridges_of_other_networks_lose_is_not_ours() {
    let _alone = alone();
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let ours = attach(&path, AttachMode::Native);
        // Numbers of interfaces are those of ours.
        on_a_host(1, || {
            let (_folder, path) = bpffs();
            let theirs = attach(&path, AttachMode::Native);
            ip("link set dev server down");
            let client = End::of("client");
            for _ in 0..20 {
                client.send(&frame(60));
            }
            assert_eq!(forwarded(&theirs), [(20, 20), (0, 0)]);
            theirs.detach().expect("detached");
        });
        let (client, server) = (End::of("client"), End::of("server"));
        client.send(&frame(60));
        assert_eq!(server.received(&frame(60), 1), 1);
        assert_eq!(forwarded(&ours), [(1, 0), (0, 0)]);
        ours.detach().expect("detached");
    });
}
