//! The kernel's refusal of a program, in words.

use std::fmt;
use std::io;

/// A program that the kernel refused.
#[derive(Debug)]
pub struct Refusal {
    /// The system's error.
    pub error: io::Error,
    /// Where in the program's source, as file and line, if the kernel says.
    pub place: Option<String>,
    /// The verifier's last words, if it has any.
    pub reason: Option<String>,
    /// All that the verifier wrote.
    pub log: String,
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl Refusal {
    /// Finds place and reason in what the verifier wrote.
    #[must_use]
    pub fn new(error: io::Error, log: &str) -> Self {
        let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
        // Lines of source begin with a semicolon and end with "@ file:line"; before Linux 6.9 the place is not written.
        let place = lines()
            .filter_map(|line| line.strip_prefix(';'))
            .filter_map(|line| {
                let (text, place) = line.rsplit_once(" @ ").unwrap_or((line, ""));
                let text = text.trim();
                match (place.trim(), text) {
                    ("", "") => None,
                    ("", text) => Some(format!("`{text}`")),
                    (place, "") => Some(place.to_owned()),
                    (place, text) => Some(format!("{place}, `{text}`")),
                }
            })
            .next_back();
        // The last words are neither instructions, which begin with their number, nor states, source or statistics.
        let reason = lines()
            .rfind(|line| {
                let number = line.split([':', ' ']).next().unwrap_or_default();
                let instruction = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
                let statistics = [
                    "processed ",
                    "verification time",
                    "stack depth",
                    "mark_precise",
                ]
                .iter()
                .any(|start| line.starts_with(start));
                let state = line.starts_with("from ")
                    || line.starts_with("R0")
                    || line.starts_with("func#");
                !instruction && !statistics && !state && !line.starts_with(';')
            })
            .map(str::to_owned);
        Self {
            error,
            place,
            reason,
            log: log.to_owned(),
        }
    }

    /// What is likely to help.
    fn remedy(&self) -> &'static str {
        match self.error.raw_os_error() {
            // Without CAP_PERFMON or CAP_BPF pointers count as leaked; so the words decide as much as the number.
            Some(libc::EPERM) => {
                "run it as root, or with the capabilities CAP_BPF and CAP_NET_ADMIN; a locked down kernel (Secure Boot) or a \
                 container's seccomp filter can forbid it too"
            }
            Some(libc::E2BIG) => {
                "this kernel checks fewer instructions than the program has: use Linux 5.15 or later"
            }
            Some(libc::ENOMEM) => {
                "memory is short: free some, or raise `ulimit -l` on kernels before 5.11"
            }
            Some(libc::EINVAL | libc::EACCES) => {
                "the kernel is probably older than Linux 5.15, which Weir needs (`uname -r`); if it is not, please report \
                 this with the verifier's log"
            }
            _ => "see the system's error; Weir needs Linux 5.15 or later",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel refuses the XDP program ({})", self.error)?;
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        if let Some(place) = &self.place {
            write!(f, ", at {place}")?;
        }
        write!(f, "; {}", self.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "func#0 @0\n0: R1=ctx() R10=fp0\n; fn decide @ main.rs:56\n0: (bf) r9 = r1\n\
        ; tcp.flags @ flow.rs:211\n52: (69) r1 = *(u16 *)(r8 +12)\ninvalid access to packet, off=12 size=2, R8(id=0,off=12,r=0)\n\
        R8 offset is outside of the packet\nverification time 91 usec\nstack depth 104\nprocessed 52 insns (limit 1000000) max_states_per_insn 0\n";

    #[test]
    fn a_refusal_names_the_source_line_and_the_reason() {
        let refusal = Refusal::new(io::Error::from_raw_os_error(libc::EACCES), LOG);
        assert_eq!(refusal.place.as_deref(), Some("flow.rs:211, `tcp.flags`"));
        assert_eq!(
            refusal.reason.as_deref(),
            Some("R8 offset is outside of the packet")
        );
        let text = refusal.to_string();
        assert!(
            text.contains("flow.rs:211") && text.contains("Linux 5.15"),
            "{text}"
        );
    }

    #[test]
    fn a_refusal_without_words_still_says_what_to_do() {
        let refusal = Refusal::new(io::Error::from_raw_os_error(libc::EPERM), "");
        assert_eq!((&refusal.place, &refusal.reason), (&None, &None));
        assert!(refusal.to_string().contains("CAP_BPF"));
    }
}
