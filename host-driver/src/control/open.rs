//! An open card: its registers and tables, held to what was written to them.

use std::sync::Arc;

use card_protocol::register;
use weir_tables::{Write, register_writes};

use super::{Trouble, in_words};
use crate::identity::Identity;
use crate::link::{LinkError, Registers};
use crate::session::Session;
use crate::set::{Tables, checksum};

/// An open card.
pub(super) struct Open {
    pub(super) session: Arc<Session>,
    pub(super) epoch: u64,
    pub(super) registers: Box<dyn Registers>,
    pub(super) identity: Identity,
    pub(super) tables: Option<Tables>,
    /// Register `TABLE_CHECK` as it must be.
    pub(super) check: u32,
}

impl Open {
    /// Drops all that is under way, and has the card wait, with another nonce.
    pub(super) fn quieten(&mut self, nonce: u32) -> Result<(), LinkError> {
        self.registers.write(&[
            (register::CONTROL, register::CONTROL_FLUSH),
            (register::GENERATION_EVEN, 0),
            (register::GENERATION_ODD, 0),
            (register::NONCE, nonce),
            (register::TABLE_CHECK, 0),
        ])?;
        self.check = 0;
        self.epoch = self.session.renew(nonce);
        Ok(())
    }

    pub(super) fn write_tables(&mut self, writes: &[Write]) -> Result<(), LinkError> {
        let accesses: Vec<(u32, u32)> = register_writes(writes).collect();
        self.registers.write(&accesses)?;
        for write in writes {
            self.check =
                card_protocol::table_check(self.check, write.select, write.address, write.data);
        }
        Ok(())
    }

    /// Holds the table checksum to what was written.
    pub(super) fn verify_check(&mut self) -> Result<Result<(), Trouble>, LinkError> {
        let got = self.registers.read(register::TABLE_CHECK)?;
        Ok(if got == self.check {
            Ok(())
        } else {
            Err(format!(
                "the checksum of table writes is {got:#010x}, expected {:#010x}",
                self.check
            ))
        })
    }

    /// Holds registers to what was written.
    pub(super) fn verify(&mut self) -> Result<(), Trouble> {
        let mut expected = vec![
            (register::MAGIC, register::MAGIC_VALUE),
            (register::INTERFACE, register::INTERFACE_VALUE),
        ];
        if let Some(tables) = &self.tables {
            expected.push((register::NONCE, self.session.nonce()));
            expected.extend(tables.registers);
            expected.push((register::CONTROL, register::CONTROL_ENABLE));
            expected.push((register::TABLE_CHECK, self.check));
        }
        for (address, expected) in expected {
            let got = self.registers.read(address).map_err(in_words)?;
            if got != expected {
                let why = match (address, got) {
                    (_, u32::MAX) => "the card has dropped off the bus",
                    (register::MAGIC | register::INTERFACE, _) => "this is another core",
                    _ => "the card was reset, or somebody else writes to it",
                };
                return Err(format!(
                    "register {address:#05x} is {got:#010x}, expected {expected:#010x}: {why}"
                ));
            }
        }
        Ok(())
    }

    /// Writes some of the tables anew, from `at` in the image on; returns how many words.
    pub(super) fn scrub(&mut self, at: &mut usize, words_now: usize) -> Result<usize, Trouble> {
        let Some(tables) = &self.tables else {
            return Ok(0);
        };
        let words = &tables.words;
        let from = if *at < words.len() { *at } else { 0 };
        let part = words.get(from..words.len().min(from + words_now));
        let part = part.unwrap_or_default().to_vec();
        *at = from + words_now;
        self.registers
            .write(&[(register::TABLE_CHECK, 0)])
            .map_err(in_words)?;
        self.check = 0;
        self.write_tables(&part).map_err(in_words)?;
        debug_assert_eq!(self.check, checksum(&part));
        self.verify_check().map_err(in_words)??;
        Ok(part.len())
    }
}
