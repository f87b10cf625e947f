//! What is given up is given up by all threads. A program of its own: what it gives up does not come back.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::thread::{CapabilitySet, capabilities};
use weir_xdp::privileges::{KEPT, give_up_others};

/// A field of every thread's status.
fn of_threads(field: &str) -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").expect("there are threads");
    let status = threads.map(|thread| {
        let path = thread.expect("a thread").path().join("status");
        std::fs::read_to_string(path).unwrap_or_default()
    });
    let of = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.map(|value| value.trim().to_owned())
    };
    status.filter_map(of).collect()
}

#[test]
fn no_thread_keeps_more_than_ports_take() {
    let before = capabilities(None).expect("it may ask");
    if KEPT.contains(before.permitted) {
        let why = "there is nothing to give up: this is not root";
        assert!(
            std::env::var_os("WEIR_CI").is_none_or(|v| v != "1"),
            "may not be skipped in CI: {why}"
        );
        eprintln!("skipped: {why}");
        return;
    }
    let over = AtomicBool::new(false);
    let (mut near, far) = UnixStream::pair().expect("a pair");
    std::thread::scope(|scope| {
        // One that works, one that sleeps, and one that waits for bytes and must get them.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let reader = scope.spawn(move || {
            let mut bytes = [0; 3];
            near.read_exact(&mut bytes).map(|()| bytes)
        });
        std::thread::sleep(Duration::from_millis(50));
        give_up_others().expect("nothing keeps it from giving up");
        let kept = before.permitted.intersection(KEPT).bits();
        for (field, mask) in [("CapPrm:", kept), ("CapEff:", kept), ("CapInh:", 0)] {
            let threads = of_threads(field);
            assert!(threads.len() >= 4, "{threads:?}");
            for thread in threads {
                let has = u64::from_str_radix(&thread, 16).expect("a mask");
                assert_eq!(has & !mask, 0, "{field} {thread}");
            }
        }
        assert!(of_threads("NoNewPrivs:").iter().all(|set| set == "1"));
        if before.permitted.contains(CapabilitySet::SETPCAP) {
            for thread in of_threads("CapBnd:") {
                let may = u64::from_str_radix(&thread, 16).expect("a mask");
                assert_eq!(may & !KEPT.bits(), 0, "{thread}");
            }
        }
        // What starts later has no more.
        let later = scope.spawn(|| capabilities(None).expect("it may ask"));
        let later = later.join().expect("it ended well");
        assert_eq!(later.permitted.bits(), kept);
        std::io::Write::write_all(&mut &far, b"yes").expect("written");
        let read = reader.join().expect("it ended well");
        assert_eq!(&read.expect("it was not interrupted"), b"yes");
        over.store(true, Ordering::Relaxed);
    });
    // A second time there is nothing to do.
    give_up_others().expect("nothing keeps it from giving up");
}
