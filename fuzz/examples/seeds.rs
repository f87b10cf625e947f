//! Writes the seeds of the fuzz targets into `fuzz/seeds`: `cargo xtask seeds`.
//!
//! Frames are built here layer by layer, so that each seed takes a decoder down one path. The attacks that the traffic
//! generator plants add what applications say.

#[path = "seeds/built.rs"]
mod built;
#[path = "seeds/card.rs"]
mod card;
#[path = "seeds/driver.rs"]
mod driver;
#[path = "seeds/handover.rs"]
mod handover;
#[path = "seeds/session.rs"]
mod session;
#[path = "seeds/stream.rs"]
mod stream;
#[path = "seeds/tables.rs"]
mod tables;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use weir_capture::generate::Scenario;
use weir_capture::{PcapNgWriter, PcapWriter, Precision};
use weir_engine::packet::{Frame, LinkType};
use weir_fuzz::{CUT, LATE, LINKS, MAX_FRAME};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds = Seeds {
        root: root.join("seeds"),
    };
    traffic(&seeds)?;
    attacks(&seeds)?;
    captures(&seeds)?;
    rules(&seeds, root)?;
    built::built(&seeds, root)?;
    session::session(&seeds)?;
    stream::stream(&seeds)?;
    handover::handover(&seeds)?;
    card::card(&seeds)?;
    driver::driver(&seeds)?;
    tables::matcher(&seeds)?;
    tables::frequency(&seeds)
}

struct Seeds {
    root: PathBuf,
}

impl Seeds {
    fn write(&self, target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let dir = self.root.join(target);
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join(name), bytes)
    }
}

/// An input in the format of `weir_fuzz::Traffic`; a frame's number carries the flags of its length.
fn input(link: LinkType, options: u8, frames: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let place = LINKS
        .iter()
        .position(|known| *known == link)
        .unwrap_or(LINKS.len() - 1);
    let mut bytes = vec![place as u8, options];
    for (flags, frame) in frames {
        let frame = &frame[..frame.len().min(MAX_FRAME)];
        bytes.extend((frame.len() as u16 | flags).to_be_bytes());
        bytes.extend(frame);
    }
    bytes
}

fn one(frame: Vec<u8>) -> Vec<(u16, Vec<u8>)> {
    vec![(0, frame)]
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn ether(kind: u16, inner: &[u8]) -> Vec<u8> {
    join(&[
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2],
        &kind.to_be_bytes(),
        inner,
    ])
}

fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let bytes = parts.concat();
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

const SRC4: [u8; 4] = [10, 0, 0, 1];
const DST4: [u8; 4] = [192, 168, 0, 2];
const SRC6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const DST6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// An IPv4 packet; `fragment` is the field of flags and offset.
fn ipv4(proto: u8, options: &[u8], fragment: u16, inner: &[u8]) -> Vec<u8> {
    let words = 5 + options.len() / 4;
    let length = (words * 4 + inner.len()) as u16;
    let mut header = join(&[
        &[0x40 | words as u8, 0],
        &length.to_be_bytes(),
        &[0x12, 0x34],
        &fragment.to_be_bytes(),
        &[64, proto, 0, 0],
        &SRC4,
        &DST4,
        options,
    ]);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum);
    join(&[&header, inner])
}

fn ipv6(next: u8, inner: &[u8]) -> Vec<u8> {
    join(&[
        &[0x60, 0, 0, 0],
        &(inner.len() as u16).to_be_bytes(),
        &[next, 64],
        &SRC6,
        &DST6,
        inner,
    ])
}

/// Puts the checksum of an upper layer over IPv4 at `at`.
fn sealed(proto: u8, at: usize, mut segment: Vec<u8>) -> Vec<u8> {
    let length = (segment.len() as u16).to_be_bytes();
    let sum = checksum(&[&SRC4, &DST4, &[0, proto], &length, &segment]);
    segment[at..at + 2].copy_from_slice(&sum);
    segment
}

fn tcp(ports: (u16, u16), flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
    let words = (5 + options.len() / 4) as u8;
    sealed(
        6,
        16,
        join(&[
            &ports.0.to_be_bytes(),
            &ports.1.to_be_bytes(),
            &[
                0,
                0,
                0,
                1,
                0,
                0,
                0,
                1,
                words << 4,
                flags,
                0xff,
                0xff,
                0,
                0,
                0,
                0,
            ],
            options,
            data,
        ]),
    )
}

fn udp(ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len() as u16).to_be_bytes();
    sealed(
        17,
        6,
        join(&[
            &ports.0.to_be_bytes(),
            &ports.1.to_be_bytes(),
            &length,
            &[0, 0],
            data,
        ]),
    )
}

const DNS: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04weir\x07example\x00\x00\x01\x00\x01";
const HTTP: &[u8] =
    b"GET /login?user=weir&len=0042&b64=d2VpciB3ZWlyIHdlaXI= HTTP/1.1\r\nHost: example\r\n\r\n";

/// Seeds for `packet` and `evaluate`.
fn traffic(seeds: &Seeds) -> io::Result<()> {
    let options = [
        2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0,
    ];
    let syn = tcp((40000, 80), 2, &options, &[]);
    let request = tcp((40000, 80), 0x18, &[], HTTP);
    let query = udp((5353, 53), DNS);
    let echo = {
        let mut echo = vec![8, 0, 0, 0, 0, 1, 0, 1, b'w', b'e', b'i', b'r'];
        let sum = checksum(&[&echo]);
        echo[2..4].copy_from_slice(&sum);
        echo
    };
    let whole = ipv4(6, &[], 0x4000, &request);
    let six = ipv6(17, &query);
    // Hop-by-hop, routing, destination options, fragment (of nothing), in front of UDP.
    let extensions = join(&[
        &[43, 0, 5, 2, 0, 0, 1, 0],
        &[60, 0, 2, 0, 0, 0, 0, 0],
        &[44, 0, 1, 4, 0, 0, 0, 0],
        &[17, 0, 0, 0, 0, 0, 0, 7],
        &query,
    ]);
    let arp = join(&[
        &[0, 1, 8, 0, 6, 4, 0, 1],
        &[2, 0, 0, 0, 0, 2],
        &SRC4,
        &[0; 6],
        &DST4,
    ]);
    let ports =
        |port: u16, data: Vec<u8>| ether(0x800, &ipv4(17, &[], 0, &udp((1234, port), &data)));
    let gre = |flags: u16, kind: u16, data: Vec<u8>| {
        ether(
            0x800,
            &ipv4(
                47,
                &[],
                0,
                &join(&[&flags.to_be_bytes(), &kind.to_be_bytes(), &data]),
            ),
        )
    };

    let mut single: Vec<(&str, LinkType, Vec<u8>)> = vec![
        (
            "tcp-syn",
            LinkType::ETHERNET,
            ether(0x800, &ipv4(6, &[], 0, &syn)),
        ),
        ("tcp-http", LinkType::ETHERNET, ether(0x800, &whole)),
        (
            "udp-dns",
            LinkType::ETHERNET,
            ether(0x800, &ipv4(17, &[], 0, &query)),
        ),
        (
            "icmp-echo",
            LinkType::ETHERNET,
            ether(0x800, &ipv4(1, &[], 0, &echo)),
        ),
        (
            "icmp-unreachable",
            LinkType::ETHERNET,
            ether(
                0x800,
                &ipv4(1, &[], 0, &join(&[&[3, 3, 0, 0, 0, 0, 0, 0], &whole])),
            ),
        ),
        (
            "ip-options",
            LinkType::ETHERNET,
            ether(
                0x800,
                &ipv4(6, &[7, 7, 4, 10, 0, 0, 1, 1, 68, 4, 5, 0], 0, &syn),
            ),
        ),
        ("ipv6-dns", LinkType::ETHERNET, ether(0x86dd, &six)),
        (
            "ipv6-extensions",
            LinkType::ETHERNET,
            ether(0x86dd, &ipv6(0, &extensions)),
        ),
        (
            "ipv6-neighbour",
            LinkType::ETHERNET,
            ether(
                0x86dd,
                &ipv6(58, &join(&[&[135, 0, 0, 0, 0, 0, 0, 0], &DST6])),
            ),
        ),
        ("arp", LinkType::ETHERNET, ether(0x806, &arp)),
        (
            "sctp",
            LinkType::ETHERNET,
            ether(
                0x800,
                &ipv4(
                    132,
                    &[],
                    0,
                    &[0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 20],
                ),
            ),
        ),
        (
            "igmp",
            LinkType::ETHERNET,
            ether(
                0x800,
                &ipv4(
                    2,
                    &[148, 4, 0, 0],
                    0,
                    &[0x16, 0, 0x09, 0x04, 224, 0, 0, 251],
                ),
            ),
        ),
        (
            "esp",
            LinkType::ETHERNET,
            ether(
                0x800,
                &ipv4(50, &[], 0, &[0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4]),
            ),
        ),
        (
            "vlan-qinq",
            LinkType::ETHERNET,
            ether(0x88a8, &join(&[&[0, 100, 0x81, 0, 0, 200, 8, 0], &whole])),
        ),
        (
            "mpls",
            LinkType::ETHERNET,
            ether(0x8847, &join(&[&[0, 1, 0, 64, 0, 1, 0x11, 64], &whole])),
        ),
        (
            "pppoe",
            LinkType::ETHERNET,
            ether(0x8864, &join(&[&[0x11, 0, 0, 1, 0, 0, 0, 0x21], &whole])),
        ),
        (
            "pppoe-discovery",
            LinkType::ETHERNET,
            ether(0x8863, &[0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0]),
        ),
        ("gre", LinkType::ETHERNET, gre(0, 0x800, whole.clone())),
        (
            "gre-pptp",
            LinkType::ETHERNET,
            gre(
                0x3001,
                0x880b,
                join(&[&[0, 40, 0, 1, 0, 0, 0, 1, 0, 0x21], &whole]),
            ),
        ),
        (
            "erspan",
            LinkType::ETHERNET,
            gre(
                0x1000,
                0x88be,
                join(&[
                    &[0, 0, 0, 1, 0x10, 1, 0, 0, 0, 0, 0, 0],
                    &ether(0x800, &whole),
                ]),
            ),
        ),
        (
            "vxlan",
            LinkType::ETHERNET,
            ports(
                4789,
                join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ether(0x800, &whole)]),
            ),
        ),
        (
            "geneve",
            LinkType::ETHERNET,
            ports(
                6081,
                join(&[&[0, 0, 0x65, 0x58, 0, 0, 1, 0], &ether(0x800, &whole)]),
            ),
        ),
        ("teredo", LinkType::ETHERNET, ports(3544, six.clone())),
        (
            "ip-in-ip",
            LinkType::ETHERNET,
            ether(0x800, &ipv4(4, &[], 0, &whole)),
        ),
        (
            "ip6-in-ip",
            LinkType::ETHERNET,
            ether(0x800, &ipv4(41, &[], 0, &six)),
        ),
        (
            "ip-in-ip6",
            LinkType::ETHERNET,
            ether(0x86dd, &ipv6(4, &whole)),
        ),
        (
            "cooked",
            LinkType::LINUX_SLL,
            join(&[&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0], &whole]),
        ),
        (
            "cooked-2",
            LinkType::LINUX_SLL2,
            join(&[
                &[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
                &whole,
            ]),
        ),
        ("ppp", LinkType::PPP, join(&[&[0xff, 3, 0, 0x21], &whole])),
        ("loopback", LinkType::NULL, join(&[&[2, 0, 0, 0], &whole])),
        (
            "loopback-big-endian",
            LinkType::LOOP,
            join(&[&[0, 0, 0, 2], &whole]),
        ),
        ("chdlc", LinkType::CHDLC, join(&[&[0x0f, 0, 8, 0], &whole])),
        ("raw", LinkType::RAW, whole.clone()),
        ("raw-6", LinkType::IPV6, six.clone()),
    ];
    let mut nested = whole.clone();
    for _ in 0..40 {
        nested = ipv4(4, &[], 0, &nested);
    }
    single.push(("nested", LinkType::ETHERNET, ether(0x800, &nested)));
    for (name, link, frame) in &single {
        for target in ["packet", "evaluate"] {
            seeds.write(target, name, &input(*link, 0, &one(frame.clone())))?;
        }
        if *link == LinkType::ETHERNET {
            seeds.write("wire", name, frame)?;
        }
    }
    wire(seeds, &syn, &request)?;

    let pieces = |cuts: &[(usize, usize)]| -> Vec<(u16, Vec<u8>)> {
        let data = udp((1234, 53), &[b'a'; 192]);
        let piece = |&(from, to): &(usize, usize)| {
            let more = if to < data.len() { 0x2000 } else { 0 };
            (
                0,
                ether(
                    0x800,
                    &ipv4(17, &[], more | (from / 8) as u16, &data[from..to]),
                ),
            )
        };
        cuts.iter().map(piece).collect()
    };
    let six_piece = |offset: u16, more: u16, data: &[u8]| {
        let field = (offset | more).to_be_bytes();
        (
            0,
            ether(
                0x86dd,
                &ipv6(44, &join(&[&[17, 0], &field, &[0, 0, 0, 9], data])),
            ),
        )
    };
    let data6 = udp((1234, 53), &[b'b'; 56]);
    let mut late = pieces(&[(0, 96), (96, 200)]);
    late[1].0 = LATE;
    let mut cut = one(ether(0x800, &whole));
    cut[0].0 = CUT;
    for (name, options, frames) in [
        ("fragments", 0, pieces(&[(0, 96), (96, 200)])),
        (
            "fragments-backwards",
            1,
            pieces(&[(128, 200), (64, 128), (0, 64)]),
        ),
        (
            "fragments-overlap",
            0,
            pieces(&[(0, 96), (64, 160), (48, 112), (112, 200)]),
        ),
        ("fragments-late", 0, late),
        (
            "fragments-6",
            0,
            vec![
                six_piece(0, 1, &data6[..32]),
                six_piece(32, 0, &data6[32..]),
            ],
        ),
        ("cut", 0, cut),
    ] {
        for target in ["packet", "evaluate"] {
            seeds.write(target, name, &input(LinkType::ETHERNET, options, &frames))?;
        }
    }
    let mixed = [
        ether(0x800, &whole),
        ether(0x86dd, &six),
        ether(0x800, &ipv4(1, &[], 0, &echo)),
        ether(0x800, &whole[..24]),
    ];
    let mixed: Vec<_> = mixed.into_iter().map(|frame| (0, frame)).collect();
    seeds.write("evaluate", "mixed", &input(LinkType::ETHERNET, 2, &mixed))
}

/// More frames for `wire`: what matters to whoever answers them, or gives flows to the kernel.
fn wire(seeds: &Seeds, syn: &[u8], request: &[u8]) -> io::Result<()> {
    let reset = tcp((80, 40000), 0x14, &[], &[]);
    let six_error = [1, 4, 0, 0, 0, 0, 0, 0, 0x60, 0, 0, 0, 0, 0, 59, 64];
    // Nine headers of destination options, the last of which is in front of an ICMPv6 error.
    let mut long = Vec::new();
    for left in (0..9).rev() {
        long.extend([if left == 0 { 58 } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
    }
    long.extend(six_error);
    let mut mapped = ipv6(6, request);
    for (at, address) in [(8, SRC4), (24, DST4)] {
        mapped[at..at + 16].copy_from_slice(&join(&[&[0; 10], &[0xff; 2], &address]));
    }
    let tagged = |tags: &[u8], kind: u16, inner: &[u8]| {
        ether(0x8100, &join(&[tags, &kind.to_be_bytes(), inner]))
    };
    let four = |inner: &[u8]| ipv4(6, &[], 0x4000, inner);
    let mut group = ether(0x800, &four(syn));
    group[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 1]);
    for (name, frame) in [
        ("tcp-reset", ether(0x800, &four(&reset))),
        ("tcp-six", ether(0x86dd, &ipv6(6, request))),
        ("vlan", tagged(&[0, 7], 0x800, &four(syn))),
        ("vlan-priority", tagged(&[0xe0, 0], 0x800, &four(syn))),
        (
            "vlan-two",
            tagged(&[0, 7, 0x81, 0, 0, 8], 0x86dd, &ipv6(6, request)),
        ),
        (
            "vlan-three",
            tagged(&[0, 7, 0x81, 0, 0, 8, 0x81, 0, 0, 9], 0x800, &four(syn)),
        ),
        ("group", group),
        ("first-fragment", ether(0x800, &ipv4(6, &[], 0x2000, syn))),
        ("later-fragment", ether(0x800, &ipv4(6, &[], 0x2001, syn))),
        ("icmp6-error", ether(0x86dd, &ipv6(58, &six_error))),
        ("icmp6-error-far", ether(0x86dd, &ipv6(60, &long))),
        ("mapped", ether(0x86dd, &mapped)),
    ] {
        seeds.write("wire", name, &frame)?;
    }
    Ok(())
}

/// Seeds for `evaluate`: the beginning of every planted attack.
fn attacks(seeds: &Seeds) -> io::Result<()> {
    const FRAMES: usize = 12;
    const BYTES: usize = 3000;
    let traffic = Scenario::new(1).packets(2000).generate();
    for planted in traffic.planted() {
        let addresses = [planted.src, planted.dst].map(|address| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        });
        let holds =
            |frame: &Frame<'_>, part: &[u8]| frame.data.windows(part.len()).any(|at| at == part);
        let mut room = BYTES;
        let frames: Vec<_> = traffic
            .frames()
            .skip_while(|frame| frame.ts_ns < planted.ts_ns.saturating_sub(1_000_000_000))
            .filter(|frame| addresses.iter().all(|address| holds(frame, address)))
            .take(FRAMES)
            .take_while(|frame| {
                let fits = frame.data.len() <= room;
                room = room.saturating_sub(frame.data.len());
                fits
            })
            .map(|frame| (0, frame.data.to_vec()))
            .collect();
        let name = format!("attack-{}", planted.sid);
        seeds.write("evaluate", &name, &input(LinkType::ETHERNET, 0, &frames))?;
    }
    Ok(())
}

/// Seeds for `capture`: the same few frames in every format.
fn captures(seeds: &Seeds) -> io::Result<()> {
    let frames: Vec<Vec<u8>> = vec![
        ether(0x800, &ipv4(17, &[], 0, &udp((5353, 53), DNS))),
        ether(0x800, &ipv4(6, &[], 0, &tcp((40000, 80), 0x18, &[], HTTP))),
        Vec::new(),
    ];
    let frame = |index: usize| Frame {
        ts_ns: 1_700_000_000_123_456_789,
        number: index as u64 + 1,
        link: LinkType::ETHERNET,
        data: &frames[index],
        wire_len: frames[index].len() as u32 + 4,
        ..Frame::default()
    };
    let mut all: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, precision) in [("micro", Precision::Micro), ("nano", Precision::Nano)] {
        let mut writer = PcapWriter::with_precision(Vec::new(), LinkType::ETHERNET, precision)?;
        for index in 0..frames.len() {
            writer.write(&frame(index))?;
        }
        all.push((name, writer.finish()?));
    }
    let mut writer = PcapNgWriter::new(Vec::new())?;
    for index in 0..frames.len() {
        writer.write(&frame(index))?;
    }
    let ng = writer.finish()?;
    all.push(("ng-two-sections", [ng.as_slice(), ng.as_slice()].concat()));
    all.push(("ng", ng));
    all.push(("big-endian", big_endian(&frames)));
    all.push(("ng-big-endian", ng_big_endian(&frames)));
    let micro = all[0].1.clone();
    all.push(("cut", micro[..micro.len() - 7].to_vec()));
    all.push(("header-only", micro[..24].to_vec()));
    let mut gz = Vec::new();
    // Two members, as `cat a.gz b.gz` makes them.
    for half in micro.chunks(micro.len() / 2 + 1) {
        let mut encoder = GzEncoder::new(&mut gz, Compression::best());
        encoder.write_all(half)?;
        encoder.finish()?;
    }
    all.push(("gzip-cut", gz[..gz.len() - 11].to_vec()));
    all.push(("gzip", gz));
    for (name, bytes) in &all {
        seeds.write("capture", name, bytes)?;
    }
    Ok(())
}

fn big_endian(frames: &[Vec<u8>]) -> Vec<u8> {
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    let mut bytes = words(&[0xa1b2_c3d4, 0x0002_0004, 0, 0, 65535, 1]);
    for frame in frames {
        let length = frame.len() as u32;
        bytes.extend(words(&[1_700_000_000, 123_456, length, length]));
        bytes.extend(frame);
    }
    bytes
}

/// A section with an interface in nanoseconds and an offset, then one enhanced and one simple packet.
fn ng_big_endian(frames: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let length = (12 + padded) as u32;
        let padding = vec![0; padded - body.len()];
        join(&[
            &kind.to_be_bytes(),
            &length.to_be_bytes(),
            body,
            &padding,
            &length.to_be_bytes(),
        ])
    };
    let interface = [
        0, 1, 0, 0, 0, 0, 255, 255, // Ethernet, snap length
        0, 9, 0, 1, 9, 0, 0, 0, // if_tsresol: nanoseconds
        0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 60, // if_tsoffset
        0, 0, 0, 0,
    ];
    let length = (frames[0].len() as u32).to_be_bytes();
    join(&[
        &block(
            0x0a0d_0d0a,
            &[
                0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255,
            ],
        ),
        &block(1, &interface),
        &block(
            6,
            &join(&[
                &[0; 4],
                &[0x17, 0x97, 0, 0, 0, 0, 0, 0],
                &length,
                &length,
                &frames[0],
            ]),
        ),
        &block(3, &join(&[&length, &frames[0]])),
        &block(0xbad, b"unknown"),
    ])
}

/// Seeds for `rules`: every rule of the evaluator's list by itself, and what grammar alone can show.
fn rules(seeds: &Seeds, root: &Path) -> io::Result<()> {
    let text = std::fs::read_to_string(root.join("rules/evaluate.rules"))?;
    for rule in text.lines().filter(|line| line.contains("sid:")) {
        let sid = rule
            .rsplit("sid:")
            .next()
            .and_then(|rest| rest.split(';').next())
            .unwrap_or_default();
        seeds.write("rules", &format!("sid-{sid}"), rule.as_bytes())?;
    }
    let odd: BTreeSet<(&str, &[u8])> = BTreeSet::from([
        ("continued", &b"alert tcp any any -> any any (msg:\"a \\\n  b\"; \\\r\n  content:\"x\"; sid:1;)\r\n"[..]),
        ("comments", b"\xef\xbb\xbf# first\n\n  # second\nalert ip any any -> any any (sid:1;)"),
        ("escapes", b"alert tcp any any -> any any (msg:\"\\\"quoted\\; \\\\\"; content:\"a\\:|3a 3B|\\;b\"; sid:1;)"),
        ("lists", b"alert tcp [$HOME_NET,!10.0.0.1,[2001:db8::/32,::1]] [80,!81,1000:] <> !$EXTERNAL_NET :1023 (sid:1;)"),
        ("ranges", b"alert udp 10.0.0.1-10.0.0.9 any -> 1.2.3.0/255.255.255.0 any (sid:1;)"),
        ("unterminated", b"alert tcp any any -> any any (msg:\"no end; sid:1;)\n"),
        ("no-sid", b"alert tcp any any -> any any (msg:\"a\";)\n"),
        ("twice", b"alert ip any any -> any any (sid:1;)\nalert ip any any -> any any (sid:1; rev:2;)\n"),
        ("invalid-utf8", b"alert ip any any -> any any (msg:\"\xff\xfe\"; content:\"\xc3\x28\"; sid:1;)\n"),
        ("hooks", b"alert http1:request_line any any -> any any (http.uri; content:\"/a\"; sid:1;)\n"),
        ("transaction", b"alert http any any => any any (http.stat_code; content:\"200\"; sid:1;)\n"),
        ("unsupported", b"alert dns any any -> any any (dns.query; to_lowercase; content:\"a\"; flowbits:set,b; sid:1;)\n"),
        ("requires", b"alert ip any any -> any any (requires: version >= 8.0.0 < 9 | keyword entropy; sid:1;)\n"),
        ("metadata", b"alert ip any any -> any any (classtype:trojan-activity; reference:cve,2021-44228; metadata:a b, c d; priority:2; gid:3; target:src_ip; sid:1;)\n"),
    ]);
    for (name, bytes) in odd {
        seeds.write("rules", name, bytes)?;
    }
    Ok(())
}
