//! Table writes.

use card_protocol::register::{TABLE_ADDRESS, TABLE_DATA, TABLE_SELECT};

/// A word for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which memory, see [`card_protocol::register::table`].
    pub select: u32,
    /// Word in it.
    pub address: u32,
    /// The word.
    pub data: u32,
}

/// The register writes (address, value) that table writes are, in their order. Select and address are written where the window does not stand
/// there already by itself.
pub fn register_writes(writes: &[Write]) -> impl Iterator<Item = (u32, u32)> + '_ {
    let mut window = None;
    writes.iter().flat_map(move |write| {
        let Write {
            select,
            address,
            data,
        } = *write;
        let selected = window.is_some_and(|(at, _)| at == select);
        let there = window == Some((select, address));
        window = Some((select, address.wrapping_add(1)));
        let select = (!selected).then_some((TABLE_SELECT, select));
        let address = (!there).then_some((TABLE_ADDRESS, address));
        select
            .into_iter()
            .chain(address)
            .chain([(TABLE_DATA, data)])
    })
}
