//! A card that sends back what it gets, or the rate at which a host gets through to it.
//!
//! `echo card PATH` serves until it is killed; `echo host PATH [MEGABYTES]` sends that much and prints how fast.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use card_shm::{Card, Host, Options, ShmError};

const PATIENCE: Duration = Duration::from_secs(5);

fn card(path: &Path) -> Result<(), ShmError> {
    let mut card = Card::create(path, &Options::default())?;
    println!("ready {}", path.display());
    let mut bytes = vec![0; 1 << 16];
    let mut got = 0;
    let mut sent = 0;
    loop {
        card.wait(Duration::from_secs(1));
        if card.host().is_some() {
            (got, sent) = (0, 0);
        }
        while let Some(request) = card.request()? {
            card.answer(&request, request.address())?;
        }
        loop {
            sent += card.output(&bytes[sent..got])?;
            if sent < got {
                break;
            }
            sent = 0;
            got = card.input(&mut bytes)?;
            if got == 0 {
                break;
            }
        }
    }
}

fn host(path: &Path, megabytes: usize) -> Result<(), ShmError> {
    let Host {
        mut registers,
        mut sender,
        mut receiver,
    } = Host::open(path, PATIENCE)?;
    let reads = 10_000;
    let since = Instant::now();
    for address in 0..reads {
        registers.read(address, PATIENCE)?;
    }
    let each = since.elapsed().as_nanos() / u128::from(reads);
    println!("{each} ns a register read");
    let writes: Vec<(u32, u32)> = (0..1_000_000).map(|value| (0, value)).collect();
    let since = Instant::now();
    registers.write(&writes, PATIENCE)?;
    let each = since.elapsed().as_nanos() / writes.len() as u128;
    println!("{each} ns a register write, many at once");
    let block = vec![0x5A; 1 << 18];
    let total = megabytes << 20;
    let since = Instant::now();
    std::thread::scope(|threads| {
        let sending = threads.spawn(move || {
            let mut left = total;
            while left > 0 {
                let now = left.min(block.len());
                sender.send(&block[..now], PATIENCE)?;
                left -= now;
            }
            Ok(())
        });
        let mut bytes = vec![0; 1 << 18];
        let mut left = total;
        while left > 0 {
            left -= receiver.receive(&mut bytes, PATIENCE)?.min(left);
        }
        sending.join().unwrap_or(Ok(()))
    })?;
    let seconds = since.elapsed().as_secs_f64();
    println!("{:.2} GB/s there and back", total as f64 / seconds / 1e9);
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["card", path] => card(Path::new(path)),
        ["host", path] => host(Path::new(path), 1024),
        ["host", path, megabytes] => match megabytes.parse() {
            Ok(megabytes) => host(Path::new(path), megabytes),
            Err(error) => {
                eprintln!("{megabytes}: {error}");
                return ExitCode::from(2);
            }
        },
        _ => {
            eprintln!("usage: echo card PATH | echo host PATH [MEGABYTES]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
