//! The cores there are.

use rust_hdl::prelude::Block;
use weir_tables::Geometry;
#[cfg(test)]
use weir_tables::Size;

use super::{Core, Identity};

/// A core that can be made without naming its parameters.
pub trait Build: Block {
    /// Its geometry.
    const GEOMETRY: Geometry;
    /// One that is connected.
    fn build(identity: &Identity) -> Self;
}

impl<
    const L: usize,
    const W: usize,
    const N: usize,
    const S: usize,
    const E: usize,
    const B: usize,
    const J: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> Build for Core<L, W, N, S, E, B, J, A8, A6, A4, A3, A2, X>
{
    const GEOMETRY: Geometry = Self::SHAPE;

    fn build(identity: &Identity) -> Self {
        let mut core = Self::new(identity);
        core.connect_all();
        core
    }
}

/// 8 lanes, [compact](weir_tables::Size::Compact).
pub type Core8Compact = Core<8, 64, 256, 1, 1, 0, 1, 10, 9, 9, 9, 9, 10>;
/// 8 lanes, [full](weir_tables::Size::Full).
pub type Core8Full = Core<8, 64, 256, 1, 1, 0, 1, 13, 11, 11, 10, 9, 13>;
/// 16 lanes, compact.
pub type Core16Compact = Core<16, 128, 320, 2, 1, 1, 1, 10, 9, 9, 9, 9, 10>;
/// 16 lanes, full.
pub type Core16Full = Core<16, 128, 320, 2, 1, 1, 1, 13, 11, 11, 10, 9, 13>;
/// 32 lanes, compact.
pub type Core32Compact = Core<32, 256, 448, 4, 1, 2, 2, 10, 9, 9, 9, 9, 10>;
/// 32 lanes, full.
pub type Core32Full = Core<32, 256, 448, 4, 1, 2, 2, 13, 11, 11, 10, 9, 13>;
/// 64 lanes, compact.
pub type Core64Compact = Core<64, 512, 704, 8, 2, 2, 2, 10, 9, 9, 9, 9, 10>;
/// 64 lanes, full.
pub type Core64Full = Core<64, 512, 704, 8, 2, 2, 2, 13, 11, 11, 10, 9, 13>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_the_geometries() {
        let shapes = [
            (8, Size::Compact, Core8Compact::GEOMETRY),
            (8, Size::Full, Core8Full::GEOMETRY),
            (16, Size::Compact, Core16Compact::GEOMETRY),
            (16, Size::Full, Core16Full::GEOMETRY),
            (32, Size::Compact, Core32Compact::GEOMETRY),
            (32, Size::Full, Core32Full::GEOMETRY),
            (64, Size::Compact, Core64Compact::GEOMETRY),
            (64, Size::Full, Core64Full::GEOMETRY),
        ];
        for (lanes, size, shape) in shapes {
            assert_eq!(shape, Geometry::new(lanes, size), "{lanes} {size:?}");
        }
    }
}
