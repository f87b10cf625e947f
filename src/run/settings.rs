//! From the configuration file to the settings of the engine and the rule compiler.

use std::path::Path;
use std::sync::Arc;

use weir_engine::detect::EngineConfig;
use weir_engine::state::Overrides;
use weir_rules::classification::Classification;
use weir_rules::compile::Variables;
use weir_rules::frequency::Table;
use weir_wasm::modules::Policy;
use weir_wasm::runtime::Limits;

use crate::config::{Config, ConfigError, EveType, Group, read_limits};
use crate::failure::Failure;

/// Everything that a configuration decides.
pub struct Context {
    /// Settings of the engine.
    pub engine: EngineConfig,
    /// Variables of rule headers: Suricata's stock ones, those of the configuration over them.
    pub variables: Variables,
    /// Class types.
    pub classification: Classification,
    /// What probes are chosen by.
    pub frequency: Arc<Table>,
    /// What rule modules may do, where nothing waits for them.
    pub modules: Policy,
}

impl Context {
    /// Turns a configuration into settings.
    ///
    /// # Errors
    /// When a variable of the configuration has no value, or the classification file, the frequency table or the file
    /// of thresholds cannot be used.
    pub fn new(config: &Config) -> Result<Self, Failure> {
        let (mut addresses, mut ports) = Variables::stock_definitions();
        let texts = |(name, group): (&String, &Group)| (name.clone(), group.text.clone());
        addresses.extend(config.address_groups.iter().map(texts));
        ports.extend(config.port_groups.iter().map(texts));
        let variables = Variables::new(addresses, ports);
        // A stock variable may well have no value next to those of the configuration (EXTERNAL_NET where HOME_NET is
        // any): that concerns the rules that use it, and only them.
        for (name, problem) in variables.problems() {
            if let Some(group) = config
                .address_groups
                .get(name)
                .or_else(|| config.port_groups.get(name))
            {
                return Err(Failure::Usage(format!("{}: {problem}", group.place)));
            }
        }
        let classification = match &config.classification {
            None => Classification::stock(),
            Some(path) => {
                let usage =
                    |problem: String| Failure::Usage(format!("{}: {problem}", path.display()));
                let text = std::fs::read(path).map_err(|error| {
                    usage(format!("cannot read the classification file: {error}"))
                })?;
                Classification::parse(&text).map_err(|error| usage(error.to_string()))?
            }
        };
        let frequency = match &config.frequency {
            None => Table::standard(),
            Some(path) => Arc::new(read_frequency(path)?),
        };
        let mut engine = EngineConfig::default();
        engine.decoder.vxlan_ports = tunnel_ports(&variables, "VXLAN_PORTS", config)?;
        engine.decoder.geneve_ports = tunnel_ports(&variables, "GENEVE_PORTS", config)?;
        engine.decoder.teredo_ports = tunnel_ports(&variables, "TEREDO_PORTS", config)?;
        set(
            &mut engine.decoder.verify_checksums,
            config.verify_checksums,
        );
        let defrag = &mut engine.decoder.defrag;
        set(&mut defrag.policy, config.defrag_policy);
        set(&mut defrag.max_bytes, config.defrag_memory);
        set(
            &mut defrag.timeout_ns,
            config
                .defrag_timeout
                .map(|seconds| seconds as u64 * 1_000_000_000),
        );
        config
            .stream
            .apply(&mut engine, &variables)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        config.flow.apply(&mut engine.flow);
        set(&mut engine.app_memory, config.app_memory);
        engine.flow_records = config.eve.wants(EveType::Flow);
        engine.tagged_packets = config.eve.wants(EveType::Packet);
        engine.app_records = config.eve.app_records();
        if config.eve.wants(EveType::Stats)
            && let Some(seconds) = config.eve.stats_interval
        {
            engine.counters_every_ns = seconds as u64 * 1_000_000_000;
        }
        set(&mut engine.alert_max, config.alert_max);
        engine.overrides = Arc::new(overrides(config, &variables)?);
        config.state.apply(&mut engine.state);
        Ok(Self {
            engine,
            variables,
            classification,
            frequency,
            modules: config.modules.policy(Limits::offline()),
        })
    }
}

/// What the configuration, and the file of thresholds that it names, say about limits.
fn overrides(config: &Config, variables: &Variables) -> Result<Overrides, Failure> {
    let usage = |error: ConfigError| Failure::Usage(error.to_string());
    let mut overrides = Overrides::default();
    config
        .limits
        .add_to(&mut overrides, variables)
        .map_err(usage)?;
    if let Some(path) = &config.thresholds {
        let limits = read_limits(path).map_err(usage)?;
        limits.add_to(&mut overrides, variables).map_err(usage)?;
    }
    Ok(overrides)
}

fn read_frequency(path: &Path) -> Result<Table, Failure> {
    let usage = |problem: String| Failure::Usage(format!("{}: {problem}", path.display()));
    let file = std::fs::read(path)
        .map_err(|error| usage(format!("cannot read the frequency table: {error}")))?;
    Table::read(&file).map_err(|error| usage(error.to_string()))
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

/// Most ports that one kind of tunnel is looked for on.
const MAX_TUNNEL_PORTS: usize = 64;

/// The ports of a port group that also tells the decoder where tunnels are, as in Suricata's configuration.
fn tunnel_ports(variables: &Variables, name: &str, config: &Config) -> Result<Vec<u16>, Failure> {
    let Some(set) = variables.port_group(name) else {
        return Ok(Vec::new());
    };
    let ports: Vec<u16> = set
        .ranges()
        .iter()
        .flat_map(|&(first, last)| first..=last)
        .take(MAX_TUNNEL_PORTS + 1)
        .collect();
    if ports.len() > MAX_TUNNEL_PORTS {
        let place = config
            .port_groups
            .get(name)
            .map_or(name, |group| group.place.as_str());
        return Err(Failure::Usage(format!(
            "{place}: ${name} has more than {MAX_TUNNEL_PORTS} ports"
        )));
    }
    Ok(ports)
}
