//! Where records go, and what becomes of those that cannot go there.
//!
//! A run of captures ends with the first record that cannot be written: it can be run again. Traffic cannot: a sensor goes on, says that it
//! writes nothing, counts what is lost, and tries each further record, until a disk has room again or a pipe a reader.

use std::io::ErrorKind;
use std::path::Path;

use weir_events::sink::{Existing, SinkError};
use weir_events::{CounterRecord, Eve, EveSink, FileSink, Interfaces};

use super::is_live;
use super::pipeline::Untaken;
use super::summary::Summary;
use crate::cli::RunOptions;
use crate::config::{EveSection, EveType};
use crate::failure::Failure;
use crate::ui::figures;

/// Opens the file that `--eve` names.
pub fn open(options: &RunOptions) -> Result<Option<FileSink>, Failure> {
    let Some(path) = &options.eve else {
        return Ok(None);
    };
    let existing = if options.append {
        Existing::Append
    } else {
        Existing::Truncate
    };
    // In the order in which sources number them; frames of files have none.
    let interfaces = Interfaces::new(options.interface.iter().chain(&options.inline));
    let mut sink = FileSink::open(path, existing)
        .map_err(Failure::failed)?
        .with_interfaces(interfaces);
    if is_live(options) {
        sink = sink.unbuffered();
    }
    if Lasting::of(options) != Lasting::No {
        sink = sink.lasting();
    }
    Ok(Some(sink))
}

/// Whether a run goes on when a record cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// It does not: it is of captures.
    No,
    /// It does, but it ends with who reads its standard output.
    WhileRead,
    /// It does: traffic goes through it.
    Yes,
}

impl Lasting {
    /// What a command line asks for.
    pub fn of(options: &RunOptions) -> Self {
        if !options.inline.is_empty() {
            Self::Yes
        } else if !options.is_live() {
            Self::No
        } else if options.eve.as_deref() == Some(Path::new("-")) {
            Self::WhileRead
        } else {
            Self::Yes
        }
    }

    fn goes_on(self, error: &SinkError) -> bool {
        let closed = |error: &SinkError| matches!(error, SinkError::Write { source, .. } if source.kind() == ErrorKind::BrokenPipe);
        match self {
            Self::No => false,
            Self::WhileRead => !closed(error),
            Self::Yes => true,
        }
    }
}

/// Takes the records of a run.
pub struct Records<'a> {
    sink: Option<FileSink>,
    wanted: &'a EveSection,
    lasting: Lasting,
    /// What is printed where records go nowhere.
    summary: Summary,
    lost: u64,
    /// Of those that are lost since records could be written, and why the latest is.
    failing: Option<(u64, String)>,
    failure: Option<String>,
}

/// What came of records.
pub struct Ended {
    /// Records that could not be written.
    pub lost: u64,
    /// Why the run cannot count as done.
    pub failure: Option<String>,
    /// What is to be printed, as records went nowhere else.
    pub summary: Option<Summary>,
}

impl<'a> Records<'a> {
    pub fn new(sink: Option<FileSink>, wanted: &'a EveSection, lasting: Lasting) -> Self {
        Self {
            sink,
            wanted,
            lasting,
            summary: Summary::default(),
            lost: 0,
            failing: None,
            failure: None,
        }
    }

    /// Takes a record, if it is wanted.
    pub fn take(&mut self, record: &Eve<'_>) -> Result<(), Untaken> {
        let Some(sink) = &mut self.sink else {
            if let Eve::Alert(alert) = record {
                self.summary.add(alert);
            }
            return Ok(());
        };
        // The engine makes the others only where they are wanted.
        let wanted = match record {
            Eve::Alert(_) => self.wanted.wants(EveType::Alert),
            Eve::Module(_) => self.wanted.wants(EveType::Module),
            _ => true,
        };
        if !wanted {
            return Ok(());
        }
        match sink.record(record) {
            Ok(()) => {
                if let Some((lost, _)) = self.failing.take() {
                    tracing::warn!(
                        "records can be written again: {} lost",
                        figures::counted(lost, "record")
                    );
                }
                Ok(())
            }
            Err(error) if self.lasting.goes_on(&error) => {
                self.lost += 1;
                let before = self.failing.take().map_or(0, |(lost, _)| lost);
                if before == 0 {
                    tracing::error!(
                        "{error}; the run goes on, and records are lost until this ends"
                    );
                }
                self.failing = Some((before + 1, error.to_string()));
                Err(Untaken::Lost)
            }
            Err(error) => Err(Untaken::Ends(error.to_string())),
        }
    }

    /// Takes the record that says what was counted in all.
    pub fn last(&mut self, record: &CounterRecord) {
        if let Err(Untaken::Ends(why)) = self.take(&Eve::Counters(record)) {
            self.failure = Some(why);
        }
    }

    /// Writes what was held back.
    pub fn end(mut self) -> Ended {
        if let Some(sink) = &mut self.sink
            && let Err(error) = sink.flush()
        {
            self.failure.get_or_insert(error.to_string());
        }
        if self.lost > 0 {
            let why = self.failing.take().map(|(_, why)| format!(": {why}"));
            self.failure.get_or_insert(format!(
                "{} lost{}",
                figures::counted(self.lost, "record"),
                why.unwrap_or_else(|| ": for a while they could not be written".to_owned())
            ));
        }
        Ended {
            lost: self.lost,
            failure: self.failure,
            summary: self.sink.is_none().then_some(self.summary),
        }
    }
}
