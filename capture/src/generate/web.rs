//! HTTP/1.1.

use super::rng::Rng;
use super::stage::Stage;
use super::text;
use super::wire::Dir;

const SECOND: u64 = 1_000_000_000;

/// A browser or a client at work: one connection, one to eight requests.
pub(super) fn browse(stage: &mut Stage<'_>) {
    let inbound = stage.rng.one_in(4);
    let (client, server) = if inbound {
        (stage.outside(), stage.server(10))
    } else {
        (stage.workstation(), stage.outside())
    };
    let port = if stage.rng.one_in(8) { 8080 } else { 80 };
    let path = stage.path(client, server, port);
    let mut rng = stage.rng.fork();
    let host = text::host(&mut rng);
    let agent = text::agent(&mut rng);
    let mut tcp = stage.connect(path);
    let mut buffer = Vec::new();
    for _ in 0..rng.range(1, 9) {
        buffer.clear();
        request(&mut rng, &mut buffer, host, agent);
        tcp.say(Dir::Up, &buffer).think(20_000_000);
        buffer.clear();
        response(&mut rng, &mut buffer);
        tcp.say(Dir::Down, &buffer).think(SECOND / 4);
    }
    if rng.one_in(10) {
        tcp.reset(Dir::Up);
    } else {
        tcp.close(if rng.one_in(3) { Dir::Down } else { Dir::Up });
    }
}

fn request(rng: &mut Rng, out: &mut Vec<u8>, host: &str, agent: &str) {
    let post = rng.one_in(6);
    let mut uri = String::new();
    for _ in 0..rng.range(1, 4) {
        uri.push('/');
        uri.push_str(text::word(rng));
    }
    uri.push_str(rng.pick(&[
        ".html",
        ".js",
        ".css",
        ".png",
        "",
        "/",
        "?page=2",
        "?lang=en&sort=new",
    ]));
    let mut body = Vec::new();
    if post {
        body.extend_from_slice(b"{\"name\":\"");
        let length = rng.size(10, 600);
        text::prose(rng, &mut body, length);
        body.retain(|&byte| byte != b'\n');
        body.extend_from_slice(b"\",\"quantity\":3}");
    }
    let head = Head {
        method: if post { "POST" } else { "GET" },
        uri: &uri,
        host,
        agent,
        kind: "application/json",
    };
    head.write(out, &body);
    if rng.one_in(2) {
        // Into the header block, before the line that ends it.
        let at = out.len() - body.len() - 2;
        let mut cookie = b"Cookie: session=".to_vec();
        text::hex(rng, &mut cookie, 32);
        cookie.extend_from_slice(b"\r\n");
        out.splice(at..at, cookie);
    }
}

/// A request's first line and what its headers say.
pub(super) struct Head<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) host: &'a str,
    pub(super) agent: &'a str,
    /// Content type of the body, where there is one.
    pub(super) kind: &'a str,
}

impl Head<'_> {
    /// Appends the request with its body.
    pub(super) fn write(&self, out: &mut Vec<u8>, body: &[u8]) {
        let Self {
            method,
            uri,
            host,
            agent,
            kind,
        } = self;
        out.extend_from_slice(
            format!(
                "{method} {uri} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\
                 Accept-Language: en-GB,en;q=0.8\r\nConnection: keep-alive\r\n"
            )
            .as_bytes(),
        );
        if !body.is_empty() {
            let length = body.len();
            out.extend_from_slice(
                format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n").as_bytes(),
            );
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
    }
}

fn response(rng: &mut Rng, out: &mut Vec<u8>) {
    let status = match rng.below(20) {
        0 => "404 Not Found",
        1 => "304 Not Modified",
        2 => "301 Moved Permanently",
        _ => "200 OK",
    };
    let mut body = Vec::new();
    let kind = if status == "304 Not Modified" {
        "text/html"
    } else {
        // Most answers are short and a few are long, as on the web.
        let length = match rng.below(10) {
            0 => rng.size(30_000, 200_000),
            1..4 => rng.size(4000, 30_000),
            _ => rng.size(60, 4000),
        };
        match rng.below(4) {
            0 => {
                json(rng, &mut body, length);
                "application/json"
            }
            1 => {
                body.extend_from_slice(b"\x89PNG\r\n\x1a\n");
                rng.bytes(&mut body, length);
                "image/png"
            }
            _ => {
                html(rng, &mut body, length);
                "text/html; charset=utf-8"
            }
        }
    };
    answer(out, status, kind, &body);
}

/// Appends a response with its body.
pub(super) fn answer(out: &mut Vec<u8>, status: &str, kind: &str, body: &[u8]) {
    let length = body.len();
    out.extend_from_slice(
        format!(
            "HTTP/1.1 {status}\r\nServer: nginx/1.24.0\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\nCache-Control: max-age=600\r\nConnection: keep-alive\r\n\r\n"
        )
        .as_bytes(),
    );
    out.extend_from_slice(body);
}

fn html(rng: &mut Rng, out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(b"<!DOCTYPE html>\n<html lang=\"en\"><head><title>");
    text::prose(rng, out, 20);
    out.extend_from_slice(b"</title><link rel=\"stylesheet\" href=\"/main.css\"></head><body>\n");
    let end = out.len() + length;
    while out.len() < end {
        out.extend_from_slice(b"<p class=\"text\">");
        let paragraph = rng.size(80, 500);
        text::prose(rng, out, paragraph);
        out.extend_from_slice(b"</p>\n");
    }
    out.extend_from_slice(b"</body></html>\n");
}

fn json(rng: &mut Rng, out: &mut Vec<u8>, length: usize) {
    out.push(b'[');
    let end = out.len() + length;
    while out.len() < end {
        out.extend_from_slice(b"{\"id\":\"");
        text::hex(rng, out, 12);
        out.extend_from_slice(b"\",\"title\":\"");
        out.extend_from_slice(text::word(rng).as_bytes());
        out.extend_from_slice(b"\",\"count\":");
        out.extend_from_slice(rng.below(1000).to_string().as_bytes());
        out.extend_from_slice(b"},");
    }
    out.extend_from_slice(b"{}]");
}
