//! The smaller protocols: SSH, SMTP, ICMP echo, NTP and ARP.

use std::net::IpAddr;

use super::rng::Rng;
use super::stage::Stage;
use super::text;
use super::tls::prefixed;
use super::wire::{Dir, Host, Path, ethernet};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

/// A shell session of some length.
pub(super) fn shell(stage: &mut Stage<'_>) {
    let client = stage.workstation();
    let server = stage.server(30);
    let path = stage.path(client, server, 22);
    let keystrokes = stage.rng.range(20, 120);
    let start = stage.start;
    ssh(
        stage,
        path,
        start,
        "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13",
        keystrokes,
    );
}

/// An SSH connection at a given time: banners, key exchange, and as many exchanges of encrypted packets as told.
pub(super) fn ssh(stage: &mut Stage<'_>, path: Path, at: u64, client: &str, exchanges: u64) {
    let mut rng = stage.rng.fork();
    let mut tcp = stage.connect_calmly(path, at);
    tcp.say(Dir::Up, format!("{client}\r\n").as_bytes())
        .think(3 * MILLISECOND)
        .say(Dir::Down, b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
    let (asked, answered) = (key_init(&mut rng), key_init(&mut rng));
    tcp.exchange(&asked, &answered);
    let mut buffer = Vec::new();
    let (mut up, mut down) = (48, 1180);
    for _ in 0..exchanges {
        buffer.clear();
        rng.bytes(&mut buffer, up + down);
        let (asked, answered) = buffer.split_at(up);
        tcp.exchange(asked, answered).think(120 * MILLISECOND);
        up = 36;
        down = rng.size(2, 30) * 16 + 4;
    }
    tcp.close(Dir::Up);
}

fn key_init(rng: &mut Rng) -> Vec<u8> {
    const LISTS: [&str; 8] = [
        "curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group16-sha512",
        "ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
        "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr",
        "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr",
        "umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com",
        "umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com",
        "none,zlib@openssh.com",
        "none,zlib@openssh.com",
    ];
    let mut body = vec![20];
    rng.bytes(&mut body, 16);
    for list in LISTS {
        prefixed(&mut body, 4, |body| body.extend_from_slice(list.as_bytes()));
    }
    // No languages, no guess, reserved.
    body.extend_from_slice(&[0; 13]);
    let padding = 4 + (8 - (body.len() + 9) % 8) % 8;
    let mut out = Vec::new();
    prefixed(&mut out, 4, |out| {
        out.push(padding as u8);
        out.extend_from_slice(&body);
        out.resize(out.len() + padding, 0);
    });
    out
}

/// A mail comes in.
pub(super) fn mail(stage: &mut Stage<'_>) {
    let client = stage.outside();
    let server = stage.server(25);
    let path = stage.path(client, server, 25);
    let mut rng = stage.rng.fork();
    let (from, to) = (text::word(&mut rng), text::word(&mut rng));
    let mut letter = format!(
        "From: {from}@example.org\r\nTo: {to}@example.com\r\nSubject: {} {}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        text::word(&mut rng),
        text::word(&mut rng)
    )
    .into_bytes();
    let length = rng.size(300, 12_000);
    let mut prose = Vec::new();
    text::prose(&mut rng, &mut prose, length);
    for line in prose.split(|&byte| byte == b'\n') {
        letter.extend_from_slice(line);
        letter.extend_from_slice(b"\r\n");
    }
    letter.extend_from_slice(b".\r\n");
    let mut tcp = stage.connect(path);
    tcp.think(5 * MILLISECOND)
        .say(Dir::Down, b"220 mail.example.com ESMTP Postfix\r\n");
    tcp.exchange(
        b"EHLO relay.example.org\r\n",
        b"250-mail.example.com\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
    );
    tcp.exchange(
        format!("MAIL FROM:<{from}@example.org>\r\n").as_bytes(),
        b"250 2.1.0 Ok\r\n",
    );
    tcp.exchange(
        format!("RCPT TO:<{to}@example.com>\r\n").as_bytes(),
        b"250 2.1.5 Ok\r\n",
    );
    tcp.exchange(b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n");
    tcp.exchange(&letter, b"250 2.0.0 Ok: queued as 4WkQ1x3vGz\r\n");
    tcp.exchange(b"QUIT\r\n", b"221 2.0.0 Bye\r\n");
    tcp.close(Dir::Down);
}

/// A few pings a second apart, as ping(8) sends them.
pub(super) fn ping(stage: &mut Stage<'_>) {
    let client = stage.workstation();
    let server = if stage.rng.one_in(2) {
        stage.server(30)
    } else {
        stage.outside()
    };
    let path = stage.path(client, server, 0);
    let id = stage.rng.next() as u16;
    let mut data = Vec::new();
    stage.rng.bytes(&mut data, 8);
    data.extend(8..56);
    let mut at = stage.start;
    for sequence in 1..=stage.rng.range(1, 5) as u16 {
        stage.script.echo(at, &path, Dir::Up, (id, sequence), &data);
        stage
            .script
            .echo(at + path.rtt, &path, Dir::Down, (id, sequence), &data);
        at += SECOND;
    }
}

/// Seconds from the era of NTP, 1900, to that of Unix.
const NTP_EPOCH: u64 = 2_208_988_800;

/// A clock is set (RFC 5905).
pub(super) fn clock(stage: &mut Stage<'_>) {
    let client = stage.workstation();
    let server = stage.outside();
    let path = stage.path(client, server, 123);
    let time = |ns: u64| {
        let seconds = (ns / SECOND).wrapping_add(NTP_EPOCH) as u32;
        let fraction = (((ns % SECOND) << 32) / SECOND) as u32;
        [seconds.to_be_bytes(), fraction.to_be_bytes()].concat()
    };
    let at = stage.start;
    let mut request = vec![0x23, 0, 6, 0xe9];
    request.resize(40, 0);
    request.extend(time(at));
    let mut answer = vec![
        0x24, 2, 6, 0xe9, 0, 0, 1, 0x20, 0, 0, 0, 0x41, 198, 51, 100, 1,
    ];
    answer.extend(time(at.saturating_sub(900 * SECOND)));
    answer.extend(time(at));
    answer.extend(time(at + path.rtt / 2));
    answer.extend(time(at + path.rtt / 2 + 30_000));
    stage.ask(&path, at, &request, &answer);
}

/// One workstation looks for another's hardware address (RFC 826).
pub(super) fn arp(stage: &mut Stage<'_>) {
    let client = stage.workstation();
    let server = stage.workstation();
    let (IpAddr::V4(asking), IpAddr::V4(asked)) = (client.ip, server.ip) else {
        return;
    };
    let path = stage.path(client, server, 0);
    let packet = |operation: u8, sender: ([u8; 6], [u8; 4]), target: ([u8; 6], [u8; 4])| {
        let mut out = vec![0, 1, 8, 0, 6, 4, 0, operation];
        out.extend_from_slice(&sender.0);
        out.extend_from_slice(&sender.1);
        out.extend_from_slice(&target.0);
        out.extend_from_slice(&target.1);
        out
    };
    let everyone = Host {
        mac: [0xff; 6],
        ..server
    };
    let request = packet(1, (client.mac, asking.octets()), ([0; 6], asked.octets()));
    let answer = packet(
        2,
        (server.mac, asked.octets()),
        (client.mac, asking.octets()),
    );
    let at = stage.start;
    for (at, from, to, body) in [
        (at, &client, &everyone, &request),
        (at + path.rtt, &server, &client, &answer),
    ] {
        stage.script.frame(at, |out| {
            ethernet(out, from, to, path.vlan, 0x0806);
            out.extend_from_slice(body);
            // Ethernet's shortest frame, without its check sequence.
            let padding = (46_usize).saturating_sub(body.len());
            out.resize(out.len() + padding, 0);
        });
    }
}
