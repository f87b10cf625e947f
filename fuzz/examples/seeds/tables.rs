//! Seeds of the targets `matcher` and `frequency`.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use weir_engine::matcher::testing::random_cases;
use weir_fuzz::TIMES;
use weir_rules::frequency::{Learner, Limits};

use super::{DNS, HTTP, Seeds};

/// A literal, whether it is folded, and the mask of its groups.
type Literal<'a> = (&'a [u8], bool, u8);
/// Bytes, and how often they stand there.
type Piece<'a> = (&'a [u8], usize);
/// Group, carry, and what the buffer is made of.
type Buffer<'a> = (u8, u8, Vec<Piece<'a>>);

/// A table and its buffers in the format of `weir_fuzz::Cases`.
fn case(probes: &[Literal<'_>], buffers: &[Buffer<'_>]) -> Vec<u8> {
    let mut bytes = vec![probes.len() as u8];
    for (literal, folded, groups) in probes {
        bytes.push(groups << 4 | u8::from(*folded) << 3 | (literal.len() as u8 - 1));
        bytes.extend(*literal);
    }
    bytes.push(buffers.len() as u8 - 1);
    for (group, carry, pieces) in buffers {
        bytes.push((pieces.len() as u8 - 1) << 5 | carry << 2 | group);
        for (piece, times) in pieces {
            let place = TIMES.iter().position(|known| known == times);
            bytes.push((place.unwrap_or(0) as u8) << 5 | piece.len() as u8);
            bytes.extend(*piece);
        }
    }
    bytes
}

/// Tables and buffers.
pub fn matcher(seeds: &Seeds) -> io::Result<()> {
    let all = |literal: &'static [u8]| (literal, false, 15);
    let lengths: Vec<Literal<'_>> = (1..=8).map(|length| all(&b"Weir/0.1"[..length])).collect();
    let folded = [
        (&b"aB@[`{"[..], true, 1),
        (b"ab", true, 1),
        (b"host: \r\n", true, 3),
    ];
    let runs = [
        all(b"aaaaaaaa"),
        all(b"aaa"),
        all(b"aaaaaaab"),
        all(b"ababab"),
    ];
    let across = [all(b"across"), all(b"the"), all(b"seam"), all(b"s")];
    let x31 = &b"x".repeat(31)[..];
    let before = [(x31, 64), (x31, 64), (x31, 3), (x31, 1)];
    let to_the_seam = |last: &[Piece<'static>]| [&before, last].concat();
    let written = [
        (
            "lengths",
            case(
                &lengths,
                &[(0, 0, vec![(b"a Weir/0.1 and Weir/0.", 1), (b"W", 7)])],
            ),
        ),
        (
            "folded",
            case(
                &folded,
                &[
                    (0, 0, vec![(b"Ab@[`{ HOST: \r\n AB", 1)]),
                    (1, 0, vec![(b"ab@;@[ Host: \r\n", 2)]),
                ],
            ),
        ),
        (
            "runs",
            case(
                &runs,
                &[
                    (0, 0, vec![(b"a", 500), (b"b", 1), (b"ab", 64)]),
                    (0, 7, vec![(b"aaaaaaaaa", 1), (b"abc", 500), (b"aaa", 1)]),
                ],
            ),
        ),
        (
            "seam",
            case(
                &across,
                &[
                    (0, 0, to_the_seam(&[(b"across the seam", 1)])),
                    (
                        3,
                        5,
                        to_the_seam(&[(b"x the", 1), (b"0", 4096), (b"across", 2)]),
                    ),
                ],
            ),
        ),
        (
            "two-tables",
            [
                case(&across, &[(2, 0, vec![(b"seam across", 1)])]),
                case(&[], &[(2, 0, vec![(b"seam across", 1)])]),
            ]
            .concat(),
        ),
    ];
    for (name, bytes) in &written {
        seeds.write("matcher", name, bytes)?;
    }
    for (number, random) in random_cases(1, 16).enumerate() {
        let probes: Vec<Literal<'_>> = random
            .probes
            .iter()
            .map(|probe| (probe.bytes(), probe.folded(), (probe.groups & 15) as u8))
            .collect();
        let buffers: Vec<Buffer<'_>> = random
            .asks
            .iter()
            .filter(|ask| !ask.data.is_empty())
            .map(|ask| {
                let pieces = ask.data.chunks(31).map(|piece| (piece, 1)).take(8);
                (ask.group & 3, ask.carry, pieces.collect())
            })
            .collect();
        if !buffers.is_empty() {
            seeds.write(
                "matcher",
                &format!("random-{number}"),
                &case(&probes, &buffers),
            )?;
        }
    }
    Ok(())
}

/// A table as a file, cut and whole, and its body alone, which the target puts into a file of its own.
pub fn frequency(seeds: &Seeds) -> io::Result<()> {
    let mut learner = Learner::new();
    for payload in [HTTP, DNS, b"aaaaaaaaaaaaaaaa"] {
        for _ in 0..3 {
            learner.packet();
            learner.payload(payload);
        }
    }
    let limits = Limits {
        hits: 3,
        payloads: 2,
        windows: 300,
    };
    let table = learner.finish(limits).to_bytes();
    // Behind the header's 50 bytes, as `weir_rules::frequency` says; behind the body only a checksum.
    let mut body = Vec::new();
    DeflateDecoder::new(&table[50..]).read_to_end(&mut body)?;
    seeds.write("frequency", "table", &table)?;
    seeds.write("frequency", "cut", &table[..table.len() / 2])?;
    seeds.write("frequency", "body", &body)?;
    let nothing = Learner::new().finish(limits).to_bytes();
    seeds.write("frequency", "nothing", &nothing)
}
