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
#[expect(dead_code, reason = "restarts are tested with more of it")]
mod traffic;
