//! What another process, or another version, left on the ports is taken over, replaced, or removed. Needs root.

mod host;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::EbpfLoader;
use aya::maps::{Array, Map, MapData};
use aya::programs::Xdp;
use aya::programs::links::{FdLink, PinnedLink};
use host::{
    End, balanced, bpffs, bridge, cable, ip, kept_at, now_ns, on_a_host, say_ready, start_another,
    tcp, unbound_xsk,
};
use weir_xdp::interface::Facts;
use weir_xdp::program::{AttachMode, Ended, Error, Lost, Ports, detach, frame_flow};
use weir_xdp_common::{
    COUNTERS, Cause, FLOWS, Outcome, PEERS, PROGRAM, Record, SETTINGS, Settings, Tally, WORKERS,
    XSKS,
};

/// Not a test: the process that the tests below start, and kill.
#[test]
#[ignore = "started by other tests"]
fn another_weir() {
    let path = PathBuf::from(std::env::var_os("WEIR_TEST_BPFFS").expect("a folder"));
    let attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("attached");
    let socket = unbound_xsk();
    attached.set_socket(0, 0, socket.as_fd()).expect("set");
    let cell = attached.cell(0).expect("a cell");
    // It took three frames and finished one.
    cell.add(0, Tally::Received, 3);
    cell.add(0, Tally::Passed, 1);
    let flow = frame_flow(&tcp((1, 1), (2, 2), 0x10)).expect("a flow");
    attached.bypass(&flow.key, now_ns()).expect("ordered");
    say_ready(&path);
    // Should nobody kill it, it ends by itself.
    for _ in 0..60_000 {
        cell.beat(now_ns());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_a_killed_process_leaves_goes_on_and_is_adopted_with_its_losses() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let mut child = start_another("another_weir", &path, &[]);
        let (client, server) = (End::of("client"), End::of("server"));
        let frame = tcp((1, 1000), (2, 80), 0x10);
        // Before it is killed it takes eight; afterwards they go on without it.
        for _ in 0..8 {
            client.send(&frame);
        }
        assert_eq!(server.received(&frame, 0), 0);
        match Ports::attach(&bridge(&path, AttachMode::Native)) {
            Err(Error::InUse { pid, .. }) => assert_eq!(pid, Some(child.id().cast_signed())),
            other => panic!("{other:?}"),
        }
        assert!(matches!(detach("b", &path), Err(Error::InUse { .. })));
        child.kill().expect("killed");
        child.wait().expect("gone");
        for _ in 0..4 {
            client.send(&frame);
        }
        assert_eq!(server.received(&frame, 4), 4);
        let bypassed = tcp((1, 1), (2, 2), 0x10);
        client.send(&bypassed);
        assert_eq!(server.received(&bypassed, 1), 1);

        let attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("adopted");
        let adopted = attached.adopted().expect("adopted").clone();
        assert_eq!(adopted.pid, child.id());
        let lost = Lost {
            in_rings: 5,
            in_hands: 2,
        };
        assert_eq!(adopted.lost, [lost, Lost::default()]);
        assert_eq!((adopted.flows, adopted.replaced), (1, false));
        assert_eq!(attached.tally(0, Tally::LostInRings), 5);
        let kernel = attached.counters().expect("counters");
        assert_eq!(kernel.outcome(Outcome::ToUser).packets, 8);
        assert_eq!(kernel.outcome(Outcome::FailedOpen).packets, 4);
        assert_eq!(kernel.outcome(Outcome::Bypassed).packets, 1);
        assert_eq!(kernel.cause(Cause::NoSocket) + kernel.cause(Cause::Late), 4);
        balanced(&attached);
        // The flow is still known, and its account is told when it is over.
        let sweep = attached.sweep(now_ns(), 0).expect("swept");
        let [end] = sweep.ended.as_slice() else {
            panic!("{sweep:?}");
        };
        assert_eq!((end.why, end.packets, end.bytes), (Ended::Idle, 1, 60));

        // What is left by going, and adopted again, has lost nothing more.
        attached.leave();
        let again = Ports::attach(&bridge(&path, AttachMode::Native)).expect("adopted again");
        assert_eq!(again.adopted().expect("adopted").lost, [Lost::default(); 2]);
        drop(again);
        let detached = detach("b", &path).expect("detached");
        assert_eq!(detached.interfaces, ["a", "b"]);
        let facts = Facts::by_name("a").expect("asked").expect("there");
        assert!(facts.program.is_none() && !facts.promiscuous);
    });
}

#[test]
fn what_cannot_be_taken_over_is_made_anew_and_said() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        Ports::attach(&bridge(&path, AttachMode::Native))
            .expect("attached")
            .leave();
        let folder = kept_at(&path);
        std::fs::remove_file(folder.join("COUNTERS")).expect("removed");
        let attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("attached");
        assert!(attached.adopted().is_none());
        let said = |w: &String| w.contains("made anew") && w.contains("1 of its maps");
        assert!(
            attached.warnings().iter().any(said),
            "{:?}",
            attached.warnings()
        );
        assert!(
            Facts::by_name("b")
                .expect("asked")
                .expect("there")
                .promiscuous
        );
        let (client, server) = (End::of("client"), End::of("server"));
        let frame = tcp((1, 1000), (2, 80), 0x10);
        client.send(&frame);
        assert_eq!(server.received(&frame, 1), 1);
        balanced(&attached);
        attached.detach().expect("detached");
        assert!(
            !Facts::by_name("b")
                .expect("asked")
                .expect("there")
                .promiscuous
        );
    });
}

/// The program as another version might have it, on the same maps: it serves a queue less than 64.
fn put_another_version(folder: &Path) {
    // `if w? > 63`, of 32 bits or of 64, whatever the register and wherever it leads.
    let mut object = aya::include_bytes_aligned!("../weir.bpf.o").to_vec();
    let limits: Vec<usize> = (0..object.len() - 8)
        .filter(|&at| matches!(object[at], 0x25 | 0x26) && object[at + 4..at + 8] == [63, 0, 0, 0])
        .collect();
    assert!(!limits.is_empty(), "the program has its limit");
    for at in limits {
        object[at + 4] = 62;
    }
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    for map in [SETTINGS, WORKERS, COUNTERS, XSKS, PEERS, FLOWS] {
        loader.map_pin_path(map, folder.join(map));
    }
    let mut ebpf = loader.load(&object).expect("an object");
    let program: &mut Xdp = ebpf
        .program_mut(PROGRAM)
        .expect("there")
        .try_into()
        .expect("XDP");
    program.load().expect("the kernel takes it, too");
    for port in ["port-0", "port-1"] {
        let link = PinnedLink::from_pin(folder.join(port)).expect("a link");
        let link = FdLink::from(link).try_into().expect("of XDP");
        program.attach_to_link(link).expect("put there");
    }
}

#[test]
fn another_program_is_replaced_in_the_middle_of_traffic() {
    const FRAMES: usize = 2000;
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("attached");
        let bypassed = tcp((1, 1), (2, 2), 0x10);
        let key = frame_flow(&bypassed).expect("a flow").key;
        attached.bypass(&key, now_ns()).expect("ordered");
        attached.leave();
        put_another_version(&kept_at(&path));
        let server = End::of("server");
        let frame = tcp((1, 1000), (2, 80), 0x10);
        let (arrived, attached) = std::thread::scope(|scope| {
            scope.spawn(|| {
                let client = End::of("client");
                for _ in 0..FRAMES {
                    client.send(&frame);
                    std::thread::sleep(Duration::from_micros(50));
                }
            });
            let adopter = scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                Ports::attach(&bridge(&path, AttachMode::Native)).expect("adopted")
            });
            let arrived = server.received(&frame, FRAMES);
            (arrived, adopter.join().expect("no panic"))
        });
        let adopted = attached.adopted().expect("adopted");
        assert!(adopted.replaced);
        assert_eq!(
            (adopted.lost.as_slice(), adopted.flows),
            (&[Lost::default(); 2][..], 1)
        );
        assert_eq!(arrived, FRAMES, "none was lost between the two");
        let client = End::of("client");
        client.send(&bypassed);
        assert_eq!(server.received(&bypassed, 1), 1);
        let kernel = attached.counters().expect("counters").ports[0];
        assert_eq!(kernel.received.packets, FRAMES as u64 + 1);
        assert_eq!(kernel.outcome(Outcome::FailedOpen).packets, FRAMES as u64);
        assert_eq!(kernel.outcome(Outcome::Bypassed).packets, 1);
        balanced(&attached);
        // Now it is ours.
        attached.leave();
        let again = Ports::attach(&bridge(&path, AttachMode::Native)).expect("adopted");
        assert!(again.adopted().is_some_and(|adopted| !adopted.replaced));
        again.detach().expect("detached");
    });
}

#[test]
fn a_port_that_is_another_interface_now_is_not_another_program() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("attached");
        attached.leave();
        ip("link del dev a");
        cable("a", "client", 1);
        let attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("adopted");
        assert!(attached.adopted().is_some_and(|adopted| !adopted.replaced));
        let (client, server) = (End::of("client"), End::of("server"));
        let frame = tcp((1, 1000), (2, 80), 0x10);
        client.send(&frame);
        assert_eq!(server.received(&frame, 1), 1);
        // What was changed on it is put back under whatever name it has then.
        drop(attached);
        ip("link set dev a down");
        ip("link set dev a name c");
        let detached = detach("a", &path).expect("detached");
        assert_eq!(detached.problems, Vec::<String>::new());
    });
}

#[test]
fn a_mode_that_cannot_be_had_takes_nothing_away() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        // Too long for the driver, which says so only when it is asked.
        for name in ["client", "a"] {
            ip(&format!("link set dev {name} mtu 9000"));
        }
        let attached = Ports::attach(&bridge(&path, AttachMode::Generic)).expect("attached");
        attached.leave();
        let refused = Ports::attach(&bridge(&path, AttachMode::Native));
        assert!(
            matches!(refused, Err(Error::NoNative { .. })),
            "{refused:?}"
        );
        let (client, server) = (End::of("client"), End::of("server"));
        let frame = tcp((1, 1000), (2, 80), 0x10);
        client.send(&frame);
        assert_eq!(server.received(&frame, 1), 1, "it still fails open");
        let attached = Ports::attach(&bridge(&path, AttachMode::Auto)).expect("adopted");
        assert!(attached.adopted().is_some_and(|adopted| !adopted.replaced));
        let kernel = attached.counters().expect("counters");
        assert_eq!(kernel.outcome(Outcome::FailedOpen).packets, 1);
        assert_eq!(attached.detach().expect("detached"), Vec::<String>::new());
    });
}

/// One call of bpf(2), whose argument is made of 32-bit words.
fn bpf(command: libc::c_int, words: &[u32]) -> libc::c_long {
    // SAFETY: as long as it is said to be; what it points to is alive (see the caller).
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, words.as_ptr(), size_of_val(words)) };
    assert!(done >= 0, "{}", std::io::Error::last_os_error());
    done
}

/// Puts an array with one element of these bytes in the place of the settings.
fn put_settings(folder: &Path, value: &[u8]) {
    let pointer = |at: u64| [at as u32, (at >> 32) as u32];
    let map = bpf(0, &[2, 4, value.len() as u32, 1, 0]) as i32;
    // SAFETY: just made.
    let map = unsafe { OwnedFd::from_raw_fd(map) };
    let fd = map.as_raw_fd().unsigned_abs();
    let zero = 0_u32;
    let ([k, key], [v, high]) = (
        pointer(std::ptr::from_ref(&zero) as u64),
        pointer(value.as_ptr() as u64),
    );
    bpf(2, &[fd, 0, k, key, v, high, 0, 0]);
    let path = folder.join(SETTINGS);
    std::fs::remove_file(&path).expect("removed");
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
    let [low, high] = pointer(name.as_ptr() as u64);
    bpf(6, &[low, high, fd, 0]);
}

/// Settings of another version: they begin like ours, but for the number.
fn settings_of_another_version(folder: &Path, bytes: usize) {
    let ours = MapData::from_pin(folder.join(SETTINGS)).expect("pinned");
    let ours: Array<_, [u8; size_of::<Settings>()]> =
        Array::try_from(Map::Array(ours)).expect("an array");
    let mut value = ours.get(&0, 0).expect("read").to_vec();
    value[..4].copy_from_slice(&77_u32.to_ne_bytes());
    value[size_of::<Record>()..].fill(0xee);
    value.resize(bytes, 0xee);
    put_settings(folder, &value);
}

#[test]
fn what_another_version_changed_on_the_ports_is_put_back() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let promiscuous = || {
            ["a", "b"].map(|name| {
                let facts = Facts::by_name(name).expect("asked").expect("there");
                assert_eq!(facts.program.is_some(), facts.promiscuous, "{facts:?}");
                facts.promiscuous
            })
        };
        for (bytes, word) in [(48, "its layout is 77"), (64, "SETTINGS"), (24, "SETTINGS")] {
            let leave = || {
                let attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("attached");
                attached.leave();
                settings_of_another_version(&kept_at(&path), bytes);
                assert_eq!(promiscuous(), [true, true]);
            };
            leave();
            let detached = detach("b", &path).expect("detached");
            assert_eq!(detached.problems, Vec::<String>::new());
            assert_eq!(promiscuous(), [false, false], "{bytes} bytes, removed");
            leave();
            let attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("attached");
            assert!(attached.adopted().is_none());
            let said = |w: &String| w.contains("made anew") && w.contains(word);
            assert!(
                attached.warnings().iter().any(said),
                "{:?}",
                attached.warnings()
            );
            attached.detach().expect("detached");
            assert_eq!(promiscuous(), [false, false], "{bytes} bytes, made anew");
        }
    });
}
