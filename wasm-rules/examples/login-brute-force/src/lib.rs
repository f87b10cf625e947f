//! Password guessing over any number of connections: failed logins are counted for each client, whichever of the
//! watched protocols it tries.
//!
//! FTP says `530`, SMTP `535`, POP3 `-ERR` to a password that is wrong. SSH does not say: there, connections of one client
//! that end after a short exchange are counted when they close, since a session that got in goes on for longer.
//!
//! What a text rule with `threshold` cannot do: count across protocols and connections at once, forget what succeeded in
//! between, and alert again when guessing goes on, at each doubling.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_sdk::prelude::*;

/// Failures within [`WINDOW`] that make an alert; then twice as many, and so on.
const FIRST: u32 = 8;
/// Failures further apart than this do not belong together.
const WINDOW: Duration = Duration::from_secs(120);
/// A connection in which the server sent less than this has not got in. OpenSSH's key exchange and refusals stay below,
/// a shell with its greeting and prompt does not.
const SSH_BYTES: u64 = 6_000;

weir_sdk::module! {
    name: "login-brute-force",
    state_version: 1,
    buffers {
        PAYLOAD = "payload",
    }
    state {
        CONNECTION: Connection { scope: Scope::Flow, bytes: 21, entries: 100_000, seconds: 3600 },
        // Servers answer to the client that guesses.
        GUESSES: Guesses { scope: Scope::Destination, bytes: 32, entries: 100_000, seconds: 600 },
    }
    rules by decide {
        /// Answers that say so.
        REFUSED {
            sid: 9_200_001,
            message: "WEIR many failed logins from one client",
            header: "tcp-stream any [21,25,110,587] -> any any",
            options: "flow:established,to_client;",
            class: "attempted-user",
            patterns: &[
                Pattern::new("payload", b"530 "),
                Pattern::new("payload", b"535 "),
                Pattern::new("payload", b"-ERR"),
                Pattern::new("payload", b"230 "),
                Pattern::new("payload", b"235 "),
            ],
            buffers: &[PAYLOAD],
            metadata: &[("attack_target", "server")],
        },
        /// SSH: connections that the server ends early.
        SHORT_SSH {
            sid: 9_200_002,
            message: "WEIR many short SSH connections from one client",
            header: "tcp-pkt any 22 -> any any",
            options: "flow:established,to_client; flags:F+;",
            class: "attempted-user",
            metadata: &[("attack_target", "server")],
        },
    }
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Connection {
    /// How far it has been read.
    seen: Seen,
    /// Its end has been counted: it may be said again.
    ended: bool,
}

/// What is known of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Guesses {
    /// Second of the last failure, since the Unix epoch.
    last: u64,
    failures: u32,
}

impl Guesses {
    /// Counts a failure; true when it is time to say so.
    fn fail(&mut self, now: u64) -> bool {
        if now.saturating_sub(self.last) > WINDOW.as_secs() {
            self.failures = 0;
        }
        self.last = now;
        self.failures = self.failures.saturating_add(1);
        self.failures.is_multiple_of(FIRST) && (self.failures / FIRST).is_power_of_two()
    }

    /// Someone got in: a person who had mistyped, or the end of it.
    fn succeed(&mut self) {
        self.failures = 0;
    }
}

fn decide(event: &Event, asked: &mut Asked) {
    let now = event.packet().time.as_secs();
    if asked.about(REFUSED) {
        let fresh = event
            .update(CONNECTION, |connection| {
                whole_lines(event, &mut connection.seen)
            })
            .unwrap_or_default();
        let fires = event.update(GUESSES, |guesses| {
            answers(&fresh).fold(false, |fires, answer| match answer {
                Answer::Refused => fires | guesses.fail(now),
                Answer::Accepted => {
                    guesses.succeed();
                    fires
                }
            })
        });
        if fires == Ok(true) {
            asked.fire(REFUSED);
        }
    }
    if asked.about(SHORT_SSH) {
        let short = event
            .flow()
            .is_some_and(|flow| flow.to_client.bytes < SSH_BYTES);
        let first = event.update(CONNECTION, |connection| {
            !std::mem::replace(&mut connection.ended, true)
        });
        if short
            && first == Ok(true)
            && event.update(GUESSES, |guesses| guesses.fail(now)) == Ok(true)
        {
            asked.fire(SHORT_SSH);
        }
    }
}

/// The lines that have come; half a line is left for the next window.
fn whole_lines(event: &Event, seen: &mut Seen) -> Vec<u8> {
    let mut bytes = seen.fresh(event, PAYLOAD).bytes;
    let whole = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    seen.put_back(event, bytes.len() - whole);
    bytes.truncate(whole);
    bytes
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Refused,
    Accepted,
}

/// The answers to logins in these bytes: lines that begin with what says so.
fn answers(bytes: &[u8]) -> impl Iterator<Item = Answer> {
    bytes.split(|&byte| byte == b'\n').filter_map(|line| {
        let starts = |with: &[u8]| line.starts_with(with);
        if starts(b"530 ") || starts(b"535 ") || starts(b"-ERR") {
            Some(Answer::Refused)
        } else if starts(b"230 ") || starts(b"235 ") {
            Some(Answer::Accepted)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{Conversation, Scene, Sensor};

    const CLIENT: &str = "192.0.2.7";

    fn ftp(connection: u16) -> Conversation {
        Conversation::tcp(
            &format!("{CLIENT}:{}", 40_000 + connection),
            "198.51.100.2:21",
        )
    }

    fn failure(connection: u16) -> Scene {
        ftp(connection)
            .to_client()
            .payload(b"530 Login incorrect.\r\n")
    }

    fn fires(sensor: &mut Sensor, scene: &Scene) -> bool {
        sensor.see(&scene.clone().asks_about(&[REFUSED])) == [REFUSED]
    }

    #[test]
    fn failures_of_a_client_add_up_over_connections_and_are_told_at_each_doubling() {
        let mut sensor = Sensor::new(&MODULE);
        let told: Vec<u16> = (1..=40)
            .filter(|&at| fires(&mut sensor, &failure(at)))
            .collect();
        assert_eq!(told, [8, 16, 32]);
    }

    #[test]
    fn failures_in_one_connection_count_each() {
        let mut sensor = Sensor::new(&MODULE);
        let scene = ftp(0).to_client().payload(&b"530 no\r\n".repeat(8));
        assert!(fires(&mut sensor, &scene));
    }

    #[test]
    fn a_window_that_is_shown_twice_counts_once() {
        let mut sensor = Sensor::new(&MODULE);
        let text = b"530 no\r\n".repeat(7);
        for _ in 0..3 {
            assert!(!fires(&mut sensor, &ftp(0).to_client().window(0, &text)));
        }
        let longer = [&text[..], b"530 no\r\n"].concat();
        assert!(fires(&mut sensor, &ftp(0).to_client().window(0, &longer)));
    }

    #[test]
    fn an_answer_that_is_cut_by_a_window_counts_once() {
        let mut sensor = Sensor::new(&MODULE);
        let text = b"530 no\r\n".repeat(8);
        let cut = text.len() - 6;
        assert!(!fires(
            &mut sensor,
            &ftp(0).to_client().window(0, &text[..cut])
        ));
        let next = ftp(0).to_client().window(cut as u64 - 4, &text[cut - 4..]);
        assert!(fires(&mut sensor, &next));
    }

    #[test]
    fn success_and_time_forgive() {
        let mut sensor = Sensor::new(&MODULE);
        for at in 0..7 {
            assert!(!fires(&mut sensor, &failure(at)));
        }
        let success = ftp(9).to_client().payload(b"230 Welcome.\r\n");
        assert!(!fires(&mut sensor, &success));
        for at in 10..17 {
            assert!(!fires(&mut sensor, &failure(at)));
        }
        let later = failure(20).after(WINDOW + Duration::from_secs(1));
        assert!(!fires(&mut sensor, &later));
    }

    #[test]
    fn clients_are_counted_by_themselves() {
        let mut sensor = Sensor::new(&MODULE);
        for at in 0..7 {
            assert!(!fires(&mut sensor, &failure(at)));
        }
        let other = Conversation::tcp("192.0.2.8:40000", "198.51.100.2:21");
        assert!(!fires(
            &mut sensor,
            &other.to_client().payload(b"530 no\r\n")
        ));
        assert!(fires(&mut sensor, &failure(8)));
    }

    #[test]
    fn a_number_in_the_middle_of_a_line_is_no_answer() {
        assert_eq!(answers(b"226 530 bytes\r\n150 ok 535 \r\n").count(), 0);
        assert_eq!(
            answers(b"220 hi\r\n530 no\r\n235 yes").collect::<Vec<_>>(),
            [Answer::Refused, Answer::Accepted]
        );
    }

    #[test]
    fn ssh_connections_that_end_early_count_and_long_ones_do_not() {
        let mut sensor = Sensor::new(&MODULE);
        let ssh =
            |at: u16| Conversation::tcp(&format!("{CLIENT}:{}", 50_000 + at), "198.51.100.2:22");
        let mut told = 0;
        for at in 0..8 {
            let end = ssh(at).to_client().asks_about(&[SHORT_SSH]);
            told += sensor.see(&end).len();
            // The end is said again.
            told += sensor.see(&end).len();
        }
        assert_eq!(told, 1);
        for at in 10..30 {
            let end = ssh(at).to_client().payload(&[0; 7_000]);
            assert_eq!(sensor.see(&end.asks_about(&[SHORT_SSH])), []);
        }
    }
}
