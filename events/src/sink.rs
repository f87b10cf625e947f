//! Where EVE records go.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Stdout, Write};
use std::path::Path;

use weir_engine::detect::{Alert, AppRecord, Noticed, Tagged};
use weir_engine::flow::Ended;

use crate::{
    CounterRecord, Interfaces, write_alert, write_app, write_counters, write_flow, write_module,
    write_packet,
};

/// Records are handed to the system in pieces of about this many bytes.
const BUFFER: usize = 64 * 1024;

/// What a record is made of.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Eve<'a> {
    /// `alert`
    Alert(&'a Alert<'a>),
    /// `flow`
    Flow(&'a Ended),
    /// A record of an application layer
    App(&'a AppRecord),
    /// `packet`
    Packet(&'a Tagged),
    /// `module`
    Module(&'a Noticed),
    /// `stats`
    Counters(&'a CounterRecord),
}

impl Eve<'_> {
    /// Appends the record and a newline to `out`. `names`: of the interfaces on which packets came.
    pub fn write(&self, out: &mut Vec<u8>, names: &Interfaces) {
        match self {
            Self::Alert(alert) => write_alert(out, alert, names),
            Self::Flow(ended) => write_flow(out, ended, names),
            Self::App(record) => write_app(out, record, names),
            Self::Packet(tagged) => write_packet(out, tagged, names),
            Self::Module(noticed) => write_module(out, noticed),
            Self::Counters(record) => write_counters(out, record),
        }
    }
}

/// Takes records somewhere.
pub trait EveSink {
    /// Takes one record; it may be held back until [`EveSink::flush`].
    fn record(&mut self, record: &Eve<'_>) -> Result<(), SinkError>;

    /// Hands over everything that was held back.
    fn flush(&mut self) -> Result<(), SinkError>;
}

/// Why records could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The file could not be opened or created.
    #[error("cannot open {path} for EVE records: {source}")]
    Open {
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A write failed: a full disk, a closed pipe. What was written before it is whole.
    #[error("cannot write EVE records to {path}: {source}")]
    Write {
        /// The file, or `standard output`.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// What to do with a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Empty it first.
    Truncate,
    /// Write after what it holds.
    Append,
}

/// Writes records, a line each, to a file or to standard output.
///
/// A failed write is reported once; the sink takes no more records after it, unless it is [lasting](Self::lasting). When the
/// failure left part of a record in a regular file, that part is cut off again.
#[derive(Debug)]
pub struct FileSink {
    lines: Lines<Target>,
    interfaces: Interfaces,
}

impl FileSink {
    /// A sink for `path`; `-` is standard output.
    ///
    /// # Errors
    /// [`SinkError::Open`] when the file cannot be opened or created.
    pub fn open(path: &Path, existing: Existing) -> Result<Self, SinkError> {
        if path == Path::new("-") {
            let stdout = Target::Stdout(io::stdout());
            return Ok(Self::on(stdout, "standard output".to_owned()));
        }
        let name = path.display().to_string();
        let open = || match existing {
            Existing::Truncate => File::create(path),
            Existing::Append => open_after_last_line(path),
        };
        match open() {
            Ok(file) => Ok(Self::on(Target::File(file), name)),
            Err(source) => Err(SinkError::Open { path: name, source }),
        }
    }

    fn on(target: Target, name: String) -> Self {
        Self {
            lines: Lines::new(target, name),
            interfaces: Interfaces::default(),
        }
    }

    /// Writes by which of these interfaces packets came (`in_iface`).
    #[must_use]
    pub fn with_interfaces(mut self, interfaces: Interfaces) -> Self {
        self.interfaces = interfaces;
        self
    }

    /// Hands every record to the system as soon as it is taken, for input that arrives while Weir runs.
    #[must_use]
    pub fn unbuffered(mut self) -> Self {
        self.lines.limit = 0;
        self
    }

    /// Goes on after a failed write, for input that goes on in any case: every failure is reported, what was to be written is lost,
    /// and the next record is tried as if nothing had been. Of an [unbuffered](Self::unbuffered) sink each failure is one record.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.lines.lasting = true;
        self
    }
}

impl EveSink for FileSink {
    fn record(&mut self, record: &Eve<'_>) -> Result<(), SinkError> {
        let Self { lines, interfaces } = self;
        lines.add(|out| record.write(out, interfaces))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.lines.flush()
    }
}

/// Opens `path` for appending; a last line that a crash left unfinished is ended, so that the next record stands alone.
fn open_after_last_line(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    if file.metadata()?.is_file() {
        let mut last = [b'\n'];
        let mut reader = File::open(path)?;
        if reader.seek(SeekFrom::End(-1)).is_ok() {
            reader.read_exact(&mut last)?;
        }
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// What [`Lines`] writes to.
trait Store: Write {
    /// Takes back the last `bytes` bytes, if that is possible.
    fn take_back(&mut self, bytes: u64) -> io::Result<()>;
}

#[derive(Debug)]
enum Target {
    File(File),
    Stdout(Stdout),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

impl Store for Target {
    fn take_back(&mut self, bytes: u64) -> io::Result<()> {
        match self {
            Self::File(file) if file.metadata()?.is_file() => {
                let length = file.metadata()?.len();
                file.set_len(length.saturating_sub(bytes))?;
                // What is written next is to begin there, and not leave a hole.
                file.seek(SeekFrom::End(0)).map(drop)
            }
            // What went into a pipe or a device is gone.
            _ => Ok(()),
        }
    }
}

/// A buffer of whole lines before a [`Store`].
#[derive(Debug)]
struct Lines<S: Store> {
    store: S,
    name: String,
    held: Vec<u8>,
    limit: usize,
    /// A failure is not the end.
    lasting: bool,
    failed: bool,
}

impl<S: Store> Lines<S> {
    fn new(store: S, name: String) -> Self {
        Self {
            store,
            name,
            held: Vec::with_capacity(BUFFER + 4096),
            limit: BUFFER,
            lasting: false,
            failed: false,
        }
    }

    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SinkError> {
        if self.failed {
            return Ok(());
        }
        write(&mut self.held);
        if self.held.len() >= self.limit {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.failed {
            return Ok(());
        }
        let mut done = 0;
        let failure = loop {
            match self.held.get(done..) {
                None | Some([]) => match self.store.flush() {
                    Ok(()) => break None,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Some(error),
                },
                Some(rest) => match self.store.write(rest) {
                    Ok(0) => break Some(io::ErrorKind::WriteZero.into()),
                    Ok(written) => done += written,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Some(error),
                },
            }
        };
        let Some(source) = failure else {
            self.held.clear();
            return Ok(());
        };
        let taken = self.held.get(..done).unwrap_or_default();
        let torn = taken
            .iter()
            .rev()
            .take_while(|&&byte| byte != b'\n')
            .count();
        if torn > 0 {
            // The write's own failure is the one to report; should this fail as well, the next `--append` ends the line.
            let _ = self.store.take_back(torn as u64);
        }
        self.failed = !self.lasting;
        self.held.clear();
        Err(SinkError::Write {
            path: self.name.clone(),
            source,
        })
    }
}

impl<S: Store> Drop for Lines<S> {
    fn drop(&mut self) {
        // Callers flush and look at the result; this is for the ways out that do not get there.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk {
        held: Vec<u8>,
        room: usize,
        writes: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            let fits = bytes.len().min(self.room - self.held.len());
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.held.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Store for Disk {
        fn take_back(&mut self, bytes: u64) -> io::Result<()> {
            self.held.truncate(self.held.len() - bytes as usize);
            Ok(())
        }
    }

    fn lines(room: usize, limit: usize) -> Lines<Disk> {
        let mut lines = Lines::new(
            Disk {
                held: Vec::new(),
                room,
                writes: 0,
            },
            "disk".to_owned(),
        );
        lines.limit = limit;
        lines
    }

    #[test]
    fn a_full_disk_keeps_the_whole_records_and_is_reported_once() {
        for room in 0..=20 {
            let mut lines = lines(room, BUFFER);
            for _ in 0..4 {
                lines
                    .add(|out| out.extend_from_slice(b"12345\n"))
                    .expect("held");
            }
            let error = lines.flush().expect_err("24 bytes do not fit");
            assert!(
                error
                    .to_string()
                    .starts_with("cannot write EVE records to disk: "),
                "{error}"
            );
            assert_eq!(
                lines.store.held,
                b"12345\n".repeat(room / 6),
                "room for {room}"
            );
            assert!(lines.add(|out| out.extend_from_slice(b"more\n")).is_ok());
            assert!(lines.flush().is_ok());
            assert_eq!(lines.store.held.len(), room / 6 * 6);
        }
    }

    #[test]
    fn a_lasting_sink_reports_each_record_that_is_lost_and_goes_on_when_there_is_room() {
        let mut lines = lines(15, 0);
        lines.lasting = true;
        let mut add = |room: usize, record: &[u8]| {
            lines.store.room = room;
            let added = lines.add(|out| out.extend_from_slice(record)).is_ok();
            (added, lines.store.held.clone())
        };
        assert_eq!(add(15, b"12345678\n"), (true, b"12345678\n".to_vec()));
        // The second is torn, the third does not even begin.
        assert_eq!(add(15, b"12345678\n"), (false, b"12345678\n".to_vec()));
        assert_eq!(add(9, b"12345678\n"), (false, b"12345678\n".to_vec()));
        assert_eq!(add(30, b"end\n"), (true, b"12345678\nend\n".to_vec()));
    }

    #[test]
    fn records_are_held_back_to_the_limit_and_not_at_all_without_one() {
        let mut held = lines(100, 10);
        held.add(|out| out.extend_from_slice(b"123\n"))
            .expect("room");
        assert_eq!(held.store.writes, 0);
        held.add(|out| out.extend_from_slice(b"123456\n"))
            .expect("room");
        assert_eq!(held.store.writes, 1);
        let mut straight = lines(100, 0);
        straight
            .add(|out| out.extend_from_slice(b"1\n"))
            .expect("room");
        assert_eq!(straight.store.held, b"1\n");
    }

    #[test]
    fn files_are_emptied_or_appended_to_and_an_unfinished_line_is_ended() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("eve.json");
        let put = |existing, line: &[u8]| {
            let mut sink = FileSink::open(&path, existing).expect("opens");
            sink.lines
                .add(|out| out.extend_from_slice(line))
                .expect("held");
            sink.flush().expect("writes");
        };
        put(Existing::Append, b"one\n");
        put(Existing::Append, b"two\n");
        assert_eq!(std::fs::read(&path).expect("reads"), b"one\ntwo\n");
        put(Existing::Truncate, b"three");
        put(Existing::Append, b"four\n");
        assert_eq!(std::fs::read(&path).expect("reads"), b"three\nfour\n");
        let error = FileSink::open(&folder.path().join("no/such/folder"), Existing::Truncate)
            .expect_err("no folder");
        assert!(error.to_string().contains("no/such/folder"), "{error}");
    }

    #[test]
    fn a_torn_record_is_cut_off_a_real_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("eve.json");
        let mut target = Target::File(File::create(&path).expect("creates"));
        target.write_all(b"whole\nto").expect("writes");
        target.take_back(2).expect("cuts");
        assert_eq!(std::fs::read(&path).expect("reads"), b"whole\n");
        target.write_all(b"next\n").expect("writes");
        assert_eq!(std::fs::read(&path).expect("reads"), b"whole\nnext\n");
    }
}
