//! Servers and clients of the kind that real traffic is made by.

mod dns;
mod http;
mod iperf;
mod listener;
mod pulse;

pub use dns::{Dns, dig};
pub use http::{Http, Request, curl};
pub use iperf::{Iperf, Throughput, iperf};
pub use pulse::{Echo, Pulse, Pulses};

use std::time::Duration;

/// How long a server may take to be there.
const START_LIMIT: Duration = Duration::from_secs(10);
