//! What the SDK refuses to compile, the host refuses to load, and the other way round. A guest cannot depend on the host, so
//! that the same limits stand in both.

use weir_engine::app::AppBuffer;
use weir_rules::compile::module::{
    Declaration, DeclaredPattern, DeclaredRule, Kept, Scope, buffer_named,
};
use weir_sdk::{self as sdk, Decide, Module};

/// A declaration that both take.
fn right() -> Declaration {
    Declaration {
        name: "right".to_owned(),
        version: "1".to_owned(),
        rules: vec![rule(1)],
        buffers: vec!["payload".to_owned(), "dns.query".to_owned()],
        flow_bits: vec!["seen".to_owned()],
        state: vec![kept(Scope::Flow)],
        ..Declaration::default()
    }
}

fn rule(sid: u32) -> DeclaredRule {
    DeclaredRule {
        sid,
        message: "a message".to_owned(),
        header: "tcp any any -> any any".to_owned(),
        options: "flow:established;".to_owned(),
        class: Some("misc-attack".to_owned()),
        priority: Some(1),
        patterns: vec![pattern("payload", 3)],
        buffers: vec!["payload".to_owned()],
        references: vec![pair("url", "example.org")],
        metadata: vec![pair("year", "2026")],
        ..DeclaredRule::default()
    }
}

fn pattern(buffer: &str, bytes: usize) -> DeclaredPattern {
    DeclaredPattern {
        buffer: buffer.to_owned(),
        bytes: vec![b'x'; bytes],
        nocase: false,
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn kept(scope: Scope) -> Kept {
    Kept {
        scope,
        bytes: 8,
        entries: 1,
        seconds: 0,
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("name.{number}")).collect()
}

/// Names of so many buffers that there are.
fn buffers(count: usize) -> Vec<String> {
    let names = AppBuffer::ALL.iter().map(|buffer| buffer.name());
    let there = names.filter(|name| buffer_named(name).is_some());
    let found: Vec<String> = there.take(count).map(str::to_owned).collect();
    assert_eq!(found.len(), count);
    found
}

fn forever(text: &str) -> &'static str {
    String::leak(text.to_owned())
}

fn all<T>(list: impl IntoIterator<Item = T>) -> &'static [T] {
    Vec::leak(list.into_iter().collect())
}

/// The same as the SDK has it.
fn of_sdk(declaration: &Declaration) -> Module {
    let buffer = |name: &String| {
        let at = declaration.buffers.iter().position(|known| known == name);
        let at = at.expect("it is one of the module's");
        sdk::Buffer::at(at as u32, forever(name))
    };
    let pairs = |pairs: &[(String, String)]| {
        all(pairs
            .iter()
            .map(|(key, value)| (forever(key), forever(value))))
    };
    let rules = declaration.rules.iter().map(|rule| {
        let mut made = sdk::Rule::new()
            .sid(rule.sid)
            .rev(rule.rev)
            .message(forever(&rule.message))
            .header(forever(&rule.header))
            .options(forever(&rule.options))
            .patterns(all((rule.patterns.iter()).map(|pattern| {
                sdk::Pattern::new(forever(&pattern.buffer), all(pattern.bytes.iter().copied()))
            })))
            .buffers(all(rule.buffers.iter().map(buffer)))
            .references(pairs(&rule.references))
            .metadata(pairs(&rule.metadata));
        if let Some(class) = &rule.class {
            made = made.class(forever(class));
        }
        if let Some(priority) = rule.priority {
            made = made.priority(priority);
        }
        made
    });
    Module {
        name: forever(&declaration.name),
        version: forever(&declaration.version),
        state_version: declaration.state_version,
        rules: all(rules),
        decide: Decide::Each(&[]),
        buffers: all(declaration.buffers.iter().map(|name| forever(name))),
        flow_bits: all(declaration.flow_bits.iter().map(|name| forever(name))),
        state: all(declaration.state.iter().map(|kept| sdk::Kept {
            scope: match kept.scope {
                Scope::Flow => sdk::Scope::Flow,
                Scope::Source => sdk::Scope::Source,
                Scope::Destination => sdk::Scope::Destination,
                Scope::Pair => sdk::Scope::Pair,
                Scope::Everywhere => sdk::Scope::Everywhere,
            },
            bytes: kept.bytes,
            entries: kept.entries,
            seconds: kept.seconds,
        })),
    }
}

/// What the SDK says against it. In a module this is an error of the compiler.
fn sdk_refuses(declaration: &Declaration) -> Option<String> {
    let module = of_sdk(declaration);
    let checked = std::panic::catch_unwind(move || module.checked());
    let panic = checked.err()?;
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    Some(said.unwrap_or_default())
}

type Change = Box<dyn Fn(&mut Declaration)>;

/// A change of the declaration.
fn whole(change: impl Fn(&mut Declaration) + 'static) -> Change {
    Box::new(change)
}

/// A change of its rule.
fn one(change: impl Fn(&mut DeclaredRule) + 'static) -> Change {
    Box::new(move |declaration| change(&mut declaration.rules[0]))
}

/// What is said of a change: that all is right, or the place that the host names, and a word of what the SDK says.
type Said = Result<(), (&'static str, &'static str)>;

/// Holds that both say the same of each.
fn hold(cases: Vec<(Change, Said)>) {
    for (at, (change, expected)) in cases.into_iter().enumerate() {
        let mut declaration = right();
        change(&mut declaration);
        let host = declaration.check();
        let sdk = sdk_refuses(&declaration);
        match expected {
            Ok(()) => {
                assert_eq!(host, Ok(()), "case {at}: the host");
                assert_eq!(sdk, None, "case {at}: the SDK");
            }
            Err((place, word)) => {
                let host = host.expect_err(&format!("case {at}, {place}: the host takes it"));
                assert_eq!(host.place, place, "case {at}: {host}");
                let said = sdk.unwrap_or_else(|| panic!("case {at}, {place}: the SDK takes it"));
                assert!(said.contains(word), "case {at}, {place}: {said}");
            }
        }
    }
}

#[test]
fn both_take_what_is_right() {
    hold(vec![
        (whole(|_| ()), Ok(())),
        (whole(|of| of.name = "a".repeat(64)), Ok(())),
        (
            whole(|of| of.rules = (1..=4096).map(rule).collect()),
            Ok(()),
        ),
        (
            whole(|of| {
                of.buffers = buffers(64);
                of.rules[0].buffers = buffers(64);
            }),
            Ok(()),
        ),
        (whole(|of| of.flow_bits = names(64)), Ok(())),
        (
            whole(|of| {
                let scopes = [Scope::Flow, Scope::Source, Scope::Destination, Scope::Pair];
                let most = |scope| Kept {
                    bytes: 4096,
                    entries: 1_000_000,
                    ..kept(scope)
                };
                of.state = scopes.map(most).to_vec();
                of.state.push(kept(Scope::Everywhere));
            }),
            Ok(()),
        ),
        (one(|of| of.priority = Some(255)), Ok(())),
        (one(|of| of.message = "ä".repeat(4096)), Ok(())),
        (
            one(|of| of.patterns = vec![pattern("payload", 255); 64]),
            Ok(()),
        ),
        (one(|of| of.metadata = vec![pair("k", "v"); 64]), Ok(())),
    ]);
}

#[test]
fn both_refuse_what_is_wrong_with_a_module() {
    let wrong = |place, word| Err((place, word));
    hold(vec![
        (whole(|of| of.name.clear()), wrong("name", "`name`")),
        (
            whole(|of| of.name = "a".repeat(65)),
            wrong("name", "`name`"),
        ),
        (
            whole(|of| of.name = "Mine".to_owned()),
            wrong("name", "`name`"),
        ),
        (
            whole(|of| of.version.push('\n')),
            wrong("version", "`version`"),
        ),
        (
            whole(|of| of.rules.clear()),
            wrong("rules", "1 to 4096 rules"),
        ),
        (
            whole(|of| of.rules = (1..=4097).map(rule).collect()),
            wrong("rules", "1 to 4096 rules"),
        ),
        (
            whole(|of| of.rules.push(rule(1))),
            wrong("rules[1].sid", "the same `sid`"),
        ),
        (
            whole(|of| {
                of.buffers = names(65);
                of.rules[0].buffers.clear();
            }),
            wrong("buffers", "64 buffers"),
        ),
        (
            whole(|of| of.buffers.push("payload".to_owned())),
            wrong("buffers[2]", "a buffer is declared twice"),
        ),
        (
            whole(|of| of.buffers.push(String::new())),
            wrong("buffers[2]", "a buffer is declared twice"),
        ),
        (
            whole(|of| of.flow_bits = names(65)),
            wrong("flow-bits", "64 flow bits"),
        ),
        (
            whole(|of| of.flow_bits.push("seen".to_owned())),
            wrong("flow-bits[1]", "a flow bit is declared twice"),
        ),
        (
            whole(|of| of.flow_bits.push("two\tbits".to_owned())),
            wrong("flow-bits[1]", "a flow bit is declared twice"),
        ),
        (
            whole(|of| of.state.push(kept(Scope::Flow))),
            wrong("state[1].scope", "declared twice"),
        ),
        (
            whole(|of| of.state[0].bytes = 0),
            wrong("state[0].bytes", "`bytes`"),
        ),
        (
            whole(|of| of.state[0].bytes = 4097),
            wrong("state[0].bytes", "`bytes`"),
        ),
        (
            whole(|of| of.state[0].entries = 0),
            wrong("state[0].entries", "`entries`"),
        ),
        (
            whole(|of| of.state[0].entries = 1_000_001),
            wrong("state[0].entries", "`entries`"),
        ),
    ]);
}

#[test]
fn both_refuse_what_is_wrong_with_a_rule() {
    let wrong = |place, word| Err((place, word));
    let mut cases = vec![
        (one(|of| of.sid = 0), wrong("rules[0].sid", "`sid`")),
        (
            one(|of| of.priority = Some(0)),
            wrong("rules[0].priority", "`priority`"),
        ),
        (
            one(|of| of.patterns = vec![pattern("payload", 1); 65]),
            wrong("rules[0].patterns", "64 patterns"),
        ),
        (
            one(|of| of.patterns = vec![pattern("payload", 0)]),
            wrong("rules[0].patterns[0].bytes", "1 to 255 bytes"),
        ),
        (
            one(|of| of.patterns = vec![pattern("payload", 256)]),
            wrong("rules[0].patterns[0].bytes", "1 to 255 bytes"),
        ),
        (
            one(|of| of.patterns = vec![pattern("", 1)]),
            wrong("rules[0].patterns[0].buffer", "no buffer"),
        ),
        (
            one(|of| of.patterns.push(pattern("dns.query", 1))),
            wrong("rules[0].patterns[1].buffer", "the same buffer"),
        ),
        (
            one(|of| of.buffers.push("payload".to_owned())),
            wrong("rules[0].buffers[1]", "a buffer twice"),
        ),
        (
            one(|of| of.references = vec![pair("k", "v"); 65]),
            wrong("rules[0].references", "64 references"),
        ),
        (
            one(|of| of.metadata = vec![pair("k", "v"); 65]),
            wrong("rules[0].metadata", "64 of metadata"),
        ),
        (
            one(|of| of.references.push(pair("a\nkey", "value"))),
            wrong("rules[0].references[1]", "are lines"),
        ),
        (
            one(|of| of.metadata.push(pair("key", "a\u{9f}value"))),
            wrong("rules[0].metadata[1]", "are lines"),
        ),
    ];
    for ends in ['(', ')', ';'] {
        cases.push((
            one(move |of| of.header.push(ends)),
            wrong("rules[0].header", "`header`"),
        ));
    }
    type Field = fn(&mut DeclaredRule) -> &mut String;
    let fields: [(Field, &str, &str); 4] = [
        (|of| &mut of.message, "rules[0].message", "`message`"),
        (|of| &mut of.header, "rules[0].header", "`header`"),
        (|of| &mut of.options, "rules[0].options", "`options`"),
        (
            |of| of.class.get_or_insert_default(),
            "rules[0].class",
            "`class`",
        ),
    ];
    for (field, place, word) in fields {
        for text in ["\0", "\n", "\x7f", "\u{80}", &"x".repeat(8193)] {
            let text = text.to_owned();
            let change = one(move |of| field(of).push_str(&text));
            cases.push((change, wrong(place, word)));
        }
    }
    hold(cases);
}

/// Where the SDK asks for more than the host, and the host for what the SDK cannot know.
#[test]
fn one_of_them_refuses_what_the_other_leaves_to_later() {
    let refuse = |change: Change| {
        let mut declaration = right();
        change(&mut declaration);
        let host = declaration.check().is_err();
        (host, sdk_refuses(&declaration).is_some())
    };
    // An alert that says nothing, a header that the rule compiler refuses, room for values that there are not.
    assert_eq!(refuse(one(|of| of.message.clear())), (false, true));
    assert_eq!(refuse(one(|of| of.header.clear())), (false, true));
    let much = Kept {
        entries: 2,
        ..kept(Scope::Everywhere)
    };
    assert_eq!(
        refuse(whole(move |of| of.state = vec![much])),
        (false, true)
    );
    // Which buffers there are.
    let unknown = whole(|of| of.buffers.push("no.such".to_owned()));
    assert_eq!(refuse(unknown), (true, false));
}
