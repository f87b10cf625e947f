//! The board's clock to the core's, by an ECP5's PLL (EHXPLLL, feedback by CLKOP).

/// The board's oscillator in MHz.
pub const OSCILLATOR: u32 = 100;

/// Dividers of the PLL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pll {
    /// Of the oscillator.
    pub input: u32,
    /// Of the feedback.
    pub feedback: u32,
    /// From the PLL's own oscillator to the core's clock.
    pub output: u32,
}

impl Pll {
    /// Dividers that make exactly `mhz` of the board's clock, if there are any: the phase detector takes 10 to 400 MHz, the PLL's oscillator
    /// 400 to 800 MHz (Lattice FPGA-DS-02012). Of several the fastest phase detector is taken, then the middle of the range.
    pub fn new(mhz: u32) -> Option<Self> {
        for input in 1..=10 {
            if !(mhz * input).is_multiple_of(OSCILLATOR) {
                continue;
            }
            let feedback = mhz * input / OSCILLATOR;
            let fit = (1..=128)
                .filter(|output| (400..=800).contains(&(mhz * output)))
                .min_by_key(|output| (mhz * output).abs_diff(600));
            if let (1..=80, Some(output)) = (feedback, fit) {
                return Some(Self {
                    input,
                    feedback,
                    output,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dividers_make_the_clock() {
        let pll = |input, feedback, output| Pll {
            input,
            feedback,
            output,
        };
        assert_eq!(Pll::new(100), Some(pll(1, 1, 6)));
        assert_eq!(Pll::new(150), Some(pll(2, 3, 4)));
        assert_eq!(Pll::new(200), Some(pll(1, 2, 3)));
        assert_eq!(Pll::new(175), Some(pll(4, 7, 3)));
        assert_eq!(Pll::new(151), None);
        assert_eq!(Pll::new(0), None);
        for mhz in 1..=400 {
            if let Some(pll) = Pll::new(mhz) {
                assert_eq!(OSCILLATOR * pll.feedback, mhz * pll.input);
                assert!((400..=800).contains(&(mhz * pll.output)), "{mhz}: {pll:?}");
                assert!(OSCILLATOR / pll.input >= 10, "{mhz}: {pll:?}");
            }
        }
    }
}
