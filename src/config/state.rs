//! `[state]`, `[reputation]` and `[geoip]`: how much rules may remember, and what files say about addresses.

use std::path::{Path, PathBuf};

use weir_engine::state::StateConfig;

use super::ConfigError;
use super::read::Section;

/// What the tables say; `None` where they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateSection {
    /// `state.host-bits`
    pub host_bits: Option<usize>,
    /// `state.counters`
    pub counters: Option<usize>,
    /// `state.tagged-hosts`
    pub tagged_hosts: Option<usize>,
    /// `state.set-memory`, in bytes.
    pub set_memory: Option<u64>,
    /// `reputation.categories`
    pub categories: Option<PathBuf>,
    /// `reputation.lists`
    pub lists: Vec<PathBuf>,
    /// `geoip.database`
    pub countries: Option<PathBuf>,
}

impl StateSection {
    /// Reads the tables.
    pub(super) fn read(root: &Section<'_, '_>) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        if let Some(state) = root.section("state")? {
            state.only(&["host-bits", "counters", "tagged-hosts", "set-memory"])?;
            let most = |key| state.number(key, 1, 1 << 30);
            all.host_bits = most("host-bits")?;
            all.counters = most("counters")?;
            all.tagged_hosts = most("tagged-hosts")?;
            all.set_memory = state.size("set-memory")?;
        }
        if let Some(reputation) = root.section("reputation")? {
            reputation.only(&["categories", "lists"])?;
            all.categories = reputation.string("categories")?.map(PathBuf::from);
            let lists = reputation.strings("lists")?;
            all.lists = lists.into_iter().map(PathBuf::from).collect();
        }
        if let Some(geoip) = root.section("geoip")? {
            geoip.only(&["database"])?;
            all.countries = geoip.string("database")?.map(PathBuf::from);
        }
        Ok(all)
    }

    /// Files are looked up in this folder.
    pub(super) fn beside(&mut self, folder: &Path) {
        let files = self.categories.iter_mut().chain(&mut self.lists);
        for file in files.chain(&mut self.countries) {
            *file = folder.join(&file);
        }
    }

    /// Puts what it says into the engine's settings.
    pub fn apply(&self, state: &mut StateConfig) {
        let set = |setting: &mut usize, value: Option<usize>| {
            *setting = value.unwrap_or(*setting);
        };
        set(&mut state.host_bits, self.host_bits);
        set(&mut state.counters, self.counters);
        set(&mut state.tagged_hosts, self.tagged_hosts);
        state.set_memory = self.set_memory.unwrap_or(state.set_memory);
        state.reputation.categories.clone_from(&self.categories);
        state.reputation.lists.clone_from(&self.lists);
        state.countries.clone_from(&self.countries);
    }
}
