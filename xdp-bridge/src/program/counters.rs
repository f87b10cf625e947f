//! What the program has counted, of all CPUs.

use std::os::fd::AsFd;

use weir_xdp_common::{Cause, Count, MAX_PORTS, Outcome, PortCounters};

use super::error::Error;
use super::object::Maps;
use super::sys;

/// What the program has counted since the bridge was first attached, whatever processes have come and gone.
///
/// For each port, `received` is the sum of all outcomes, exactly; while frames come, the two may be read a few apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCounters {
    /// By port.
    pub ports: Vec<PortCounters>,
}

impl KernelCounters {
    /// Frames and bytes of all ports that met this outcome.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> Count {
        self.sum().outcome(outcome)
    }

    /// Frames of all ports of this cause.
    #[must_use]
    pub fn cause(&self, cause: Cause) -> u64 {
        self.sum().cause(cause)
    }

    /// All ports together.
    #[must_use]
    pub fn sum(&self) -> PortCounters {
        let mut sum = PortCounters::default();
        for port in &self.ports {
            sum.add(port);
        }
        sum
    }
}

/// Counters of all ports that there can be.
pub(super) fn read(maps: &Maps) -> Result<Vec<PortCounters>, Error> {
    let doing = || Error::doing("reading the program's counters");
    let each = size_of::<PortCounters>() / size_of::<u64>();
    let mut words = vec![0_u64; each * sys::possible_cpus().map_err(doing())?];
    let mut ports = Vec::new();
    for port in 0..MAX_PORTS {
        sys::map_read_cpus(maps.counters.as_fd(), port, &mut words).map_err(doing())?;
        let mut sum = PortCounters::default();
        for cpu in words.chunks_exact(each) {
            sum.add(&of_words(cpu));
        }
        ports.push(sum);
    }
    Ok(ports)
}

/// In the order of the fields.
fn of_words(words: &[u64]) -> PortCounters {
    let mut words = words.iter().copied();
    let mut next = || words.next().unwrap_or_default();
    let mut count = || Count {
        packets: next(),
        bytes: next(),
    };
    let received = count();
    let outcomes = std::array::from_fn(|_| count());
    PortCounters {
        received,
        outcomes,
        causes: std::array::from_fn(|_| next()),
    }
}

const _: () = assert!(size_of::<PortCounters>().is_multiple_of(size_of::<u64>()));
