//! Whatever stands in the file, each end says so, and neither panics, hangs nor reads beyond the rings.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use card_shm::{Card, Host, Options, ShmError};
use proptest::prelude::*;

const SMALL: Options = Options {
    to_card: 4096,
    to_host: 4096,
};
const BRIEF: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_secs(20);

fn poke(path: &Path, at: u64, bytes: &[u8]) {
    let file = std::fs::File::options()
        .write(true)
        .open(path)
        .expect("opens");
    file.write_all_at(bytes, at).expect("writes");
}

fn pair(path: &Path) -> (Card, Host) {
    let mut card = Card::create(path, &SMALL).expect("a card");
    let host = std::thread::scope(|threads| {
        let opening = threads.spawn(|| Host::open(path, LONG).expect("opens"));
        while !opening.is_finished() {
            card.wait(Duration::from_millis(1));
            card.host();
        }
        opening.join().expect("no panic")
    });
    (card, host)
}

/// Offsets of words, more often those that mean something.
fn place() -> impl Strategy<Value = u64> {
    let known = prop::sample::select(vec![
        0u64, 4, 8, 16, 20, 24, 28, 64, 68, 72, 76, 128, 132, 136, 192, 256, 320, 384, 512, 576,
        768, 832, 1024, 1088,
    ]);
    prop_oneof![8 => known, 1 => (0u64..1024).prop_map(|word| word * 4)]
}

fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0u32..16,
        prop::sample::select(vec![
            4096,
            4097,
            u32::MAX,
            1 << 31,
            1 << 28,
            1 << 29,
            0x8000_0001
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_of_any_content_are_refused_or_opened(
        words in prop::collection::vec((place(), value()), 0..6),
        cut in prop_oneof![3 => Just(None), 1 => (0u64..200_000).prop_map(Some)],
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("card");
        let _card = Card::create(&path, &SMALL).expect("a card");
        for (at, value) in words {
            poke(&path, at, &value.to_ne_bytes());
        }
        if let Some(length) = cut {
            // Before anybody maps it: who cuts a mapped file ends the process, which no program can help.
            let copy = folder.path().join("copy");
            std::fs::copy(&path, &copy).expect("copies");
            let file = std::fs::File::options().write(true).open(&copy).expect("opens");
            file.set_len(length).expect("cuts");
            prop_assert!(Host::open(&copy, BRIEF).is_err());
        }
        // Nobody serves it, so it cannot open but by a word that says so.
        if let Ok(mut host) = Host::open(&path, BRIEF) {
            let _ = host.registers.read(0, BRIEF);
            let _ = host.sender.send(&[0; 5000], BRIEF);
            let _ = host.receiver.receive(&mut [0; 5000], BRIEF);
        }
    }

    #[test]
    fn ends_bear_any_change_of_the_words(
        changes in prop::collection::vec((place(), value()), 1..12),
        garbage in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("card");
        let (mut card, mut host) = pair(&path);
        let mut bytes = [0; 5000];
        for (at, value) in changes {
            poke(&path, at, &value.to_ne_bytes());
            // Into the ring of requests, too: any kind of access.
            poke(&path, 4096 + 8192, &garbage);
            card.host();
            let _ = card.input(&mut bytes);
            let _ = card.output(&bytes);
            let _ = card.waiting();
            for _ in 0..10 {
                if let Ok(Some(request)) = card.request() {
                    let _ = card.answer(&request, 1);
                }
            }
            let _ = host.sender.send(&bytes[..100], BRIEF);
            let _ = host.sender.pending();
            let _ = host.receiver.receive(&mut bytes, BRIEF);
            let _ = host.registers.write(&[(0, 1), (4, 2)], BRIEF);
        }
    }
}

#[test]
fn positions_that_cannot_be_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("card");
    let (mut card, mut host) = pair(&path);
    // The card claims to have taken what was never sent, the host to have sent more than the ring holds.
    poke(&path, 320, &5u32.to_ne_bytes());
    let error = host.sender.send(b"x", BRIEF).expect_err("out of order");
    assert!(
        matches!(
            error,
            ShmError::Corrupt {
                got: 0xFFFF_FFFB,
                ..
            }
        ),
        "{error}"
    );
    poke(&path, 256, &4097u32.to_ne_bytes());
    let error = card.input(&mut [0; 8]).expect_err("out of order");
    assert!(
        matches!(error, ShmError::Corrupt { got: 4097, .. }),
        "{error}"
    );
    // A kind of access that there is not.
    poke(&path, 4096 + 8192, &[1, 0, 0, 0, 9, 0, 0, 0]);
    poke(&path, 768, &16u32.to_ne_bytes());
    let error = card.request().expect_err("out of order");
    assert!(matches!(error, ShmError::Corrupt { got: 9, .. }), "{error}");
}

#[test]
fn what_is_no_card_is_refused_with_what_stands_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("card");
    let error = Host::open(&path, BRIEF).err().expect("none");
    assert!(matches!(error, ShmError::Absent { .. }), "{error}");
    std::fs::write(&path, b"short").expect("writes");
    let error = Host::open(&path, BRIEF).err().expect("short");
    assert!(
        error.to_string().contains("expected at least 4096"),
        "{error}"
    );
    std::fs::write(&path, [b'x'; 5000]).expect("writes");
    let error = Host::open(&path, BRIEF).err().expect("foreign");
    assert!(
        error
            .to_string()
            .contains("magic of the shared memory is 0x78787878"),
        "{error}"
    );
    std::fs::remove_file(&path).expect("removes");
    let _card = Card::create(&path, &SMALL).expect("a card");
    poke(&path, 8, &77u32.to_ne_bytes());
    let error = Host::open(&path, BRIEF).err().expect("another version");
    assert!(error.to_string().contains("same release"), "{error}");
}
