//! Reading what was written, what others write, and what nobody should write.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use weir_capture::{
    CaptureError, CaptureFormat, CaptureReader, PcapNgWriter, PcapWriter, Precision,
};
use weir_engine::packet::{Frame, LinkType};

#[derive(Clone, Debug, PartialEq)]
struct Owned {
    ts_ns: u64,
    link: LinkType,
    data: Vec<u8>,
    wire_len: u32,
}

impl Owned {
    fn frame(&self) -> Frame<'_> {
        Frame {
            ts_ns: self.ts_ns,
            number: 0,
            link: self.link,
            data: &self.data,
            wire_len: self.wire_len,
            ..Frame::default()
        }
    }
}

fn packet(ts_ns: u64, data: &[u8]) -> Owned {
    Owned {
        ts_ns,
        link: LinkType::ETHERNET,
        data: data.to_vec(),
        wire_len: data.len() as u32,
    }
}

fn open(bytes: &[u8]) -> Result<CaptureReader, CaptureError> {
    CaptureReader::new(io::Cursor::new(bytes.to_vec()), "test")
}

/// All frames, and what ended the capture.
fn drain(mut reader: CaptureReader) -> (Vec<Owned>, Option<CaptureError>) {
    let mut frames = Vec::new();
    let error = loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                assert_eq!(frame.number, frames.len() as u64 + 1);
                frames.push(Owned {
                    ts_ns: frame.ts_ns,
                    link: frame.link,
                    data: frame.data.to_vec(),
                    wire_len: frame.wire_len,
                });
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(
        matches!(reader.next_frame(), Ok(None)),
        "stays at the end after an end or an error"
    );
    (frames, error)
}

fn read(bytes: &[u8]) -> (Vec<Owned>, Option<CaptureError>) {
    drain(open(bytes).expect("begins as a capture"))
}

fn pcap(frames: &[Owned], precision: Precision) -> Vec<u8> {
    let mut writer =
        PcapWriter::with_precision(Vec::new(), LinkType::ETHERNET, precision).expect("writes");
    for frame in frames {
        writer.write(&frame.frame()).expect("writes");
    }
    writer.finish().expect("writes")
}

fn pcapng(frames: &[Owned]) -> Vec<u8> {
    let mut writer = PcapNgWriter::new(Vec::new()).expect("writes");
    for frame in frames {
        writer.write(&frame.frame()).expect("writes");
    }
    writer.finish().expect("writes")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("compresses");
    encoder.finish().expect("compresses")
}

fn three() -> Vec<Owned> {
    vec![
        packet(1_700_000_000_000_001_000, b"first"),
        packet(1_700_000_000_000_002_000, b""),
        packet(1_700_000_001_999_999_000, &[7; 3000]),
    ]
}

/// Puts numbers into bytes in a chosen order, as a foreign machine would.
#[derive(Clone, Copy)]
struct By {
    big: bool,
}

impl By {
    fn u16(self, n: u16) -> [u8; 2] {
        if self.big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    }

    fn u32(self, n: u32) -> [u8; 4] {
        if self.big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    }

    fn words(self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|&word| self.u32(word)).collect()
    }

    fn pcap_header(self, magic: u32, (major, minor): (u16, u16), snaplen: u32) -> Vec<u8> {
        let mut out = self.u32(magic).to_vec();
        out.extend(self.u16(major));
        out.extend(self.u16(minor));
        out.extend(self.words(&[0, 0, snaplen, 1]));
        out
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let total = 12 + padded as u32;
        let mut out = self.words(&[kind, total]);
        out.extend(body);
        out.resize(8 + padded, 0);
        out.extend(self.u32(total));
        out
    }

    fn section(self) -> Vec<u8> {
        self.versioned_section(1, 0)
    }

    fn versioned_section(self, major: u16, minor: u16) -> Vec<u8> {
        let mut body = self.u32(0x1a2b_3c4d).to_vec();
        body.extend(self.u16(major));
        body.extend(self.u16(minor));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body)
    }

    fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = self.u16(link).to_vec();
        body.extend([0, 0]);
        body.extend(self.u32(snaplen));
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(value.len() as u16));
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, ticks: u64, data: &[u8], wire_len: u32) -> Vec<u8> {
        let mut body = self.words(&[
            interface,
            (ticks >> 32) as u32,
            ticks as u32,
            data.len() as u32,
            wire_len,
        ]);
        body.extend(data);
        self.block(6, &body)
    }
}

const ORDERS: [By; 2] = [By { big: true }, By { big: false }];

#[test]
fn reads_every_classic_variant_in_both_orders() {
    for by in ORDERS {
        for (magic, unit, extra) in [
            (0xa1b2_c3d4, 1000, 0),
            (0xa1b2_3c4d, 1, 0),
            (0xa1b2_cd34, 1000, 8),
        ] {
            let mut bytes = by.pcap_header(magic, (2, 4), 65_535);
            bytes.extend(by.words(&[1000, 77, 3, 60]));
            bytes.resize(bytes.len() + extra, 0xee);
            bytes.extend(b"abc");
            let reader = open(&bytes).expect("a capture");
            assert_eq!(reader.format(), CaptureFormat::Pcap);
            let (frames, error) = drain(reader);
            assert!(error.is_none(), "{error:?}");
            let expected = Owned {
                ts_ns: 1_000_000_000_000 + 77 * unit,
                link: LinkType::ETHERNET,
                data: b"abc".to_vec(),
                wire_len: 60,
            };
            assert_eq!(frames, [expected], "magic {magic:08x}");
        }
    }
}

#[test]
fn old_versions_state_the_lengths_the_other_way_round() {
    let by = By { big: false };
    for (version, lengths) in [((2, 2), [60, 3]), ((2, 3), [60, 3]), ((2, 3), [3, 60])] {
        let mut bytes = by.pcap_header(0xa1b2_c3d4, version, 65_535);
        bytes.extend(by.words(&[1, 0, lengths[0], lengths[1]]));
        bytes.extend(b"abc");
        let (frames, error) = read(&bytes);
        assert!(error.is_none(), "{error:?}");
        assert_eq!((frames[0].data.len(), frames[0].wire_len), (3, 60));
    }
}

#[test]
fn a_frame_check_sequence_is_not_part_of_the_link_type() {
    let mut bytes = pcap(&three(), Precision::Micro);
    bytes[22..24].copy_from_slice(&[0, 0x44]);
    assert_eq!(read(&bytes).0, three());
}

#[test]
fn reads_sections_interfaces_and_clocks_in_both_orders() {
    let mut bytes = Vec::new();
    for by in ORDERS {
        let ten_seconds: [u8; 8] = if by.big {
            10_i64.to_be_bytes()
        } else {
            10_i64.to_le_bytes()
        };
        bytes.extend(by.section());
        bytes.extend(by.block(0x0bad, b"a block of no known type"));
        bytes.extend(by.interface(1, 0, &[(2, b"eth0")]));
        bytes.extend(by.interface(101, 0, &[(9, &[9]), (14, &ten_seconds)]));
        bytes.extend(by.interface(113, 0, &[(9, &[0x80 | 10])]));
        bytes.extend(by.interface(1, 0, &[(9, &[12])]));
        bytes.extend(by.enhanced(0, 5, b"micro", 5));
        bytes.extend(by.enhanced(1, 1 << 32, b"nano", 1500));
        bytes.extend(by.enhanced(2, 1024 + 512, b"binary", 6));
        bytes.extend(by.enhanced(3, 5_999, b"pico", 4));
        let mut old = by.u16(1).to_vec();
        old.extend([0, 9]);
        old.extend(by.words(&[0, 8, 3, 3]));
        old.extend(b"old");
        bytes.extend(by.block(2, &old));
        let mut simple = by.u32(6).to_vec();
        simple.extend(b"simple");
        bytes.extend(by.block(3, &simple));
    }
    let reader = open(&bytes).expect("a capture");
    assert_eq!(reader.format(), CaptureFormat::PcapNg);
    let (frames, error) = drain(reader);
    assert!(error.is_none(), "{error:?}");
    let expected: Vec<(u64, u16, &[u8], u32)> = vec![
        (5000, 1, b"micro", 5),
        ((1 << 32) + 10_000_000_000, 101, b"nano", 1500),
        (1_500_000_000, 113, b"binary", 6),
        (5, 1, b"pico", 4),
        (10_000_000_008, 101, b"old", 3),
        (10_000_000_008, 1, b"simple", 6),
    ];
    let got: Vec<_> = frames
        .iter()
        .map(|f| (f.ts_ns, f.link.0, f.data.as_slice(), f.wire_len))
        .collect();
    assert_eq!(got, [expected.clone(), expected].concat());
}

#[test]
fn clocks_out_of_range_saturate() {
    let by = By { big: false };
    let far = i64::MAX.to_le_bytes();
    let before = i64::MIN.to_le_bytes();
    let mut bytes = by.section();
    bytes.extend(by.interface(1, 0, &[(9, &[0]), (14, &far)]));
    bytes.extend(by.interface(1, 0, &[(14, &before)]));
    bytes.extend(by.interface(1, 0, &[(9, &[0x7f])]));
    bytes.extend(by.interface(1, 0, &[(9, &[0xff])]));
    for interface in 0..4 {
        bytes.extend(by.enhanced(interface, u64::MAX, b"x", 1));
    }
    let (frames, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    let times: Vec<u64> = frames.iter().map(|f| f.ts_ns).collect();
    assert_eq!(times, [u64::MAX, 0, 0, 0]);
}

#[test]
fn a_simple_packet_is_as_long_as_the_snap_length_lets_it_be() {
    let by = By { big: true };
    let mut bytes = by.section();
    bytes.extend(by.interface(1, 4, &[]));
    let mut simple = by.u32(900).to_vec();
    simple.extend(b"four");
    bytes.extend(by.block(3, &simple));
    let (frames, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        (frames[0].data.as_slice(), frames[0].wire_len),
        (&b"four"[..], 900)
    );
}

#[test]
fn a_section_of_nothing_but_interfaces_ends() {
    let by = By { big: false };
    let described = |count| {
        let mut bytes = by.section();
        bytes.extend(by.interface(1, 0, &[]).repeat(count));
        bytes.extend(by.enhanced(65_535, 0, b"data", 4));
        bytes
    };
    let (frames, error) = read(&described(65_536));
    assert!(frames.len() == 1 && error.is_none(), "{error:?}");
    let (_, error) = read(&described(65_537));
    assert!(
        matches!(error, Some(CaptureError::Corrupt { .. })),
        "{error:?}"
    );
    // The next section counts from the start.
    let (frames, error) = read(&described(65_536).repeat(2));
    assert!(frames.len() == 2 && error.is_none(), "{error:?}");
}

#[test]
fn a_capture_without_packets_is_fine() {
    for bytes in [pcap(&[], Precision::Micro), pcapng(&[])] {
        let (frames, error) = read(&bytes);
        assert!(frames.is_empty() && error.is_none());
        let (frames, error) = read(&gzip(&bytes));
        assert!(frames.is_empty() && error.is_none());
    }
}

#[test]
fn several_gzip_members_are_one_capture() {
    let bytes = pcap(&three(), Precision::Micro);
    let (one, two) = bytes.split_at(40);
    let members = [gzip(one), gzip(two)].concat();
    let (frames, error) = read(&members);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(frames, three());
}

#[test]
fn captured_may_exceed_the_wire() {
    let mut odd = packet(1000, b"longer than it was");
    odd.wire_len = 3;
    let (frames, error) = read(&pcap(std::slice::from_ref(&odd), Precision::Micro));
    assert!(error.is_none());
    assert_eq!(frames, [odd]);
}

#[test]
fn a_cut_anywhere_gives_what_is_whole_and_says_cut() {
    let all = three();
    for (bytes, header) in [(pcap(&all, Precision::Micro), 24), (pcapng(&all), 28)] {
        let mut whole_before = 0;
        for cut in header..bytes.len() {
            let (frames, error) = read(&bytes[..cut]);
            assert_eq!(frames, all[..frames.len()]);
            assert!(frames.len() >= whole_before);
            whole_before = frames.len();
            match error {
                None => {}
                Some(error) => {
                    assert!(error.is_truncated(), "cut at {cut}: {error}");
                    assert!(error.to_string().starts_with("test: cut at byte "));
                }
            }
        }
        assert_eq!(whole_before, 2);
    }
}

#[test]
fn a_cut_in_the_file_header_is_no_capture_at_all() {
    let bytes = pcap(&three(), Precision::Micro);
    for cut in 4..24 {
        let error = open(&bytes[..cut]).err().expect("no header");
        assert!(matches!(error, CaptureError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn a_cut_gzip_stream_is_a_cut() {
    let many: Vec<Owned> = (0..2000_u64)
        .map(|n| {
            packet(
                n * 1000,
                &n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes(),
            )
        })
        .collect();
    let bytes = gzip(&pcap(&many, Precision::Micro));
    for cut in [bytes.len() - 1, bytes.len() - 8, bytes.len() / 2] {
        let (frames, error) = read(&bytes[..cut]);
        assert_eq!(frames, many[..frames.len()]);
        assert!(frames.len() > 500, "{}", frames.len());
        let error = error.expect("cut");
        assert!(error.is_truncated(), "{error}");
    }
}

#[test]
fn a_corrupt_gzip_stream_is_corrupt() {
    let many: Vec<Owned> = (0..2000)
        .map(|n| packet(n * 1000, &[n as u8; 40]))
        .collect();
    let mut bytes = gzip(&pcap(&many, Precision::Micro));
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 0xff;
    let (frames, error) = read(&bytes);
    assert_eq!(frames, many);
    let error = error.expect("a wrong checksum");
    assert!(matches!(error, CaptureError::Corrupt { .. }), "{error}");
    assert!(!error.is_truncated());
}

#[test]
fn what_is_no_capture_is_named() {
    assert!(matches!(open(b"").err(), Some(CaptureError::Empty { .. })));
    assert!(matches!(
        open(&gzip(b"")).err(),
        Some(CaptureError::Empty { .. })
    ));
    for (bytes, hint) in [
        (b"GET / HTTP/1.1".to_vec(), "47 45 54 20"),
        (vec![0xa1], "starts with a1"),
        (b"\x28\xb5\x2f\xfd....".to_vec(), "zstd"),
        (gzip(&gzip(b"x")), "gzipped twice"),
        (gzip(b"hello"), "68 65 6c 6c"),
    ] {
        let error = open(&bytes).err().expect("no capture");
        assert!(matches!(error, CaptureError::NotACapture { .. }), "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    }
    // Cut inside the gzip header, before any byte of the capture.
    let error = open(&gzip(&pcap(&[], Precision::Micro))[..8]).err();
    assert!(error.is_some_and(|e| e.is_truncated()));
}

#[test]
fn unknown_versions_are_refused() {
    for by in ORDERS {
        let error = open(&by.pcap_header(0xa1b2_c3d4, (3, 0), 65_535)).err();
        assert!(matches!(
            error,
            Some(CaptureError::UnsupportedVersion { major: 3, .. })
        ));
        let (_, error) = read(&by.versioned_section(2, 0));
        assert!(matches!(
            error,
            Some(CaptureError::UnsupportedVersion { major: 2, .. })
        ));
        assert!(read(&by.versioned_section(1, 2)).1.is_none());
    }
}

#[test]
fn corruption_is_told_with_its_place() {
    let by = By { big: false };
    let good = by.enhanced(0, 5, b"good", 4);
    let begin = [by.section(), by.interface(1, 0, &[]), good.clone()].concat();
    let overrun = {
        let mut block = good.clone();
        block[20] = 200;
        block
    };
    let mismatch = {
        let mut block = good.clone();
        let last = block.len() - 4;
        block[last] ^= 1;
        block
    };
    let mut bad_option = by.interface(1, 0, &[(9, &[6])]);
    bad_option[18] = 200;
    let mut bad_magic = by.section();
    bad_magic[8] = 0;
    for (what, block) in [
        ("interface 1", by.enhanced(1, 5, b"x", 1)),
        ("room for 4", overrun),
        ("expected the same", mismatch),
        ("a multiple of 4", by.words(&[6, 33, 0, 0])),
        ("a multiple of 4", by.words(&[6, 8, 8, 0])),
        ("a multiple of 4", by.words(&[6, 0xffff_fff0, 0, 0])),
        ("option 9 of 200 bytes", bad_option),
        ("expected 1", by.interface(1, 0, &[(9, &[6, 6])])),
        ("at least 20", by.block(6, &[0; 16])),
        ("at least 4", by.block(3, &[])),
        ("at least 8", by.block(1, &[0; 4])),
        ("byte-order magic", bad_magic),
    ] {
        let bytes = [begin.clone(), block].concat();
        let (frames, error) = read(&bytes);
        assert_eq!(frames.len(), 1);
        let error = error.expect("corrupt");
        let text = error.to_string();
        assert!(matches!(error, CaptureError::Corrupt { .. }), "{error}");
        assert!(text.contains(what), "{text} should contain {what}");
        let place = format!("at byte {}", begin.len());
        assert!(text.contains(&place), "{text} should contain {place}");
    }

    let mut bytes = pcap(&three(), Precision::Micro);
    bytes.extend(by.words(&[1, 0, 262_145, 262_145]));
    let (frames, error) = read(&bytes);
    assert_eq!(frames.len(), 3);
    assert!(matches!(error, Some(CaptureError::Corrupt { .. })));
}

#[test]
fn a_large_snap_length_allows_large_records() {
    let by = By { big: false };
    let data: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let mut bytes = by.pcap_header(0xa1b2_c3d4, (2, 4), u32::MAX);
    for _ in 0..2 {
        bytes.extend(by.words(&[1, 0, data.len() as u32, data.len() as u32]));
        bytes.extend(&data);
    }
    let (frames, error) = read(&bytes);
    assert!(error.is_none(), "{error:?}");
    assert!(frames.len() == 2 && frames.iter().all(|f| f.data == data));
}

/// Gives a byte at a time, and fails at the end.
struct Failing(io::Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let one = buf.len().min(1);
        match self.0.read(&mut buf[..one])? {
            0 => Err(io::Error::other("the disk is gone")),
            n => Ok(n),
        }
    }
}

#[test]
fn a_failing_disk_is_an_error_after_what_was_read() {
    let reader = CaptureReader::new(
        Failing(io::Cursor::new(pcap(&three(), Precision::Micro))),
        "disk",
    )
    .expect("begins as a capture");
    let (frames, error) = drain(reader);
    assert_eq!(frames, three());
    let error = error.expect("failed");
    assert!(matches!(error, CaptureError::Io { .. }), "{error}");
    assert!(error.to_string().contains("the disk is gone"), "{error}");
}

#[test]
fn opens_files_and_tells_progress() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("three.pcap.gz");
    let bytes = gzip(&pcap(&three(), Precision::Micro));
    std::fs::write(&path, &bytes).expect("writes");
    let mut reader = CaptureReader::open(&path).expect("opens");
    assert_eq!(reader.total_size(), Some(bytes.len() as u64));
    while reader.next_frame().expect("reads").is_some() {}
    assert_eq!(reader.bytes_read(), bytes.len() as u64);
    assert_eq!(reader.frames(), 3);
    assert_eq!(reader.name(), path.display().to_string());

    for missing in [folder.path().join("none.pcap"), folder.path().to_owned()] {
        let error = CaptureReader::open(&missing)
            .err()
            .expect("cannot be opened");
        assert!(matches!(error, CaptureError::Open { .. }));
        assert!(error.to_string().contains(&missing.display().to_string()));
    }
}

#[test]
fn the_writer_refuses_what_the_format_cannot_hold() {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).expect("writes");
    let mut wrong = packet(0, b"x");
    wrong.link = LinkType::RAW;
    assert!(writer.write(&wrong.frame()).is_err());
    assert!(writer.write(&packet(u64::MAX, b"x").frame()).is_err());
    assert!(writer.write(&packet(0, &[0; 262_145]).frame()).is_err());
    assert_eq!(
        writer.finish().expect("writes").len(),
        24,
        "nothing of a refused frame is written"
    );
}

fn frames() -> impl Strategy<Value = Vec<Owned>> {
    let frame = (
        0..4_294_967_296_000_000_000_u64,
        prop::sample::select(vec![1_u16, 101, 113, 276]),
        prop::collection::vec(any::<u8>(), 0..200),
        any::<u32>(),
    )
        .prop_map(|(ts_ns, link, data, wire_len)| Owned {
            ts_ns,
            link: LinkType(link),
            data,
            wire_len,
        });
    prop::collection::vec(frame, 0..40)
}

proptest! {
    #[test]
    fn pcap_round_trips(mut frames in frames(), nano: bool, gz: bool) {
        let precision = if nano { Precision::Nano } else { Precision::Micro };
        for frame in &mut frames {
            frame.link = LinkType::ETHERNET;
            if !nano {
                frame.ts_ns -= frame.ts_ns % 1000;
            }
        }
        let mut bytes = pcap(&frames, precision);
        if gz {
            bytes = gzip(&bytes);
        }
        let (got, error) = read(&bytes);
        prop_assert!(error.is_none());
        prop_assert_eq!(got, frames);
    }

    #[test]
    fn pcapng_round_trips(frames in frames(), gz: bool) {
        let mut bytes = pcapng(&frames);
        if gz {
            bytes = gzip(&bytes);
        }
        let (got, error) = read(&bytes);
        prop_assert!(error.is_none());
        prop_assert_eq!(got, frames);
    }

    /// A flipped byte must neither panic nor hang nor invent much more than there is.
    #[test]
    fn damage_is_survived(frames in frames(), ng: bool, at: prop::sample::Index, to: u8) {
        let mut bytes = if ng { pcapng(&frames) } else { pcap_of_any(&frames) };
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(reader) = open(&bytes) {
            let (got, _) = drain(reader);
            prop_assert!(got.iter().map(|f| f.data.len()).sum::<usize>() <= bytes.len());
        }
    }
}

fn pcap_of_any(frames: &[Owned]) -> Vec<u8> {
    let frames: Vec<Owned> = frames
        .iter()
        .map(|frame| Owned {
            link: LinkType::ETHERNET,
            ..frame.clone()
        })
        .collect();
    pcap(&frames, Precision::Micro)
}
