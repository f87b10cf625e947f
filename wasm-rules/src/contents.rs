//! The contents of a rule as they are written, whatever buffers they are looked for in and whether or not the rule can
//! be evaluated: what measurements of matchers draw their probes from.

use crate::syntax::ast::RuleText;
use crate::syntax::value::parse_content;

/// A positive content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// The bytes as written, escapes resolved; never empty.
    pub bytes: Vec<u8>,
    /// ASCII case does not matter.
    pub nocase: bool,
    /// The author chose all of it (`fast_pattern`) for what is looked for first.
    pub preferred: bool,
}

/// The positive contents of a rule, in its order; one whose value is malformed is left out.
pub fn positive(rule: &RuleText) -> Vec<Literal> {
    let mut literals = Vec::new();
    // Whether the content that a modifier would be about is among `literals`.
    let mut kept = false;
    for option in &rule.options {
        match (option.name.value.as_str(), &option.value) {
            ("content" | "uricontent", Some(value)) => {
                let content = parse_content(value).ok().filter(|content| !content.negated);
                kept = content.is_some();
                literals.extend(content.map(|content| Literal {
                    bytes: content.bytes,
                    nocase: false,
                    preferred: false,
                }));
            }
            ("nocase", None) if kept => {
                if let Some(last) = literals.last_mut() {
                    last.nocase = true;
                }
            }
            ("fast_pattern", value) if kept => {
                let part = value
                    .as_ref()
                    .is_some_and(|value| value.value.contains(&b','));
                if let Some(last) = literals.last_mut() {
                    last.preferred = !part;
                }
            }
            _ => {}
        }
    }
    literals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::ast::Place;
    use crate::syntax::parse_rule;

    #[test]
    fn contents_are_found_in_any_buffer_with_their_own_nocase() {
        let text = br#"alert http any any -> any any (msg:"x"; content:"One|3a|"; http.uri; content:!"not"; nocase; content:"Two"; fast_pattern; nocase; uricontent:"three"; fast_pattern:1,2; pcre:"/x/"; sid:1;)"#;
        let rule = parse_rule(text, Place { line: 1, column: 1 }).expect("a rule");
        let found: Vec<_> = positive(&rule)
            .into_iter()
            .map(|literal| {
                let text = String::from_utf8(literal.bytes).expect("text");
                (text, literal.nocase, literal.preferred)
            })
            .collect();
        let want = [
            ("One:", false, false),
            ("Two", true, true),
            ("three", false, false),
        ];
        assert_eq!(
            found,
            want.map(|(text, nocase, preferred)| (text.to_owned(), nocase, preferred))
        );
    }
}
