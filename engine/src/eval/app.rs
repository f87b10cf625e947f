//! Tests on transactions and on which protocol was found.

use super::{AppSubject, Subject};
use crate::app::{AppBuffer, AppField, AppProto, FLOW_EVENTS, Transaction, Way, Ways};
use crate::plan::{AppPlan, AppTest, ProtocolMode, ProtocolTest, Which};

/// True when all that a rule asks of the application layer beside its buffers holds.
pub(super) fn holds(plan: &AppPlan, subject: &Subject<'_>) -> bool {
    let app = &subject.app;
    let speaks =
        plan.protos.is_empty() || app.flow.proto.is_some_and(|proto| plan.protos.has(proto));
    speaks
        && plan.protocols.iter().all(|test| found(test, app))
        && plan.tests.iter().all(|test| {
            app.transaction
                .is_some_and(|tx| of_transaction(test, tx, app.way(), subject))
        })
}

/// The direction in which a rule looks at something: its own, or the only one that has it.
pub(super) fn way_of(ways: Ways, way: Way) -> Way {
    match ways {
        Ways::ToServer => Way::ToServer,
        Ways::ToClient => Way::ToClient,
        Ways::Both => way,
    }
}

fn numbers(tx: &Transaction, way: Way, field: AppField) -> impl Iterator<Item = u64> {
    tx.numbers(way_of(field.ways(), way), field)
}

fn of_transaction(test: &AppTest, tx: &Transaction, way: Way, subject: &Subject<'_>) -> bool {
    match test {
        AppTest::Number {
            field,
            num,
            which,
            way: own,
        } => {
            let way = own.map_or(way, |to_server| Way::of(usize::from(!to_server)));
            let mut numbers = numbers(tx, way, *field);
            match *which {
                Which::Any => numbers.any(|number| num.test(number)),
                Which::All => {
                    let mut numbers = numbers.peekable();
                    numbers.peek().is_some() && numbers.all(|number| num.test(number))
                }
                Which::AllOrNone => numbers.all(|number| num.test(number)),
                Which::At(at) => {
                    let all: Vec<u64> = numbers.collect();
                    let at = match usize::try_from(at) {
                        Ok(at) => Some(at),
                        Err(_) => all.len().checked_sub(at.unsigned_abs() as usize),
                    };
                    at.and_then(|at| all.get(at))
                        .is_some_and(|&number| num.test(number))
                }
                Which::Count => num.test(numbers.count() as u64),
            }
        }
        AppTest::Bits {
            field,
            mask,
            value,
            negated,
        } => numbers(tx, way, *field).any(|number| (number & mask == *value) != *negated),
        AppTest::AnyBit { field, mask } => {
            // States are of the connection: either side may have said so.
            Way::ALL
                .iter()
                .any(|&way| tx.numbers(way, *field).any(|number| number & mask != 0))
        }
        AppTest::OneOf {
            field,
            values,
            negated,
        } => numbers(tx, way, *field).any(|number| values.contains(&number) != *negated),
        AppTest::Setting { id, num } => {
            let mut settings = numbers(tx, way, AppField::Http2Setting);
            settings.any(|setting| {
                let value = setting & u64::from(u32::MAX);
                setting >> 32 == u64::from(*id) && num.as_ref().is_none_or(|num| num.test(value))
            })
        }
        AppTest::Event(name) => tx.events().contains(name),
        AppTest::DceInterface { uuid, version } => {
            let is_it = |bytes: &[u8]| {
                let of_bytes = bytes.get(16..18).and_then(|bytes| bytes.first_chunk());
                let of_bytes = of_bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes));
                bytes.get(..16) == Some(uuid) && version.is_none_or(|num| num.test(of_bytes.into()))
            };
            Way::ALL
                .iter()
                .any(|&way| tx.buffers(way, AppBuffer::DceInterface).any(is_it))
        }
        AppTest::HashIn {
            buffer,
            hashes,
            negated,
        } => {
            let mut of_files = tx.buffers(way, *buffer);
            of_files.any(|hash| {
                hashes
                    .binary_search_by(|known| known.as_slice().cmp(hash))
                    .is_ok()
                    != *negated
            })
        }
        AppTest::Age { field, past } => {
            let now = subject.packet.ts_ns / 1_000_000_000;
            numbers(tx, way, *field).any(|then| (then < now) == *past)
        }
    }
}

fn found(test: &ProtocolTest, app: &AppSubject<'_>) -> bool {
    let flow = &app.flow;
    let at = |way: usize| flow.found.get(way).copied().flatten();
    match test {
        ProtocolTest::Unknown => at(app.way.into()).is_none() && flow.proto.is_none(),
        ProtocolTest::Event(name) => {
            let events = FLOW_EVENTS.iter().zip(0..);
            events
                .filter(|(known, _)| *known == name)
                .any(|(_, bit)| flow.events >> bit & 1 == 1)
        }
        ProtocolTest::Is { set, negated, mode } => {
            let is = |proto: Option<AppProto>| proto.is_some_and(|proto| set.has(proto));
            let known = |proto: Option<AppProto>| proto.is_some();
            let (known, is) = match mode {
                ProtocolMode::Direction => {
                    let of_way = at(app.way.into());
                    (known(of_way), is(of_way))
                }
                ProtocolMode::ToServer => (known(at(0)), is(at(0))),
                ProtocolMode::ToClient => (known(at(1)), is(at(1))),
                ProtocolMode::Either => {
                    if *negated {
                        (known(at(0)) && known(at(1)), is(at(0)) || is(at(1)))
                    } else {
                        (true, is(at(0)) || is(at(1)))
                    }
                }
                ProtocolMode::Final => (known(flow.proto), is(flow.proto)),
                ProtocolMode::Original => {
                    let original = flow.original;
                    (known(original), is(original))
                }
            };
            known && is != *negated
        }
    }
}
