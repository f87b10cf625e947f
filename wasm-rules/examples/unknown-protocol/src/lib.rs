//! A protocol that the sensor does not know: Redis. What clients say is parsed as a stream, command by command, and
//! commands that attackers use to write files, load code or take data away are told.
//!
//! A text rule could look for `CONFIG`; it would also find it in a value that somebody stores, and miss it where a segment
//! ends in the middle of the word. The parser knows where a command begins, and goes on where the last window ended.

mod resp;

use serde::{Deserialize, Serialize};
use weir_sdk::prelude::*;

use resp::Parser;

weir_sdk::module! {
    name: "unknown-protocol",
    state_version: 1,
    buffers {
        PAYLOAD = "payload",
    }
    state {
        TALK: Talk { scope: Scope::Flow, bytes: 20 + resp::KEPT, entries: 100_000, seconds: 3600 },
    }
    // Together: the parser may read each byte only once, whichever rules are asked about.
    rules by decide {
        /// `CONFIG SET dir` and its like: with `SAVE`, the server writes a file wherever it is told.
        WRITES_FILE {
            sid: 9_200_201,
            message: "WEIR Redis is told where to write its files",
            header: "tcp-stream any any -> any 6379",
            options: "flow:established,to_server;",
            class: "attempted-admin",
            buffers: &[PAYLOAD],
            references: &[("url", "redis.io/docs/latest/operate/oss_and_stack/management/security/")],
        },
        /// `REPLICAOF`: the server fetches its data, and with old versions its code, from somebody.
        REPLICATES {
            sid: 9_200_202,
            message: "WEIR Redis is made the replica of another server",
            header: "tcp-stream any any -> any 6379",
            options: "flow:established,to_server;",
            class: "attempted-admin",
            buffers: &[PAYLOAD],
        },
        /// `MODULE LOAD`: code.
        LOADS_CODE {
            sid: 9_200_203,
            message: "WEIR Redis is told to load code",
            header: "tcp-stream any any -> any 6379",
            options: "flow:established,to_server;",
            class: "attempted-admin",
            buffers: &[PAYLOAD],
        },
        /// `FLUSHALL`: everything is gone.
        WIPES {
            sid: 9_200_204,
            message: "WEIR Redis is wiped",
            header: "tcp-stream any any -> any 6379",
            options: "flow:established,to_server;",
            class: "denial-of-service",
            buffers: &[PAYLOAD],
        },
    }
}

/// What is known of a connection.
#[derive(Default, Serialize, Deserialize)]
struct Talk {
    seen: Seen,
    parser: Parser,
}

fn decide(event: &Event, asked: &mut Asked) {
    let kept = event.update(TALK, |talk| {
        let fresh = talk.seen.fresh(event, PAYLOAD);
        if fresh.missed > 0 {
            talk.parser.lose();
        }
        talk.parser.feed(&fresh.bytes, &mut |words| {
            if let Some(rule) = danger(words) {
                asked.fire(rule);
            }
        });
    });
    // Where nothing is kept, a command that is cut goes unseen; what is whole in this window has been told.
    kept.unwrap_or_default();
}

/// What is dangerous about a command.
fn danger(words: &[Vec<u8>]) -> Option<RuleId> {
    let word = |at: usize| words.get(at).map(Vec::as_slice).unwrap_or_default();
    let is = |at: usize, what: &str| word(at).eq_ignore_ascii_case(what.as_bytes());
    if is(0, "CONFIG") && is(1, "SET") && (is(2, "dir") || is(2, "dbfilename")) {
        Some(WRITES_FILE)
    } else if (is(0, "REPLICAOF") || is(0, "SLAVEOF")) && !(is(1, "NO") && is(2, "ONE")) {
        Some(REPLICATES)
    } else if is(0, "MODULE") && (is(1, "LOAD") || is(1, "LOADEX")) {
        Some(LOADS_CODE)
    } else if is(0, "FLUSHALL") || is(0, "FLUSHDB") {
        Some(WIPES)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{Conversation, Sensor};

    fn redis() -> Conversation {
        Conversation::tcp("192.0.2.7:40000", "198.51.100.2:6379")
    }

    fn see(sensor: &mut Sensor, text: &str) -> Vec<RuleId> {
        sensor.see(&redis().to_server().payload(text.as_bytes()))
    }

    #[test]
    fn each_danger_has_its_rule() {
        let mut sensor = Sensor::new(&MODULE);
        for (text, rule) in [
            (
                "*4\r\n$6\r\nconfig\r\n$3\r\nset\r\n$3\r\ndir\r\n$4\r\n/etc\r\n",
                WRITES_FILE,
            ),
            ("CONFIG SET dbfilename x\r\n", WRITES_FILE),
            ("SLAVEOF 203.0.113.5 6379\r\n", REPLICATES),
            (
                "*3\r\n$6\r\nMODULE\r\n$4\r\nLOAD\r\n$6\r\n/srv/x\r\n",
                LOADS_CODE,
            ),
            ("*1\r\n$8\r\nFLUSHALL\r\n", WIPES),
        ] {
            assert_eq!(see(&mut sensor, text), [rule], "{text}");
        }
    }

    #[test]
    fn a_value_is_no_command_and_ordinary_commands_are_none_of_them() {
        let mut sensor = Sensor::new(&MODULE);
        for text in [
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$23\r\n*1\r\n$8\r\nFLUSHALL\r\nrest--\r\n",
            "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$3\r\ndir\r\n",
            "REPLICAOF NO ONE\r\n",
            "GET FLUSHALL\r\n",
        ] {
            assert_eq!(see(&mut sensor, text), [], "{text}");
        }
    }

    #[test]
    fn a_command_over_several_windows_is_one_and_a_hole_makes_none() {
        let mut sensor = Sensor::new(&MODULE);
        assert_eq!(see(&mut sensor, "*4\r\n$6\r\nCONF"), []);
        assert_eq!(see(&mut sensor, "IG\r\n$3\r\nSET\r\n$3\r\ndi"), []);
        assert_eq!(see(&mut sensor, "r\r\n$1\r\n/\r\n"), [WRITES_FILE]);
        // Windows overlap.
        let again = redis()
            .to_server()
            .window(10, b"IG\r\n$3\r\nSET\r\n$3\r\ndi");
        assert_eq!(sensor.see(&again), []);
        let hole = redis().to_server().window(1000, b"FLUSHALL\r\n");
        assert_eq!(sensor.see(&hole), []);
        let found_again = redis()
            .to_server()
            .window(1010, b"*1\r\n$8\r\nFLUSHALL\r\n");
        assert_eq!(sensor.see(&found_again), [WIPES]);
    }

    #[test]
    fn connections_and_their_ends_are_kept_apart() {
        let mut sensor = Sensor::new(&MODULE);
        assert_eq!(see(&mut sensor, "*1\r\n$8\r\nFLUSH"), []);
        let other = Conversation::tcp("192.0.2.9:40000", "198.51.100.2:6379");
        assert_eq!(sensor.see(&other.to_server().payload(b"ALL\r\n")), []);
        sensor.end(&redis());
        assert_eq!(sensor.kept(Scope::Flow), 1);
        assert_eq!(see(&mut sensor, "ALL\r\n"), []);
    }
}
