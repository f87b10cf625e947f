//! CRC-32 of IEEE 802.3.

/// Reflected polynomial.
pub const POLYNOMIAL: u32 = 0xEDB8_8320;

/// `TABLES[i][b]` is what byte `b` adds when `i` more bytes follow it ("slicing by 8": Kounavis and Berry, "A systematic
/// approach to building high performance software-based CRC generators", ISCC 2005).
const TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut slice = 1;
    while slice < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[slice - 1][byte];
            tables[slice][byte] = before >> 8 ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        slice += 1;
    }
    tables
};

/// A CRC-32 in the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32 {
    /// Of no bytes so far.
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Of these bytes, too.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Self {
        let mut crc = self.0;
        let (chunks, rest) = bytes.as_chunks::<8>();
        for chunk in chunks {
            // The CRC so far is added to the first four bytes, as if it were part of them.
            let [a, b, c, d, e, f, g, h] =
                (u64::from_le_bytes(*chunk) ^ u64::from(crc)).to_le_bytes();
            crc = TABLES[7][usize::from(a)]
                ^ TABLES[6][usize::from(b)]
                ^ TABLES[5][usize::from(c)]
                ^ TABLES[4][usize::from(d)]
                ^ TABLES[3][usize::from(e)]
                ^ TABLES[2][usize::from(f)]
                ^ TABLES[1][usize::from(g)]
                ^ TABLES[0][usize::from(h)];
        }
        for &byte in rest {
            crc = crc >> 8 ^ TABLES[0][usize::from(crc as u8 ^ byte)];
        }
        Self(crc)
    }

    /// The value.
    pub const fn value(self) -> u32 {
        !self.0
    }
}

/// The CRC-32 of these bytes.
pub fn crc32(bytes: &[u8]) -> u32 {
    Crc32::new().of(bytes).value()
}
