//! Reloading rules while traffic goes on loses nothing and invents nothing.

#[path = "../common/mod.rs"]
mod common;
#[path = "../../engine/tests/detect/faulty.rs"]
mod faulty;
#[cfg(unix)]
mod process;
mod sensor;
mod swaps;
#[path = "../restart/traffic.rs"]
#[allow(dead_code)]
mod traffic;
