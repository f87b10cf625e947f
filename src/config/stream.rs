//! `[stream]`: TCP connections and their streams.

use weir_engine::detect::EngineConfig;
use weir_engine::stream::{StreamConfig, StreamPolicy, UrgentPolicy};
use weir_rules::compile::Variables;

use super::read::Section;
use super::{ConfigError, Group};

/// What `[stream]` says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamSection {
    /// `midstream`
    pub midstream: Option<bool>,
    /// `async-oneside`
    pub async_oneside: Option<bool>,
    /// `urgent`
    pub urgent: Option<UrgentPolicy>,
    /// `depth`, in bytes.
    pub depth: Option<u64>,
    /// `window`, in bytes.
    pub window: Option<usize>,
    /// `memory`, in bytes.
    pub memory: Option<u64>,
    /// `waiting`, in bytes.
    pub waiting: Option<u64>,
    /// `policy`
    pub policy: Option<StreamPolicy>,
    /// `hosts`: policies, and the hosts that have them.
    pub hosts: Vec<(StreamPolicy, Group)>,
}

/// What becomes of urgent data, by name.
const URGENT: [(&str, UrgentPolicy); 4] = [
    ("oob", UrgentPolicy::OutOfBand),
    ("inline", UrgentPolicy::Inline),
    ("gap", UrgentPolicy::Gap),
    ("drop", UrgentPolicy::Drop),
];

impl StreamSection {
    /// Reads the table.
    pub fn read(stream: &Section<'_, '_>) -> Result<Self, ConfigError> {
        stream.only(&[
            "midstream",
            "async-oneside",
            "urgent",
            "depth",
            "window",
            "memory",
            "waiting",
            "policy",
            "hosts",
        ])?;
        let mut section = Self {
            midstream: stream.boolean("midstream")?,
            async_oneside: stream.boolean("async-oneside")?,
            urgent: stream.choice("urgent", &URGENT)?,
            depth: stream.size("depth")?,
            window: stream.number("window", 64, StreamConfig::MOST_WINDOW as usize)?,
            memory: stream.size("memory")?,
            waiting: stream.size("waiting")?,
            policy: stream.choice("policy", &StreamPolicy::NAMES)?,
            hosts: Vec::new(),
        };
        if let Some(hosts) = stream.section("hosts")? {
            hosts.only(&StreamPolicy::NAMES.map(|(name, _)| name))?;
            for (name, policy) in StreamPolicy::NAMES {
                if let Some(group) = hosts.group(name)? {
                    section.hosts.push((policy, group));
                }
            }
        }
        Ok(section)
    }

    /// Puts what was said into an engine's settings.
    ///
    /// # Errors
    /// When `hosts` has something that is no set of addresses.
    pub fn apply(
        &self,
        engine: &mut EngineConfig,
        variables: &Variables,
    ) -> Result<(), ConfigError> {
        fn set<T>(setting: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *setting = value;
            }
        }
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        let session = &mut engine.flow.session;
        set(&mut session.midstream, self.midstream);
        set(&mut session.async_oneside, self.async_oneside);
        set(&mut session.urgent, self.urgent);
        if self.urgent == Some(UrgentPolicy::OutOfBand) {
            // What is out of band without end is no urgent data.
            session.urgent_limit = UrgentPolicy::Drop;
        }
        let stream = &mut engine.stream;
        set(&mut stream.depth, self.depth);
        set(&mut stream.window, self.window.map(|size| size as u32));
        set(&mut stream.memory, self.memory.map(bytes));
        set(&mut stream.waiting, self.waiting.map(bytes));
        set(&mut stream.policy, self.policy);
        for (policy, group) in &self.hosts {
            let set = variables
                .address_set(&group.text)
                .map_err(|message| ConfigError {
                    place: group.place.clone(),
                    message,
                })?;
            stream.hosts.push((set, *policy));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn engine(text: &str) -> Result<EngineConfig, String> {
        let mut engine = EngineConfig::default();
        Config::parse("weir.toml", text.as_bytes())
            .and_then(|config| config.stream.apply(&mut engine, &Variables::stock()))
            .map_err(|error| error.to_string())?;
        Ok(engine)
    }

    #[test]
    fn hosts_have_policies() {
        let engine = engine(
            "[stream]\npolicy = \"linux\"\n[stream.hosts]\nwindows = \"10.0.0.0/8\"\nvista = \"$HOME_NET\"\n",
        )
        .expect("hosts");
        assert_eq!(engine.stream.policy, StreamPolicy::Linux);
        let policies: Vec<_> = engine
            .stream
            .hosts
            .iter()
            .map(|(_, policy)| *policy)
            .collect();
        assert_eq!(policies, [StreamPolicy::Bsd, StreamPolicy::First]);
        let [(windows, _), ..] = &engine.stream.hosts[..] else {
            panic!("two sets")
        };
        assert!(windows.contains([10, 1, 2, 3].into()) && !windows.contains([11, 1, 2, 3].into()));
    }

    #[test]
    fn wrong_hosts_and_policies_name_their_place() {
        let error = |text: &str| engine(text).expect_err("wrong");
        assert!(
            error("[stream]\nhosts = { linux = \"10.0.0.0/33\" }\n").starts_with("weir.toml:2:"),
        );
        assert!(error("[stream.hosts]\nlinus = \"any\"\n").contains("did you mean `linux`?"));
        assert!(
            error("[stream]\nurgent = \"never\"\n").contains("stream.urgent: expected \"oob\"")
        );
    }
}
