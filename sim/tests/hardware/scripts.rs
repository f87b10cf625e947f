//! What is done to a core.

use std::collections::BTreeMap;

use card_protocol::record::{HEADER, Header, MAX_LENGTH};
use card_protocol::register as reg;
use weir_engine::matcher::Probe;
use weir_engine::matcher::testing::{Ask, Case, Shape, Sizes, random_case};
use weir_sim::core::Until;

use crate::coverage::{Fault, SHORT};
use crate::run::{Outcome, Run, told};

/// Faults that are bytes of the stream.
pub const STREAM: [Fault; 10] = [
    Fault::Magic,
    Fault::Nonce,
    Fault::HeaderCrc,
    Fault::Length,
    Fault::Group,
    Fault::Carry,
    Fault::PayloadCrc,
    Fault::Stale,
    Fault::Truncated,
    Fault::Garbage,
];

/// A case of short buffers.
fn case(run: &mut Run<'_>, buffers: (usize, usize), longest: usize) -> Case {
    let shape = *run.rng.pick(&Shape::ALL);
    let sizes = Sizes {
        probes: (0, 24),
        buffers,
        data: (0, longest),
    };
    random_case(run.rng.draw(), shape, &sizes)
}

/// Goes over to a case's probes with a record under way.
fn load(run: &mut Run<'_>, case: &Case) -> Outcome {
    run.end_switch()?;
    let longest = run.rng.below(60);
    let data = run.rng.bytes(Shape::Tiny.alphabet(), longest);
    run.ask_plain(data);
    switch(run, case)
}

/// Goes over to a case's probes with nothing under way: what a limit does depends on the filter, which a switch changes.
fn load_quietly(run: &mut Run<'_>, case: &Case) -> Outcome {
    run.end_switch()?;
    switch(run, case)?;
    run.end_switch()
}

fn switch(run: &mut Run<'_>, case: &Case) -> Outcome {
    if !run.switch(&case.probes)? {
        return Err(format!(
            "{}: {} probes do not fit",
            case.name,
            case.probes.len()
        ));
    }
    Ok(())
}

/// Random cases, one after another, with whatever can be wrong in between.
pub fn random(run: &mut Run<'_>, cases: usize, faults: bool) -> Outcome {
    for _ in 0..cases {
        let case = case(run, (1, 12), 300);
        load(run, &case)?;
        for ask in &case.asks {
            if faults && run.rng.one_in(4) {
                let fault = *run.rng.pick(&STREAM);
                spoil(run, fault);
            }
            run.ask(ask);
            if run.rng.one_in(3) {
                let cycles = run.rng.below(300) as u64;
                run.go(cycles)?;
            }
        }
    }
    run.counters()
}

/// Every carry with every short length, then long ones; every group.
pub fn lengths(run: &mut Run<'_>, longest: usize) -> Outcome {
    let case = random_case(run.rng.draw(), Shape::Text, &Sizes::default());
    load(run, &case)?;
    let mut long = vec![255, 256, 257, 511, 1000, 1460, 1500, 4096, 9000];
    long.extend([MAX_LENGTH - 33, MAX_LENGTH - 1, MAX_LENGTH]);
    long.retain(|&length| length <= longest);
    let mut group = 0;
    for length in (0..=SHORT).chain(long) {
        for carry in 0..=7.min(length) {
            let mut data = run.rng.bytes(Shape::Text.alphabet(), length);
            plant(run, &case.probes, &mut data);
            group = (group + 1) % 64;
            run.ask(&Ask::new(&case.probes, group, carry as u8, data));
        }
        if run.under_way() > 200 {
            run.go(2000)?;
        }
    }
    run.counters()
}

/// Puts probes into a buffer, at its end, too.
fn plant(run: &mut Run<'_>, probes: &[Probe], data: &mut [u8]) {
    if probes.is_empty() {
        return;
    }
    for number in 0..data.len() / 100 + 1 {
        let probe = run.rng.pick(probes).bytes();
        let Some(most) = data.len().checked_sub(probe.len()) else {
            continue;
        };
        let at = if number == 0 {
            most
        } else {
            run.rng.below(most + 1)
        };
        data[at..at + probe.len()].copy_from_slice(probe);
    }
}

/// Periods from 1 to 20, with probes of what is repeated, and with one byte changed.
pub fn periods(run: &mut Run<'_>) -> Outcome {
    for round in 0..4 {
        let unit = run.rng.bytes(Shape::Binary.alphabet(), 20);
        let mut probes = Vec::new();
        for length in 1..=8 {
            for at in 0..3 {
                probes.extend(Probe::new(&unit[at..at + length], round % 2 == 1, u64::MAX));
            }
        }
        let case = Case {
            name: "periods".to_owned(),
            probes,
            asks: Vec::new(),
        };
        load(run, &case)?;
        for period in 1..=20 {
            let length = run.rng.range(30, 160);
            let mut data: Vec<u8> = unit[..period]
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect();
            if run.rng.one_in(2) {
                let at = run.rng.below(length);
                data[at] ^= 0x20;
            }
            let carry = run.rng.below(8) as u8;
            run.ask(&Ask::new(&case.probes, 0, carry, data));
        }
    }
    run.counters()
}

/// Buffers full of candidates, under a limit that was set low at the start.
pub fn overflows(run: &mut Run<'_>, buffers: usize) -> Outcome {
    let probes: Vec<Probe> = [&b"a"[..], b"ab", b"abA", b"B"]
        .iter()
        .filter_map(|literal| Probe::new(literal, false, u64::MAX))
        .collect();
    let case = Case {
        name: "overflows".to_owned(),
        probes,
        asks: Vec::new(),
    };
    load_quietly(run, &case)?;
    for _ in 0..buffers {
        let length = run.rng.below(120);
        let data = run.rng.bytes(Shape::Tiny.alphabet(), length);
        run.ask(&Ask::new(&case.probes, 0, 0, data));
    }
    run.counters()
}

/// Each fault by itself: what it counts, and that the next record is answered.
pub fn faults(run: &mut Run<'_>) -> Outcome {
    let case = random_case(run.rng.draw(), Shape::Text, &Sizes::default());
    load_quietly(run, &case)?;
    let counters: BTreeMap<Fault, u32> = [
        (Fault::Magic, reg::COUNT_LOST),
        (Fault::Nonce, reg::COUNT_LOST),
        (Fault::HeaderCrc, reg::COUNT_LOST),
        (Fault::Length, reg::COUNT_MALFORMED),
        (Fault::Group, reg::COUNT_MALFORMED),
        (Fault::Carry, reg::COUNT_MALFORMED),
        (Fault::PayloadCrc, reg::COUNT_DAMAGED),
        (Fault::Stale, reg::COUNT_STALE),
        (Fault::Truncated, reg::COUNT_DAMAGED),
        (Fault::Garbage, reg::COUNT_LOST),
    ]
    .into();
    for _ in 0..3 {
        for (&fault, &counter) in &counters {
            good(run, &case);
            run.drain()?;
            let before = run.session.core.read(counter).map_err(told)?;
            spoil(run, fault);
            good(run, &case);
            run.drain()?;
            let counted = run
                .session
                .core
                .read(counter)
                .map_err(told)?
                .wrapping_sub(before);
            if counted != 1 {
                return Err(format!(
                    "{fault:?} was counted {counted} times in {counter:#05x}"
                ));
            }
        }
    }
    run.counters()
}

fn good(run: &mut Run<'_>, case: &Case) {
    let length = run.rng.range(1, 150);
    let mut data = run.rng.bytes(Shape::Text.alphabet(), length);
    plant(run, &case.probes, &mut data);
    run.ask(&Ask::new(&case.probes, 0, 0, data));
}

/// Sends something that is not right. Afterwards the stream is at the end of a record, or hunted through.
pub fn spoil(run: &mut Run<'_>, fault: Fault) {
    run.coverage.fault(fault);
    let lanes = run.lanes();
    let length = run.rng.below(100);
    let payload = run.rng.bytes(Shape::Text.alphabet(), length);
    let generation = run.generation();
    let mut record = run.record(&payload, 1, 0, generation);
    let head = lanes.max(HEADER);
    match fault {
        Fault::Magic => record[run.rng.below(4)] ^= 1 << run.rng.below(8),
        Fault::Nonce => record[4 + run.rng.below(4)] ^= 1 << run.rng.below(8),
        Fault::HeaderCrc => record[8 + run.rng.below(24)] ^= 1 << run.rng.below(8),
        Fault::Length | Fault::Group | Fault::Carry | Fault::PayloadCrc => {
            let mut header = parse(&record, run.session.nonce());
            match fault {
                Fault::Length => header.length = run.rng.range(MAX_LENGTH + 1, 65_535) as u16,
                Fault::Group => header.group = run.rng.range(64, 255) as u8,
                Fault::Carry if run.rng.one_in(2) => header.carry = run.rng.range(8, 255) as u8,
                Fault::Carry => (header.length, header.carry) = (3, 4),
                _ => header.payload_crc ^= 1 << run.rng.below(32),
            }
            record[..HEADER].copy_from_slice(&header.encode());
            if fault != Fault::PayloadCrc {
                record.truncate(head);
            }
        }
        Fault::Stale => {
            let other = generation.wrapping_add(run.rng.range(2, 65_534) as u16);
            record = run.record(&payload, 1, 0, other);
        }
        Fault::Truncated => {
            let whole = run.rng.range(200, 600);
            let payload = run.rng.bytes(Shape::Text.alphabet(), whole);
            record = run.record(&payload, 1, 0, generation);
            let size = record.len();
            let beats = run.rng.range(head / lanes, size / lanes - 1);
            record.truncate(beats * lanes);
            // It takes the next record for its own, or a part of it, and zeros that end it in any case.
            let next = run.record(b"swallowed", 1, 0, generation);
            record.extend(next);
            record.resize(record.len().max(size), 0);
        }
        _ => {
            let beats = run.rng.range(1, 20);
            record = run.rng.bytes(Shape::Binary.alphabet(), beats * lanes);
            // Random, but surely no magic.
            record.chunks_mut(lanes).for_each(|beat| beat[0] = 0);
        }
    }
    run.bytes(&record);
}

fn parse(record: &[u8], nonce: u32) -> Header {
    let bytes = record.first_chunk().expect("a header's bytes");
    Header::parse(bytes, nonce).expect("a good header")
}

/// Flushes and resets in the middle of records: what comes after is answered.
pub fn interruptions(run: &mut Run<'_>, times: usize) -> Outcome {
    let case = random_case(run.rng.draw(), Shape::Text, &Sizes::default());
    load_quietly(run, &case)?;
    for number in 0..times {
        for _ in 0..run.rng.below(6) {
            good(run, &case);
        }
        // A part of a record may be all that is there.
        let payload = run.rng.bytes(Shape::Text.alphabet(), 300);
        let generation = run.generation();
        let record = run.record(&payload, 0, 0, generation);
        let beats = run.rng.range(1, record.len() / run.lanes() - 1);
        run.bytes(&record[..beats * run.lanes()]);
        let cycles = run.rng.below(400) as u64;
        run.go(cycles)?;
        if number % 2 == 0 {
            run.coverage.fault(Fault::Flush);
            run.flush()?;
        } else {
            run.coverage.fault(Fault::Reset);
            run.reset()?;
        }
        for _ in 0..3 {
            good(run, &case);
        }
        run.drain()?;
    }
    Ok(())
}

/// Records of 64 bytes, back to back: a beat a cycle.
pub fn throughput(run: &mut Run<'_>, buffers: usize) -> Outcome {
    let case = Case {
        name: "throughput".to_owned(),
        probes: Probe::new(b"nowhere!", false, u64::MAX)
            .into_iter()
            .collect(),
        asks: Vec::new(),
    };
    load_quietly(run, &case)?;
    // After a new key the core makes its tables of terms anew, and takes nothing meanwhile.
    run.ask(&Ask::new(&case.probes, 0, 0, vec![b' '; 8]));
    run.drain()?;
    let before = run.session.core.wires().totals;
    for _ in 0..buffers {
        let data = run.rng.bytes(Shape::Text.alphabet(), 64);
        run.ask(&Ask::new(&case.probes, 0, 0, data));
    }
    let beats = (run.session.core.backlog() / run.lanes()) as u64;
    run.session.run(beats + 8, Until::Taken).map_err(told)?;
    let after = run.session.core.wires().totals;
    let (taken, stalls) = (after.beats - before.beats, after.stalls - before.stalls);
    if (taken, stalls) != (beats, 0) {
        return Err(format!(
            "{stalls} stalls while {taken} of {beats} beats were taken"
        ));
    }
    run.counters()
}

/// Registers: identity, what cannot be written, what is out of range. For a core whose tables are empty.
pub fn registers(run: &mut Run<'_>) -> Outcome {
    let core = &mut run.session.core;
    let geometry = *core.geometry();
    let mut failure = None;
    let found = weir_tables::Geometry::identify(|address| {
        core.read(address).unwrap_or_else(|error| {
            failure = Some(error.to_string());
            0
        })
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    if found.as_ref().ok() != Some(&geometry) {
        return Err(format!(
            "{found:?} is what the core says it is, not {geometry:?}"
        ));
    }
    let read_only = [
        reg::MAGIC,
        reg::INTERFACE,
        reg::LANES,
        reg::MAX_LENGTH,
        reg::STATUS,
    ];
    for address in read_only
        .into_iter()
        .chain([0x7C, 0xC4, 0xFFC, reg::COUNT_LOST])
    {
        let before = core.read(address).map_err(told)?;
        core.write(address, 0xFFFF_FFFF).map_err(told)?;
        let after = core.read(address).map_err(told)?;
        if before != after || after != run.model.read(address) {
            return Err(format!(
                "register {address:#05x}: {before:#x}, then {after:#x}"
            ));
        }
    }
    for select in 0..reg::table::END + 4 {
        for address in [
            0, 8, 9, 15, 16, 24, 25, 511, 512, 1023, 1024, 2047, 2048, 8191, 8192, 65_535, 65_536,
        ] {
            for (register, value) in [
                (reg::TABLE_SELECT, select),
                (reg::TABLE_ADDRESS, address),
                (reg::TABLE_DATA, 0),
            ] {
                core.post(register, value);
                run.model.write(register, value);
            }
        }
    }
    core.settle().map_err(told)?;
    let errors = core.read(reg::COUNT_TABLE_ERRORS).map_err(told)?;
    if errors == 0 {
        return Err("no table write was refused".to_owned());
    }
    // The key has zeros now.
    Ok(())
}
