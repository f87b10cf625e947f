//! How much a module may use.

use std::time::Duration;

/// How much a module may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processor time of one call.
    pub call: Duration,
    /// Processor time of all calls of a module in one worker, each second of the wall's clock; `None`: as much as it takes. A
    /// module that has used it up is not asked until the second is over.
    pub budget_per_second: Option<Duration>,
    /// Processor time of making an instance and of its `declare`.
    pub load: Duration,
    /// Bytes of an instance's memory.
    pub memory: usize,
    /// Elements of an instance's tables.
    pub table_elements: usize,
    /// Calls of the host in one evaluation.
    pub host_calls: u32,
    /// Bytes that the host hands over in one evaluation.
    pub host_bytes: usize,
    /// Bytes that the host takes over in one call.
    pub taken_bytes: usize,
    /// Bytes of a module's file.
    pub module_bytes: usize,
    /// Bytes of state that a module may declare, all scopes together.
    pub state_bytes: u64,
}

impl Limits {
    /// Where packets wait for an answer.
    pub fn inline() -> Self {
        Self {
            call: Duration::from_micros(500),
            budget_per_second: Some(Duration::from_millis(250)),
            ..Self::offline()
        }
    }

    /// Where nothing waits: so much that no result depends on how busy the machine is.
    pub fn offline() -> Self {
        Self {
            call: Duration::from_secs(1),
            budget_per_second: None,
            load: Duration::from_secs(2),
            memory: 32 << 20,
            table_elements: 16_384,
            host_calls: 16_384,
            host_bytes: 16 << 20,
            taken_bytes: 256 << 10,
            module_bytes: 16 << 20,
            state_bytes: 256 << 20,
        }
    }
}
