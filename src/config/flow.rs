//! `[flow]`: the flow table.

use weir_engine::flow::{ElephantConfig, FlowConfig, FlowState, TimeoutProto};

use super::ConfigError;
use super::read::Section;

/// Longest timeout, in seconds: a day.
const LONGEST: usize = 86_400;
/// Most flows that can be asked for.
const MOST: usize = 1 << 30;

/// What `[flow]` says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowSection {
    /// `max`, or what fits into `memory`.
    pub size: Option<Size>,
    /// `vlan`
    pub vlan: Option<bool>,
    /// `timeouts`
    pub timeouts: Vec<Timeout>,
    /// `elephant`
    pub elephant: Option<ElephantConfig>,
}

/// How many flows a worker's table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many.
    Flows(usize),
    /// As many as fit into so many bytes.
    Bytes(usize),
}

/// One timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// Of which protocol.
    pub proto: TimeoutProto,
    /// Of which state.
    pub state: FlowState,
    /// For when the table is nearly full.
    pub emergency: bool,
    /// Seconds.
    pub seconds: usize,
}

/// Protocols by name.
const PROTOS: [(&str, TimeoutProto); 4] = [
    ("tcp", TimeoutProto::Tcp),
    ("udp", TimeoutProto::Udp),
    ("icmp", TimeoutProto::Icmp),
    ("default", TimeoutProto::Other),
];

/// Timeouts by name: the state, and whether it is for emergencies.
const TIMEOUTS: [(&str, FlowState, bool); 8] = [
    ("new", FlowState::New, false),
    ("established", FlowState::Established, false),
    ("closed", FlowState::Closed, false),
    ("bypassed", FlowState::Bypassed, false),
    ("emergency-new", FlowState::New, true),
    ("emergency-established", FlowState::Established, true),
    ("emergency-closed", FlowState::Closed, true),
    ("emergency-bypassed", FlowState::Bypassed, true),
];

impl FlowSection {
    /// Reads the table.
    pub fn read(flow: &Section<'_, '_>) -> Result<Self, ConfigError> {
        flow.only(&["max", "memory", "vlan", "timeouts", "elephant"])?;
        let max = flow.number("max", 1, MOST)?;
        let memory = flow.size("memory")?;
        if max.is_some() && memory.is_some() {
            return Err(flow.problem(
                "memory",
                "max stands here, too; only one of them can be said",
            ));
        }
        let memory = memory.map(|size| Size::Bytes(usize::try_from(size).unwrap_or(usize::MAX)));
        let mut section = Self {
            size: max.map(Size::Flows).or(memory),
            vlan: flow.boolean("vlan")?,
            ..Self::default()
        };
        if let Some(timeouts) = flow.section("timeouts")? {
            timeouts.only(&PROTOS.map(|(name, _)| name))?;
            for (name, proto) in PROTOS {
                if let Some(times) = timeouts.section(name)? {
                    section.read_timeouts(proto, &times)?;
                }
            }
        }
        if let Some(elephant) = flow.section("elephant")? {
            elephant.only(&["bytes", "interval"])?;
            let longest = usize::from(ElephantConfig::MAX_SECONDS);
            let bytes = elephant.size("bytes")?.unwrap_or(1 << 30);
            let seconds = elephant.number("interval", 1, longest)?.unwrap_or(10);
            section.elephant = Some(ElephantConfig {
                bytes,
                seconds: u16::try_from(seconds).unwrap_or(ElephantConfig::MAX_SECONDS),
            });
        }
        Ok(section)
    }

    fn read_timeouts(
        &mut self,
        proto: TimeoutProto,
        times: &Section<'_, '_>,
    ) -> Result<(), ConfigError> {
        times.only(&TIMEOUTS.map(|(name, ..)| name))?;
        for (name, state, emergency) in TIMEOUTS {
            if let Some(seconds) = times.number(name, 0, LONGEST)? {
                self.timeouts.push(Timeout {
                    proto,
                    state,
                    emergency,
                    seconds,
                });
            }
        }
        Ok(())
    }

    /// Puts what is said into the settings.
    pub fn apply(&self, flow: &mut FlowConfig) {
        flow.vlan = self.vlan.unwrap_or(flow.vlan);
        flow.elephant = self.elephant.or(flow.elephant);
        for timeout in &self.timeouts {
            let Timeout { proto, state, .. } = *timeout;
            let timeouts = if timeout.emergency {
                &mut flow.timeouts.emergency
            } else {
                &mut flow.timeouts.normal
            };
            timeouts[proto as usize][state as usize] = timeout.seconds as u64 * 1_000_000_000;
        }
        match self.size {
            Some(Size::Flows(flows)) => flow.max_flows = flows,
            // Last, because elephants take room.
            Some(Size::Bytes(bytes)) => {
                *flow = flow.within(bytes);
                flow.max_flows = flow.max_flows.min(MOST);
            }
            None => {}
        }
    }
}
