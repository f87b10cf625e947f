//! What traffic notices when a sensor is killed, hangs, loads its rules again or loses its card.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use weir_testbed::serve::{Echo, Pulse};
use weir_testbed::{BedCounters, Load, Signal};

use super::books::Books;
use super::card::{Card, FOLDER};
use super::rates;
use super::rig::{READY, Rig, Sensor, Setup};
use super::{CONTENT, FLOWS, WireOptions};
use crate::BenchError;

/// The connection that beats while things happen.
const BEAT: Duration = Duration::from_millis(2);
/// A load of a size in the middle.
const SIZE: usize = 512;
/// Faster than this, the load would be what fails.
const FASTEST: f64 = 50_000.0;
/// Where no rules are given: everything is searched for it, and it is nowhere.
const RULE: &str =
    "alert ip any any -> any any (msg:\"nowhere\"; content:\"nowhere in any load\"; sid:1;)\n";
/// Trials are at least so long, that what happens at a third of it is far from both ends.
const SHORTEST: f64 = 3.0;
/// Where the sensor listens for commands, in the rig's folder.
const CONTROL: &str = "control.sock";

/// What happens at a third of the time. What is undone is so at two thirds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// SIGKILL; then another sensor takes over.
    Kill,
    /// SIGSTOP; then SIGCONT.
    Stop,
    /// Other rules are loaded.
    Reload,
    /// The simulated card dies; software goes on.
    CardLoss,
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9, then a new sensor",
            Self::Stop => "SIGSTOP, then SIGCONT",
            Self::Reload => "rule reload",
            Self::CardLoss => "the simulated card dies",
        }
    }
}

/// One event, one policy.
#[derive(Clone, Debug, Serialize)]
pub struct FailureRow {
    /// What happened.
    pub event: Event,
    /// `open` or `closed`.
    pub fail: String,
    /// How the XDP program is attached.
    pub mode: String,
    /// Frames a second of the load.
    pub rate: f64,
    /// Its frames.
    pub sent: u64,
    /// Of them, those that did not arrive.
    pub lost: u64,
    /// The longest time in which none of them arrived, milliseconds.
    pub load_gap_ms: f64,
    /// The longest time in which the connection got no answer, milliseconds.
    pub connection_gap_ms: f64,
    /// Beats of the connection, sent and answered.
    pub beats: [u64; 2],
    /// How the connection broke, if it did.
    pub broken: Option<String>,
    /// How long the sensor took to come back, or to load its rules, milliseconds.
    pub took_ms: Option<f64>,
    /// What both ports counted from the first frame to the last, whatever process there was.
    pub books: [Books; 2],
    /// Frames that the links' rings had no room for: to port A, from A to the client, from B to the server, to port B.
    pub links: [u64; 4],
    /// Frames lost that nobody has counted.
    pub unaccounted: u64,
    /// What must not be.
    pub faults: Vec<String>,
}

/// Measures each event with both policies, with the first of the modes and the last of the queues that are asked for.
pub fn measure(
    options: &WireOptions,
    rows: &mut Vec<FailureRow>,
    failed: &mut Vec<String>,
    notes: &mut Vec<String>,
    tell: &mut dyn FnMut(&str),
) -> Result<(), BenchError> {
    let (Some(&queues), Some(&mode)) = (options.queues.last(), options.modes.first()) else {
        return Ok(());
    };
    let rig = Rig::new(options, queues)?;
    let load = Load {
        frames: weir_testbed::MAX_FRAMES,
        size: SIZE,
        flows: FLOWS,
        content: CONTENT.to_vec(),
        ..Load::default()
    };
    let short = Load {
        frames: options.frames,
        ..load.clone()
    };
    tell("failures: a rate to begin with");
    let first = setup(&rig, Event::Reload, "closed", mode)?;
    let sustained = rates::sustained(&rig, Some(&first), &short)?;
    let load = Load {
        rate: Some((sustained.rate / 4.0).min(FASTEST)),
        duration: Some(Duration::from_secs_f64(
            (options.seconds * 3.0).max(SHORTEST),
        )),
        ..load
    };
    let mut all = vec![
        (Event::Kill, "open"),
        (Event::Kill, "closed"),
        (Event::Stop, "open"),
        (Event::Stop, "closed"),
        (Event::Reload, "open"),
        (Event::Reload, "closed"),
    ];
    if options.simulator.is_some() {
        all.push((Event::CardLoss, "open"));
        all.push((Event::CardLoss, "closed"));
    } else {
        notes.push("the loss of a card: there is no weir-sim, name it with --weir-sim".to_owned());
    }
    for (event, fail) in all {
        let name = format!("failures: {}, {fail}", event.name());
        tell(&name);
        let setup = setup(&rig, event, fail, mode);
        match setup.and_then(|setup| row(&rig, event, &setup, &load)) {
            Ok(row) => rows.push(row),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    Ok(())
}

fn setup(
    rig: &Rig<'_>,
    event: Event,
    fail: &'static str,
    mode: super::XdpMode,
) -> Result<Setup, BenchError> {
    let rules = match rig.options.rules.as_slice() {
        [] => vec![rig.file("nowhere.rules", RULE)?],
        given => given.to_vec(),
    };
    let mut setup = Setup {
        mode,
        fail,
        rules,
        more: vec!["--control".to_owned(), CONTROL.to_owned()],
    };
    if event == Event::CardLoss {
        let card = ["--matcher", "card", "--device", FOLDER];
        setup.more.extend(card.map(str::to_owned));
    }
    Ok(setup)
}

/// What has become of the sensor.
struct After<'a> {
    sensor: Sensor<'a>,
    took: Option<Duration>,
}

fn row(rig: &Rig<'_>, event: Event, setup: &Setup, load: &Load) -> Result<FailureRow, BenchError> {
    // Of an earlier one that was killed.
    let _ = std::fs::remove_file(rig.path(CONTROL));
    rig.detach();
    let mut card = (event == Event::CardLoss)
        .then(|| Card::start(rig))
        .transpose()?;
    let sensor = rig.sensor(setup)?;
    let before = rig.bed.counters()?;
    let server = rig.bed.server();
    let echo = Echo::start(server, 0)?;
    let pulse = Pulse::start(rig.bed.client(), IpAddr::V4(server.v4()), echo.port(), BEAT)?;
    let (sink, generator) = rig.flow(load)?;
    let third = load.duration.unwrap_or_default() / 3;

    std::thread::sleep(third);
    let After { sensor, took } = happen(rig, event, setup, sensor, card.as_mut(), third)?;
    let sent = generator.wait()?;
    let received = sink.stop()?;
    let pulses = pulse.stop();
    let links = rig.bed.counters()?.since(&before);
    sensor.leave()?;
    let books = rig.close(setup)?;

    let mut faults = Vec::new();
    for (books, port) in books.iter().zip(["A", "B"]) {
        let of_port = books.faults().into_iter();
        faults.extend(of_port.map(|fault| format!("port {port}: {fault}")));
    }
    let lost = received.missing(&sent);
    let unaccounted = lost.saturating_sub(counted(&books[0], &links, received.lost_in_sink));
    if unaccounted > 0 {
        faults.push(format!(
            "{lost} frames lost, of which nobody counted {unaccounted}"
        ));
    }
    if setup.fail == "closed" && books.iter().any(|books| books.failed_open > 0) {
        faults.push("frames went through uninspected".to_owned());
    }
    if received.duplicated + received.damaged > 0 {
        faults.push(format!(
            "{} frames came twice, {} damaged",
            received.duplicated, received.damaged
        ));
    }
    if let Some(broken) = &pulses.broken {
        faults.push(format!("the connection broke: {broken}"));
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(FailureRow {
        event,
        fail: setup.fail.to_owned(),
        mode: setup.mode.name().to_owned(),
        rate: sent.rate(),
        sent: sent.frames,
        lost,
        load_gap_ms: ms(received.longest_gap),
        connection_gap_ms: ms(pulses.longest_gap),
        beats: [pulses.sent, pulses.echoed],
        broken: pulses.broken,
        took_ms: took.map(ms),
        books,
        links: [
            links.client.tx_dropped,
            links.a.tx_dropped,
            links.b.tx_dropped,
            links.server.tx_dropped,
        ],
        unaccounted,
        faults,
    })
}

/// Frames from client to server that somebody counted as lost, those of the connection among them.
fn counted(books: &Books, links: &BedCounters, in_sink: u64) -> u64 {
    let named: u64 = books.losses().iter().map(|(_, count)| count).sum();
    named + links.client.tx_dropped + links.b.tx_dropped + in_sink
}

/// Does it, and undoes it a third later.
fn happen<'a>(
    rig: &'a Rig<'a>,
    event: Event,
    setup: &Setup,
    mut sensor: Sensor<'a>,
    card: Option<&mut Card>,
    third: Duration,
) -> Result<After<'a>, BenchError> {
    let mut took = None;
    match event {
        Event::Kill => {
            sensor.killed()?;
            std::thread::sleep(third);
            let begun = Instant::now();
            sensor = rig.sensor(setup)?;
            took = Some(begun.elapsed());
        }
        Event::Stop => {
            sensor.child.signal(Signal::STOP)?;
            std::thread::sleep(third);
            sensor.child.signal(Signal::CONT)?;
        }
        Event::Reload => {
            let middle = rig.bed.middle();
            let mut reload = middle.command(&rig.options.weir.to_string_lossy());
            reload.arg("reload").arg("--control").arg(rig.path(CONTROL));
            let begun = Instant::now();
            middle.run_within(reload, READY)?.success()?;
            took = Some(begun.elapsed());
        }
        Event::CardLoss => {
            if let Some(card) = card {
                card.kill()?;
            }
        }
    }
    Ok(After { sensor, took })
}

/// As lines of a table, the head first.
pub fn table(rows: &[FailureRow]) -> Vec<Vec<String>> {
    let head = [
        "what happens",
        "fail",
        "rate",
        "sent",
        "lost",
        "load gap ms",
        "conn. gap ms",
        "beats",
        "answered",
        "took ms",
        "seen",
        "passed",
        "failed open",
        "failed closed",
        "in rings",
        "in hands",
        "ring full",
        "links full",
        "unaccounted",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let both = |pick: fn(&Books) -> u64| row.books.iter().map(pick).sum::<u64>().to_string();
        vec![
            row.event.name().to_owned(),
            row.fail.clone(),
            super::text::rate(row.rate),
            row.sent.to_string(),
            row.lost.to_string(),
            format!("{:.1}", row.load_gap_ms),
            format!("{:.1}", row.connection_gap_ms),
            row.beats[0].to_string(),
            row.beats[1].to_string(),
            row.took_ms.map_or("–".to_owned(), |ms| format!("{ms:.0}")),
            both(|books| books.seen),
            both(|books| books.passed),
            both(|books| books.failed_open),
            both(|books| books.failed_closed),
            both(|books| books.lost_in_rings),
            both(|books| books.lost_in_hands),
            both(|books| books.ring_dropped + books.tx_full),
            row.links.iter().sum::<u64>().to_string(),
            row.unaccounted.to_string(),
        ]
    }));
    lines
}
