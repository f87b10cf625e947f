//! Rules as bytes.

use std::io;
use std::path::Path;

use weir_rules::classification::Classification;
use weir_rules::compile::{Compiler, Variables, load};
use weir_rules::stored;
use weir_rules::syntax::SourceFile;

use super::Seeds;

/// Files of rules that go into one seed.
const FILES: usize = 24;

/// The seeds of the target `rules` as bytes, as far as they compile.
pub fn built(seeds: &Seeds, root: &Path) -> io::Result<()> {
    let compiler = Compiler::new(Variables::stock(), Classification::stock()).keeping_variables();
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(root.join("seeds/rules"))? {
        texts.push(std::fs::read(entry?.path())?);
    }
    texts.sort();
    for (number, texts) in texts.chunks(FILES).enumerate() {
        let file = SourceFile {
            name: "seed".into(),
            bytes: texts.join(&b'\n'),
        };
        let parts = stored::write(load(&[file], &compiler)).map_err(io::Error::other)?;
        let length = u16::try_from(parts.shared.len()).map_err(io::Error::other)?;
        let piece = parts.pieces.first().map(Vec::as_slice).unwrap_or_default();
        let bytes = [&length.to_le_bytes()[..], &parts.shared, piece].concat();
        seeds.write("built", &format!("rules-{number}"), &bytes)?;
    }
    Ok(())
}
