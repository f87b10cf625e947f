//! `[modules]`: what authors' modules may do, and how much they may use.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weir_wasm::modules::{Grant, Offences, Policy};
use weir_wasm::runtime::Limits;

use super::ConfigError;
use super::read::Section;

/// Grants by name.
const GRANTS: [(&str, Grant); 4] = [
    ("log", Grant::Log),
    ("clock", Grant::Clock),
    ("random", Grant::Random),
    ("verdict", Grant::Verdict),
];

/// What the table says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModulesSection {
    /// `grant`, by the names of modules.
    pub grants: BTreeMap<String, BTreeSet<Grant>>,
    /// `call`, in microseconds.
    pub call: Option<usize>,
    /// `budget`, in milliseconds a second.
    pub budget: Option<usize>,
    /// `memory`, in bytes.
    pub memory: Option<usize>,
    /// `state`, in bytes.
    pub state: Option<u64>,
    /// `host-calls`
    pub host_calls: Option<usize>,
    /// `offences`: burst, seconds, total.
    pub offences: [Option<usize>; 3],
}

impl ModulesSection {
    /// Reads the table.
    pub(super) fn read(modules: &Section<'_, '_>) -> Result<Self, ConfigError> {
        modules.only(&[
            "grant",
            "call",
            "budget",
            "memory",
            "state",
            "host-calls",
            "offences",
        ])?;
        let mut all = Self {
            call: modules.number("call", 100, 10_000_000)?,
            budget: modules.number("budget", 1, 1000)?,
            state: modules.size("state")?,
            host_calls: modules.number("host-calls", 1, 1 << 24)?,
            ..Self::default()
        };
        if let Some(size) = modules.size("memory")? {
            // A page is the least, and there are no more than these.
            if !(64 << 10..=1 << 30).contains(&size) {
                return Err(modules.problem("memory", "expected a size from 64 KiB to 1 GiB"));
            }
            all.memory = usize::try_from(size).ok();
        }
        if let Some(offences) = modules.section("offences")? {
            offences.only(&["burst", "seconds", "total"])?;
            all.offences = [
                offences.number("burst", 1, 1000)?,
                offences.number("seconds", 0, 86_400)?,
                offences.number("total", 1, 1 << 30)?,
            ];
        }
        if let Some(grant) = modules.section("grant")? {
            for name in grant.keys() {
                let grants = grant.choices(name, &GRANTS)?.unwrap_or_default();
                let grants = grants.into_iter().collect();
                all.grants.insert(name.to_owned(), grants);
            }
        }
        Ok(all)
    }

    /// What it says over these limits. How long calls may take is said for the wire: in files, where there is no budget, it
    /// stays as it is, so that results do not depend on the machine.
    pub fn policy(&self, mut limits: Limits) -> Policy {
        if limits.budget_per_second.is_some() {
            if let Some(call) = self.call {
                limits.call = Duration::from_micros(call as u64);
            }
            if let Some(budget) = self.budget {
                limits.budget_per_second = Some(Duration::from_millis(budget as u64));
            }
        }
        limits.memory = self.memory.unwrap_or(limits.memory);
        limits.state_bytes = self.state.unwrap_or(limits.state_bytes);
        let calls = self.host_calls.and_then(|calls| u32::try_from(calls).ok());
        limits.host_calls = calls.unwrap_or(limits.host_calls);
        let usual = Offences::default();
        let said = |at: usize, usual: u32| {
            let said = self.offences.get(at).copied().flatten();
            said.and_then(|said| u32::try_from(said).ok())
                .unwrap_or(usual)
        };
        Policy {
            grants: self.grants.clone(),
            limits,
            offences: Offences {
                burst: said(0, usual.burst),
                seconds: said(1, usual.seconds),
                total: said(2, usual.total),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn read(text: &str) -> Result<ModulesSection, String> {
        Config::parse("weir.toml", format!("[modules]\n{text}").as_bytes())
            .map(|config| config.modules)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_modules_may() {
        let said = read(
            "grant = { dns-tunnel = [\"log\", \"verdict\"], other = [] }\ncall = 700\nmemory = \"1 MiB\"\noffences = { total = 3 }",
        );
        let policy = said.expect("right").policy(Limits::inline());
        assert!(policy.grants("dns-tunnel", Grant::Log));
        assert!(policy.grants("dns-tunnel", Grant::Verdict));
        assert!(!policy.grants("dns-tunnel", Grant::Clock));
        assert!(!policy.grants("other", Grant::Log) && !policy.grants("dns", Grant::Log));
        let limits = Limits {
            call: Duration::from_micros(700),
            memory: 1 << 20,
            ..Limits::inline()
        };
        assert_eq!(policy.limits, limits);
        let said = read("call = 700\nbudget = 3").expect("right");
        assert_eq!(said.policy(Limits::offline()).limits, Limits::offline());
        let offences = Offences {
            total: 3,
            ..Offences::default()
        };
        assert_eq!(policy.offences, offences);
        let silent = ModulesSection::default().policy(Limits::inline());
        assert_eq!(silent, Policy::new(Limits::inline()));
    }

    #[test]
    fn what_no_module_may() {
        let grant = read("grant = { a = [\"network\"] }").expect_err("no such grant");
        assert_eq!(
            grant,
            "weir.toml:2:16: modules.grant.a: expected \"log\", \"clock\", \"random\" or \"verdict\", found \"network\""
        );
        let grant = read("grant = { a = \"log\" }").expect_err("no list");
        assert!(
            grant.contains("modules.grant.a: expected a list"),
            "{grant}"
        );
        let memory = read("memory = 1").expect_err("too little");
        assert!(memory.contains("from 64 KiB to 1 GiB"), "{memory}");
    }
}
