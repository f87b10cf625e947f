//! dnsmasq and dig.

use std::net::IpAddr;

use super::START_LIMIT;
use crate::child::Child;
use crate::host::{Host, require};
use crate::{BedError, needs};

/// A DNS server, over UDP and TCP, that knows only what it was told. Dropping it ends it.
pub struct Dns {
    child: Child,
}

impl Dns {
    /// Serves addresses of names on port 53 of all of a host's addresses.
    ///
    /// # Errors
    /// [`BedError::Missing`] without dnsmasq, [`BedError::Command`] when it does not start.
    pub fn start(host: &Host, names: &[(&str, IpAddr)]) -> Result<Self, BedError> {
        require(needs::DNSMASQ)?;
        let mut command = host.command("dnsmasq");
        command.args([
            // In the foreground, its log to standard error.
            "--no-daemon",
            "--log-queries",
            // Nothing of the machine's configuration.
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--no-poll",
            "--pid-file",
            "--user=root",
            "--port=53",
            // Answers 0 lets nobody cache what the next test changes.
            "--local-ttl=0",
        ]);
        for (name, address) in names {
            command.arg(format!("--host-record={name},{address}"));
        }
        let mut child = host.spawn(command)?;
        child.expect("started", START_LIMIT)?;
        Ok(Self { child })
    }

    /// What it has logged: a line for each query (`query[A] NAME from ADDRESS`) and answer.
    pub fn log(&self) -> String {
        self.child.stderr()
    }
}

/// Asks a server for a name by dig, once; further arguments go before the name. Gives the answers, shortened
/// (`+short`): empty when there are none.
///
/// # Errors
/// [`BedError::Missing`] without dig; [`BedError::Command`] when no server answers within two seconds.
pub fn dig(
    host: &Host,
    server: IpAddr,
    name: &str,
    arguments: &[&str],
) -> Result<Vec<String>, BedError> {
    require(needs::DIG)?;
    let mut command = host.command("dig");
    command
        .args(["-r", "+short", "+tries=1", "+time=2"])
        .arg(format!("@{server}"))
        .args(arguments)
        .arg(name);
    let output = host.run(command)?.success()?;
    Ok(output.stdout.lines().map(str::to_owned).collect())
}
