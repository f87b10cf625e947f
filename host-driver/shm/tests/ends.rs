//! Both ends in one process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use card_shm::{Card, Change, Host, Options, ShmError};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);

const SMALL: Options = Options {
    to_card: 4096,
    to_host: 4096,
};

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    Place {
        path: folder.path().join("card"),
        _folder: folder,
    }
}

/// A card in a thread: sends back what it gets, and has registers that remember.
struct Echo {
    stop: Arc<AtomicBool>,
    waker: card_shm::Waker,
    thread: Option<JoinHandle<Vec<Change>>>,
}

impl Echo {
    fn start(path: &Path, options: &Options) -> Self {
        let mut card = Card::create(path, options).expect("a card");
        let stop = Arc::new(AtomicBool::new(false));
        let (waker, stopped) = (card.waker(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut changes = Vec::new();
            let mut registers = std::collections::HashMap::new();
            let (mut held, mut bytes) = (Vec::new(), [0; 1500]);
            while !stopped.load(Ordering::SeqCst) {
                card.wait(Duration::from_millis(50));
                if let Some(change) = card.host() {
                    held.clear();
                    changes.push(change);
                }
                while let Some(request) = card.request().expect("in order") {
                    let value = registers.entry(request.address()).or_insert(0);
                    *value = request.value().unwrap_or(*value);
                    let value = *value;
                    card.answer(&request, value).expect("in order");
                }
                loop {
                    let sent = card.output(&held).expect("in order");
                    held.drain(..sent);
                    if !held.is_empty() {
                        break;
                    }
                    let got = card.input(&mut bytes).expect("in order");
                    if got == 0 {
                        break;
                    }
                    held.extend_from_slice(&bytes[..got]);
                }
            }
            changes
        });
        Self {
            stop,
            waker,
            thread: Some(thread),
        }
    }

    fn stop(mut self) -> Vec<Change> {
        self.end()
    }

    fn end(&mut self) -> Vec<Change> {
        self.stop.store(true, Ordering::SeqCst);
        self.waker.wake();
        self.thread
            .take()
            .map_or_else(Vec::new, |thread| thread.join().expect("no panic"))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn streams_carry_every_byte_in_order_while_registers_are_used() {
    let place = place();
    let echo = Echo::start(&place.path, &SMALL);
    let Host {
        mut registers,
        mut sender,
        mut receiver,
    } = Host::open(&place.path, LONG).expect("opens");
    let total = 1 << 20;
    let byte = |index: usize| (index ^ index >> 8 ^ index >> 16) as u8;
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let all: Vec<u8> = (0..total).map(byte).collect();
            let mut rest = all.as_slice();
            let mut length = 1;
            while !rest.is_empty() {
                // From far less than the ring to more than it holds.
                length = (length * 7 + 3) % 9001 + 1;
                let (now, later) = rest.split_at(length.min(rest.len()));
                sender.send(now, LONG).expect("sends");
                rest = later;
            }
        });
        threads.spawn(|| {
            let mut at = 0;
            let mut bytes = [0; 3000];
            while at < total {
                let got = receiver.receive(&mut bytes, LONG).expect("receives");
                assert!(got > 0, "silence after {at} bytes");
                for (index, &got) in bytes[..got].iter().enumerate() {
                    assert_eq!(got, byte(at + index), "byte {}", at + index);
                }
                at += got;
            }
            assert_eq!(
                receiver.receive(&mut bytes, SHORT).expect("open"),
                0,
                "no more than was sent"
            );
        });
        // More at once than the mailbox holds.
        let writes: Vec<(u32, u32)> = (0..10_000).map(|index| (index % 512 * 4, index)).collect();
        registers.write(&writes, LONG).expect("writes");
        for address in 0..512 {
            let last = (0..10_000).rev().find(|index| index % 512 == address);
            let got = registers.read(address * 4, LONG).expect("reads");
            assert_eq!(Some(got), last, "register {address}");
        }
    });
    drop((registers, sender, receiver));
    let changes = echo.stop();
    assert!(
        matches!(
            changes[..],
            [Change::Came { .. }] | [Change::Came { .. }, Change::Left]
        ),
        "{changes:?}"
    );
}

#[test]
fn one_host_at_a_time() {
    let place = place();
    let _echo = Echo::start(&place.path, &SMALL);
    let first = Host::open(&place.path, LONG).expect("opens");
    let error = Host::open(&place.path, LONG).err().expect("taken");
    assert!(
        matches!(error, ShmError::Busy { pid, .. } if pid == std::process::id()),
        "{error}"
    );
    // A part of it holds it, too.
    let Host {
        mut registers,
        sender,
        receiver,
    } = first;
    drop((sender, receiver));
    assert!(Host::open(&place.path, LONG).is_err(), "still taken");
    registers.write(&[(8, 5)], LONG).expect("writes");
    drop(registers);
    let mut second = Host::open(&place.path, LONG).expect("free");
    assert_eq!(
        second.registers.read(8, LONG).expect("reads"),
        5,
        "the same card"
    );
}

#[test]
fn streams_begin_anew_with_each_host() {
    let place = place();
    let mut card = Card::create(&place.path, &SMALL).expect("a card");
    let path = place.path.clone();
    let opening = std::thread::spawn(move || Host::open(&path, LONG).expect("opens"));
    let mut bytes = [0; 64];
    let serve = |card: &mut Card, opening: &JoinHandle<Host>| {
        while !opening.is_finished() {
            card.wait(Duration::from_millis(1));
            card.host();
        }
    };
    serve(&mut card, &opening);
    let mut first = opening.join().expect("no panic");
    first.sender.send(b"left behind", LONG).expect("sends");
    assert_eq!(card.output(b"unread").expect("room"), 6);
    drop(first);
    assert_eq!(card.host(), Some(Change::Left));
    assert_eq!(
        card.output(&bytes).expect("nobody"),
        bytes.len(),
        "dropped without a host"
    );
    let path = place.path.clone();
    let opening = std::thread::spawn(move || Host::open(&path, LONG).expect("opens"));
    serve(&mut card, &opening);
    let mut second = opening.join().expect("no panic");
    assert_eq!(
        card.input(&mut bytes).expect("in order"),
        0,
        "of the first host"
    );
    second.sender.send(b"new", LONG).expect("sends");
    assert_eq!(card.input(&mut bytes).expect("in order"), 3);
    assert_eq!(
        second.receiver.receive(&mut bytes, SHORT).expect("open"),
        0,
        "for the first host"
    );
}

#[test]
fn a_full_or_idle_ring_times_out_and_goes_on_afterwards() {
    let place = place();
    let mut card = Card::create(&place.path, &SMALL).expect("a card");
    let path = place.path.clone();
    let opening = std::thread::spawn(move || Host::open(&path, LONG).expect("opens"));
    while !opening.is_finished() {
        card.wait(Duration::from_millis(1));
        card.host();
    }
    let mut host = opening.join().expect("no panic");
    host.sender.send(&[1; 4096], SHORT).expect("fits");
    let error = host.sender.send(&[2; 8], SHORT).expect_err("full");
    assert!(matches!(error, ShmError::TimedOut { .. }), "{error}");
    assert_eq!(host.sender.pending().expect("in order"), 4096);
    let error = host.registers.read(0, SHORT).expect_err("nobody answers");
    assert!(matches!(error, ShmError::TimedOut { .. }), "{error}");
    assert_eq!(host.receiver.receive(&mut [0; 8], SHORT).expect("open"), 0);
    let mut bytes = [0; 5000];
    assert_eq!(card.input(&mut bytes).expect("in order"), 4096);
    host.sender.send(&[3; 8], SHORT).expect("room");
    assert_eq!(card.waiting().expect("in order"), 8);
    // The answer to a request that was given up is not taken for that to the next one.
    let reading = std::thread::spawn(move || (host.registers.read(4, LONG), host));
    let mut answered = 0;
    while answered < 2 {
        card.wait(Duration::from_millis(1));
        while let Some(request) = card.request().expect("in order") {
            card.answer(&request, 100 + request.address())
                .expect("in order");
            answered += 1;
        }
    }
    let (value, _host) = reading.join().expect("no panic");
    assert_eq!(value.expect("reads"), 104);
}

#[test]
fn a_card_that_closes_is_noticed_at_once_wherever_its_host_waits() {
    let place = place();
    let echo = Echo::start(&place.path, &SMALL);
    let Host {
        mut registers,
        mut sender,
        mut receiver,
    } = Host::open(&place.path, LONG).expect("opens");
    registers.read(0, LONG).expect("served");
    let receiving = std::thread::spawn(move || {
        let result = receiver.receive(&mut [0; 8], LONG);
        (result, Instant::now())
    });
    std::thread::sleep(Duration::from_millis(20));
    let since = Instant::now();
    echo.stop();
    let (result, noticed) = receiving.join().expect("no panic");
    assert!(matches!(result, Err(ShmError::Gone { .. })), "{result:?}");
    // Seconds are for slow machines: without the notice it would be `LONG`.
    assert!(noticed - since < LONG / 4);
    let since = Instant::now();
    assert!(matches!(
        registers.read(0, LONG),
        Err(ShmError::Gone { .. })
    ));
    assert!(matches!(
        sender.send(&[0; 9000], LONG),
        Err(ShmError::Gone { .. })
    ));
    assert!(since.elapsed() < LONG / 4);
    let error = Host::open(&place.path, LONG).err().expect("closed");
    assert!(matches!(error, ShmError::Absent { .. }), "{error}");
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    let place = place();
    let mut card = Card::create(&place.path, &SMALL).expect("a card");
    let path = place.path.clone();
    let opening = std::thread::spawn(move || Host::open(&path, LONG).expect("opens"));
    while !opening.is_finished() {
        card.wait(Duration::from_millis(1));
        card.host();
    }
    let mut host = opening.join().expect("no panic");
    card.output(b"last words").expect("room");
    drop(card);
    let mut bytes = [0; 4];
    for expected in [&b"last"[..], b" wor", b"ds"] {
        let got = host
            .receiver
            .receive(&mut bytes, LONG)
            .expect("was sent before");
        assert_eq!(&bytes[..got], expected);
    }
    assert!(matches!(
        host.receiver.receive(&mut bytes, LONG),
        Err(ShmError::Gone { .. })
    ));
}

#[test]
fn a_card_that_expels_its_host_can_be_opened_anew() {
    let place = place();
    let mut card = Card::create(&place.path, &SMALL).expect("a card");
    let open = || {
        let path = place.path.clone();
        std::thread::spawn(move || Host::open(&path, LONG).expect("opens"))
    };
    let serve = |card: &mut Card, opening: JoinHandle<Host>| {
        while !opening.is_finished() {
            card.wait(Duration::from_millis(1));
            card.host();
        }
        opening.join().expect("no panic")
    };
    let mut host = serve(&mut card, open());
    card.expel();
    assert!(matches!(
        host.sender.send(b"x", LONG),
        Err(ShmError::Gone { .. })
    ));
    assert!(matches!(
        host.receiver.receive(&mut [0; 1], LONG),
        Err(ShmError::Gone { .. })
    ));
    drop(host);
    let mut host = serve(&mut card, open());
    host.sender.send(b"x", LONG).expect("open");
}

#[test]
fn a_card_is_made_in_place_of_a_dead_one_only() {
    let place = place();
    let first = Card::create(&place.path, &SMALL).expect("a card");
    let error = Card::create(&place.path, &SMALL).err().expect("one lives");
    assert!(
        matches!(error, ShmError::Busy { pid, .. } if pid == std::process::id()),
        "{error}"
    );
    // As a card that was killed leaves it: the file is there, nobody holds it.
    let kept = place.path.with_extension("kept");
    std::fs::hard_link(&place.path, &kept).expect("a link");
    drop(first);
    assert!(
        !place.path.exists(),
        "a card that ends takes its file with it"
    );
    std::fs::rename(&kept, &place.path).expect("renames");
    let error = Host::open(&place.path, SHORT).err().expect("dead");
    assert!(matches!(error, ShmError::Gone { .. }), "{error}");
    let _second = Card::create(&place.path, &SMALL).expect("the dead one is cleared away");
    assert!(
        std::fs::read_dir(place.path.parent().expect("a folder"))
            .expect("readable")
            .count()
            == 1
    );

    std::fs::write(&kept, b"something of the user's").expect("writes");
    let error = Card::create(&kept, &SMALL).err().expect("in the way");
    assert!(matches!(error, ShmError::Foreign { .. }), "{error}");
    assert_eq!(
        std::fs::read(&kept).expect("still there"),
        b"something of the user's"
    );
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let place = place();
    for size in [0, 1, 4095, 5000, 1 << 29] {
        for options in [
            Options {
                to_card: size,
                to_host: 4096,
            },
            Options {
                to_card: 4096,
                to_host: size,
            },
        ] {
            let error = Card::create(&place.path, &options)
                .err()
                .expect("no such size");
            assert!(
                matches!(error, ShmError::Size { got, .. } if got == size),
                "{error}"
            );
        }
    }
    assert!(!place.path.exists());
}
