//! A rule that is being put together.

use std::sync::Arc;

use weir_engine::plan::{
    AppPlan, Buffer, Content, FlowProperty, FlowTest, Header, Meta, Num, Op, PacketTest,
    StateAction, StateTest, Threshold, Transform, Value, VarId,
};

use super::args::{self, Text};
use super::dataset::Declared;
use super::{Compiler, Warning};
use crate::syntax::ast::{Place, Problem};

/// Most transforms of one buffer (Suricata's `DETECT_TRANSFORMS_MAX`).
const MAX_TRANSFORMS: usize = 16;

/// Most buffers of a rule, each counted once for each way of transforming it.
pub(super) const MAX_LISTS: usize = u8::MAX as usize;

/// What a list of operations looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A buffer that Weir has.
    Buffer(Buffer),
    /// What `base64_decode` made.
    Base64,
    /// The buffer of a keyword that is not evaluated. The rule is refused, but what follows is still checked.
    Foreign(String),
}

/// Operations on one buffer, or on what transforms make of it.
#[derive(Debug)]
pub(super) struct List {
    pub(super) target: Target,
    pub(super) transforms: Vec<Transform>,
    /// Tells apart what is asked of several buffers of one kind, each of which may be met by another of them.
    instance: u32,
    pub(super) entries: Vec<Entry>,
    /// Tests on state that look at the buffer. The index of the buffer in them is not known yet.
    pub(super) tests: Vec<StateTest>,
    /// It must be there, though nothing is asked of it: a module looks at it.
    pub(super) wanted: bool,
}

impl List {
    /// The payload, as it is.
    pub(super) fn is_payload(&self) -> bool {
        self.target == Target::Buffer(Buffer::Payload)
    }

    /// The last content, and its index among the entries.
    pub(super) fn last_content(&self) -> Option<(usize, &Content)> {
        let entries = self.entries.iter().enumerate().rev();
        entries
            .filter_map(|(at, entry)| match &entry.op {
                Op::Content(content) => Some((at, content)),
                _ => None,
            })
            .next()
    }
}

/// The buffer that options are about.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    pub(super) target: Target,
    pub(super) transforms: Vec<Transform>,
    instance: u32,
    /// The keyword that chose it.
    place: Place,
    /// Something was asked of it.
    used: bool,
}

impl Selected {
    /// Its place, if nothing was asked of it, and Weir has it: what a refused keyword asks of a buffer is not known.
    pub(super) fn unused(&self) -> Option<Place> {
        let ours = matches!(self.target, Target::Buffer(_));
        (ours && !self.used).then_some(self.place)
    }
}

/// An operation, and what is only of interest until the plan is made.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) op: Op,
    /// The option that it came from.
    pub(super) place: Place,
    pub(super) extras: Extras,
}

/// What a content has besides what the plan says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras {
    /// `fast_pattern:only`.
    pub(super) only: bool,
    /// `fast_pattern:offset,length`.
    pub(super) chop: Option<(usize, usize)>,
    /// `rawbytes`.
    pub(super) rawbytes: bool,
}

/// What the latest option was that makes the rule match or not, for `prefilter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Latest {
    /// An entry of a list.
    Entry(usize, usize),
    /// A packet test.
    Test,
}

/// The state of the compilation of one rule.
#[derive(Debug)]
pub(super) struct Draft<'c> {
    pub(super) compiler: &'c Compiler,
    pub(super) header: Header,
    pub(super) meta: Meta,
    pub(super) explicit_priority: bool,
    pub(super) noalert: bool,
    pub(super) alert: bool,
    pub(super) prefilter: bool,
    pub(super) flow: Option<FlowTest>,
    pub(super) threshold: Option<Threshold>,
    pub(super) detection_filter: Option<Threshold>,
    pub(super) tests: Vec<PacketTest>,
    pub(super) dsize: Option<(Num, Place)>,
    pub(super) lists: Vec<List>,
    /// What a sticky buffer selected; `None` is the payload.
    pub(super) sticky: Option<Selected>,
    /// Sticky buffers of which nothing was asked, so far.
    pub(super) unused: Vec<Place>,
    pub(super) flow_properties: Vec<FlowProperty>,
    pub(super) state_tests: Vec<StateTest>,
    pub(super) state_actions: Vec<StateAction>,
    /// What `replace` writes: the list, the entry and the bytes.
    pub(super) replacements: Vec<(usize, usize, Vec<u8>)>,
    /// What the rule says of the sets that it names.
    pub(super) data_sets: Vec<Declared>,
    pub(super) latest: Option<Latest>,
    /// Where the next operation goes, because it starts where another one ended that is not in the payload.
    follows: Option<usize>,
    /// How often a buffer was chosen of which there may be several.
    instances: u32,
    /// What is asked of the application layer.
    pub(super) app: AppPlan,
    /// Names of the byte variables; the index is the [`VarId`].
    variables: Vec<String>,
    /// Suricata's `SIG_FLAG_REQUIRE_PACKET`.
    pub(super) require_packet: bool,
    /// Suricata's `SIG_FLAG_REQUIRE_STREAM`, as far as keywords set it.
    pub(super) require_stream: bool,
    pub(super) warnings: Vec<Warning>,
}

impl<'c> Draft<'c> {
    pub(super) fn new(compiler: &'c Compiler, header: Header, origin: (Arc<str>, u32)) -> Self {
        Self {
            compiler,
            header,
            meta: Meta {
                gid: 1,
                priority: super::meta::DEFAULT_PRIORITY,
                origin,
                ..Meta::default()
            },
            explicit_priority: false,
            noalert: false,
            alert: false,
            prefilter: false,
            flow: None,
            threshold: None,
            detection_filter: None,
            tests: Vec::new(),
            dsize: None,
            lists: Vec::new(),
            sticky: None,
            unused: Vec::new(),
            flow_properties: Vec::new(),
            state_tests: Vec::new(),
            state_actions: Vec::new(),
            replacements: Vec::new(),
            data_sets: Vec::new(),
            latest: None,
            follows: None,
            instances: 0,
            app: AppPlan::default(),
            variables: Vec::new(),
            require_packet: false,
            require_stream: false,
            warnings: Vec::new(),
        }
    }

    /// Index of the list for `target`, which is made when it is not there: a buffer that is named twice is one list, but
    /// not with other transforms. Of lists beyond [`MAX_LISTS`], which get the rule refused, there is one.
    pub(super) fn list(&mut self, target: Target, transforms: &[Transform]) -> usize {
        self.instance(target, transforms, 0)
    }

    fn instance(&mut self, target: Target, transforms: &[Transform], instance: u32) -> usize {
        let same = |list: &List| {
            list.target == target && list.transforms == transforms && list.instance == instance
        };
        match self.lists.iter().position(same) {
            Some(at) => at,
            None if self.lists.len() > MAX_LISTS => MAX_LISTS,
            None => {
                self.lists.push(List {
                    target,
                    transforms: transforms.to_vec(),
                    instance,
                    entries: Vec::new(),
                    tests: Vec::new(),
                    wanted: false,
                });
                self.lists.len() - 1
            }
        }
    }

    /// Makes a sticky buffer the current one.
    pub(super) fn select(&mut self, target: Target, place: Place) -> Result<(), Problem> {
        let in_base64 = self
            .sticky
            .as_ref()
            .is_some_and(|selected| selected.target == Target::Base64);
        if in_base64 && target != Target::Base64 {
            return Err(Problem::syntax(
                place,
                "no other buffer can follow `base64_data`",
            ));
        }
        self.deselect();
        let several = match target {
            Target::Buffer(Buffer::App(buffer) | Buffer::AppOf(buffer, _)) => buffer.is_multiple(),
            _ => false,
        };
        self.instances += u32::from(several);
        self.sticky = Some(Selected {
            target,
            transforms: Vec::new(),
            instance: if several { self.instances } else { 0 },
            place,
            used: false,
        });
        Ok(())
    }

    /// Makes the payload the current buffer.
    pub(super) fn deselect(&mut self) {
        let left = self.sticky.take();
        self.unused.extend(left.iter().filter_map(Selected::unused));
    }

    /// Adds a transform to the sticky buffer: what follows is about what it makes, what came before it is not.
    pub(super) fn transform(&mut self, transform: Transform, place: Place) -> Result<(), Problem> {
        let message = match &mut self.sticky {
            Some(Selected {
                target: Target::Base64,
                ..
            })
            | None => "a transform needs a sticky buffer before it",
            Some(selected) if selected.used && !selected.transforms.is_empty() => {
                "a transform comes before what is asked of the transformed buffer"
            }
            Some(selected) if selected.transforms.len() < MAX_TRANSFORMS => {
                selected.transforms.push(transform);
                selected.used = false;
                return Ok(());
            }
            Some(_) => "a buffer has at most 16 transforms",
        };
        Err(Problem::syntax(place, message))
    }

    /// Index of the current list, which is made when it is not there.
    pub(super) fn current(&mut self) -> usize {
        let Some(selected) = &mut self.sticky else {
            return self.list(Target::Buffer(Buffer::Payload), &[]);
        };
        selected.used = true;
        let Selected {
            target,
            transforms,
            instance,
            ..
        } = selected.clone();
        self.instance(target, &transforms, instance)
    }

    /// The current buffer must be there.
    pub(super) fn want(&mut self) {
        let at = self.current();
        if let Some(list) = self.lists.get_mut(at) {
            list.wanted = true;
        }
    }

    /// Index of the current list, if anything was asked of this buffer before.
    fn at(&self) -> Option<usize> {
        let is_current = |list: &List| match &self.sticky {
            Some(selected) => {
                list.target == selected.target
                    && list.transforms == selected.transforms
                    && list.instance == selected.instance
            }
            None => list.is_payload(),
        };
        self.lists.iter().position(is_current)
    }

    /// Appends an operation to the current list.
    pub(super) fn push(&mut self, op: Op, place: Place) {
        let at = match self.follows.take() {
            Some(at) => at,
            None => self.current(),
        };
        if let Some(list) = self.lists.get_mut(at) {
            list.entries.push(Entry {
                op,
                place,
                extras: Extras::default(),
            });
            self.latest = Some(Latest::Entry(at, list.entries.len() - 1));
        }
    }

    /// Appends an operation to the list of a buffer that a keyword names by itself.
    pub(super) fn push_to(&mut self, target: Target, op: Op, place: Place) {
        let at = self.list(target, &[]);
        if let Some(list) = self.lists.get_mut(at) {
            list.entries.push(Entry {
                op,
                place,
                extras: Extras::default(),
            });
            self.latest = Some(Latest::Entry(at, list.entries.len() - 1));
        }
    }

    /// Appends a test on state.
    pub(super) fn state_test(&mut self, test: StateTest) {
        self.state_tests.push(test);
        self.latest = Some(Latest::Test);
    }

    /// Appends a test on the flow.
    pub(super) fn flow_property(&mut self, property: FlowProperty) {
        self.flow_properties.push(property);
        self.latest = Some(Latest::Test);
    }

    /// Appends a test that needs packets rather than a stream.
    pub(super) fn test(&mut self, test: PacketTest) {
        self.require_packet = true;
        self.test_anywhere(test);
    }

    /// Appends a test.
    pub(super) fn test_anywhere(&mut self, test: PacketTest) {
        self.tests.push(test);
        self.latest = Some(Latest::Test);
    }

    /// Operations of the current list so far.
    pub(super) fn entries(&self) -> &[Entry] {
        let list = self.at().and_then(|at| self.lists.get(at));
        list.map(|list| list.entries.as_slice()).unwrap_or_default()
    }

    /// Before an operation that starts at the cursor: the operation before it is not a mere `fast_pattern:only` then.
    pub(super) fn keep_position(&mut self, relative: bool) {
        self.follows = self
            .latest_placed()
            .filter(|_| relative && self.sticky.is_none());
        let at = self.follows.or_else(|| self.at()).filter(|_| relative);
        if let Some(entry) = at.and_then(|at| self.lists.get_mut(at)?.entries.last_mut()) {
            entry.extras.only = false;
        }
    }

    /// The list of the latest operation that has a position.
    fn latest_placed(&self) -> Option<usize> {
        let placed =
            |entry: &&Entry| !matches!(entry.op, Op::BSize(_) | Op::Absent { .. } | Op::Entropy(_));
        let of_list = |(at, list): (usize, &List)| {
            let places = list.entries.iter().filter(placed).map(|entry| entry.place);
            Some((places.max()?, at))
        };
        let latest = self.lists.iter().enumerate().filter_map(of_list).max();
        latest.map(|(_, at)| at)
    }

    /// The next operation goes to the buffer at hand, whatever the one before it.
    pub(super) fn stay(&mut self) {
        self.follows = None;
    }

    /// True when there is a `base64_decode`.
    pub(super) fn decodes(&self) -> bool {
        self.lists
            .iter()
            .flat_map(|list| &list.entries)
            .any(|entry| matches!(entry.op, Op::Base64Decode(_)))
    }

    /// Where the content is that a modifier belongs to: the latest one of the sticky buffer, or the latest of all.
    pub(super) fn last_content(
        &self,
        modifier: &str,
        place: Place,
    ) -> Result<(usize, usize), Problem> {
        let of_list = |at: usize| {
            let list = self.lists.get(at)?;
            let (entry, _) = list.last_content()?;
            Some((list.entries.get(entry)?.place, (at, entry)))
        };
        let found = match self.sticky {
            Some(_) => self.at().and_then(of_list),
            None => (0..self.lists.len())
                .filter_map(of_list)
                .max_by_key(|&(place, _)| place),
        };
        found.map(|(_, at)| at).ok_or_else(|| {
            Problem::syntax(
                place,
                format!("`{modifier}` belongs to a content, and there is none before it"),
            )
        })
    }

    /// The content that a modifier belongs to, for changing.
    pub(super) fn content_mut(
        &mut self,
        (list, entry): (usize, usize),
    ) -> Option<(&mut Content, &mut Extras)> {
        let entry = self.lists.get_mut(list)?.entries.get_mut(entry)?;
        match &mut entry.op {
            Op::Content(content) => Some((content, &mut entry.extras)),
            _ => None,
        }
    }

    /// A new byte variable.
    pub(super) fn define(&mut self, name: &Text) -> Result<VarId, Problem> {
        let text = args::string(name);
        let valid = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if !valid || !text.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            return Err(args::expected(
                name,
                "a variable name that begins with a letter",
            ));
        }
        let full =
            || Problem::unsupported(name.place, "", "a rule with more than 255 byte variables");
        let id = VarId::try_from(self.variables.len())
            .ok()
            .filter(|&id| id < VarId::MAX)
            .ok_or_else(full)?;
        self.variables.push(text);
        Ok(id)
    }

    /// A number, or a variable.
    pub(super) fn operand(&self, text: &Text, least: i64, most: i64) -> Result<Value, Problem> {
        if args::is_number(text) {
            return args::integer(text, least, most).map(Value::Const);
        }
        self.variable(text)
    }

    /// A variable that an earlier option defines. Of two with one name the first counts, as in Suricata.
    pub(super) fn variable(&self, text: &Text) -> Result<Value, Problem> {
        let is_it = |known: &String| known.as_bytes() == text.value;
        let found = self.variables.iter().position(is_it);
        let id = found.and_then(|at| VarId::try_from(at).ok());
        id.map(Value::Var).ok_or_else(|| {
            args::expected(
                text,
                "a number, or a variable that a byte_extract or byte_math before it sets",
            )
        })
    }

    /// How many byte variables there are.
    pub(super) fn variables(&self) -> u8 {
        VarId::try_from(self.variables.len()).unwrap_or(VarId::MAX)
    }
}
