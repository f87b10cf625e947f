//! A core behind streams and registers that may misbehave.

use std::time::Duration;

use card_protocol::record;
use card_protocol::register::{self, table};
use card_protocol::report::UNIT;
use weir_tables::Write;

use super::cut::{corrupt, next};
use super::fault::Kind;
use super::faults::{Faults, Strike};
use super::held::Held;
use crate::SimError;
use crate::core::{Access, Core, Until};

/// Bytes that wait for a core with a clock; the host waits with the rest.
const BACKLOG: usize = 1 << 16;
/// Bytes of reports that wait for the host; the core waits with the rest.
const REPORTS: usize = 1 << 18;
/// Cycles that are run at a time.
const STEP: u64 = 2048;
/// Cycles without input or output after which a core has nothing more to say: more than the longest pause before a unit is sent.
const QUIET: u64 = 1 << 17;
/// What a register reads as when nobody answers.
const LOST: u32 = u32::MAX;

/// The card itself, without the way to it.
pub(crate) struct Board {
    core: Box<dyn Core>,
    faults: Faults,
    /// What has come and was not handed to the core: less than a record, or behind one that is held.
    pending: Vec<u8>,
    /// A record that was held, as it will be handed on.
    deferred: Vec<u8>,
    records_held: Held,
    /// Units as the core has sent them.
    units: Vec<u8>,
    /// A unit whose end of packet was lost.
    withheld: Vec<u8>,
    /// What the host gets.
    ready: Vec<u8>,
    reports_held: Held,
    link_lost: Held,
    version: Option<(u32, Held)>,
    /// What was written to the tables, by memory and address.
    tables: Vec<Vec<u32>>,
    select: u32,
    address: u32,
    /// Cycles of a clocked core without input or output.
    quiet: u64,
    died: bool,
    strikes: Vec<Strike>,
}

/// Words of a memory that are kept in mind, a bound for what a host may write.
const WORDS: usize = 1 << 20;

impl Board {
    pub(crate) fn new(core: Box<dyn Core>, faults: Faults) -> Self {
        Self {
            core,
            faults,
            pending: Vec::new(),
            deferred: Vec::new(),
            records_held: Held::No,
            units: Vec::new(),
            withheld: Vec::new(),
            ready: Vec::new(),
            reports_held: Held::No,
            link_lost: Held::No,
            version: None,
            tables: vec![Vec::new(); table::END as usize],
            select: 0,
            address: 0,
            quiet: QUIET,
            died: false,
            strikes: Vec::new(),
        }
    }

    /// True when it is to behave as dead.
    pub(crate) fn died(&self) -> bool {
        self.died
    }

    /// A host has come: what was under way belongs to nobody.
    pub(crate) fn forget(&mut self) {
        self.pending.clear();
        self.deferred.clear();
        self.units.clear();
        self.withheld.clear();
        self.ready.clear();
    }

    /// True when more input can be taken.
    pub(crate) fn takes(&mut self) -> bool {
        let held = self.records_held.now() || self.link_lost.now();
        !held
            && self.ready.len() + self.units.len() < REPORTS
            && self.core.backlog() < BACKLOG
            && self.pending.len() < BACKLOG + 2 * record::MAX_LENGTH
    }

    /// Time after which something that is held goes on.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let version = self.version.map_or(Held::No, |(_, held)| held);
        let all = [
            self.records_held,
            self.reports_held,
            self.link_lost,
            version,
        ];
        all.into_iter().filter_map(Held::end).min()
    }

    /// Makes register accesses, in order; returns what was read.
    pub(crate) fn access(&mut self, accesses: &[Access]) -> Result<Vec<u32>, SimError> {
        self.at_once()?;
        let reads = accesses.iter().filter_map(|access| match access {
            Access::Read { address } => Some(*address),
            Access::Write { .. } => None,
        });
        if self.link_lost.now() {
            return Ok(reads.map(|_| LOST).collect());
        }
        let mut answers = Vec::new();
        for access in accesses {
            match *access {
                Access::Write { address, value }
                    if address == register::CONTROL && value & register::CONTROL_FLUSH != 0 =>
                {
                    self.settle(&mut answers)?;
                    self.flush()?;
                    self.core.post(address, value & !register::CONTROL_FLUSH);
                    continue;
                }
                Access::Write { address, value } => self.written(address, value),
                Access::Read { .. } => {}
            }
            self.core.wires().accesses.push_back(*access);
        }
        self.settle(&mut answers)?;
        self.quiet = 0;
        if let Some((version, held)) = &mut self.version {
            if held.now() {
                for (answer, address) in answers.iter_mut().zip(reads) {
                    if address == register::INTERFACE {
                        *answer = *version;
                    }
                }
            } else {
                self.version = None;
            }
        }
        Ok(answers)
    }

    /// Waits for the accesses that were handed to the core.
    fn settle(&mut self, answers: &mut Vec<u32>) -> Result<(), SimError> {
        self.core.settle()?;
        answers.extend(self.core.wires().answers.drain(..));
        Ok(())
    }

    /// Drops what is in the core and on the way to it; units that it has sent go on.
    fn flush(&mut self) -> Result<(), SimError> {
        self.pending.clear();
        self.deferred.clear();
        self.core.pull(&mut self.units);
        self.units.truncate(self.units.len() / UNIT * UNIT);
        self.core.flush()
    }

    /// Keeps in mind what is written where.
    fn written(&mut self, address: u32, value: u32) {
        match address {
            register::TABLE_SELECT => self.select = value,
            register::TABLE_ADDRESS => self.address = value,
            register::TABLE_DATA => {
                let at = self.address as usize;
                if let Some(words) = self.tables.get_mut(self.select as usize)
                    && at < WORDS
                {
                    if words.len() <= at {
                        words.resize(at + 1, 0);
                    }
                    words[at] = value;
                }
                self.address = self.address.wrapping_add(1);
            }
            _ => {}
        }
    }

    /// True for a core that has cycles to be run.
    fn clocked(&self) -> bool {
        self.core.name() != "model"
    }

    /// Takes bytes of the stream of records.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Hands whole records to the core, and has faults happen to them.
    fn records(&mut self) -> Result<(), SimError> {
        if self.records_held.now() || self.link_lost.now() {
            return Ok(());
        }
        if !self.deferred.is_empty() {
            self.core.push(&self.deferred);
            self.deferred.clear();
        }
        let lanes = self.core.geometry().lanes;
        let mut pending = std::mem::take(&mut self.pending);
        let (mut from, mut at) = (0, 0);
        while let Some(size) = next(&pending[at..], lanes) {
            self.faults.strikes(false, size, &mut self.strikes);
            if self.strikes.is_empty() {
                at += size;
                continue;
            }
            self.core.push(&pending[from..at]);
            let record = pending[at..at + size].to_vec();
            at += size;
            from = at;
            if !self.strike_record(record)? {
                // All that has come is lost, too.
                at = pending.len();
                from = at;
            }
            if self.died || self.records_held.now() || self.link_lost.now() {
                break;
            }
        }
        self.core.push(&pending[from..at]);
        pending.drain(..at);
        self.pending = pending;
        Ok(())
    }

    /// Has faults happen to a record; false when what follows is lost with it.
    fn strike_record(&mut self, mut record: Vec<u8>) -> Result<bool, SimError> {
        let lanes = self.core.geometry().lanes;
        let mut copies = 1;
        for strike in std::mem::take(&mut self.strikes) {
            let mut rng = fastrand::Rng::with_seed(strike.seed);
            match strike.fault.kind {
                Kind::DropRecord => copies = 0,
                Kind::DuplicateRecord => copies += 1,
                Kind::CorruptRecord => corrupt(&mut record, strike.fault.bits, &mut rng),
                Kind::TruncateRecord => {
                    let beats = record.len() / lanes;
                    if beats < 2 {
                        self.faults.missed(strike.fault.kind);
                        continue;
                    }
                    record.truncate(rng.usize(1..beats) * lanes);
                }
                _ => {
                    if !self.strike_card(&strike)? {
                        return Ok(false);
                    }
                    continue;
                }
            }
            self.faults.happened(strike.fault.kind);
        }
        let held = self.records_held.now() || self.link_lost.now();
        for _ in 0..copies {
            if held {
                self.deferred.extend_from_slice(&record);
            } else {
                self.core.push(&record);
            }
        }
        Ok(true)
    }

    /// Has a fault happen to the card as a whole; false when what was under way is lost.
    fn strike_card(&mut self, strike: &Strike) -> Result<bool, SimError> {
        let fault = &strike.fault;
        match fault.kind {
            Kind::DelayRecords | Kind::StallRecords => self.records_held = Held::by(fault),
            Kind::LoseLink => self.link_lost = Held::by(fault),
            Kind::FlipFilter | Kind::FlipExact if !self.flip(strike)? => {
                self.faults.missed(fault.kind);
                return Ok(true);
            }
            Kind::Die => self.died = true,
            Kind::Reset | Kind::Version => {
                self.core.reset()?;
                self.forget();
                if fault.kind == Kind::Version {
                    self.version = Some((fault.value, Held::by(fault)));
                }
            }
            // Those of records and reports are elsewhere.
            _ => {}
        }
        self.faults.happened(fault.kind);
        Ok(!matches!(
            fault.kind,
            Kind::Reset | Kind::Version | Kind::Die
        ))
    }

    /// Changes bits of a word that was loaded; false when there is none, or this kind of core has no way to.
    fn flip(&mut self, strike: &Strike) -> Result<bool, SimError> {
        let exact = strike.fault.kind == Kind::FlipExact;
        let memories = if exact {
            table::EXACT..table::END
        } else {
            table::FILTER_8A..table::FILTER_2 + 1
        };
        let loaded = |select: u32| {
            self.tables
                .get(select as usize)
                .map_or(&[][..], Vec::as_slice)
        };
        let words = memories.flat_map(|select| {
            (0u32..)
                .zip(loaded(select))
                .map(move |(at, word)| (select, at, *word))
        });
        let words: Vec<(u32, u32, u32)> = words.filter(|&(_, _, word)| word != 0).collect();
        let mut rng = fastrand::Rng::with_seed(strike.seed);
        if words.is_empty() {
            return Ok(false);
        }
        if !self.clocked() {
            // What came before the fault is looked through before it.
            self.core.run(STEP, Until::Taken)?;
        }
        for _ in 0..strike.fault.bits {
            let (select, address, word) = words[rng.usize(..words.len())];
            let mut bit = rng.u32(..32);
            while strike.fault.set && word >> bit & 1 == 0 {
                bit = (bit + 1) % 32;
            }
            let data = word ^ 1 << bit;
            let write = Write {
                select,
                address,
                data,
            };
            if !self.core.upset(write) {
                return Ok(false);
            }
            tracing::info!("fault: memory {select}, word {address}: bit {bit} of {word:#010x}");
            if let Some(kept) = self
                .tables
                .get_mut(select as usize)
                .and_then(|words| words.get_mut(address as usize))
            {
                *kept = data;
            }
        }
        Ok(true)
    }

    /// Has happen what waits for nothing, and ends what is to end.
    fn at_once(&mut self) -> Result<(), SimError> {
        if self.faults.none() {
            return Ok(());
        }
        let mut strikes = std::mem::take(&mut self.strikes);
        if self.faults.at_once(&mut strikes) {
            (self.records_held, self.reports_held, self.link_lost) = (Held::No, Held::No, Held::No);
            self.version = None;
        }
        for strike in strikes {
            self.strike_card(&strike)?;
        }
        Ok(())
    }

    /// Goes on; false when there is nothing to do until something comes.
    pub(crate) fn advance(&mut self) -> Result<bool, SimError> {
        self.at_once()?;
        self.records()?;
        if self.link_lost.now() || self.ready.len() + self.units.len() >= REPORTS {
            return Ok(false);
        }
        let before = (self.core.backlog(), self.units.len());
        if self.clocked() {
            if before.0 < self.core.geometry().lanes && self.quiet >= QUIET {
                return Ok(false);
            }
            self.core.run(STEP, Until::Output)?;
        } else {
            self.core.run(STEP, Until::Taken)?;
        }
        self.core.pull(&mut self.units);
        let same = before == (self.core.backlog(), self.units.len());
        self.reports();
        self.quiet = if same {
            self.quiet.saturating_add(STEP)
        } else {
            0
        };
        Ok(!same || self.clocked() && self.quiet < QUIET)
    }

    /// Hands whole units on, and has faults happen to them.
    fn reports(&mut self) {
        let mut units = std::mem::take(&mut self.units);
        let mut at = 0;
        while !self.reports_held.now() && !self.link_lost.now() {
            let Some(unit) = units.get(at..at + UNIT) else {
                break;
            };
            self.faults.strikes(true, UNIT, &mut self.strikes);
            if self.strikes.is_empty() && self.withheld.is_empty() && self.faults.none() {
                // As much as there is, at once.
                let whole = (units.len() - at) / UNIT * UNIT;
                self.ready.extend_from_slice(&units[at..at + whole]);
                at += whole;
                continue;
            }
            at += UNIT;
            let unit = unit.to_vec();
            self.strike_unit(unit);
        }
        units.drain(..at);
        self.units = units;
    }

    fn strike_unit(&mut self, mut unit: Vec<u8>) {
        let (mut copies, mut lost_end) = (1, false);
        for strike in std::mem::take(&mut self.strikes) {
            let mut rng = fastrand::Rng::with_seed(strike.seed);
            match strike.fault.kind {
                Kind::DropReport => copies = 0,
                Kind::DuplicateReport => copies += 1,
                Kind::CorruptReport => corrupt(&mut unit, strike.fault.bits, &mut rng),
                Kind::TruncateReport => unit.truncate(rng.usize(1..UNIT)),
                Kind::LoseEnd => lost_end = true,
                Kind::DelayReports | Kind::StallReports => {
                    self.reports_held = Held::by(&strike.fault);
                }
                _ => {}
            }
            self.faults.happened(strike.fault.kind);
        }
        for _ in 0..copies {
            self.withheld.extend_from_slice(&unit);
        }
        if !lost_end {
            self.ready.append(&mut self.withheld);
        }
    }

    /// What the host may have now.
    pub(crate) fn output(&mut self) -> &[u8] {
        if !self.units.is_empty() {
            self.reports();
        }
        if self.reports_held.now() || self.link_lost.now() {
            return &[];
        }
        &self.ready
    }

    /// The host has so much of it.
    pub(crate) fn took(&mut self, bytes: usize) {
        self.ready.drain(..bytes.min(self.ready.len()));
    }
}

#[cfg(test)]
mod tests {
    use weir_tables::{Geometry, Size};

    use super::*;
    use crate::core::Wires;

    /// A core with a clock that has so many units to send, one a run.
    struct Talker {
        geometry: Geometry,
        wires: Wires,
        left: usize,
    }

    impl Core for Talker {
        fn name(&self) -> &'static str {
            "talker"
        }

        fn geometry(&self) -> &Geometry {
            &self.geometry
        }

        fn wires(&mut self) -> &mut Wires {
            &mut self.wires
        }

        fn reset(&mut self) -> Result<(), SimError> {
            Ok(())
        }

        fn run(&mut self, _: u64, _: Until) -> Result<(), SimError> {
            if self.left > 0 {
                self.left -= 1;
                self.wires.put_output(&[0; UNIT]);
            }
            Ok(())
        }

        fn flush(&mut self) -> Result<(), SimError> {
            Ok(())
        }
    }

    #[test]
    fn a_core_is_clocked_for_as_long_as_it_speaks() {
        const UNITS: usize = 3000;
        let core = Talker {
            geometry: Geometry::new(8, Size::Compact),
            wires: Wires::default(),
            left: UNITS,
        };
        let mut board = Board::new(Box::new(core), Faults::default());
        // Nothing comes; a register access has it look.
        board.access(&[]).expect("no accesses");
        let mut got = 0;
        while board.advance().expect("it runs") {
            let bytes = board.output().len();
            board.took(bytes);
            got += bytes;
        }
        assert_eq!(got, UNITS * UNIT);
    }
}
