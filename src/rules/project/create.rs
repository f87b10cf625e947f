//! `weir rules new`: a module project that builds, and passes its own test.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use weir_rules::exercise::{Carrier, Say, Talk};

use crate::cli::NewOptions;
use crate::failure::Failure;
use crate::rules::exercise::proof::tape;

/// What the template calls the module.
const PLACEHOLDER: &str = "example-module";

/// Failed logins in the capture.
const FAILURES: usize = 6;

/// Where in the capture the rule fires: the packet that ends the window with the fifth failure.
const EXPECTED: &str = include_str!("template/example.expected.in");

/// A file of the repository, under the same name below `weir/`.
macro_rules! ours {
    ($($path:literal),* $(,)?) => {
        &[$((concat!("weir/", $path), include_str!(concat!("../../../wasm-rules/", $path)))),*]
    };
}

/// What modules of this version are built with.
const SDK: &[(&str, &str)] = ours![
    "GUIDE.md",
    "wit/rules.wit",
    "sdk/Cargo.toml",
    "sdk/src/check.rs",
    "sdk/src/declare.rs",
    "sdk/src/event.rs",
    "sdk/src/granted.rs",
    "sdk/src/guest.rs",
    "sdk/src/lib.rs",
    "sdk/src/macros.rs",
    "sdk/src/packet.rs",
    "sdk/src/state.rs",
    "sdk/src/stream.rs",
    "sdk/src/sys/mod.rs",
    "sdk/src/sys/sensor.rs",
    "sdk/src/sys/test.rs",
    "sdk/src/testing/mod.rs",
    "sdk/src/testing/stage.rs",
];

/// The project's own files.
const TEMPLATE: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    // The versions that the examples are tested with; cargo takes out what is not needed.
    (
        "Cargo.lock",
        include_str!("../../../wasm-rules/examples/Cargo.lock"),
    ),
    (".gitignore", "/target/\n*.wasm\n"),
    ("README.md", include_str!("template/README.md.in")),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    ("tests/example.expected", EXPECTED),
];

/// Makes a project.
pub fn create(options: &NewOptions) -> Result<(), Failure> {
    let folder = &options.path;
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    check_name(name).map_err(|why| Failure::Usage(format!("{}: {why}", folder.display())))?;
    if folder.exists() {
        return Err(Failure::Failed(format!(
            "{}: is there already; nothing was written",
            folder.display()
        )));
    }
    write(folder, name).map_err(|error| {
        Failure::Failed(format!(
            "{}: cannot write the project: {error}",
            folder.display()
        ))
    })?;
    let folder = folder.display();
    println!(
        "{folder}: a module with a rule and its tests. What to do with it:\n  \
         (cd {folder} && cargo test)\n  \
         weir rules test {folder} --pcap {folder}/tests/example.pcap --expect {folder}/tests/example.expected\n  \
         weir rules build {folder} -o {name}.wasm\n\
         {folder}/weir/GUIDE.md teaches the rest."
    );
    Ok(())
}

/// A module's name is that of its package, too.
fn check_name(name: &str) -> Result<(), &'static str> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(letters) {
        Err("a module's name is made of 1 to 64 of a-z, 0-9 and -")
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Err("a module's name begins with a letter")
    } else {
        Ok(())
    }
}

fn write(folder: &Path, name: &str) -> io::Result<()> {
    for (path, text) in TEMPLATE.iter().chain(SDK) {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let ours = path.starts_with(folder.join("weir"));
        if ours {
            std::fs::write(&path, text)?;
        } else {
            std::fs::write(&path, text.replace(PLACEHOLDER, name))?;
        }
    }
    std::fs::write(folder.join("tests/example.pcap"), capture()?)
}

/// A client that fails to log in, in connections of its own.
fn capture() -> io::Result<Vec<u8>> {
    let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    let server = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));
    let talks: Vec<Talk> = (0..FAILURES)
        .map(|at| Talk {
            carrier: Carrier::Tcp,
            client: (client, 40_000 + at as u16),
            server: (server, 23),
            says: vec![
                Say::down("login: "),
                Say::up("root\r\n"),
                Say::down("Password: "),
                Say::up(format!("secret{at}\r\n")),
                Say::down("\r\nLogin incorrect\r\nlogin: "),
            ],
            pause: 2,
            bare: false,
            times: 1,
        })
        .collect();
    Ok(tape(talks.iter())?.bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_those_that_both_cargo_and_the_world_take() {
        for name in ["a", "my-module-2"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "2a", "-a", "A", "a_b", "a.b", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn every_file_of_the_sdk_is_in_a_project() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm-rules");
        let mut files = BTreeSet::new();
        let mut folders = vec![root.join("sdk"), root.join("wit")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    // Tests of the SDK itself stay at home.
                    if path.file_name().is_some_and(|name| name != "tests") {
                        folders.push(path);
                    }
                } else {
                    let name = path.strip_prefix(&root).expect("below it");
                    files.insert(format!("weir/{}", name.display()));
                }
            }
        }
        files.insert("weir/GUIDE.md".to_owned());
        let written: BTreeSet<String> = SDK.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(written, files);
    }
}
