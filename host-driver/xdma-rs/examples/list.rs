//! Lists cards, their nodes, and what the engine says of its channels.

use std::process::ExitCode;

use xdma_rs::{Device, Direction, Error, discover};

fn show(device: &Device) -> Result<(), Error> {
    println!("{device}");
    println!(
        "  user: {}, control: {}",
        device.has_user(),
        device.has_control()
    );
    for direction in [Direction::HostToCard, Direction::CardToHost] {
        println!("  {}: {:?}", direction.name(), device.numbers(direction));
    }
    println!("  events: {:?}", device.events());
    if device.has_control() {
        for channel in device.channels()? {
            println!("  {channel}");
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let folder = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => "/dev".to_owned(),
        (Some("--folder"), Some(folder)) => folder,
        _ => {
            eprintln!("usage: list [--folder PATH]");
            return ExitCode::from(2);
        }
    };
    let listed = discover(&folder).and_then(|devices| {
        if devices.is_empty() {
            // The error says where to look.
            Device::first(&folder)?;
        }
        devices.iter().try_for_each(show)
    });
    match listed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
