//! Strategies for property tests with proptest: cases that shrink.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::recipe::{Buffer, Form, Piece, Recipe};
use super::{Case, Shape};
use crate::matcher::MAX_PROBE;

fn bytes(shape: Shape, most: usize) -> impl Strategy<Value = Vec<u8>> + Clone {
    vec(select(shape.alphabet()), 1..=most)
}

fn form(shape: Shape) -> impl Strategy<Value = Form> {
    let of = 0..1usize << 16;
    let len = 1..=MAX_PROBE;
    prop_oneof![
        3 => bytes(shape, MAX_PROBE).prop_map(Form::Fresh),
        1 => (of.clone(), 0..MAX_PROBE, len.clone()).prop_map(|(of, from, len)| Form::Part { of, from, len }),
        1 => (of.clone(), len.clone(), bytes(shape, 4)).prop_map(|(of, keep, rest)| Form::Head { of, keep, rest }),
        1 => (of.clone(), len.clone(), bytes(shape, 4)).prop_map(|(of, keep, start)| Form::Tail { of, keep, start }),
        1 => of.prop_map(|of| Form::Twin { of }),
        1 => (bytes(shape, 3), len).prop_map(|(unit, len)| Form::Run { unit, len }),
    ]
}

fn piece(shape: Shape) -> impl Strategy<Value = Piece> {
    let of = 0..1usize << 16;
    prop_oneof![
        2 => bytes(shape, 12).prop_map(Piece::Noise),
        1 => of.clone().prop_map(|of| Piece::Whole { of }),
        1 => (of.clone(), 0..256usize).prop_map(|(of, mask)| Piece::Flipped { of, mask }),
        1 => (of.clone(), 0..MAX_PROBE, select(shape.alphabet())).prop_map(|(of, at, by)| Piece::Near { of, at, by }),
        1 => (of.clone(), any::<bool>()).prop_map(|(of, first)| Piece::Cut { of, first }),
        1 => (bytes(shape, 3), 1..24usize).prop_map(|(unit, len)| Piece::Run { unit, len }),
        1 => (of, 1..32usize).prop_map(|(from, len)| Piece::Again { from, len }),
    ]
}

fn groups() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..8u64, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn group() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..3u8, 1 => 0..64u8]
}

fn buffer(shape: Shape) -> impl Strategy<Value = Buffer> {
    (
        vec(piece(shape), 0..24),
        prop_oneof![0..100usize, Just(4096)],
        group(),
        0..MAX_PROBE as u8,
    )
        .prop_map(|(pieces, limit, group, carry)| Buffer {
            pieces,
            limit,
            group,
            carry,
        })
}

/// A case of this shape, with at most `probes` probes; its answers are the definition's.
pub fn case(shape: Shape, probes: usize) -> impl Strategy<Value = Case> {
    let probes = vec((form(shape), any::<bool>(), groups()), 0..=probes);
    (probes, vec(buffer(shape), 1..4))
        .prop_map(|(probes, buffers)| Recipe { probes, buffers }.case("property".to_owned()))
}

/// Several cases, for tables that follow each other in one backend.
pub fn cases(probes: usize) -> impl Strategy<Value = Vec<Case>> {
    let any_shape = select(&Shape::ALL[..]).prop_flat_map(move |shape| case(shape, probes));
    vec(any_shape, 1..4)
}
