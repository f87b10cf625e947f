//! What is measured.

use std::rc::Rc;

use weir_engine::matcher::{Hit, Level, Matcher, Outcome, Plain, Probe, Request, Software};

use crate::BenchError;

/// A matcher with a table.
pub trait Contender {
    /// Adds the probes that occur in `data`, each with the end of its first occurrence, in any order.
    ///
    /// # Errors
    ///
    /// When the buffer could not be finished.
    fn scan(&mut self, data: &[u8], found: &mut Vec<Hit>) -> Result<(), BenchError>;

    /// Bytes of its tables, where it can tell.
    fn table_bytes(&self) -> Option<usize> {
        None
    }
}

/// Builds a contender's table.
type Make = dyn Fn(&[Probe]) -> Result<Box<dyn Contender>, BenchError>;

/// A contender that can take part.
#[derive(Clone)]
pub struct Entry {
    /// What it is called in tables.
    pub name: String,
    /// What it is, as far as the name does not tell: version, configuration.
    pub about: String,
    make: Rc<Make>,
}

impl Entry {
    /// A contender that `make` builds.
    pub(crate) fn new<C: Contender + 'static>(
        name: impl Into<String>,
        about: impl Into<String>,
        make: impl Fn(&[Probe]) -> Result<C, BenchError> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            about: about.into(),
            make: Rc::new(move |probes| Ok(Box::new(make(probes)?))),
        }
    }

    /// Builds its table for a set.
    ///
    /// # Errors
    ///
    /// When it cannot take the set.
    pub fn load(&self, probes: &[Probe]) -> Result<Box<dyn Contender>, BenchError> {
        (self.make)(probes)
    }
}

/// The name of the reference that answers are compared with.
pub const REFERENCE: &str = "plain";

/// The reference.
pub fn reference() -> Entry {
    Entry::new(REFERENCE, "the reference", |probes| {
        Backend::load(REFERENCE, Plain::new(), |_| None, probes)
    })
}

/// Everything that this build and this machine can measure: a new contender is a line.
pub fn all() -> Vec<Entry> {
    let mut entries = Vec::new();
    #[cfg(feature = "peers")]
    entries.extend(crate::peers::all());
    let levels = Level::ALL.into_iter().rev();
    entries.extend(levels.filter(|level| level.available()).map(software));
    entries.push(reference());
    entries
}

/// The software matcher at a level that this machine has.
fn software(level: Level) -> Entry {
    let name = format!("software/{level}");
    Entry::new(name.clone(), "the software matcher", move |probes| {
        let table_bytes = |matcher: &Software| Some(matcher.table_bytes());
        Backend::load(&name, Software::with_level(level), table_bytes, probes)
    })
}

/// One of our backends.
struct Backend<M> {
    name: String,
    matcher: M,
    table_bytes: Option<usize>,
}

impl<M: Matcher> Backend<M> {
    fn load(
        name: &str,
        mut matcher: M,
        table_bytes: impl Fn(&M) -> Option<usize>,
        probes: &[Probe],
    ) -> Result<Self, BenchError> {
        matcher
            .load(probes)
            .map_err(|error| BenchError::contender(name, error))?;
        Ok(Self {
            name: name.to_owned(),
            table_bytes: table_bytes(&matcher),
            matcher,
        })
    }
}

impl<M: Matcher> Contender for Backend<M> {
    fn scan(&mut self, data: &[u8], found: &mut Vec<Hit>) -> Result<(), BenchError> {
        let request = Request {
            tag: 0,
            group: 0,
            carry: 0,
            data,
        };
        self.matcher
            .submit(request)
            .map_err(|error| BenchError::contender(&self.name, error))?;
        let mut outcome = None;
        let reports = self.matcher.poll(&mut |report| {
            outcome = Some(report.outcome);
            found.extend_from_slice(report.hits);
        });
        match (reports, outcome) {
            (1, Some(Outcome::Done)) => Ok(()),
            (1, _) => Err(BenchError::contender(
                &self.name,
                "a buffer was not finished",
            )),
            (count, _) => Err(BenchError::contender(
                &self.name,
                format!("{count} reports on one buffer"),
            )),
        }
    }

    fn table_bytes(&self) -> Option<usize> {
        self.table_bytes
    }
}
