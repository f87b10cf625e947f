//! What is wanted of ports, and whether it can be had.

use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use weir_rules::compile::Loaded;
use weir_xdp::interface::Facts;
use weir_xdp::program::{self, AttachMode, AttachOptions, Checked};
use weir_xdp::worker::frame_size_for;

use super::cpus::Cpus;
use crate::cli::{Capture, RunOptions};
use crate::config::{Fail, Mode, WireSection};
use crate::failure::Failure;
use crate::ui::figures;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) attach: AttachOptions,
    pub(super) frames: Option<u32>,
    frame_size: Option<u32>,
    bypass: bool,
    workers: NonZeroUsize,
    cpus: Cpus,
}

impl Plan {
    /// What the command line and the configuration ask for; `None` where no ports are to be had by XDP.
    ///
    /// # Errors
    /// When they do not fit together, or the ports cannot be had: before rules are read, which may take a while.
    pub fn of(options: &RunOptions, wire: &WireSection) -> Result<Option<Self>, Failure> {
        let interfaces = match (&options.interface, options.inline.as_slice()) {
            (None, []) => return Ok(None),
            (Some(interface), _) => vec![interface.clone()],
            (None, [a, b]) => vec![a.clone(), b.clone()],
            (None, other) => {
                return Err(Failure::Usage(format!(
                    "--inline takes two ports, IF_A,IF_B, not {}",
                    other.len()
                )));
            }
        };
        #[cfg(feature = "libpcap")]
        if options.capture == Capture::Libpcap || options.filter.is_some() {
            if !options.inline.is_empty() {
                return Err(Failure::Usage(
                    "--filter is for --interface: what is left out could not go from port to port"
                        .to_owned(),
                ));
            }
            if options.dry_run {
                return Err(Failure::Usage(
                    "--dry-run looks at ports that XDP takes, not at what libpcap does".to_owned(),
                ));
            }
            return Ok(None);
        }
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let queues = options.workers.map(NonZeroUsize::get).or(wire.queues);
        let attach = AttachOptions {
            mode: match options.xdp.or(wire.mode).unwrap_or_default() {
                Mode::Auto => AttachMode::Auto,
                Mode::Native => AttachMode::Native,
                Mode::Generic => AttachMode::Generic,
            },
            fail: match options.fail.or(wire.fail).unwrap_or_default() {
                Fail::Open => program::Fail::Open,
                Fail::Closed => program::Fail::Closed,
            },
            heartbeat: wire.heartbeat(),
            queues: queues.map(number),
            bpffs: wire
                .bpffs
                .clone()
                .unwrap_or_else(|| PathBuf::from(program::BPFFS)),
            ..AttachOptions::new(interfaces)
        };
        let Checked {
            ports,
            workers,
            problems,
            ..
        } = program::check(&attach);
        if !problems.is_empty() && !options.dry_run {
            return Err(Failure::Failed(listed(&problems)));
        }
        if options.inline.is_empty()
            && options.capture == Capture::Auto
            && let Some(port) = ports.iter().find(|port| is_the_hosts(&port.name))
        {
            return Err(Failure::Failed(format!(
                "this host itself speaks on {}, and XDP would take its packets away: use a port that gets a mirror of traffic, \
                 or insist with --capture xdp{}",
                port.name,
                if cfg!(feature = "libpcap") {
                    ", or watch it with --capture libpcap"
                } else {
                    "; a build with the feature libpcap can watch it"
                }
            )));
        }
        let workers = workers.and_then(|workers| NonZeroUsize::new(workers as usize));
        let plan = Self {
            attach,
            frames: wire.frames.map(number),
            frame_size: wire.frame_size.map(number),
            bypass: wire.bypass.unwrap_or(true),
            workers: workers.unwrap_or(NonZeroUsize::MIN),
            cpus: Cpus::new(&wire.cpus)?,
        };
        if !options.dry_run {
            plan.frame_size(&ports)?;
        }
        Ok(Some(plan))
    }

    /// Flows that need no inspection are left to the kernel.
    pub fn bypasses(&self) -> bool {
        self.bypass
    }

    /// One for each queue.
    pub fn workers(&self) -> NonZeroUsize {
        self.workers
    }

    /// Where they run.
    pub fn cpus(&self) -> Cpus {
        self.cpus.clone()
    }

    /// The size of frames that these ports take.
    pub(super) fn frame_size(&self, ports: &[Facts]) -> Result<u32, Failure> {
        let longest = ports.iter().max_by_key(|port| port.mtu);
        let (name, mtu) = longest.map_or(("", 0), |port| (port.name.as_str(), port.mtu));
        let needed = frame_size_for(mtu).ok_or_else(|| {
            let largest = largest_mtu();
            Failure::Failed(format!(
                "{name}: packets of {mtu} bytes do not fit into a frame: set its MTU to {largest} at most \
                 (`ip link set {name} mtu {largest}`)",
            ))
        })?;
        match self.frame_size {
            Some(size) if size < needed => Err(Failure::Usage(format!(
                "wire.frame-size: packets of {mtu} bytes take frames of {needed} bytes, not {size}"
            ))),
            Some(size) => Ok(size),
            None => Ok(needed),
        }
    }
}

/// True when the host itself speaks on an interface: it has a route, or an IPv6 address of more than the link.
fn is_the_hosts(name: &str) -> bool {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    // The interface, destination, gateway, …
    let routes = read("/proc/net/route");
    let routed = routes.lines().skip(1);
    let mut routed = routed.filter_map(|line| line.split_whitespace().next());
    // Address, index, length of the prefix, scope (0x20: the link), flags, the interface.
    let addresses = read("/proc/net/if_inet6");
    let mut addressed = addresses.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(3);
        let scope = words.next()?;
        (scope != "20").then(|| words.nth(1)).flatten()
    });
    routed.any(|of| of == name) || addressed.any(|of| of == name)
}

/// The largest MTU that fits into a frame.
fn largest_mtu() -> u32 {
    (0..4096)
        .rev()
        .find(|&mtu| frame_size_for(mtu).is_some())
        .unwrap_or(0)
}

/// Problems, a line each.
fn listed(problems: &[program::Error]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Says what a run would find, and changes nothing.
///
/// # Errors
/// When it could not run.
pub fn dry_run(plan: &Plan, loaded: &Loaded) -> Result<(), Failure> {
    let checked = program::check(&plan.attach);
    let mut text = String::new();
    for port in &checked.ports {
        let mode = checked.mode.map_or("none", |mode| match mode {
            program::Mode::Native => "native",
            program::Mode::Generic => "generic",
        });
        let _ = writeln!(
            text,
            "{}: driver {}, MTU {}, {}, {}, XDP {mode}{}",
            port.name,
            if port.driver.is_empty() {
                "unknown"
            } else {
                &port.driver
            },
            port.mtu,
            figures::counted(port.queues.into(), "queue"),
            if port.up && port.carrier {
                "up"
            } else {
                "down"
            },
            if port.xdp.is_some_and(|xdp| xdp.zero_copy()) {
                ", zero-copy"
            } else {
                ""
            }
        );
    }
    let workers = plan.workers.get() as u64;
    let fail = match plan.attach.fail {
        program::Fail::Open => "open",
        program::Fail::Closed => "closed",
    };
    let _ = writeln!(
        text,
        "{}, fails {fail} after {} ms{}",
        figures::counted(workers, "worker"),
        plan.attach.heartbeat.as_millis(),
        if checked.adopts {
            ", takes over what another run left on these ports"
        } else {
            ""
        }
    );
    let _ = writeln!(text, "{}", loaded.counts);
    for warning in &checked.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::stdout)?;
    if !checked.problems.is_empty() {
        return Err(Failure::Failed(listed(&checked.problems)));
    }
    plan.frame_size(&checked.ports).map(drop)
}
