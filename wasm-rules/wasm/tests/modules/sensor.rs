//! A sensor of one worker, and packets for it.

use std::sync::Arc;

use weir_engine::detect::{Alerts, Engine, EngineConfig, Prepared, What};
use weir_engine::eval::{Notice, Plain};
use weir_engine::matcher::Software;
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::RuleSet;
use weir_engine::state::{Order, Seat, Shared};
use weir_rules::classification::Classification;
use weir_rules::compile::{Compiler, Variables, load};
use weir_rules::syntax::SourceFile;
use weir_wasm::modules::{Module, ModuleCounters, Modules, Policy, compile};
use weir_wasm::runtime::Runtime;

/// Text rules and modules, in force.
pub struct Sensor {
    engine: Engine,
    alerts: Alerts,
    pub modules: Arc<Modules>,
    number: u64,
    waited: u64,
}

/// What came of packets.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// Number of the packet and `sid`.
    pub alerts: Vec<(u64, u32)>,
    pub notices: Vec<Notice>,
}

pub fn compiler() -> Compiler {
    Compiler::new(Variables::stock(), Classification::stock())
}

/// Text rules.
pub fn text(rules: &str) -> RuleSet {
    let file = SourceFile {
        name: "text.rules".into(),
        bytes: rules.into(),
    };
    let loaded = load(&[file], &compiler());
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    loaded.rules
}

impl Sensor {
    /// A sensor with these rules, where modules may keep what those of `before` kept.
    pub fn new(
        runtime: &Runtime,
        policy: &Policy,
        rules: &str,
        modules: Vec<Module>,
        before: Option<&Self>,
    ) -> Self {
        let set = compile(modules, &compiler()).expect("modules");
        let of_text = text(rules);
        let mut all = of_text.rules().to_vec();
        for of_module in set.rules {
            assert!(of_module.refused.is_empty(), "{:?}", of_module.refused);
            all.extend(of_module.rules);
        }
        let rules = Arc::new(RuleSet::new(all));
        let config = EngineConfig::default();
        let prepared = Arc::new(Prepared::new(Arc::clone(&rules), &config.overrides));
        let shared = Shared::new(&rules, prepared.state(), &config.state).expect("state");
        let seat = Seat::new(Arc::new(shared), Order::none().turn(0));
        let before = before.map(|before| &*before.modules);
        let modules = Modules::new(runtime, policy, &set.modules, before);
        let inner = Box::new(Plain::new(Arc::clone(&rules)));
        let evaluator = modules.evaluator(inner, &rules, prepared.state().names());
        let engine = Engine::sharing(
            prepared,
            seat,
            Box::new(Software::new()),
            Box::new(evaluator),
            config.clone(),
        );
        Self {
            engine: engine.expect("engine"),
            alerts: Alerts::new(rules, &config),
            modules,
            number: 0,
            waited: 0,
        }
    }

    /// What comes of a UDP packet from port 1000 + `client` with this payload; one a second.
    pub fn packet(&mut self, client: u16, payload: &[u8]) -> Seen {
        self.frame(&udp(client_end(client), SERVER, payload))
    }

    /// What comes of a DNS query for several names.
    pub fn query(&mut self, client: u16, names: &[&str]) -> Seen {
        let mut message = vec![
            0,
            client as u8,
            1,
            0,
            0,
            names.len() as u8,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        for name in names {
            for label in name.split('.') {
                message.push(label.len() as u8);
                message.extend(label.bytes());
            }
            message.extend([0, 0, 1, 0, 1]);
        }
        self.frame(&udp(client_end(client), (SERVER.0, 53), &message))
    }

    /// What comes of an answer to such a packet.
    pub fn answer(&mut self, client: u16, payload: &[u8]) -> Seen {
        self.frame(&udp(SERVER, client_end(client), payload))
    }

    /// Nothing happens for so many seconds.
    pub fn waits(&mut self, seconds: u64) {
        self.waited += seconds;
    }

    fn frame(&mut self, bytes: &[u8]) -> Seen {
        self.number += 1;
        let frame = Frame {
            ts_ns: 1_000_000_000 * (1_000_000 + self.number + self.waited),
            number: self.number,
            link: LinkType::ETHERNET,
            data: bytes,
            wire_len: bytes.len() as u32,
            ..Frame::default()
        };
        let mut events = Vec::new();
        self.engine.process(frame, &mut events);
        let mut seen = Seen::default();
        for event in events {
            let mut on_alert = |alert: &weir_engine::detect::Alert<'_>| {
                seen.alerts.push((self.number, alert.rule.meta.sid));
            };
            self.alerts.commit(&event, &mut on_alert);
            if let What::Notice(noticed) = event.what {
                seen.notices.push(noticed.notice);
            }
        }
        seen
    }

    /// The counters of the module with this number.
    pub fn counters(&self, module: usize) -> ModuleCounters {
        self.modules.counters().swap_remove(module)
    }
}

/// An end of a conversation: address and port.
type End = ([u8; 4], u16);

const SERVER: End = ([192, 0, 2, 1], 9000);

fn client_end(client: u16) -> End {
    ([10, 0, 0, (client % 250) as u8], 1000 + client)
}

/// A UDP packet over IPv4 and Ethernet.
fn udp(from: End, to: End, payload: &[u8]) -> Vec<u8> {
    let length = 20 + 8 + payload.len() as u16;
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    bytes.extend([0x45, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    bytes.extend(from.0);
    bytes.extend(to.0);
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    bytes.extend((length - 20).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}
