//! Progress of long work, on a terminal and nowhere else.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::figures;

/// Between two looks at the clock.
const PACKETS: u64 = 1024;
/// Between two updates of what is seen.
const PERIOD: Duration = Duration::from_millis(100);

const WITH_TOTAL: &str = "{bar:12} {percent:>3} %  {wide_msg}  {eta} left";
const WITHOUT_TOTAL: &str = "{spinner} {wide_msg}  {elapsed}";

/// A line that says how far reading captures is.
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    shown: Instant,
}

impl Progress {
    /// Progress through `total` bytes of captures; without a total there is no time left to tell.
    pub fn new(total: Option<u64>) -> Self {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, template) = match total {
                Some(total) => (ProgressBar::new(total), WITH_TOTAL),
                None => (ProgressBar::new_spinner(), WITHOUT_TOTAL),
            };
            // The templates are constants that a test below tries.
            bar.set_style(
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar
        });
        Self {
            bar,
            started: now,
            shown: now,
        }
    }

    /// Progress that nobody sees.
    pub fn hidden() -> Self {
        let now = Instant::now();
        Self {
            bar: None,
            started: now,
            shown: now,
        }
    }

    /// Says where the work is: `packets` so far, which are `bytes` of traffic, at `position` of the total.
    #[inline]
    pub fn at(&mut self, packets: u64, bytes: u64, position: u64) {
        if self.bar.is_some() && packets.is_multiple_of(PACKETS) && self.shown.elapsed() >= PERIOD {
            self.show(packets, bytes, position);
        }
    }

    /// The same where there is no total, and time to look at the clock.
    pub fn now(&mut self, packets: u64, bytes: u64) {
        if self.bar.is_some() && self.shown.elapsed() >= PERIOD {
            self.show(packets, bytes, 0);
        }
    }

    fn show(&mut self, packets: u64, bytes: u64, position: u64) {
        let Some(bar) = &self.bar else { return };
        self.shown = Instant::now();
        let time = self.started.elapsed();
        bar.set_message(format!(
            "{} packets, {}, {} packets/s",
            figures::count(packets),
            figures::bytes(bytes),
            figures::rate(packets, time)
        ));
        bar.set_position(position);
        bar.tick();
    }

    /// Takes the line away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A line that says what is being done, and for how long.
pub struct Stages(Option<ProgressBar>);

impl Stages {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            // As above.
            bar.set_style(
                ProgressStyle::with_template(WITHOUT_TOTAL)
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(PERIOD);
            bar
        }))
    }

    /// Says what comes now.
    pub fn at(&mut self, what: &'static str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what);
        }
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_well_formed() {
        for template in [WITH_TOTAL, WITHOUT_TOTAL] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
