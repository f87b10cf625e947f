//! Licences and origins of dependencies, by the rules in `deny.toml`.
//!
//! `deny.toml` is cargo-deny's file, and `cargo deny check licenses bans sources` reads it just the same. Building
//! cargo-deny takes longer than all other checks together, so this step reads the parts of the file that are in use
//! here and applies them itself: allowed licences with per-crate exceptions, banned crates, allowed registries. A
//! key that it does not know is an error, so that the file never says more than is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::exec::{Cmd, Failure, Workspace};
use crate::steps::Done;

/// Keys of `deny.toml` that are honoured here. Those under `advisories` are left to cargo-deny: its database comes
/// from a host that a build machine may not reach.
const KNOWN: &[(&str, &[&str])] = &[
    ("graph", &["targets", "all-features"]),
    (
        "licenses",
        &[
            "allow",
            "exceptions",
            "clarify",
            "unused-allowed-license",
            "confidence-threshold",
        ],
    ),
    ("bans", &["multiple-versions", "wildcards", "deny"]),
    (
        "sources",
        &[
            "unknown-registry",
            "unknown-git",
            "allow-registry",
            "allow-git",
        ],
    ),
    ("advisories", &[]),
];

struct Rules {
    targets: Vec<String>,
    allow: Vec<String>,
    exceptions: BTreeMap<String, Vec<String>>,
    clarified: BTreeMap<String, Clarified>,
    banned: BTreeSet<String>,
    registries: Vec<String>,
}

/// What the licence of a crate is that names a file instead: true as long as the files are those that were read.
struct Clarified {
    expression: String,
    /// Paths in the crate and XXH32 sums, as cargo-deny has them.
    files: Vec<(String, u32)>,
}

impl Clarified {
    fn parse(item: &toml::Value) -> Option<Self> {
        let file = |file: &toml::Value| {
            let hash = u32::try_from(file.get("hash")?.as_integer()?).ok()?;
            Some((file.get("path")?.as_str()?.to_owned(), hash))
        };
        let files = item.get("license-files")?.as_array()?;
        Some(Self {
            expression: item.get("expression")?.as_str()?.to_owned(),
            files: files.iter().map(file).collect::<Option<_>>()?,
        })
    }

    fn holds(&self, folder: &Path) -> bool {
        self.files.iter().all(|(path, hash)| {
            std::fs::read(folder.join(path))
                .is_ok_and(|text| twox_hash::XxHash32::oneshot(0, &text) == *hash)
        })
    }
}

/// Checks the dependencies of the workspace, of the fuzz targets and of the example modules.
pub fn check(workspace: &Workspace) -> Result<Done, Failure> {
    let path = workspace.root.join("deny.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::new(format!("deny.toml: {error}")))?;
    let rules = Rules::parse(&text).map_err(|what| Failure::new(format!("deny.toml: {what}")))?;
    let mut problems = BTreeSet::new();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for manifest in [
        "Cargo.toml",
        "fuzz/Cargo.toml",
        "wasm-rules/examples/Cargo.toml",
    ] {
        let mut command = Cmd::cargo(workspace)
            .args([
                "metadata",
                "--format-version=1",
                "--locked",
                "--all-features",
                "--manifest-path",
            ])
            .arg(manifest);
        for target in &rules.targets {
            command = command.arg("--filter-platform").arg(target);
        }
        println!("$ {}", command.shown());
        let metadata: Value = serde_json::from_str(&command.output()?)
            .map_err(|error| Failure::new(format!("cargo metadata: {error}")))?;
        for package in used(&metadata) {
            problems.extend(rules.problems(&package));
            versions
                .entry(package.name)
                .or_default()
                .insert(package.version);
        }
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        println!(
            "note: {name} is there in {} versions: {}",
            versions.len(),
            Vec::from_iter(versions.iter().map(String::as_str)).join(", ")
        );
    }
    for problem in &problems {
        println!("{problem}");
    }
    match problems.first() {
        None => Ok(Done::Passed(format!("{} crates", versions.len()))),
        Some(first) => Err(Failure::new(format!(
            "{} problems; the first: {first}",
            problems.len()
        ))),
    }
}

struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: String,
    /// Where its files are.
    folder: PathBuf,
}

/// The packages from elsewhere that are reachable on the targets asked for.
fn used(metadata: &Value) -> Vec<Package> {
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let reachable: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = metadata["packages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    packages
        .iter()
        .filter(|package| {
            package["id"]
                .as_str()
                .is_some_and(|id| reachable.contains(id))
        })
        .filter_map(|package| {
            Some(Package {
                name: package["name"].as_str()?.into(),
                version: package["version"].as_str()?.into(),
                license: package["license"].as_str().map(Into::into),
                source: package["source"].as_str()?.into(),
                folder: Path::new(package["manifest_path"].as_str()?)
                    .parent()?
                    .to_owned(),
            })
        })
        .collect()
}

impl Rules {
    fn parse(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
        for (section, value) in &table {
            let Some((_, keys)) = KNOWN.iter().find(|(known, _)| known == section) else {
                return Err(format!(
                    "[{section}] is not checked by xtask; see xtask/src/licences.rs"
                ));
            };
            for key in value.as_table().into_iter().flat_map(toml::Table::keys) {
                if !keys.contains(&key.as_str()) {
                    return Err(format!(
                        "{key} in [{section}] is not checked by xtask; see xtask/src/licences.rs"
                    ));
                }
            }
        }
        let strings = |section: &str, key: &str| -> Result<Vec<String>, String> {
            match table.get(section).and_then(|s| s.get(key)) {
                None => Ok(Vec::new()),
                Some(list) => texts(list)
                    .ok_or_else(|| format!("{key} in [{section}]: expected a list of strings")),
            }
        };
        let list = |section: &str, key: &str| {
            table
                .get(section)
                .and_then(|s| s.get(key))
                .and_then(toml::Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let name_in = |item: &toml::Value| {
            let name = item
                .get("crate")
                .or_else(|| item.get("name"))
                .unwrap_or(item)
                .as_str();
            name.map(str::to_owned)
                .ok_or_else(|| format!("expected a crate's name: {item}"))
        };
        let mut exceptions = BTreeMap::new();
        for item in list("licenses", "exceptions") {
            let allow = item
                .get("allow")
                .and_then(texts)
                .ok_or_else(|| format!("expected an allow list: {item}"))?;
            exceptions.insert(name_in(&item)?, allow);
        }
        let mut clarified = BTreeMap::new();
        for item in list("licenses", "clarify") {
            let clear = Clarified::parse(&item)
                .ok_or_else(|| format!("expected an expression and license-files: {item}"))?;
            clarified.insert(name_in(&item)?, clear);
        }
        Ok(Self {
            targets: strings("graph", "targets")?,
            allow: strings("licenses", "allow")?,
            exceptions,
            clarified,
            banned: list("bans", "deny")
                .iter()
                .map(name_in)
                .collect::<Result<_, _>>()?,
            registries: strings("sources", "allow-registry")?,
        })
    }

    fn problems(&self, package: &Package) -> Vec<String> {
        let mut problems = Vec::new();
        let Package { name, version, .. } = package;
        if self.banned.contains(name) {
            problems.push(format!("{name} {version}: is banned"));
        }
        let registry = package
            .source
            .strip_prefix("registry+")
            .or_else(|| package.source.strip_prefix("sparse+"));
        if !registry
            .is_some_and(|registry| self.registries.iter().any(|allowed| allowed == registry))
        {
            problems.push(format!(
                "{name} {version}: comes from {}, which is not allowed",
                package.source
            ));
        }
        let clear = self.clarified.get(name);
        if clear.is_some_and(|clear| !clear.holds(&package.folder)) {
            problems.push(format!(
                "{name} {version}: its licence is not the one that was read"
            ));
        }
        let license = clear
            .map(|clear| &clear.expression)
            .or(package.license.as_ref());
        match license {
            None => problems.push(format!("{name} {version}: names no licence")),
            Some(license) => match spdx::Expression::parse_mode(license, spdx::ParseMode::LAX) {
                Err(error) => problems.push(format!(
                    "{name} {version}: licence {license:?}: {}",
                    error.reason
                )),
                Ok(expression) => {
                    let extra = self
                        .exceptions
                        .get(name)
                        .map(Vec::as_slice)
                        .unwrap_or_default();
                    let allowed = |term: &spdx::LicenseReq| {
                        let term = term.to_string();
                        self.allow
                            .iter()
                            .chain(extra)
                            .any(|allowed| *allowed == term)
                    };
                    if !expression.evaluate(allowed) {
                        problems.push(format!(
                            "{name} {version}: licence {license} is not allowed"
                        ));
                    }
                }
            },
        }
        problems
    }
}

fn texts(list: &toml::Value) -> Option<Vec<String>> {
    list.as_array()?
        .iter()
        .map(|item| item.as_str().map(Into::into))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [graph]
        targets = ["x86_64-unknown-linux-gnu"]
        [licenses]
        allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
        exceptions = [{ crate = "fuzzer", allow = ["NCSA"] }]
        clarify = [{ crate = "by-file", expression = "MIT", license-files = [{ path = "LICENSE", hash = 0x550d7456 }] }]
        [bans]
        deny = ["openssl", { crate = "left-pad" }]
        [sources]
        allow-registry = ["https://example.org/index"]
    "#;

    fn problems(name: &str, license: Option<&str>, source: &str) -> Vec<String> {
        let rules = Rules::parse(RULES).expect("rules");
        let (license, source) = (license.map(Into::into), source.into());
        rules.problems(&Package {
            name: name.into(),
            version: "1.0.0".into(),
            license,
            source,
            folder: std::env::temp_dir().join("weir-xtask-licences"),
        })
    }

    #[test]
    fn a_licence_in_a_file_counts_as_long_as_it_is_that_file() {
        let folder = std::env::temp_dir().join("weir-xtask-licences");
        std::fs::create_dir_all(&folder).expect("a folder");
        let registry = "registry+https://example.org/index";
        for (text, expected) in [("a", 0), ("b", 1)] {
            std::fs::write(folder.join("LICENSE"), text).expect("a file");
            assert_eq!(problems("by-file", None, registry).len(), expected);
        }
        std::fs::remove_dir_all(&folder).expect("a folder");
    }

    #[test]
    fn a_licence_is_an_expression() {
        let registry = "registry+https://example.org/index";
        for fine in [
            "MIT",
            "MIT OR GPL-2.0-only",
            "MIT/Apache-2.0",
            "GPL-3.0 OR Apache-2.0 WITH LLVM-exception",
        ] {
            assert_eq!(problems("a", Some(fine), registry), [""; 0], "{fine}");
        }
        for refused in [
            Some("GPL-2.0-only"),
            Some("MIT AND NCSA"),
            Some("no such thing"),
            None,
        ] {
            assert_eq!(problems("a", refused, registry).len(), 1, "{refused:?}");
        }
        assert_eq!(problems("fuzzer", Some("MIT AND NCSA"), registry), [""; 0]);
    }

    #[test]
    fn origin_and_bans_count() {
        assert_eq!(
            problems("a", Some("MIT"), "git+https://example.org/index").len(),
            1
        );
        assert_eq!(
            problems("a", Some("MIT"), "registry+https://elsewhere.example/index").len(),
            1
        );
        for banned in ["openssl", "left-pad"] {
            assert_eq!(
                problems(banned, Some("MIT"), "registry+https://example.org/index").len(),
                1
            );
        }
    }

    #[test]
    fn a_rule_that_is_not_checked_is_refused() {
        let error = Rules::parse("[bans]\nskip = []\n").err().expect("an error");
        assert!(error.contains("skip"), "{error}");
    }
}
