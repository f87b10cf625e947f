//! Reads a register of the design, or writes one.

use std::process::ExitCode;

use xdma_rs::{Device, Error};

/// Decimal, or hexadecimal behind `0x`.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn run(folder: &str, address: u32, value: Option<u32>) -> Result<(), Error> {
    let mut registers = Device::first(folder)?.user()?;
    if let Some(value) = value {
        registers.write(address, value)?;
    }
    println!("{address:#x}: {:#010x}", registers.read(address)?);
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut folder = "/dev".to_owned();
    if arguments.len() >= 2 && arguments[0] == "--folder" {
        folder = arguments.remove(1);
        arguments.remove(0);
    }
    let numbers: Option<Vec<u32>> = arguments.iter().map(|text| number(text)).collect();
    let done = match numbers.as_deref() {
        Some(&[address]) => run(&folder, address, None),
        Some(&[address, value]) => run(&folder, address, Some(value)),
        _ => {
            eprintln!("usage: peek [--folder PATH] ADDRESS [VALUE]");
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
