//! The device nodes, as `xdma-rs` opens them. These tests need FUSE, and say so where it is not there.

use std::time::Duration;

use card_protocol::register;
use weir_sim::Modelled;
use weir_sim::card::{CardError, Control, Listener, Transport};
use xdma_rs::{Device, Direction, Error, Interface, ReadOptions, WriteOptions, discover};

use super::remote::Remote;
use super::{LONG, Place, answers, config, geometry, place};

/// Whether file systems can be served here.
pub fn fuse() -> bool {
    let device = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse");
    let can = device.is_ok() && rustix::process::geteuid().is_root();
    if !can {
        eprintln!("skipped: no FUSE here (needs /dev/fuse and root)");
    }
    can
}

fn listen(transport: Transport) -> (Place, Listener) {
    let place = place();
    let listener = Listener::start(&place.path, transport, None, &config()).expect("a card");
    (place, listener)
}

#[test]
fn nodes_answer_as_the_model() {
    if !fuse() {
        return;
    }
    let (place, listener) = listen(Transport::Nodes);
    let device = Device::first(&place.path).expect("a card");
    assert_eq!(discover(&place.path).expect("readable").len(), 1);
    let channels = device.channels().expect("two");
    let ways: Vec<_> = channels
        .iter()
        .map(|channel| (channel.direction, channel.interface))
        .collect();
    let stream = Interface::Stream;
    assert_eq!(
        ways,
        [
            (Direction::HostToCard, stream),
            (Direction::CardToHost, stream)
        ]
    );
    let count = 100;
    let expected = answers(Box::new(Modelled::new(geometry())), count);
    let remote = Remote::nodes(&device, geometry());
    assert_eq!(answers(Box::new(remote), count), expected);
    listener.stop().expect("unmounts");
    assert_eq!(
        std::fs::read_dir(&place.path)
            .expect("a plain folder again")
            .count(),
        0
    );
}

#[test]
fn nodes_refuse_wait_and_tell_as_those_of_the_driver() {
    if !fuse() {
        return;
    }
    let (place, listener) = listen(Transport::Both);
    let device = Device::first(&place.path).expect("a card");
    let mut registers = device.user().expect("opens");
    let error = device.user().err().expect("held");
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert_eq!(
        registers.read(register::MAGIC).expect("reads"),
        register::MAGIC_VALUE
    );
    registers.write(register::NONCE, 9).expect("writes");
    assert_eq!(registers.read(register::NONCE).expect("reads"), 9);

    let mut from = device
        .card_to_host(0, ReadOptions::default())
        .expect("opens");
    let error = device
        .card_to_host(0, ReadOptions::default())
        .err()
        .expect("open");
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    // A read that waits keeps nobody else waiting.
    std::thread::scope(|threads| {
        let reading = threads.spawn(|| from.read(&mut [0; 64]));
        for _ in 0..100 {
            assert_eq!(
                registers.read(register::MAGIC).expect("reads"),
                register::MAGIC_VALUE
            );
        }
        let error = reading
            .join()
            .expect("no panic")
            .expect_err("nothing was sent");
        assert!(error.is_timeout(), "{error}");
    });
    drop(from);
    device
        .card_to_host(0, ReadOptions::default())
        .expect("free again");
    let mut events = device.interrupt(0).expect("opens");
    assert_eq!(events.wait(Duration::from_millis(20)).expect("waits"), 0);

    // The card takes nothing as long as it is not enabled, and its backlog is bounded.
    let mut to = device
        .host_to_card(0, WriteOptions::default())
        .expect("opens");
    let error = to.write(&vec![0; 4 << 20]).expect_err("too much");
    assert!(error.is_timeout(), "{error}");

    // Shared memory is there, too, and the same card.
    let shm = std::fs::read_to_string(place.path.join("weir_shm")).expect("a path");
    let mut host = card_shm::Host::open(shm.as_ref(), LONG).expect("opens");
    assert_eq!(
        host.registers.read(register::NONCE, LONG).expect("reads"),
        9
    );
    drop(host);
    listener.stop().expect("unmounts");
    let error = registers
        .read(register::MAGIC)
        .expect_err("the card is gone");
    assert!(matches!(error, Error::Gone { .. }), "{error}");
}

#[test]
fn an_interrupt_comes_with_reports() {
    if !fuse() {
        return;
    }
    let (place, _listener) = listen(Transport::Nodes);
    let device = Device::first(&place.path).expect("a card");
    let mut events = device.interrupt(0).expect("opens");
    let waiting = std::thread::spawn(move || events.wait(LONG));
    let remote = Remote::nodes(&device, geometry());
    assert_eq!(answers(Box::new(remote), 3).len(), 3);
    assert!(waiting.join().expect("no panic").expect("waits") > 0);
}

#[test]
fn folders_that_are_taken_are_refused() {
    if !fuse() {
        return;
    }
    let (place, _listener) = listen(Transport::Both);
    for transport in [Transport::Both, Transport::Nodes, Transport::Shm] {
        let error = Listener::start(&place.path, transport, None, &config())
            .err()
            .expect("taken");
        assert!(matches!(error, CardError::Busy { .. }), "{error}");
    }
}

#[test]
fn shared_memory_needs_no_mount() {
    let (place, listener) = listen(Transport::Shm);
    let shm = std::fs::read_to_string(place.path.join("weir_shm")).expect("a path");
    let count = 20;
    let remote = Remote::shm(shm.as_ref(), geometry());
    assert_eq!(answers(Box::new(remote), count).len() as u64, count);
    let error = Listener::start(&place.path, Transport::Shm, None, &config())
        .err()
        .expect("taken");
    assert!(matches!(error, CardError::Busy { .. }), "{error}");

    let mut control = Control::connect(&place.path).expect("a socket");
    control.command("lose-link:now").expect("armed");
    let mut host = card_shm::Host::open(shm.as_ref(), LONG).expect("opens");
    assert_eq!(
        host.registers.read(register::MAGIC, LONG).expect("reads"),
        u32::MAX
    );
    assert_eq!(
        control.command("counts").expect("answers")[0],
        "lose-link 1"
    );
    let error = control
        .command("explode")
        .expect_err("no fault")
        .to_string();
    assert!(error.contains("one of delay-records"), "{error}");
    // A second one who commands does not wait for the first.
    let mut other = Control::connect(&place.path).expect("a socket");
    other.command("clear").expect("cleared");
    assert_eq!(
        host.registers.read(register::MAGIC, LONG).expect("reads"),
        register::MAGIC_VALUE
    );
    drop(host);
    listener.stop().expect("ends");
    assert_eq!(std::fs::read_dir(&place.path).expect("a folder").count(), 0);
    assert!(
        !std::path::Path::new(&shm).exists(),
        "nothing is left behind"
    );

    std::fs::write(place.path.join("notes"), "the user's").expect("writes");
    let error = Listener::start(&place.path, Transport::Shm, None, &config())
        .err()
        .expect("not empty");
    assert!(matches!(error, CardError::NotEmpty { .. }), "{error}");
}
