//! Ports: what they are, and what the kernel knows.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_xdp::common::Tally;
use weir_xdp::interface::{Change, Monitor};
use weir_xdp::program::{self, AttachMode, Attached, KernelCounters, QueueCell};
use weir_xdp::worker::{Bridge, BridgeOptions, BridgePort, Worker, frame_size_for};

use super::accounts::{FlowsEnded, PortSnapshot, tallies};
use super::plan::Plan;
use crate::cli::DetachOptions;
use crate::failure::Failure;
use crate::ui::figures;

/// A bypassed flow without packets for so long is over, as far as the kernel is concerned: Suricata's timeout of such flows.
const IDLE: Duration = Duration::from_secs(100);

/// `weir detach`.
///
/// # Errors
/// When there is nothing, or a sensor runs there.
pub fn detach(options: &DetachOptions) -> Result<(), Failure> {
    let mut failures = Vec::new();
    let mut done: Vec<String> = Vec::new();
    for port in &options.ports {
        if done.contains(port) {
            continue;
        }
        match program::detach(port, &options.bpffs) {
            Ok(detached) => {
                println!("detached: {}", detached.interfaces.join(", "));
                for problem in detached.problems {
                    tracing::warn!("{problem}");
                }
                done.extend(detached.interfaces);
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(failures.join("\n")))
    }
}

/// What is said of a port beside its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFacts {
    pub name: String,
    /// Native or generic.
    pub mode: String,
    /// Whether frames are copied; unknown before there are sockets.
    pub copied: Option<bool>,
    /// Whether the kernel says which frames it forwarded and the other port did not send.
    pub unsent_counted: bool,
}

/// The ports of a run.
pub struct Ports {
    plan: Plan,
    /// Shared with workers while they run.
    attached: Arc<Attached>,
    monitor: Option<Monitor>,
    frame_size: u32,
    /// Whether frames are copied; unknown before there are sockets.
    copied: Option<bool>,
    /// A port is not there, or is another one.
    gone: Vec<bool>,
}

impl Ports {
    /// Attaches to them.
    pub fn open(plan: Plan) -> Result<Self, Failure> {
        let attached = program::Ports::attach(&plan.attach).map_err(Failure::failed)?;
        let fits = plan.frame_size(attached.ports()).and_then(|size| {
            if attached.workers() as usize == plan.workers().get() {
                return Ok(size);
            }
            Err(Failure::Failed(
                "the ports' number of receive queues has changed meanwhile: start again".to_owned(),
            ))
        });
        let frame_size = match fits {
            Ok(size) => size,
            Err(failure) => {
                // A run that never was is not left in the way of traffic.
                if attached.adopted().is_none()
                    && let Err(error) = attached.detach()
                {
                    tracing::warn!("{error}");
                }
                return Err(failure);
            }
        };
        let names = attached.ports().iter().map(|port| port.name.clone());
        let monitor = Monitor::new(names);
        if let Err(error) = &monitor {
            tracing::warn!("changes of ports are not noticed: {error}");
        }
        if let Some(adopted) = attached.adopted() {
            let lost: u64 = (adopted.lost.iter())
                .map(|lost| lost.in_rings + lost.in_hands)
                .sum();
            tracing::info!(
                "took over the ports of process {}, with which {} ended",
                adopted.pid,
                figures::counted(lost, "packet")
            );
        }
        if attached.mode() == program::Mode::Generic && plan.attach.mode == AttachMode::Auto {
            tracing::warn!("XDP is generic here, which is slower: the driver of a port has none");
        }
        Ok(Self {
            gone: vec![false; attached.ports().len()],
            attached: Arc::new(attached),
            monitor: monitor.ok(),
            plan,
            frame_size,
            copied: None,
        })
    }

    /// Opens the workers' sockets; traffic goes through them from here on.
    pub fn bridge(&mut self) -> Result<Vec<Worker>, String> {
        self.reattach()?;
        let attached = &self.attached;
        let workers = attached.workers();
        let defaults = BridgeOptions::default();
        let heartbeat = self.plan.attach.heartbeat;
        let ports = attached.ports().iter().map(|port| BridgePort {
            name: port.name.clone(),
            interface: port.ifindex,
        });
        let options = BridgeOptions {
            ports: ports.collect(),
            workers,
            frames: self.plan.frames.unwrap_or(defaults.frames),
            frame_size: self.frame_size,
            heartbeat,
            poll: defaults.poll.min(heartbeat / 4),
            transmit_wait: defaults.transmit_wait.min(heartbeat / 4),
            ..defaults
        };
        let cells: Vec<QueueCell> = (0..workers as usize)
            .filter_map(|worker| attached.cell(worker))
            .collect();
        let rebuilt = cells.clone();
        let mut set_socket = |port: usize, queue: u32, socket: std::os::fd::BorrowedFd<'_>| {
            attached.set_socket(port, queue, socket).map_err(Into::into)
        };
        let bridge =
            Bridge::open(&options, cells, &mut set_socket).map_err(|error| error.to_string())?;
        if self.copied.is_some() {
            // No worker is at work yet, so that its cell is nobody else's.
            for cell in &rebuilt {
                for port in 0..attached.ports().len() {
                    cell.add(port, Tally::Rebuilt, 1);
                }
            }
        }
        self.copied = Some(bridge.copy_mode() == weir_xdp::socket::CopyMode::Copy);
        Ok(bridge.into_workers())
    }

    /// Takes ports up again that were gone.
    fn reattach(&mut self) -> Result<(), String> {
        self.changes();
        for port in 0..self.gone.len() {
            if !self.gone.get(port).copied().unwrap_or(false) {
                continue;
            }
            // No worker is at work, so nobody else has it.
            let Some(attached) = Arc::get_mut(&mut self.attached) else {
                return Err("the ports are in use".to_owned());
            };
            attached.reattach(port).map_err(|error| error.to_string())?;
            if let Some(gone) = self.gone.get_mut(port) {
                *gone = false;
            }
        }
        Ok(())
    }

    /// Looks what has become of the ports; true when workers cannot go on.
    pub fn lost_one(&mut self) -> bool {
        self.changes();
        self.gone.contains(&true)
    }

    fn changes(&mut self) {
        let Some(monitor) = &mut self.monitor else {
            return;
        };
        let changes = monitor.changes().unwrap_or_else(|error| {
            tracing::warn!("changes of ports are not noticed: {error}");
            Vec::new()
        });
        for (port, change) in changes {
            let name = self.attached.ports().get(port);
            let name = name.map_or("a port", |port| port.name.as_str());
            match change {
                Change::Vanished => tracing::warn!("{name} is gone"),
                Change::Returned { .. } => tracing::info!("{name} is back"),
                Change::Mtu { before, now } => {
                    let fits = frame_size_for(now).is_some_and(|size| size <= self.frame_size);
                    if fits {
                        tracing::info!("{name}: the MTU is {now}, it was {before}");
                    } else {
                        tracing::warn!(
                            "{name}: the MTU is {now}, it was {before}; packets that are longer than a frame of {} bytes are lost \
                             until the sensor is started again",
                            self.frame_size
                        );
                    }
                }
                Change::Link { up: true } => tracing::info!("{name} is up"),
                Change::Link { up: false } => tracing::warn!("{name} is down"),
                Change::NotPromiscuous => tracing::warn!(
                    "{name} does not receive all packets any more: somebody has ended its promiscuous mode"
                ),
                // It was attached anew, by ourselves.
                Change::Program if self.attached.holds(port) => {}
                Change::Program => tracing::warn!(
                    "{name} has another XDP program than Weir's: traffic goes past the sensor"
                ),
            }
            let gone = match change {
                Change::Vanished | Change::Returned { .. } => true,
                _ => continue,
            };
            if let Some(slot) = self.gone.get_mut(port) {
                *slot = gone;
            }
        }
    }

    /// No frame comes to the workers' sockets any more but those that are in their rings.
    pub fn close(&self) {
        if let Err(error) = self.attached.unset_sockets() {
            tracing::warn!("{error}");
        }
    }

    /// What tells the kernel about flows, where it is to be told.
    pub fn flows(&self) -> Option<Arc<Attached>> {
        self.plan.bypasses().then(|| Arc::clone(&self.attached))
    }

    /// What has been counted until now.
    pub fn snapshots(&self) -> Vec<PortSnapshot> {
        let kernel = self.attached.counters().unwrap_or_else(|error| {
            tracing::warn!("{error}");
            KernelCounters::default()
        });
        let port = |port: usize| PortSnapshot {
            kernel: kernel.ports.get(port).copied().unwrap_or_default(),
            tallies: tallies(|what| self.attached.tally(port, what)),
        };
        (0..self.attached.ports().len()).map(port).collect()
    }

    /// Forgets flows that are over in the kernel.
    pub fn sweep(&self) -> FlowsEnded {
        let mut ended = FlowsEnded::default();
        let idle = u64::try_from(IDLE.as_nanos()).unwrap_or(u64::MAX);
        match self.attached.sweep(weir_xdp::monotonic_ns(), idle) {
            Ok(sweep) => sweep.ended.iter().for_each(|end| ended += end),
            Err(error) => tracing::warn!("{error}"),
        }
        ended
    }

    /// Flows of which nobody will tell what the kernel did for them.
    pub fn flows_unnoted(&self) -> u64 {
        self.attached.unnoted_flows()
    }

    /// What was taken over from another process.
    pub fn adopted(&self) -> Option<Value> {
        self.attached.adopted().map(|adopted| {
            json!({
                "pid": adopted.pid,
                "lost_in_rings": adopted.lost.iter().map(|lost| lost.in_rings).sum::<u64>(),
                "lost_in_hands": adopted.lost.iter().map(|lost| lost.in_hands).sum::<u64>(),
                "program_replaced": adopted.replaced,
                "flows": adopted.flows,
            })
        })
    }

    /// What is said of a port beside its counts.
    pub fn facts(&self, port: usize) -> PortFacts {
        let name = self.attached.ports().get(port);
        PortFacts {
            name: name.map_or_else(String::new, |port| port.name.clone()),
            mode: self.attached.mode().to_string(),
            copied: self.copied,
            unsent_counted: self.attached.counts_unsent(),
        }
    }

    /// How traffic goes through, in a line.
    pub fn describe(&self) -> String {
        let names: Vec<&str> = (self.attached.ports().iter())
            .map(|port| port.name.as_str())
            .collect();
        let copies = match self.copied {
            Some(false) => "zero-copy",
            _ => "frames are copied",
        };
        format!(
            "traffic goes through: {}, {} XDP, {copies}, {}",
            names.join(" and "),
            self.attached.mode(),
            figures::counted(self.attached.workers().into(), "worker")
        )
    }

    /// Goes. Between two ports the kernel goes on, as it was told; a port that was watched is given back, and so are ports that nothing
    /// ever went through, unless they were taken over.
    pub fn leave(self) {
        let passive = self.attached.ports().len() < 2;
        let in_vain = self.copied.is_none() && self.attached.adopted().is_none();
        let Ok(attached) = Arc::try_unwrap(self.attached) else {
            return;
        };
        if passive || in_vain {
            match attached.detach() {
                Ok(problems) => problems
                    .iter()
                    .for_each(|problem| tracing::warn!("{problem}")),
                Err(error) => tracing::warn!("{error}"),
            }
        } else {
            let what = match self.plan.attach.fail {
                program::Fail::Open => "goes on uninspected",
                program::Fail::Closed => "is dropped",
            };
            tracing::info!("traffic {what} until the next run, or `weir detach`");
            attached.leave();
        }
    }
}
