//! Modules written by hand: a declaration as it lies in memory, and code in Wasm's text.

use weir_rules::compile::module::{Declaration, DeclaredAction, DeclaredRule, Kept, Scope};
use wit_component::{ComponentEncoder, StringEncoding};

/// The world.
pub const WIT: &str = include_str!("../../../wit/rules.wit");

/// Where the declaration lies in memory.
const AT: u32 = 4096;

/// Answers that all that was asked fires.
pub const ALL: &str = "(i32.store (i32.const 512) (local.get $list))
    (i32.store (i32.const 516) (local.get $count))
    (i32.const 512)";

/// Answers that nothing fires.
pub const NONE: &str = "(i32.store (i32.const 516) (i32.const 0)) (i32.const 512)";

/// What a module is made of.
#[derive(Clone)]
pub struct Guest {
    /// What it says.
    pub declaration: Declaration,
    /// What it imports: `(import …)`, in Wasm's text.
    pub imports: String,
    /// What `evaluate` does: its parameters are `$list` and `$count`, its result is where the answer lies.
    pub evaluate: String,
    /// What `declare` does before it answers.
    pub declare: String,
    /// Other functions, globals.
    pub more: String,
    /// Pages of memory, and perhaps the most.
    pub memory: String,
    /// The world that it is built for.
    pub wit: String,
}

/// A rule about UDP packets.
pub fn rule(sid: u32) -> DeclaredRule {
    DeclaredRule {
        sid,
        rev: 1,
        message: format!("of a module, {sid}"),
        header: "udp any any -> any any".to_owned(),
        buffers: vec!["payload".to_owned()],
        ..DeclaredRule::default()
    }
}

/// A module with these rules, which look at the payload; it says that all fire.
pub fn guest(name: &str, rules: Vec<DeclaredRule>) -> Guest {
    Guest {
        declaration: Declaration {
            name: name.to_owned(),
            version: "0.1".to_owned(),
            rules,
            buffers: vec!["payload".to_owned()],
            ..Declaration::default()
        },
        imports: String::new(),
        evaluate: ALL.to_owned(),
        declare: String::new(),
        more: String::new(),
        memory: "16".to_owned(),
        wit: WIT.to_owned(),
    }
}

/// Bytes in memory, and what points to others among them.
struct Memory {
    bytes: Vec<u8>,
}

impl Memory {
    /// Room for so many bytes; where it is.
    fn room(&mut self, bytes: usize) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len();
        self.bytes.resize(at + bytes, 0);
        at
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn word(&mut self, at: usize, word: u32) {
        self.put(at, &word.to_le_bytes());
    }

    fn list(&mut self, at: usize, list: usize, count: usize) {
        self.word(at, AT + list as u32);
        self.word(at + 4, count as u32);
    }

    fn text(&mut self, at: usize, text: &[u8]) {
        let place = self.room(text.len());
        self.put(place, text);
        self.list(at, place, text.len());
    }

    fn texts(&mut self, at: usize, texts: &[String]) {
        let place = self.room(texts.len() * 8);
        for (number, text) in texts.iter().enumerate() {
            self.text(place + number * 8, text.as_bytes());
        }
        self.list(at, place, texts.len());
    }

    fn pairs(&mut self, at: usize, pairs: &[(String, String)]) {
        let place = self.room(pairs.len() * 16);
        for (number, (key, value)) in pairs.iter().enumerate() {
            self.text(place + number * 16, key.as_bytes());
            self.text(place + number * 16 + 8, value.as_bytes());
        }
        self.list(at, place, pairs.len());
    }

    fn rule(&mut self, at: usize, rule: &DeclaredRule) {
        self.word(at, rule.sid);
        self.word(at + 4, rule.rev);
        self.text(at + 8, rule.message.as_bytes());
        let action = match rule.action {
            DeclaredAction::Alert => 0,
            DeclaredAction::Drop => 1,
            DeclaredAction::Reject => 2,
            DeclaredAction::Pass => 3,
        };
        self.put(at + 16, &[action]);
        if let Some(class) = &rule.class {
            self.put(at + 20, &[1]);
            self.text(at + 24, class.as_bytes());
        }
        if let Some(priority) = rule.priority {
            self.put(at + 32, &[1, priority]);
        }
        self.text(at + 36, rule.header.as_bytes());
        self.text(at + 44, rule.options.as_bytes());
        let patterns = self.room(rule.patterns.len() * 20);
        for (number, pattern) in rule.patterns.iter().enumerate() {
            let at = patterns + number * 20;
            self.text(at, pattern.buffer.as_bytes());
            self.text(at + 8, &pattern.bytes);
            self.put(at + 16, &[u8::from(pattern.nocase)]);
        }
        self.list(at + 52, patterns, rule.patterns.len());
        self.texts(at + 60, &rule.buffers);
        self.pairs(at + 68, &rule.references);
        self.pairs(at + 76, &rule.metadata);
    }

    fn kept(&mut self, at: usize, kept: &Kept) {
        let scope = match kept.scope {
            Scope::Flow => 0,
            Scope::Source => 1,
            Scope::Destination => 2,
            Scope::Pair => 3,
            Scope::Everywhere => 4,
        };
        self.put(at, &[scope]);
        self.word(at + 4, kept.bytes);
        self.word(at + 8, kept.entries);
        self.word(at + 12, kept.seconds);
    }
}

/// A declaration as it lies in memory at [`AT`].
fn laid_out(declaration: &Declaration) -> Vec<u8> {
    let mut memory = Memory { bytes: Vec::new() };
    let at = memory.room(52);
    memory.text(at, declaration.name.as_bytes());
    memory.text(at + 8, declaration.version.as_bytes());
    memory.word(at + 16, declaration.state_version);
    let rules = memory.room(declaration.rules.len() * 84);
    for (number, rule) in declaration.rules.iter().enumerate() {
        memory.rule(rules + number * 84, rule);
    }
    memory.list(at + 20, rules, declaration.rules.len());
    memory.texts(at + 28, &declaration.buffers);
    memory.texts(at + 36, &declaration.flow_bits);
    let state = memory.room(declaration.state.len() * 16);
    for (number, kept) in declaration.state.iter().enumerate() {
        memory.kept(state + number * 16, kept);
    }
    memory.list(at + 44, state, declaration.state.len());
    memory.bytes
}

impl Guest {
    /// Its core module, as text.
    pub fn text(&self) -> String {
        let data: String = laid_out(&self.declaration)
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        let Self {
            imports,
            evaluate,
            declare,
            more,
            memory,
            ..
        } = self;
        // What the host puts into memory lies from 512 KiB on, and is gone after each call.
        format!(
            r#"(module
                {imports}
                (memory (export "memory") {memory})
                (global $next (mut i32) (i32.const 524288))
                (data (i32.const {AT}) "{data}")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (local.get $at))
                (func (export "cabi_post_evaluate") (param i32)
                    (global.set $next (i32.const 524288)))
                {more}
                (func $declare (export "declare") (result i32)
                    {declare}
                    (i32.const {AT}))
                (func $evaluate (export "evaluate") (param $list i32) (param $count i32) (result i32)
                    {evaluate}))"#
        )
    }

    /// Its component.
    pub fn build(&self) -> Vec<u8> {
        component(&self.text(), &self.wit)
    }
}

/// A component of a core module's text, for the world `rules` of `wit`.
pub fn component(text: &str, wit: &str) -> Vec<u8> {
    let mut core = wat::parse_str(text).expect("text of a module");
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("rules.wit", wit).expect("a world");
    let world = resolve
        .select_world(&[package], Some("rules"))
        .expect("the world");
    wit_component::embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)
        .expect("metadata");
    ComponentEncoder::default()
        .module(&core)
        .expect("a module of the world")
        .validate(true)
        .encode()
        .expect("a component")
}
