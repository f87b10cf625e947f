//! The program and its maps, brought into the kernel.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use aya::maps::{Map, MapError};
use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfError, EbpfLoader};
use weir_xdp_common::{
    COUNTERS, FLOWS, FlowEntry, FlowKey, MAX_PORTS, MAX_QUEUES, PEERS, PROGRAM, PortCounters,
    REFUSED, SETTINGS, Settings, WORKERS, WorkerState, XMIT, XSKS,
};

use super::error::Error;
use super::explain::Refusal;
use super::sys::{self, ProgramInfo, Shape, Table};

/// Compiled from `ebpf/`; `cargo xtask ebpf` makes it anew.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../weir.bpf.o");

/// Names of all maps.
pub(super) const MAPS: [&str; 6] = [SETTINGS, WORKERS, COUNTERS, XSKS, PEERS, FLOWS];

/// `BPF_F_MMAPABLE`.
const MMAPABLE: u32 = 1 << 10;

/// The maps.
#[derive(Debug)]
pub(super) struct Maps {
    pub settings: Table<u32, Settings>,
    pub workers: OwnedFd,
    pub counters: OwnedFd,
    pub xsks: OwnedFd,
    pub peers: OwnedFd,
    pub flows: Table<FlowKey, FlowEntry>,
    /// Most entries of `flows`.
    pub capacity: u32,
}

/// The program, in the kernel but on no port.
#[derive(Debug)]
pub(super) struct Loaded {
    pub program: OwnedFd,
    pub info: ProgramInfo,
    /// Those that are told what became of forwarded frames, in the kernel but at no tracepoint; or why there are none.
    pub watchers: Result<Vec<OwnedFd>, String>,
    pub maps: Maps,
}

/// What a map of this version is. Entries of 0 stand for any number.
pub(super) fn shape(name: &str) -> Shape {
    fn of<K, V>(kind: u32, entries: u32, flags: u32) -> Shape {
        Shape {
            kind,
            key: size_of::<K>() as u32,
            value: size_of::<V>() as u32,
            entries,
            flags,
        }
    }
    match name {
        SETTINGS => of::<u32, Settings>(2, 1, 0),
        WORKERS => of::<u32, WorkerState>(2, MAX_QUEUES, MMAPABLE),
        COUNTERS => of::<u32, PortCounters>(6, MAX_PORTS, 0),
        XSKS => of::<u32, u32>(17, MAX_PORTS * MAX_QUEUES, 0),
        PEERS => of::<u32, [u32; 2]>(14, MAX_PORTS, 0),
        FLOWS => of::<FlowKey, FlowEntry>(9, 0, 0),
        _ => Shape::default(),
    }
}

/// Brings the program into the kernel, with room for so many flows. In `pins`, where it is given, maps that are pinned
/// are used, and others are made and pinned.
pub(super) fn load(pins: Option<&Path>, flows: u32) -> Result<Loaded, Error> {
    let mut loader = EbpfLoader::new();
    // Nothing in it depends on the kernel's own types.
    loader.btf(None).map_max_entries(FLOWS, flows);
    if let Some(folder) = pins {
        for name in MAPS {
            loader.map_pin_path(name, folder.join(name));
        }
    }
    let mut ebpf = loader.load(OBJECT).map_err(of_object)?;
    let Some(Program::Xdp(program)) = ebpf.program_mut(PROGRAM) else {
        return Err(Error::Object(format!("it has no program {PROGRAM}")));
    };
    program.load().map_err(of_program)?;
    let program = program.fd().map_err(of_program)?.as_fd();
    let program = program
        .try_clone_to_owned()
        .map_err(Error::doing("copying a descriptor"))?;
    let info =
        sys::program_info(program.as_fd()).map_err(Error::doing("asking for the program"))?;
    let maps = maps(&ebpf)?;
    let watchers = watchers(&mut ebpf).map_err(|error| error.to_string());
    Ok(Loaded {
        program,
        info,
        watchers,
        maps,
    })
}

fn watchers(ebpf: &mut Ebpf) -> Result<Vec<OwnedFd>, Error> {
    let mut watchers = Vec::new();
    for name in [XMIT, REFUSED] {
        let Some(Program::TracePoint(program)) = ebpf.program_mut(name) else {
            return Err(Error::Object(format!("it has no program {name}")));
        };
        program.load().map_err(of_program)?;
        let program = program.fd().map_err(of_program)?.as_fd();
        let copy = program.try_clone_to_owned();
        watchers.push(copy.map_err(Error::doing("copying a descriptor"))?);
    }
    Ok(watchers)
}

fn maps(ebpf: &Ebpf) -> Result<Maps, Error> {
    let map = |name: &str| -> Result<OwnedFd, Error> {
        let data = match ebpf.map(name) {
            Some(
                Map::Array(data)
                | Map::PerCpuArray(data)
                | Map::LruHashMap(data)
                | Map::XskMap(data)
                | Map::DevMap(data),
            ) => data,
            _ => return Err(Error::Object(format!("it has no map {name}"))),
        };
        let copy = data.fd().as_fd().try_clone_to_owned();
        copy.map_err(Error::doing("copying a descriptor"))
    };
    opened(map)
}

/// All maps, each opened by its name.
pub(super) fn opened(map: impl Fn(&str) -> Result<OwnedFd, Error>) -> Result<Maps, Error> {
    let shapes = || Error::Object("its maps are not those of this version".into());
    let asking = || Error::doing("asking what a map is");
    let flows = map(FLOWS)?;
    let capacity = sys::map_shape(flows.as_fd()).map_err(asking())?.entries;
    Ok(Maps {
        settings: Table::new(map(SETTINGS)?)
            .map_err(asking())?
            .ok_or_else(shapes)?,
        workers: map(WORKERS)?,
        counters: map(COUNTERS)?,
        xsks: map(XSKS)?,
        peers: map(PEERS)?,
        flows: Table::new(flows).map_err(asking())?.ok_or_else(shapes)?,
        capacity,
    })
}

fn of_object(error: EbpfError) -> Error {
    match error {
        EbpfError::MapError(error) => of_map(error),
        EbpfError::ProgramError(error) => of_program(error),
        other => Error::Object(other.to_string()),
    }
}

fn of_map(error: MapError) -> Error {
    match error {
        MapError::CreateError { name, io_error } => {
            Error::doing(format!("making the map {name}"))(io_error)
        }
        MapError::PinError { name, error } => {
            let doing = format!("pinning the map {}", name.unwrap_or_default());
            let source = match error {
                aya::pin::PinError::SyscallError(error) => error.io_error,
                other => io::Error::other(other),
            };
            Error::doing(doing)(source)
        }
        other => Error::doing("making a map")(io::Error::other(other)),
    }
}

fn of_program(error: ProgramError) -> Error {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => Refusal::new(io_error, &verifier_log.to_string()).into(),
        other => Error::doing("loading the program")(io::Error::other(other)),
    }
}
