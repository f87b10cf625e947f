//! Regular files and FIFOs stand in for nodes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use xdma_rs::{
    Access, Buffer, Device, Direction, Error, Interface, ReadOptions, WriteOptions, discover,
};

fn node(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).expect("a node");
}

fn fifo(folder: &Path, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    path
}

/// The engine's registers with one streaming channel each way.
fn control() -> Vec<u8> {
    let mut bytes = vec![0; 0x4000];
    for (address, value) in [
        (0x0000, 0x1FC0_8006u32),
        (0x0040, 0x0000_0001),
        (0x0048, 7),
        (0x004C, 0x0004_0840),
        (0x1100, 0x1FC1_0106),
    ] {
        bytes[address..address + 4].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

#[test]
fn cards_are_found_by_the_names_of_their_nodes() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in [
        "xdma10_user",
        "xdma2_c2h_1",
        "xdma2_c2h_0",
        "xdma2_h2c_3",
        "xdma2_events_11",
        "xdma2_events_2",
        "xdma2_control",
        "xdma2_bypass",
        "null",
    ] {
        node(folder.path(), name, b"");
    }
    let devices = discover(folder.path()).expect("a readable folder");
    assert_eq!(
        devices.iter().map(Device::number).collect::<Vec<_>>(),
        [2, 10]
    );
    let device = &devices[0];
    assert!(device.has_control() && !device.has_user());
    assert_eq!(device.numbers(Direction::CardToHost), [0, 1]);
    assert_eq!(device.numbers(Direction::HostToCard), [3]);
    assert_eq!(device.events(), [2, 11]);
    assert_eq!(Device::first(folder.path()).expect("a card"), devices[0]);
    assert_eq!(
        Device::number_in(folder.path(), 10).expect("a card"),
        devices[1]
    );
    let missing = Device::number_in(folder.path(), 1).expect_err("there is none");
    assert!(missing.to_string().contains("xdma1_*"), "{missing}");
    let missing = devices[1].interrupt(0).err().expect("there is none");
    assert!(matches!(missing, Error::NoNode { .. }), "{missing}");
}

#[test]
fn a_folder_without_cards_says_where_to_look() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(discover(folder.path()).expect("readable"), []);
    for place in [folder.path().to_owned(), folder.path().join("absent")] {
        let error = Device::first(&place).expect_err("no card").to_string();
        assert!(
            error.contains("lspci") && error.contains("lsmod"),
            "{error}"
        );
    }
}

#[test]
fn registers_are_read_and_written_by_calls_and_in_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    node(folder.path(), "xdma0_user", &[0; 4096]);
    let device = Device::first(folder.path()).expect("a card");
    for access in [Access::Calls, Access::Mapped { bytes: 4096 }] {
        let mut registers = device.user_by(access).expect("opens");
        registers.write(0x20, 0x0102_0304).expect("writes");
        registers.write(0xFFC, 7).expect("writes");
        assert_eq!(registers.read(0x20).expect("reads"), 0x0102_0304);
        assert_eq!(registers.read(0xFFC).expect("reads"), 7);
        let mut bytes = [0; 4];
        let file = File::open(device.node("user")).expect("opens");
        file.read_exact_at(&mut bytes, 0x20).expect("reads");
        assert_eq!(bytes, [4, 3, 2, 1], "little-endian");
        for address in [1, 0x22, 0xFFF] {
            let error = registers.read(address).expect_err("between registers");
            assert!(matches!(error, Error::Address { .. }), "{error}");
            assert!(registers.write(address, 0).is_err());
        }
        // Beyond the end: a short read, or no such place in memory.
        let error = registers.read(0x1000).expect_err("beyond the end");
        assert!(
            matches!(error, Error::Short { got: 0, .. } | Error::Address { .. }),
            "{error}"
        );
    }
}

#[test]
fn one_process_holds_the_registers_of_a_card() {
    let folder = tempfile::tempdir().expect("a folder");
    node(folder.path(), "xdma0_user", &[0; 64]);
    let device = Device::first(folder.path()).expect("a card");
    let first = device.user().expect("free");
    let error = device.user().err().expect("held");
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert!(error.to_string().contains("fuser"), "{error}");
    drop(first);
    device.user().expect("free again");
}

#[test]
fn channels_are_what_the_engine_says() {
    let folder = tempfile::tempdir().expect("a folder");
    node(folder.path(), "xdma0_control", &control());
    node(folder.path(), "xdma0_h2c_0", b"");
    node(folder.path(), "xdma0_c2h_1", b"");
    let device = Device::first(folder.path()).expect("a card");
    let channels = device.channels().expect("both");
    let [to, from] = channels[..] else {
        panic!("two channels, got {channels:?}");
    };
    assert_eq!(
        (to.direction, to.number, to.interface),
        (Direction::HostToCard, 0, Interface::Stream)
    );
    assert_eq!((to.version, to.status, to.completed), (6, 1, 7));
    assert_eq!(
        (to.address_bits, to.granularity, to.address_alignment),
        (0x40, 8, 4)
    );
    assert_eq!(
        (from.direction, from.number, from.interface),
        (Direction::CardToHost, 1, Interface::Memory)
    );

    // A node without a channel behind it, and a link that is lost.
    node(folder.path(), "xdma0_c2h_0", b"");
    let error = Device::first(folder.path())
        .expect("a card")
        .channels()
        .expect_err("no such channel");
    assert!(
        matches!(
            error,
            Error::Identity {
                address: 0x1000,
                got: 0,
                ..
            }
        ),
        "{error}"
    );
    node(folder.path(), "xdma0_control", &[0xFF; 0x4000]);
    let error = device.channels().expect_err("no link").to_string();
    assert!(error.contains("link is lost"), "{error}");
}

#[test]
fn long_buffers_go_to_the_card_in_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fifo(folder.path(), "xdma0_h2c_0");
    let device = Device::first(folder.path()).expect("a card");
    let sent: Vec<u8> = (0..300_000u32).map(|index| (index % 251) as u8).collect();
    let got = std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut got = Vec::new();
            File::open(&path)
                .expect("opens")
                .read_to_end(&mut got)
                .expect("reads");
            got
        });
        let mut channel = device
            .host_to_card(0, WriteOptions { piece: 4000 })
            .expect("opens");
        channel.write(&sent).expect("sends");
        drop(channel);
        reader.join().expect("no panic")
    });
    assert!(got == sent);
    // Addresses go up with the pieces.
    node(folder.path(), "xdma0_h2c_1", b"");
    let mut channel = device
        .host_to_card(1, WriteOptions { piece: 7 })
        .expect("opens");
    channel.write_at(100, &sent[..1000]).expect("sends");
    assert_eq!(
        std::fs::read(device.node("h2c_1")).expect("reads")[100..],
        sent[..1000]
    );
    for piece in [0, usize::MAX] {
        let error = device
            .host_to_card(1, WriteOptions { piece })
            .err()
            .expect("no such size");
        assert!(matches!(error, Error::Length { .. }), "{error}");
    }
}

#[test]
fn reads_end_where_there_is_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fifo(folder.path(), "xdma0_c2h_0");
    let device = Device::first(folder.path()).expect("a card");
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut writer = File::options().write(true).open(&path).expect("opens");
            writer.write_all(b"a packet").expect("writes");
        });
        let mut channel = device
            .card_to_host(0, ReadOptions::default())
            .expect("opens");
        let mut buffer = Buffer::new(4096);
        let got = channel.read(&mut buffer).expect("reads");
        assert_eq!(&buffer[..got], b"a packet");
        let error = channel.read(&mut []).expect_err("no room");
        assert!(matches!(error, Error::Length { .. }), "{error}");
    });
    node(folder.path(), "xdma0_c2h_1", b"0123456789");
    let memory = ReadOptions {
        piece: 4,
        packets: false,
    };
    let mut channel = device.card_to_host(1, memory).expect("opens");
    let mut bytes = [0; 8];
    assert_eq!(
        channel.read_at(3, &mut bytes).expect("reads"),
        4,
        "a piece at most"
    );
    assert_eq!(&bytes[..4], b"3456");
}

#[test]
fn interrupts_are_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fifo(folder.path(), "xdma0_events_0");
    let device = Device::first(folder.path()).expect("a card");
    // Open for both, so that neither end has to wait for the other.
    let mut source = File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("opens");
    let mut events = device.interrupt(0).expect("opens");
    assert_eq!(
        events.wait(Duration::from_millis(20)).expect("waits"),
        0,
        "none came"
    );
    source.write_all(&3u32.to_le_bytes()).expect("writes");
    assert_eq!(events.wait(Duration::from_secs(10)).expect("waits"), 3);
    source.write_all(&[1, 2]).expect("writes");
    let error = events
        .wait(Duration::from_secs(10))
        .expect_err("half a count");
    assert!(
        matches!(
            error,
            Error::Short {
                got: 2,
                expected: 4,
                ..
            }
        ),
        "{error}"
    );
    drop(source);
    let error = events
        .wait(Duration::from_secs(10))
        .expect_err("the device is gone");
    assert!(matches!(error, Error::Gone { .. }), "{error}");
}
