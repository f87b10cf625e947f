//! Sends data to a design that sends it back, and compares.

use std::process::ExitCode;
use std::time::Instant;

use xdma_rs::{Buffer, Device, Error, ReadOptions, WriteOptions};

/// Sends and receives at the same time: a card has little memory. Returns whether the bytes are the same.
fn run(folder: &str, bytes: usize) -> Result<bool, Error> {
    let device = Device::first(folder)?;
    let mut to = device.host_to_card(0, WriteOptions::default())?;
    let mut from = device.card_to_host(0, ReadOptions::default())?;
    let mut sent = Buffer::new(bytes);
    for (index, byte) in sent.iter_mut().enumerate() {
        *byte = (index ^ index >> 8) as u8;
    }
    let mut got = Buffer::new(bytes);
    let since = Instant::now();
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| to.write(&sent));
        let mut done = 0;
        while done < bytes {
            match from.read(&mut got[done..])? {
                0 => break,
                read => done += read,
            }
        }
        writer.join().unwrap_or(Ok(()))
    })?;
    let seconds = since.elapsed().as_secs_f64();
    println!("{bytes} bytes each way in {seconds:.6} s");
    Ok(sent[..] == got[..])
}

fn main() -> ExitCode {
    let (mut folder, mut bytes) = ("/dev".to_owned(), Some(1 << 20));
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        match (option.as_str(), arguments.next()) {
            ("--folder", Some(value)) => folder = value,
            ("--bytes", Some(value)) => bytes = value.parse().ok(),
            _ => bytes = None,
        }
    }
    let Some(bytes) = bytes else {
        eprintln!("usage: loopback [--folder PATH] [--bytes N]");
        return ExitCode::from(2);
    };
    match run(&folder, bytes) {
        Ok(true) => {
            println!("what came back is what was sent");
            ExitCode::SUCCESS
        }
        Ok(false) => {
            eprintln!("what came back differs from what was sent");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
