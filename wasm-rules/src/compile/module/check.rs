//! What can be wrong with the form of a declaration.

use std::collections::HashSet;

use super::{
    Declaration, DeclarationError, DeclaredRule, MAX_ENTRIES, MAX_NAMES, MAX_PATTERN, MAX_PATTERNS,
    MAX_RULES, MAX_VALUE, buffer_named, quoted, wrong,
};

/// Most bytes of a module's name.
const MAX_NAME: usize = 64;
/// Most bytes of any other text of a declaration.
const MAX_TEXT: usize = 8192;
/// Most references, and most pairs of metadata, of a rule.
const MAX_PAIRS: usize = 64;

impl Declaration {
    /// Checks everything that needs no compiler: names, counts, sizes.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn check(&self) -> Result<(), DeclarationError> {
        let of_name = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.bytes().all(of_name) {
            let found = quoted(&self.name);
            let message = format!("expected 1 to 64 of `a-z0-9-`, found {found}");
            return Err(wrong("name", message));
        }
        text("version", &self.version)?;
        count("rules", self.rules.len(), 1, MAX_RULES)?;
        names("buffers", &self.buffers)?;
        names("flow-bits", &self.flow_bits)?;
        for (at, name) in self.buffers.iter().enumerate() {
            known(&format!("buffers[{at}]"), name)?;
        }
        let mut scopes = HashSet::new();
        for (at, kept) in self.state.iter().enumerate() {
            let place = |field: &str| format!("state[{at}].{field}");
            if !scopes.insert(kept.scope) {
                let message = format!("a second state of the scope {:?}", kept.scope);
                return Err(wrong(place("scope"), message.to_lowercase()));
            }
            number(&place("bytes"), kept.bytes, 1, MAX_VALUE)?;
            number(&place("entries"), kept.entries, 1, MAX_ENTRIES)?;
        }
        let mut sids = HashSet::new();
        for (at, rule) in self.rules.iter().enumerate() {
            rule.check(&format!("rules[{at}]"))?;
            if !sids.insert(rule.sid) {
                let message = format!("a second rule with the sid {}", rule.sid);
                return Err(wrong(format!("rules[{at}].sid"), message));
            }
        }
        Ok(())
    }
}

impl DeclaredRule {
    fn check(&self, place: &str) -> Result<(), DeclarationError> {
        let at = |field: &str| format!("{place}.{field}");
        if self.sid == 0 {
            return Err(wrong(at("sid"), "expected a number from 1 on, found 0"));
        }
        if self.priority == Some(0) {
            return Err(wrong(
                at("priority"),
                "expected a number from 1 to 255, found 0",
            ));
        }
        text(&at("message"), &self.message)?;
        text(&at("header"), &self.header)?;
        text(&at("options"), &self.options)?;
        if let Some(class) = &self.class {
            text(&at("class"), class)?;
        }
        // What ends a header would let a rule say what its fields do not.
        if let Some(found) = self.header.chars().find(|letter| "();".contains(*letter)) {
            let message = format!("expected what stands before the options, found `{found}`");
            return Err(wrong(at("header"), message));
        }
        count(&at("patterns"), self.patterns.len(), 0, MAX_PATTERNS)?;
        for (number, pattern) in self.patterns.iter().enumerate() {
            let at = |field: &str| format!("{place}.patterns[{number}].{field}");
            count(&at("bytes"), pattern.bytes.len(), 1, MAX_PATTERN)?;
            known(&at("buffer"), &pattern.buffer)?;
            let first = self.patterns.first().map(|first| &first.buffer);
            if let Some(first) = first.filter(|first| **first != pattern.buffer) {
                let message = format!("expected the buffer of the first pattern, `{first}`");
                return Err(wrong(at("buffer"), message));
            }
        }
        names(&at("buffers"), &self.buffers)?;
        for (field, pairs) in [
            ("references", &self.references),
            ("metadata", &self.metadata),
        ] {
            count(&at(field), pairs.len(), 0, MAX_PAIRS)?;
            for (number, (key, value)) in pairs.iter().enumerate() {
                let at = format!("{place}.{field}[{number}]");
                text(&at, key)?;
                text(&at, value)?;
            }
        }
        Ok(())
    }
}

fn text(place: &str, text: &str) -> Result<(), DeclarationError> {
    if text.len() > MAX_TEXT {
        let message = format!("expected at most {MAX_TEXT} bytes, found {}", text.len());
        return Err(wrong(place, message));
    }
    match text.chars().find(|letter| letter.is_control()) {
        None => Ok(()),
        Some(found) => {
            let found = found.escape_default();
            Err(wrong(
                place,
                format!("expected one line of text, found `{found}`"),
            ))
        }
    }
}

fn count(place: &str, found: usize, least: usize, most: usize) -> Result<(), DeclarationError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let message = format!("expected {least} to {most}, found {found}");
    Err(wrong(place, message))
}

fn number(place: &str, found: u32, least: u32, most: u32) -> Result<(), DeclarationError> {
    count(place, found as usize, least as usize, most as usize)
}

/// Names, each once.
fn names(place: &str, names: &[String]) -> Result<(), DeclarationError> {
    count(place, names.len(), 0, MAX_NAMES)?;
    let mut seen = HashSet::new();
    for (at, name) in names.iter().enumerate() {
        let place = format!("{place}[{at}]");
        if name.is_empty() || name.len() > MAX_TEXT {
            return Err(wrong(place, "expected a name"));
        }
        text(&place, name)?;
        if !seen.insert(name) {
            return Err(wrong(place, format!("{} a second time", quoted(name))));
        }
    }
    Ok(())
}

/// A buffer that there is.
fn known(place: &str, name: &str) -> Result<(), DeclarationError> {
    if buffer_named(name).is_some() {
        return Ok(());
    }
    let message = format!(
        "no buffer {}; expected `payload` or a sticky buffer such as `http.uri`",
        quoted(name)
    );
    Err(wrong(place, message))
}
