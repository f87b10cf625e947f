//! SMB2 over TCP port 445 (MS-SMB2), in NetBIOS framing.

use super::rng::Rng;
use super::stage::Stage;
use super::text;
use super::tls::prefixed;
use super::wire::Dir;

const NEGOTIATE: u16 = 0;
const SESSION_SETUP: u16 = 1;
const TREE_CONNECT: u16 = 3;
const CREATE: u16 = 5;
const CLOSE: u16 = 6;
const READ: u16 = 8;

const MORE_PROCESSING: u32 = 0xc000_0016;

/// One session's numbers.
struct Session {
    message: u64,
    id: u64,
    tree: u32,
}

/// A workstation mounts a share and reads a file from it.
pub(super) fn mount(stage: &mut Stage<'_>) {
    let client = stage.workstation();
    let server = stage.server(20);
    let path = stage.path(client, server, 445);
    let mut rng = stage.rng.fork();
    let mut tcp = stage.connect(path);
    let mut session = Session {
        message: 0,
        id: 0,
        tree: 0,
    };
    let mut turn = |session: &mut Session, command, status, request: &[u8], answer: &[u8]| {
        let asked = message(session, command, 0, Dir::Up, request);
        let answered = message(session, command, status, Dir::Down, answer);
        tcp.exchange(&asked, &answered);
        session.message += 1;
    };

    // Dialects 2.0.2 to 3.1.1, and what the server makes of them.
    let mut body = vec![36, 0, 4, 0, 1, 0, 0, 0, 0x7f, 0, 0, 0];
    rng.bytes(&mut body, 16);
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&[0x02, 0x02, 0x10, 0x02, 0x00, 0x03, 0x02, 0x03]);
    let mut chosen = vec![65, 0, 1, 0, 0x02, 0x03, 0, 0];
    rng.bytes(&mut chosen, 16);
    chosen.extend_from_slice(&[0x2f, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0]);
    chosen.resize(64, 0);
    turn(&mut session, NEGOTIATE, 0, &body, &chosen);

    session.id = u64::from(rng.next() as u32) << 8 | 1;
    for (kind, status) in [(1, MORE_PROCESSING), (3, 0)] {
        let token = ntlm(&mut rng, kind);
        let reply = if status == 0 {
            Vec::new()
        } else {
            ntlm(&mut rng, 2)
        };
        let mut setup = vec![25, 0, 0, 1, 0x7f, 0, 0, 0, 0, 0, 0, 0, 88, 0];
        setup.extend_from_slice(&(token.len() as u16).to_le_bytes());
        setup.extend_from_slice(&[0; 8]);
        setup.extend_from_slice(&token);
        let mut answer = vec![9, 0, 0, 0, 72, 0];
        answer.extend_from_slice(&(reply.len() as u16).to_le_bytes());
        answer.extend_from_slice(&reply);
        turn(&mut session, SESSION_SETUP, status, &setup, &answer);
    }

    let mut share = Vec::new();
    text::utf16(&mut share, "\\\\files\\");
    text::utf16(&mut share, text::word(&mut rng));
    let mut connect = vec![9, 0, 0, 0, 72, 0];
    connect.extend_from_slice(&(share.len() as u16).to_le_bytes());
    connect.extend_from_slice(&share);
    let connected = [16, 0, 1, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x01, 0x1f, 0];
    session.tree = 5;
    turn(&mut session, TREE_CONNECT, 0, &connect, &connected);

    let mut name = Vec::new();
    text::utf16(&mut name, text::word(&mut rng));
    text::utf16(&mut name, ".docx");
    let mut create = vec![57, 0, 0, 0, 2, 0, 0, 0];
    create.resize(24, 0);
    create.extend_from_slice(&[
        0x89, 0, 0x12, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0x40, 0, 0, 0,
    ]);
    create.extend_from_slice(&[120, 0]);
    create.extend_from_slice(&(name.len() as u16).to_le_bytes());
    create.extend_from_slice(&[0; 8]);
    create.extend_from_slice(&name);
    let mut file = Vec::new();
    rng.bytes(&mut file, 16);
    let mut created = vec![89, 0, 0, 0, 1, 0, 0, 0];
    created.resize(64, 0);
    created.extend_from_slice(&file);
    created.extend_from_slice(&[0; 8]);
    turn(&mut session, CREATE, 0, &create, &created);

    for chunk in 0..rng.below(6) {
        let length = rng.size(2000, 60_000);
        let mut read = vec![49, 0, 80, 0];
        read.extend_from_slice(&(length as u32).to_le_bytes());
        read.extend_from_slice(&(chunk * 65_536).to_le_bytes());
        read.extend_from_slice(&file);
        read.resize(49, 0);
        let mut data = vec![17, 0, 80, 0];
        data.extend_from_slice(&(length as u32).to_le_bytes());
        data.extend_from_slice(&[0; 8]);
        rng.bytes(&mut data, length);
        turn(&mut session, READ, 0, &read, &data);
    }
    let mut close = vec![24, 0, 0, 0, 0, 0, 0, 0];
    close.extend_from_slice(&file);
    let mut closed = vec![60, 0];
    closed.resize(60, 0);
    turn(&mut session, CLOSE, 0, &close, &closed);
    tcp.close(Dir::Up);
}

fn message(session: &Session, command: u16, status: u32, dir: Dir, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    prefixed(&mut out, 3, |out| {
        out.extend_from_slice(b"\xfeSMB\x40\x00\x01\x00");
        out.extend_from_slice(&status.to_le_bytes());
        out.extend_from_slice(&command.to_le_bytes());
        out.extend_from_slice(&[31, 0]);
        out.extend_from_slice(&u32::from(dir == Dir::Down).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&session.message.to_le_bytes());
        out.extend_from_slice(&[0xff, 0xfe, 0, 0]);
        out.extend_from_slice(&session.tree.to_le_bytes());
        out.extend_from_slice(&session.id.to_le_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(body);
    });
    out
}

/// An NTLM message of a kind (1 negotiate, 2 challenge, 3 authenticate), with random fields.
fn ntlm(rng: &mut Rng, kind: u8) -> Vec<u8> {
    let mut out = b"NTLMSSP\0".to_vec();
    out.extend_from_slice(&[kind, 0, 0, 0]);
    let length = if kind == 3 { 260 } else { 44 };
    rng.bytes(&mut out, length);
    out
}
