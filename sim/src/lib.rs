//! Simulation of the matcher core.
