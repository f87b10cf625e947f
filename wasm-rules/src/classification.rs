//! Classtypes: their descriptions and priorities.

use std::collections::BTreeMap;

/// Name, description and priority of the classtypes in the `classification.config` that Suricata installs.
const STOCK: [(&str, &str, u8); 43] = [
    ("not-suspicious", "Not Suspicious Traffic", 3),
    ("unknown", "Unknown Traffic", 3),
    ("bad-unknown", "Potentially Bad Traffic", 2),
    ("attempted-recon", "Attempted Information Leak", 2),
    ("successful-recon-limited", "Information Leak", 2),
    (
        "successful-recon-largescale",
        "Large Scale Information Leak",
        2,
    ),
    ("attempted-dos", "Attempted Denial of Service", 2),
    ("successful-dos", "Denial of Service", 2),
    ("attempted-user", "Attempted User Privilege Gain", 1),
    ("unsuccessful-user", "Unsuccessful User Privilege Gain", 1),
    ("successful-user", "Successful User Privilege Gain", 1),
    (
        "attempted-admin",
        "Attempted Administrator Privilege Gain",
        1,
    ),
    (
        "successful-admin",
        "Successful Administrator Privilege Gain",
        1,
    ),
    ("rpc-portmap-decode", "Decode of an RPC Query", 2),
    ("shellcode-detect", "Executable code was detected", 1),
    ("string-detect", "A suspicious string was detected", 3),
    (
        "suspicious-filename-detect",
        "A suspicious filename was detected",
        2,
    ),
    (
        "suspicious-login",
        "An attempted login using a suspicious username was detected",
        2,
    ),
    ("system-call-detect", "A system call was detected", 2),
    ("tcp-connection", "A TCP connection was detected", 4),
    ("trojan-activity", "A Network Trojan was detected", 1),
    (
        "unusual-client-port-connection",
        "A client was using an unusual port",
        2,
    ),
    ("network-scan", "Detection of a Network Scan", 3),
    (
        "denial-of-service",
        "Detection of a Denial of Service Attack",
        2,
    ),
    (
        "non-standard-protocol",
        "Detection of a non-standard protocol or event",
        2,
    ),
    (
        "protocol-command-decode",
        "Generic Protocol Command Decode",
        3,
    ),
    (
        "web-application-activity",
        "access to a potentially vulnerable web application",
        2,
    ),
    ("web-application-attack", "Web Application Attack", 1),
    ("misc-activity", "Misc activity", 3),
    ("misc-attack", "Misc Attack", 2),
    ("icmp-event", "Generic ICMP event", 3),
    (
        "inappropriate-content",
        "Inappropriate Content was Detected",
        1,
    ),
    (
        "policy-violation",
        "Potential Corporate Privacy Violation",
        1,
    ),
    (
        "default-login-attempt",
        "Attempt to login by a default username and password",
        2,
    ),
    (
        "targeted-activity",
        "Targeted Malicious Activity was Detected",
        1,
    ),
    ("exploit-kit", "Exploit Kit Activity Detected", 1),
    (
        "external-ip-check",
        "Device Retrieving External IP Address Detected",
        2,
    ),
    ("domain-c2", "Domain Observed Used for C2 Detected", 1),
    ("pup-activity", "Possibly Unwanted Program Detected", 2),
    (
        "credential-theft",
        "Successful Credential Theft Detected",
        1,
    ),
    (
        "social-engineering",
        "Possible Social Engineering Attempted",
        2,
    ),
    ("coin-mining", "Crypto Currency Mining Activity Detected", 2),
    (
        "command-and-control",
        "Malware Command and Control Activity Detected",
        1,
    ),
];

/// A classtype.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// What alerts call it (`alert.category`).
    pub description: String,
    /// 1 (highest) to 255.
    pub priority: u8,
}

/// The known classtypes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classification {
    classes: BTreeMap<String, Class>,
}

/// A line of a `classification.config` that is not a classtype.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ClassificationError {
    /// 1-based line.
    pub line: usize,
    /// What was expected.
    pub message: &'static str,
}

impl Classification {
    /// The classtypes of Suricata's stock configuration.
    pub fn stock() -> Self {
        let class = |&(name, description, priority): &(&str, &str, u8)| {
            (
                name.to_owned(),
                Class {
                    description: description.to_owned(),
                    priority,
                },
            )
        };
        Self {
            classes: STOCK.iter().map(class).collect(),
        }
    }

    /// Reads a `classification.config`: lines `config classification: name,description,priority`, empty lines and
    /// comments that begin with `#`. Of two lines with the same name, the first counts (as in Suricata).
    ///
    /// Names are not case-sensitive.
    pub fn parse(text: &[u8]) -> Result<Self, ClassificationError> {
        let text = String::from_utf8_lossy(text);
        let mut classes = BTreeMap::new();
        for (at, line) in text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.trim()))
        {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let error = |message| ClassificationError { line: at, message };
            let body = line
                .strip_prefix("config")
                .map(str::trim_start)
                .and_then(|rest| rest.strip_prefix("classification"))
                .map(str::trim_start)
                .and_then(|rest| rest.strip_prefix(':'))
                .ok_or(error(
                    "expected `config classification: name,description,priority`",
                ))?;
            let mut parts = body.splitn(2, ',');
            let name = parts.next().map(str::trim).unwrap_or_default();
            let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if name.is_empty() || !name.bytes().all(valid) {
                return Err(error("expected a name of letters, digits, `-` and `_`"));
            }
            let (description, priority) = parts
                .next()
                .and_then(|rest| rest.rsplit_once(','))
                .ok_or(error(
                    "expected a description and a priority after the name",
                ))?;
            let priority = priority
                .trim()
                .parse::<u8>()
                .ok()
                .filter(|&priority| priority > 0);
            let priority = priority.ok_or(error("expected a priority from 1 to 255"))?;
            classes
                .entry(name.to_ascii_lowercase())
                .or_insert_with(|| Class {
                    description: description.trim().to_owned(),
                    priority,
                });
        }
        Ok(Self { classes })
    }

    /// The classtype of that name, case ignored.
    pub fn get(&self, name: &str) -> Option<&Class> {
        self.classes
            .get(name)
            .or_else(|| self.classes.get(&name.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_with_comments_spaces_and_commas_in_descriptions() {
        let text = b"# comment\n\nconfig classification: not-suspicious,Not, really,3\r\n config classification:b_1 , B , 1\n\
            config classification: B_1,other,2";
        let read = Classification::parse(text).expect("valid");
        assert_eq!(
            read.get("not-suspicious"),
            Some(&Class {
                description: "Not, really".into(),
                priority: 3
            })
        );
        assert_eq!(
            read.get("b_1"),
            Some(&Class {
                description: "B".into(),
                priority: 1
            }),
            "the first one counts"
        );
        assert_eq!(read.get("B_1"), read.get("b_1"));
        assert_eq!(read.get("c"), None);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (bad, line) in [
            ("config classification: a,A,1\nconfig class: a,A,1", 2),
            ("config classification: a,A", 1),
            ("config classification: a,A,0", 1),
            ("config classification: a,A,256", 1),
            ("config classification: a b,A,1", 1),
            ("config classification: ,A,1", 1),
        ] {
            assert_eq!(
                Classification::parse(bad.as_bytes()).map_err(|error| error.line),
                Err(line),
                "{bad}"
            );
        }
    }

    #[test]
    fn stock_classes_have_no_double() {
        assert_eq!(Classification::stock().classes.len(), STOCK.len());
        assert_eq!(
            Classification::stock()
                .get("trojan-activity")
                .map(|class| class.priority),
            Some(1)
        );
    }
}
