use proptest::prelude::*;

use super::*;
use crate::app::testing::{all, events};

fn record(code: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 2).to_be_bytes();
    [&len[..], &[4, code], body].concat()
}

fn offer() -> Vec<u8> {
    let lists = ["kex", "key", "e1", "e2", "m1", "m2", "none", "zlib", "", ""];
    let mut body = vec![7; 16];
    for list in lists {
        body.extend((list.len() as u32).to_be_bytes());
        body.extend(list.as_bytes());
    }
    body.extend([0; 9]);
    record(KEXINIT, &body)
}

fn flow(banner: &str) -> Vec<u8> {
    let parts = [
        banner.as_bytes().to_vec(),
        offer(),
        record(30, &[1; 40]),
        record(NEWKEYS, &[0; 10]),
        vec![9; 50],
    ];
    parts.concat()
}

#[test]
fn banners_and_offers_are_shown_however_they_are_cut() {
    for end in ["\n", "\r\n", "\r"] {
        let client = flow(&format!("SSH-2.0-OpenSSH_9.6 Debian{end}"));
        let server = flow(&format!("SSH-1.99-Cisco{end}"));
        for step in [1, 2, 3, 5, 26, 27, 28, 29, 1000] {
            let (mut parser, mut out) = (Ssh::new(), Output::everything());
            for piece in client.chunks(step) {
                parser.data(Way::ToServer, piece, &mut out);
            }
            assert!(!out.opaque);
            for piece in server.chunks(step) {
                parser.data(Way::ToClient, piece, &mut out);
            }
            let way = Way::ToServer;
            assert_eq!(all(&out, way, AppBuffer::SshProto), ["2.0"]);
            assert_eq!(all(&out, way, AppBuffer::SshSoftware), ["OpenSSH_9.6"]);
            let hassh = all(&out, way, AppBuffer::SshHasshString);
            assert_eq!(hassh, ["kex;e1;m1;none"]);
            let way = Way::ToClient;
            assert_eq!(all(&out, way, AppBuffer::SshProto), ["1.99"]);
            let hassh = all(&out, way, AppBuffer::SshHasshServerString);
            assert_eq!(hassh, ["kex;e2;m2;zlib"]);
            assert_eq!(all(&out, way, AppBuffer::SshHasshServer)[0].len(), 32);
            assert!(out.get(0).expect("a transaction").is_done());
            assert!(out.opaque && events(&out).is_empty());
            assert_eq!(out.records.len(), 1);
            let client = &out.records[0].1.fields["client"];
            assert_eq!(client["software_version"], "OpenSSH_9.6");
        }
    }
}

#[test]
fn what_is_odd_is_told() {
    let first = |bytes: &[u8]| {
        let (mut parser, mut out) = (Ssh::new(), Output::everything());
        parser.data(Way::ToServer, bytes, &mut out);
        (events(&out), out.failed)
    };
    let banner = b"SSH-2.0-x\r\n";
    assert_eq!(first(b"hello\r\nx"), (vec!["ssh.invalid_banner"], true));
    let short = [&banner[..], &[0, 0, 0, 1, 1, 1]].concat();
    assert_eq!(first(&short), (vec!["ssh.invalid_record"], true));
    let long = [&b"SSH-2.0-"[..], &[b'x'; 400], b"\r\n", &record(2, &[0; 8])].concat();
    assert_eq!(first(&long), (vec!["ssh.long_banner"], false));
    let huge = [&banner[..], &[0, 2, 0, 0, 4, KEXINIT]].concat();
    assert_eq!(first(&huge), (vec!["ssh.long_kex_record"], false));
}

proptest! {
    #[test]
    fn garbage_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400), code in 18_u8..23) {
        let banner = b"SSH-2.0-x\n".to_vec();
        for piece in [bytes.clone(), [banner, record(code, &bytes), bytes].concat()] {
            for way in Way::ALL {
                let (mut parser, mut out) = (Ssh::new(), Output::everything());
                for piece in piece.chunks(77) {
                    parser.data(way, piece, &mut out);
                }
                parser.end(way, &mut out);
            }
        }
    }
}
