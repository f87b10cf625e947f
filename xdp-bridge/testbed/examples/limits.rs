//! What a bed itself can do on this machine: what the generator sends when nobody forwards, and what the kernel's
//! bridge brings through, flat out and at a quarter of that. Nothing that is measured on a bed can be faster.
//!
//! `cargo run --release -p weir-testbed --example limits`, as root.

use std::time::Duration;

use weir_testbed::{Bed, BedError, BedOptions, CpuUse, Load, Sink, generate};

const FRAMES: u64 = 1_000_000;

fn main() -> Result<(), BedError> {
    println!(
        "| queues | bytes | path | frames/s | lost | CPU ns a frame: machine, generator, sink | latency µs: p50, p99, p99.9, max |"
    );
    println!("|---|---|---|---|---|---|---|");
    for queues in [1, 2] {
        let options = BedOptions {
            queues,
            v6: false,
            ..BedOptions::default()
        };
        let bed = Bed::new(&options)?;
        for size in [60, 508, 1514] {
            let load = Load {
                frames: FRAMES,
                size,
                flows: 64,
                ..Load::default()
            };
            let sent = generate(bed.client(), &load)?;
            println!("| {queues} | {size} | none | {:.0} | | | |", sent.rate());
            let _bridge = bed.bridge()?;
            let most = run(&bed, &load, "bridge, flat out")?;
            let paced = Load {
                rate: Some(most / 4.0),
                duration: Some(Duration::from_secs(3)),
                ..load
            };
            run(&bed, &paced, "bridge, a quarter")?;
        }
    }
    Ok(())
}

/// Sends a load through and says what came of it; the rate at which it came.
fn run(bed: &Bed, load: &Load, path: &str) -> Result<f64, BedError> {
    let before = CpuUse::now()?;
    let sink = Sink::start(bed.server(), load)?;
    let sent = generate(bed.client(), load)?;
    let received = sink.stop()?;
    let busy = CpuUse::now()?.since(&before).busy();
    let each = |time: Duration| time.as_nanos() / u128::from(sent.frames.max(1));
    let micros = |quantile| received.latency.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "| {} | {} | {path} | {:.0} | {} | {}, {}, {} | {:.1}, {:.1}, {:.1}, {:.1} |",
        bed.client().queues(),
        load.size,
        received.rate(),
        received.missing(&sent),
        each(busy),
        each(sent.cpu),
        each(received.cpu),
        micros(0.5),
        micros(0.99),
        micros(0.999),
        micros(1.0)
    );
    Ok(received.rate())
}
