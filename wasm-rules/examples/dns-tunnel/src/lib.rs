//! Tunnels through DNS: data leaves in the names that are asked for.
//!
//! A single name proves little. Names of a tunnel are long, hardly repeat a letter more often than another, and come by
//! the dozen for one domain. So names are gathered for each client over a window, domain by domain, and judged together:
//! their number, their mean length, and by their entropy how evenly the letters below the domain are used.

mod window;

use weir_sdk::prelude::*;

use window::Window;

weir_sdk::module! {
    name: "dns-tunnel",
    state_version: 1,
    buffers {
        QUERY = "dns.query",
    }
    state {
        WINDOW: Window { scope: Scope::Source, bytes: window::KEPT, entries: 50_000, seconds: 300 },
    }
    rules {
        TUNNEL {
            sid: 9_200_101,
            message: "WEIR DNS names carry data: long, random and many for one domain",
            header: "dns any any -> any any",
            options: "flow:to_server;",
            class: "policy-violation",
            buffers: &[QUERY],
            metadata: &[("mitre_technique_id", "T1071.004")],
        } => tunnel,
    }
}

fn tunnel(event: &Event) -> bool {
    let now = event.packet().time.as_secs();
    event
        .update(WINDOW, |window| {
            event
                .all(QUERY)
                .fold(false, |fires, name| fires | window.add(now, &name))
        })
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use weir_sdk::testing::{Conversation, Sensor};

    /// As iodine and its like write bytes: 32 letters, evenly.
    fn carried(at: u64) -> String {
        let mut bits = at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let letters = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut text = String::new();
        for _ in 0..50 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push(char::from(letters[(bits >> 59) as usize]));
        }
        text
    }

    fn told(names: impl Iterator<Item = String>, pause: Duration) -> Vec<usize> {
        let mut sensor = Sensor::new(&MODULE);
        let dns = Conversation::udp("192.0.2.7:40053", "198.51.100.53:53").speaking("dns");
        let mut told = Vec::new();
        for (at, name) in names.enumerate() {
            let scene = dns.to_server().buffer(QUERY, name.as_bytes()).after(pause);
            if sensor.see(&scene) == [TUNNEL] {
                told.push(at + 1);
            }
        }
        told
    }

    #[test]
    fn a_tunnel_is_told_once_a_window() {
        let names = (0..200).map(|at| format!("{}.t.example.org", carried(at)));
        assert_eq!(told(names, Duration::from_millis(200)), [24]);
    }

    #[test]
    fn hexadecimal_digits_are_data_too() {
        let names = (0..40).map(|at| {
            let hex: String = carried(at)
                .bytes()
                .map(|byte| format!("{:x}", byte % 16))
                .collect();
            format!("{hex}.example.org")
        });
        assert_eq!(told(names, Duration::from_millis(200)), [24]);
    }

    #[test]
    fn a_tunnel_that_goes_on_is_told_again() {
        let names = (0..200).map(|at| format!("{}.t.example.org", carried(at)));
        assert_eq!(told(names, Duration::from_secs(1)).len(), 3);
    }

    #[test]
    fn ordinary_names_are_none() {
        let hosts = [
            "www",
            "mail",
            "static-assets-01",
            "api",
            "fonts",
            "accounts",
            "clients4",
            "update",
        ];
        let names = (0..400).map(|at| format!("{}.example{}.com", hosts[at % 8], at % 5));
        assert_eq!(told(names, Duration::from_millis(50)), []);
        // Long, and many for one domain, but written by people.
        let names = (0..200).map(|at| {
            format!(
                "customer-downloads-and-software-updates-eu-{}.example.com",
                at % 10
            )
        });
        assert_eq!(told(names, Duration::from_millis(50)), []);
        // Random, as of content networks, but few for each domain.
        let names = (0..200).map(|at| format!("{}.cdn{at}.net", carried(at)));
        assert_eq!(told(names, Duration::from_millis(50)), []);
        // A tunnel's names, far apart.
        let names = (0..100).map(|at| format!("{}.t.example.org", carried(at)));
        assert_eq!(told(names, Duration::from_secs(10)), []);
    }

    #[test]
    fn a_tunnel_among_other_names_is_found() {
        let names = (0..400).map(|at| match at % 4 {
            0 => format!("{}.t.example.org", carried(at)),
            _ => format!("www.site{}.com", at % 3),
        });
        assert_eq!(told(names, Duration::from_millis(100)).len(), 1);
    }
}
