//! Flows given to the kernel, and their accounts. Needs root.

mod host;

use std::time::Duration;

use host::{End, balanced, bpffs, bridge, now_ns, on_a_host, tcp};
use weir_xdp::program::{AttachMode, AttachOptions, Ended, Fail, Ports, frame_flow};
use weir_xdp_common::{Cause, Outcome};

#[test]
fn flows_are_bypassed_blocked_and_accounted_for() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let options = AttachOptions {
            fail: Fail::Closed,
            ..bridge(&path, AttachMode::Native)
        };
        let attached = Ports::attach(&options).expect("attached");
        let (client, server) = (End::of("client"), End::of("server"));
        let frame = tcp((1, 1000), (2, 80), 0x10);
        let back = tcp((2, 80), (1, 1000), 0x11);
        let key = frame_flow(&frame).expect("a flow").key;
        assert_eq!(frame_flow(&back).expect("a flow").key, key);
        attached.bypass(&key, now_ns()).expect("ordered");
        for _ in 0..3 {
            client.send(&frame);
            server.send(&back);
        }
        assert_eq!(server.received(&frame, 3), 3);
        assert_eq!(client.received(&back, 3), 3);
        // A new connection of the same ends is looked at: here, it fails closed.
        let open = tcp((1, 1000), (2, 80), 0x02);
        client.send(&open);
        client.send(&frame);
        assert_eq!(server.received(&frame, 0), 0);
        let sweep = attached.sweep(now_ns(), u64::MAX).expect("swept");
        assert_eq!((sweep.ended.len(), sweep.flows), (1, 0));
        let end = sweep.ended[0];
        assert_eq!(
            (end.key, end.why, end.packets, end.blocked),
            (key, Ended::Reopened, 6, false)
        );

        let until = now_ns() + 300_000_000;
        attached.bypass(&key, now_ns()).expect("ordered");
        attached.block(&key, now_ns(), until).expect("ordered");
        for _ in 0..4 {
            client.send(&frame);
        }
        assert_eq!(server.received(&frame, 0), 0);
        let sweep = attached.sweep(now_ns(), u64::MAX).expect("swept");
        assert_eq!((sweep.ended.len(), sweep.flows), (1, 1));
        assert_eq!(sweep.ended[0].why, Ended::Replaced);
        let counters = attached.counters().expect("counters");
        assert_eq!(counters.outcome(Outcome::Blocked).packets, 4);
        assert_eq!(counters.outcome(Outcome::Bypassed).packets, 6);
        assert_eq!(counters.outcome(Outcome::FailedClosed).packets, 2);
        assert_eq!(counters.cause(Cause::Reopened), 1);
        while now_ns() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        client.send(&frame);
        assert_eq!(server.received(&frame, 0), 0);
        let sweep = attached.sweep(now_ns(), u64::MAX).expect("swept");
        assert_eq!((sweep.ended.len(), sweep.flows), (1, 0));
        assert_eq!(
            (sweep.ended[0].why, sweep.ended[0].packets),
            (Ended::Expired, 4)
        );
        assert!(attached.sweep(now_ns(), 0).expect("swept").ended.is_empty());
        balanced(&attached);
        attached.detach().expect("detached");
    });
}

#[test]
fn flows_that_the_kernel_forgot_are_told() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let options = AttachOptions {
            flows: 64,
            ..bridge(&path, AttachMode::Native)
        };
        let attached = Ports::attach(&options).expect("attached");
        let mut left = 0;
        let mut ended = 0;
        for round in 0..4_u16 {
            for port in 0..64 {
                let frame = tcp((1, 1000 + round * 64 + port), (2, 80), 0x10);
                let flow = frame_flow(&frame).expect("a flow");
                attached.bypass(&flow.key, now_ns()).expect("ordered");
            }
            let sweep = attached.sweep(now_ns(), u64::MAX).expect("swept");
            assert!(sweep.ended.iter().all(|end| end.why == Ended::Evicted));
            (left, ended) = (sweep.flows, ended + sweep.ended.len());
        }
        assert_eq!(left + ended, 256);
        assert!(left <= 64 && attached.unnoted_flows() == 0, "{left}");
        attached.detach().expect("detached");
    });
}
