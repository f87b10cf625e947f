//! What people see: tables, figures, progress.

pub mod figures;
pub mod progress;
pub mod table;
