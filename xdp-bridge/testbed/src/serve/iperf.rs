//! iperf3: TCP and UDP flat out.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::START_LIMIT;
use crate::child::Child;
use crate::host::{Host, RUN_LIMIT, require};
use crate::{BedError, needs};

/// iperf3's own port.
const PORT: &str = "5201";

/// An iperf3 server. Dropping it ends it.
pub struct Iperf {
    _child: Child,
}

impl Iperf {
    /// On its own port of all of a host's addresses.
    ///
    /// # Errors
    /// [`BedError::Missing`] without iperf3, [`BedError::Command`] when it does not start.
    pub fn start(host: &Host) -> Result<Self, BedError> {
        require(needs::IPERF3)?;
        let mut command = host.command("iperf3");
        command.args(["-s", "-p", PORT, "--forceflush"]);
        let mut child = host.spawn(command)?;
        child.expect("listening", START_LIMIT)?;
        Ok(Self { _child: child })
    }
}

/// What iperf3 measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    /// Bytes that were sent.
    pub sent: u64,
    /// Bytes that came.
    pub received: u64,
    /// Bits a second that came.
    pub bits_per_second: f64,
    /// TCP segments sent again; 0 of UDP.
    pub retransmits: u64,
}

/// Sends from a host to an [`Iperf`] for so long, rounded up to a second; further arguments (`-u`, `-R`, `-P 4`, …) are
/// iperf3's.
///
/// # Errors
/// [`BedError::Missing`] without iperf3; [`BedError::Command`] when it fails; [`BedError::Late`] when it hangs.
pub fn iperf(
    host: &Host,
    to: IpAddr,
    time: Duration,
    arguments: &[&str],
) -> Result<Throughput, BedError> {
    require(needs::IPERF3)?;
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let mut command = host.command("iperf3");
    command
        .args([
            "-J",
            "-p",
            PORT,
            "-t",
            &seconds.to_string(),
            "-c",
            &to.to_string(),
        ])
        .args(arguments);
    let output = host.run_within(command, time + RUN_LIMIT)?;
    // With -J errors stand in the answer.
    let said: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let failed = |what: String| BedError::Command {
        command: output.command.clone(),
        status: output.status.to_string(),
        stderr: what,
    };
    if let Some(error) = said.get("error") {
        return Err(failed(error.to_string()));
    }
    read(&said).ok_or_else(|| failed(format!("no sums in {}{}", output.stdout, output.stderr)))
}

fn read(said: &Value) -> Option<Throughput> {
    let end = said.get("end")?;
    let sum = |name: &str| end.get(name).or_else(|| end.get("sum"));
    let (sent, received) = (sum("sum_sent")?, sum("sum_received")?);
    Some(Throughput {
        sent: sent.get("bytes")?.as_u64()?,
        received: received.get("bytes")?.as_u64()?,
        bits_per_second: received.get("bits_per_second")?.as_f64()?,
        retransmits: sent.get("retransmits").and_then(Value::as_u64).unwrap_or(0),
    })
}
