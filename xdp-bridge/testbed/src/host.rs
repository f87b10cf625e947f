//! One station of a bed.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::child::{Child, Output};
use crate::link::{self, LinkCounters, Steering};
use crate::netns::Namespace;
use crate::{BedError, needs};

/// How long a program may take that [`Host::run`] runs.
pub const RUN_LIMIT: Duration = Duration::from_secs(60);

/// A MAC address.
pub type Mac = [u8; 6];

/// One interface of a host.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its name inside the host's namespace.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
    /// Its IPv4 address, if it has one.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address, if it has one.
    pub v6: Option<Ipv6Addr>,
}

/// A network namespace with its interfaces.
pub struct Host {
    pub(crate) name: &'static str,
    pub(crate) namespace: Namespace,
    pub(crate) links: Vec<Link>,
    /// Who generated frames come from, and who those of the other side come from. No host has these addresses, so
    /// that no host spends time on such frames, answers them, or sends them on.
    pub(crate) station: Mac,
    pub(crate) far_station: Mac,
    /// TX queues of each link, and RX queues.
    pub(crate) queues: u32,
    pub(crate) mtu: u32,
    pub(crate) steering: Option<Steering>,
}

impl Host {
    /// A fresh namespace with its loopback up, and nothing else.
    pub(crate) fn new(name: &'static str) -> Result<Self, BedError> {
        let host = Self {
            name,
            namespace: Namespace::new()?,
            links: Vec::new(),
            station: [0; 6],
            far_station: [0; 6],
            queues: 1,
            mtu: 1500,
            steering: None,
        };
        host.ip("link set lo up\n")?;
        Ok(host)
    }

    /// `client`, `middle` or `server`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its interfaces, the loopback left out.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The name of its first interface.
    pub fn interface(&self) -> &str {
        self.links.first().map_or("lo", |link| link.name.as_str())
    }

    /// The IPv4 address of its first interface; 0.0.0.0 where it has none.
    pub fn v4(&self) -> Ipv4Addr {
        let first = self.links.first().and_then(|link| link.v4);
        first.unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// The IPv6 address of its first interface; `::` where it has none.
    pub fn v6(&self) -> Ipv6Addr {
        let first = self.links.first().and_then(|link| link.v6);
        first.unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    /// The MAC address of its first interface.
    pub fn mac(&self) -> Mac {
        self.links.first().map_or([0; 6], |link| link.mac)
    }

    /// TX queues, and RX queues, of each of its interfaces.
    pub fn queues(&self) -> u32 {
        self.queues
    }

    /// The MTU of its interfaces, bytes.
    pub fn mtu(&self) -> u32 {
        self.mtu
    }

    /// A command that runs on this host; see [`Namespace::command`].
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// Runs a command of this host's to its end, at most [`RUN_LIMIT`] long. Its status is not judged: see
    /// [`Output::success`].
    ///
    /// # Errors
    /// [`BedError::System`] when it cannot be started, [`BedError::Late`] when it takes too long: then it is killed.
    pub fn run(&self, command: Command) -> Result<Output, BedError> {
        self.run_within(command, RUN_LIMIT)
    }

    /// As [`Host::run`], with a limit of one's own.
    ///
    /// # Errors
    /// As [`Host::run`].
    pub fn run_within(&self, command: Command, limit: Duration) -> Result<Output, BedError> {
        self.spawn(command)?.wait(limit)
    }

    /// Starts a command on this host. It may be any command: one made by [`Host::command`] is on this host already.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn spawn(&self, mut command: Command) -> Result<Child, BedError> {
        // Twice does no harm.
        self.namespace.adopt(&mut command);
        command.stdin(Stdio::null());
        Child::start(command)
    }

    /// Runs `work` on a thread of its own on this host: sockets that it opens are this host's, wherever they go.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, BedError> {
        self.namespace.enter(work)
    }

    /// Round-trip times of `count` pings, 10 ms apart, in order; those that were not answered are missing.
    ///
    /// # Errors
    /// [`BedError::Missing`] without `ping`; as [`Host::run`].
    pub fn ping(&self, to: IpAddr, count: u32) -> Result<Vec<Duration>, BedError> {
        require(needs::PING)?;
        let mut ping = self.command("ping");
        ping.args(["-n", "-i", "0.01", "-W", "1", "-c", &count.to_string()])
            .arg(to.to_string());
        let output = self.run(ping)?;
        Ok(output
            .stdout
            .lines()
            .filter_map(|line| {
                let time = line.split("time=").nth(1)?.split_whitespace().next()?;
                Some(Duration::from_secs_f64(time.parse::<f64>().ok()? / 1e3))
            })
            .collect())
    }

    /// Turns a link up or down, changes its MTU and so on: lines as `ip -batch` takes them.
    ///
    /// # Errors
    /// [`BedError::Command`] with what `ip` said, [`BedError::Missing`] without `ip`.
    pub fn ip(&self, lines: &str) -> Result<(), BedError> {
        self.batch("ip", lines)
    }

    /// Lines as `bridge -batch` takes them.
    pub(crate) fn bridge(&self, lines: &str) -> Result<(), BedError> {
        self.batch("bridge", lines)
    }

    fn batch(&self, program: &'static str, lines: &str) -> Result<(), BedError> {
        require(needs::IPROUTE2)?;
        let mut command = self.command(program);
        command.args(["-batch", "-"]).stdin(Stdio::piped());
        let mut child = Child::start(command)?;
        child.feed(lines.as_bytes())?;
        child
            .wait(RUN_LIMIT)?
            .success()
            .map_err(|error| match error {
                BedError::Command {
                    command,
                    status,
                    stderr,
                } => BedError::Command {
                    command: format!("{command} on {}, of {lines:?}", self.name),
                    status,
                    stderr,
                },
                other => other,
            })?;
        Ok(())
    }

    /// Counters of an interface, the kernel's own.
    ///
    /// # Errors
    /// [`BedError::Invalid`] when there is none of that name.
    pub fn counters(&self, interface: &str) -> Result<LinkCounters, BedError> {
        self.enter(|| link::counters(interface))?
    }

    /// What the driver of an interface counts (as `ethtool -S` has it). A veth counts by queue where it polls, that is
    /// with GRO or an XDP program: `rx_queue_0_xdp_packets` counts all frames, whatever its name says.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn statistics(&self, interface: &str) -> Result<Vec<(String, u64)>, BedError> {
        self.enter(|| link::Features::open(interface)?.statistics())?
    }

    /// Turns a feature of an interface on or off, by the kernel's name for it (as `ethtool -k` and `-K` have them).
    ///
    /// # Errors
    /// [`BedError::System`]; [`BedError::Invalid`] when there is no such feature or it does not follow.
    pub fn set_feature(&self, interface: &str, feature: &str, on: bool) -> Result<(), BedError> {
        self.enter(|| link::Features::open(interface)?.set(&[(feature, on)]))?
    }

    /// Whether a feature of an interface is on.
    ///
    /// # Errors
    /// As [`Host::set_feature`].
    pub fn feature(&self, interface: &str, feature: &str) -> Result<bool, BedError> {
        self.enter(|| link::Features::open(interface)?.get(feature))?
    }

    /// Writes a value below `/proc/sys/net`.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn sysctl(&self, name: &str, value: &str) -> Result<(), BedError> {
        let path = format!("/proc/sys/net/{name}");
        let write = || {
            std::fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|mut file| file.write_all(value.as_bytes()))
        };
        self.enter(write)?
            .map_err(BedError::system(format!("writing {value} to {path}")))
    }
}

/// Refuses when a program is missing.
pub(crate) fn require(need: needs::Need) -> Result<(), BedError> {
    if (need.present)() {
        return Ok(());
    }
    Err(BedError::Missing(format!(
        "missing: {} ({}); apt-get install {}",
        need.package, need.why, need.package
    )))
}
