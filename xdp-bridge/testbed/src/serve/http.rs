//! An HTTP/1.1 server that remembers what it was asked, and curl.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use super::listener::Listener;
use crate::child::Output;
use crate::host::{Host, require};
use crate::{BedError, needs};

/// A request's line and headers may be this long.
const HEAD: u64 = 64 << 10;
/// A request's body may be this long.
const BODY: u64 = 64 << 20;

/// A request that reached the server whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target, as it was sent.
    pub target: String,
    /// Header lines as they were sent, without their ends.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A server over IPv4 and IPv6 with keep-alive. Dropping it ends it and its connections.
pub struct Http {
    listener: Listener,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Http {
    /// Serves `files` (paths with their contents) on a port of all of a host's addresses; port 0 takes a free one.
    /// Another path is answered with 404, a POST or PUT to any path with 200.
    ///
    /// # Errors
    /// [`BedError::System`] when the port is taken.
    pub fn start(host: &Host, port: u16, files: &[(&str, &[u8])]) -> Result<Self, BedError> {
        let files: HashMap<String, Vec<u8>> = files
            .iter()
            .map(|(path, content)| ((*path).to_owned(), content.to_vec()))
            .collect();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let serve = move |stream: &TcpStream| converse(stream, &files, &kept);
        Ok(Self {
            listener: Listener::start(host, port, serve)?,
            requests,
        })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// The requests that have come, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Requests of one connection, until it ends or makes no sense.
fn converse(
    stream: &TcpStream,
    files: &HashMap<String, Vec<u8>>,
    requests: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(request) = read(&mut reader)? {
        let path = request.target.split('?').next().unwrap_or_default();
        let (status, body): (_, &[u8]) = match (request.method.as_str(), files.get(path)) {
            ("GET" | "HEAD", Some(content)) => ("200 OK", content),
            ("POST" | "PUT", _) => ("200 OK", b"taken\n"),
            ("GET" | "HEAD", None) => ("404 Not Found", b"not here\n"),
            _ => ("405 Method Not Allowed", b"not so\n"),
        };
        let head = request.method == "HEAD";
        let close = header(&request, "connection").is_some_and(|value| value == "close");
        // Before the answer: who has it may look.
        requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        let fields = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let sent = if head { &[] } else { body };
        writer.write_all(&[fields.as_bytes(), sent].concat())?;
        if close {
            break;
        }
    }
    Ok(())
}

/// The next request; none when the connection ends between two.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = reader.by_ref().take(HEAD);
    let mut line = || -> io::Result<String> {
        let mut line = String::new();
        head.read_line(&mut line)?;
        match line.strip_suffix('\n') {
            Some(line) => Ok(line.trim_end_matches('\r').to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    };
    let first = match line() {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        first => first?,
    };
    let mut words = first.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let mut request = Request {
        method: word(),
        target: word(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let line = line()?;
        if line.is_empty() {
            break;
        }
        request.headers.push(line);
    }
    let length = match header(&request, "content-length") {
        Some(text) => text
            .parse::<u64>()
            .ok()
            .filter(|&length| length <= BODY)
            .ok_or(io::ErrorKind::InvalidData)?,
        None => 0,
    };
    let got = reader
        .by_ref()
        .take(length)
        .read_to_end(&mut request.body)?;
    if got as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(request))
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Runs curl on a host, silently but for errors; what it fetched is the standard output.
///
/// # Errors
/// [`BedError::Missing`] without curl; as [`Host::run`].
pub fn curl(host: &Host, arguments: &[&str]) -> Result<Output, BedError> {
    require(needs::CURL)?;
    let mut command = host.command("curl");
    // No file of the user's, no proxy of the machine's.
    command
        .args(["-q", "-sS", "--noproxy", "*"])
        .args(arguments);
    host.run(command)
}
