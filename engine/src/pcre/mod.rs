//! PCRE2 behind a thin safe layer: Suricata's options, and limits that bound every match.
//!
//! Patterns and subjects are bytes, never UTF. A [`Regex`] is compiled when a rule is read, but to machine code only when
//! it is first matched: most expressions of a large rule set never see a packet. What a match needs besides (the match
//! data and the limits) lives in a [`Scratch`], one for each thread, so that matching does not allocate.

mod ffi;

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Most calls of PCRE2's internal `match()` (Suricata's `pcre.match-limit`).
const MATCH_LIMIT: u32 = 3500;
/// Deepest backtracking (Suricata's `pcre.match-limit-recursion`); machine code has no such limit.
const DEPTH_LIMIT: u32 = 1500;
/// Most heap of the interpreter, in KiB.
const HEAP_LIMIT: u32 = 8192;

/// Compile-time options of a [`Regex`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flags {
    /// `i`
    pub caseless: bool,
    /// `s`
    pub dotall: bool,
    /// `m`
    pub multiline: bool,
    /// `x`
    pub extended: bool,
    /// `A`: match at the start only.
    pub anchored: bool,
    /// `E`: `$` matches at the very end only.
    pub dollar_endonly: bool,
    /// `G`: quantifiers are lazy.
    pub ungreedy: bool,
}

/// An expression that compiles.
///
/// What was read from a built rule set compiled when it was built, and is compiled again when it is first used. Should it
/// not compile then, because another version of PCRE2 built it or the file was made up, every match is given up.
#[derive(Serialize, Deserialize)]
pub struct Regex {
    pattern: Box<[u8]>,
    flags: Flags,
    /// All groups capture, not only where the expression refers back to one.
    capturing: bool,
    #[serde(skip)]
    code: OnceLock<Option<ffi::Code>>,
}

impl Regex {
    /// Compiles `pattern` (the bytes between the slashes).
    ///
    /// Groups capture only where the expression refers back to one, as Suricata has it: matching without captures is
    /// faster. Named groups always capture.
    pub fn new(pattern: &[u8], flags: Flags) -> Result<Self, PcreError> {
        Self::compiled(pattern, flags, false)
    }

    fn compiled(pattern: &[u8], flags: Flags, capturing: bool) -> Result<Self, PcreError> {
        let code = compile(pattern, flags, capturing).map_err(PcreError::new)?;
        Ok(Self {
            pattern: pattern.into(),
            flags,
            capturing,
            code: OnceLock::from(Some(code)),
        })
    }

    /// What it was compiled to, compiled now if it was not; `None` when it does not compile.
    fn code(&self) -> Option<&ffi::Code> {
        let compiled = || compile(&self.pattern, self.flags, self.capturing).ok();
        self.code.get_or_init(compiled).as_ref()
    }

    /// First match in `subject` at or after `start`: where it begins and where it ends.
    ///
    /// Bytes before `start` are there for look-behind and `^`. A `start` beyond the subject matches nothing.
    ///
    /// # Errors
    ///
    /// [`MatchLimit`] when the match was given up; it is not known then whether there is one.
    pub fn find(
        &self,
        subject: &[u8],
        start: usize,
        scratch: &mut Scratch,
    ) -> Result<Option<(usize, usize)>, MatchLimit> {
        if start > subject.len() {
            return Ok(None);
        }
        let code = self.code().ok_or(MatchLimit)?;
        code.find(subject, start, &mut scratch.0)
            .map_err(|ffi::GaveUp| MatchLimit)
    }

    /// Compiles `pattern` with all its groups capturing and without options, for [`Self::find_group`].
    pub fn capturing(pattern: &[u8]) -> Result<Self, PcreError> {
        Self::compiled(pattern, Flags::default(), true)
    }

    /// How many groups capture.
    pub fn groups(&self) -> u32 {
        self.code().map_or(0, ffi::Code::groups)
    }

    /// What the first group captures in the first match in `subject`: where it begins and where it ends; `None` without a
    /// match, or when the group has no part in it.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub fn find_group(
        &self,
        subject: &[u8],
        scratch: &mut Scratch,
    ) -> Result<Option<(usize, usize)>, MatchLimit> {
        let code = self.code().ok_or(MatchLimit)?;
        code.find_group(subject, &mut scratch.0)
            .map_err(|ffi::GaveUp| MatchLimit)
    }

    /// The expression as it was given.
    pub fn pattern(&self) -> &[u8] {
        &self.pattern
    }

    /// The options as they were given.
    pub fn flags(&self) -> Flags {
        self.flags
    }
}

/// Compiles an expression. Groups that need not capture do where the expression refers back to one.
fn compile(pattern: &[u8], flags: Flags, capturing: bool) -> Result<ffi::Code, ffi::Refused> {
    match ffi::Code::compile(pattern, flags, capturing) {
        Err(refused) if !capturing && refused.wants_captures() => {
            ffi::Code::compile(pattern, flags, true)
        }
        compiled => compiled,
    }
}

/// Of the same expression with the same options.
impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        (&self.pattern, self.flags, self.capturing)
            == (&other.pattern, other.flags, other.capturing)
    }
}

impl Eq for Regex {}

impl std::hash::Hash for Regex {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.pattern, self.flags, self.capturing).hash(state);
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Regex(/{}/, {:?})",
            self.pattern.escape_ascii(),
            self.flags
        )
    }
}

/// What matching writes to: one for each thread.
#[derive(Debug)]
pub struct Scratch(ffi::Matching);

impl Scratch {
    /// An empty scratch with the limits set.
    ///
    /// # Panics
    ///
    /// When there is no memory for the few hundred bytes it takes.
    pub fn new() -> Self {
        Self(ffi::Matching::new(MATCH_LIMIT, DEPTH_LIMIT, HEAP_LIMIT))
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// Why an expression could not be compiled.
#[derive(Debug, thiserror::Error)]
#[error("at offset {offset}: {message}")]
pub struct PcreError {
    /// PCRE2's words.
    pub message: String,
    /// Byte offset in the pattern.
    pub offset: usize,
}

impl PcreError {
    fn new(refused: ffi::Refused) -> Self {
        Self {
            message: refused.message(),
            offset: refused.offset(),
        }
    }
}

/// A match that was given up: at the match, depth or heap limit, or at an error of PCRE2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the match was given up at its limit")]
pub struct MatchLimit;

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, flags: Flags, subject: &[u8], start: usize) -> Option<(usize, usize)> {
        Regex::new(pattern.as_bytes(), flags)
            .expect("compiles")
            .find(subject, start, &mut Scratch::new())
            .expect("within limits")
    }

    #[test]
    fn options_mean_what_the_letters_say() {
        let plain = Flags::default();
        type Case = (&'static str, Flags, &'static [u8], Option<(usize, usize)>);
        let cases: &[Case] = &[
            ("ab", plain, b"xxabAB", Some((2, 4))),
            (
                "AB",
                Flags {
                    caseless: true,
                    ..plain
                },
                b"xxab",
                Some((2, 4)),
            ),
            ("a.b", plain, b"a\nb", None),
            (
                "a.b",
                Flags {
                    dotall: true,
                    ..plain
                },
                b"a\nb",
                Some((0, 3)),
            ),
            ("^b", plain, b"a\nb", None),
            (
                "^b",
                Flags {
                    multiline: true,
                    ..plain
                },
                b"a\nb",
                Some((2, 3)),
            ),
            (
                "a b # c",
                Flags {
                    extended: true,
                    ..plain
                },
                b"ab",
                Some((0, 2)),
            ),
            (
                "b",
                Flags {
                    anchored: true,
                    ..plain
                },
                b"ab",
                None,
            ),
            ("a$", plain, b"a\n", Some((0, 1))),
            (
                "a$",
                Flags {
                    dollar_endonly: true,
                    ..plain
                },
                b"a\n",
                None,
            ),
            (
                "a+",
                Flags {
                    ungreedy: true,
                    ..plain
                },
                b"aaa",
                Some((0, 1)),
            ),
            ("\\xff.", plain, b"a\xff\xfe", Some((1, 3))),
            ("(a)\\1", plain, b"xaa", Some((1, 3))),
            ("(?<q>['\"])x\\k<q>", plain, b"'x'", Some((0, 3))),
        ];
        for (pattern, flags, subject, expected) in cases {
            assert_eq!(
                find(pattern, *flags, subject, 0),
                *expected,
                "/{pattern}/ {flags:?}"
            );
        }
    }

    #[test]
    fn a_group_is_found_where_it_has_part_in_the_match() {
        let group = |pattern: &str, subject: &[u8]| {
            let regex = Regex::capturing(pattern.as_bytes()).expect("compiles");
            let found = regex.find_group(subject, &mut Scratch::new());
            (regex.groups(), found.expect("within limits"))
        };
        assert_eq!(group("a(b+)c", b"xabbc"), (1, Some((2, 4))));
        assert_eq!(group("a(b*)c", b"xac"), (1, Some((2, 2))));
        assert_eq!(group("(b)|a", b"xa"), (1, None));
        assert_eq!(group("(b)", b"xa"), (1, None));
        assert_eq!(group("(a)(b)(c)", b"abc"), (3, Some((0, 1))));
        assert_eq!(group("abc", b"abc"), (0, None));
        assert_eq!(
            Regex::new(b"(a)", Flags::default())
                .expect("compiles")
                .groups(),
            0
        );
    }

    #[test]
    fn start_keeps_what_lies_before_visible() {
        assert_eq!(find("(?<=a)b", Flags::default(), b"ab", 1), Some((1, 2)));
        assert_eq!(find("^b", Flags::default(), b"ab", 1), None);
        assert_eq!(find("b*", Flags::default(), b"ab", 2), Some((2, 2)));
        assert_eq!(find("b*", Flags::default(), b"ab", 3), None);
        assert_eq!(find("^$", Flags::default(), b"", 0), Some((0, 0)));
    }

    #[test]
    fn errors_say_where() {
        let error = Regex::new(b"a(b", Flags::default()).expect_err("unbalanced");
        assert_eq!(error.offset, 3);
        assert!(error.message.contains("parenthes"), "{}", error.message);
        assert!(Regex::new(b"(a)\\2", Flags::default()).is_err());
    }

    #[test]
    fn catastrophic_expressions_are_given_up() {
        let regex = Regex::new(b"(x+x+)+[yz]", Flags::default()).expect("compiles");
        let mut scratch = Scratch::new();
        assert_eq!(
            regex.find(&[b'x'; 20_000], 0, &mut scratch),
            Err(MatchLimit)
        );
        // The scratch is as good as new afterwards.
        assert_eq!(regex.find(b"xxy", 0, &mut scratch), Ok(Some((0, 3))));
    }

    /// Recursion this deep does not fit the stack that machine code is given; the interpreter has a heap.
    #[test]
    fn falls_back_to_the_interpreter() {
        let mut scratch = Scratch::new();
        let nested = Regex::new(b"^((?:a(?1)?b)|c(?1))$", Flags::default()).expect("compiles");
        let subject: Vec<u8> = [[b'a'; 650], [b'b'; 650]].concat();
        assert_eq!(nested.find(&subject, 0, &mut scratch), Ok(Some((0, 1300))));
        let not_compiled = Regex::new(b"(*NO_JIT)a+b", Flags::default()).expect("compiles");
        assert_eq!(
            not_compiled.find(b"xaab", 0, &mut scratch),
            Ok(Some((1, 4)))
        );
    }

    #[test]
    fn one_regex_serves_many_threads() {
        let regex = Regex::new(b"n(e+)dle", Flags::default()).expect("compiles");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut scratch = Scratch::new();
                    for _ in 0..200 {
                        let found = regex.find(b"hay needle hay", 0, &mut scratch);
                        assert_eq!(found, Ok(Some((4, 10))));
                    }
                });
            }
        });
    }
}
