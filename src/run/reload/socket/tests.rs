use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, sync_channel};

use super::super::hub::Request;
use super::*;

/// A hub, and what its keeper would get.
fn hub() -> (Arc<Hub>, Receiver<Request>) {
    let (to_keeper, requests) = sync_channel(2);
    (Arc::new(Hub::new(to_keeper)), requests)
}

/// Says this to a socket that serves one client; what comes back, by line.
fn said(hub: &Hub, text: &[u8]) -> Vec<Value> {
    let (mut client, served) = UnixStream::pair().expect("a pair of sockets");
    std::thread::scope(|scope| {
        scope.spawn(|| serve(served, hub));
        // It may not be listened to to its end.
        let _ = client.write_all(text);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let lines = BufReader::new(&client).lines().map_while(Result::ok);
        lines
            .map(|line| serde_json::from_str(&line).expect("JSON"))
            .collect()
    })
}

#[track_caller]
fn is_refused(answer: &Value, why: &str) {
    assert_eq!(answer["return"], "NOK", "{answer}");
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(message.contains(why), "{answer}");
}

#[test]
fn a_socket_is_its_owners_and_one_process_listens() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control");
    let open = || ControlSocket::open(&path);
    let why = |opened: Result<ControlSocket, Failure>| {
        let failure = opened.err().expect("refused");
        failure.message().unwrap_or_default().to_owned()
    };
    let first = open().expect("nobody is there");
    let mode = std::fs::metadata(&path)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(why(open()).contains("another process listens there"));
    drop(first);
    // As a process leaves it that is killed.
    drop(UnixListener::bind(&path).expect("it was taken away"));
    let second = open().expect("what is there is stale");
    drop(second);
    assert!(!path.exists());
    std::fs::write(&path, "text").expect("a file");
    assert!(why(open()).contains("expected a socket, or nothing"));
    assert_eq!(std::fs::read(&path).expect("still there"), b"text");
}

#[test]
fn what_makes_no_sense_is_refused_and_the_next_line_answered() {
    let (hub, _requests) = hub();
    for (line, why) in [
        ("{", "expected an object"),
        ("[1,2]", "expected an object"),
        ("\"reload\"", "expected an object"),
        ("\u{fffd}\0", "expected an object"),
        ("{}", "expected a `command`"),
        ("{\"command\":7}", "expected an object"),
        ("{\"command\":\"halt\"}", "unknown command `halt`"),
        (
            "{\"command\":\"status\",\"rules\":[]}",
            "goes with `reload`",
        ),
        ("{\"command\":\"reload\",\"rule\":[]}", "unknown field"),
    ] {
        let text = format!("{line}\n{{\"command\":\"status\"}}\n");
        let answers = said(&hub, text.as_bytes());
        assert_eq!(answers.len(), 2, "{line}: {answers:?}");
        is_refused(&answers[0], why);
        assert_eq!(answers[1]["return"], "OK");
        assert_eq!(answers[1]["message"]["packets"], 0);
    }
    // As Suricata's own client begins, and without an end of the line.
    let answers = said(&hub, b"{\"version\": \"0.2\"}");
    assert_eq!(answers[0]["return"], "OK");
    assert!(said(&hub, b"").is_empty());
}

#[test]
fn a_line_without_an_end_is_cut_off() {
    let (hub, _requests) = hub();
    let answers = said(&hub, &vec![b' '; MOST_BYTES + 5000]);
    assert_eq!(answers.len(), 1);
    is_refused(&answers[0], "longer than");
}

#[test]
fn what_the_keeper_says_is_told_and_it_is_not_flooded() {
    let (hub, requests) = hub();
    let requests = std::thread::scope(|scope| {
        let keeper = scope.spawn(move || {
            let request = requests.recv().expect("asked");
            let rules = request.rules.expect("named");
            let answer = request.answer.expect("somebody waits");
            answer.send(Ok(json!(rules))).expect("it waits");
            requests
        });
        let answers = said(&hub, b"{\"command\":\"reload\",\"rules\":[\"a\",\"b\"]}\n");
        assert_eq!(answers, [json!({"return": "OK", "message": ["a", "b"]})]);
        keeper.join().expect("it ends")
    });
    let waiting: Vec<_> = (0..2).map(|_| hub.ask(None)).collect();
    assert!(waiting.iter().all(Result::is_ok));
    let answers = said(&hub, b"{\"command\":\"reload\"}\n");
    is_refused(&answers[0], "too many reloads wait");
    drop(requests);
    is_refused(&said(&hub, b"{\"command\":\"reload\"}\n")[0], "");
}

#[test]
fn clients_are_few_and_others_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control");
    let (hub, _requests) = hub();
    let mut socket = ControlSocket::open(&path).expect("nobody is there");
    socket.begin(&hub).expect("a thread");
    let connect = || UnixStream::connect(&path).expect("it listens");
    let first_line = |client: &UnixStream| -> Value {
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("JSON")
    };
    // They say nothing, as slow ones do.
    let quiet: Vec<UnixStream> = (0..MOST_CLIENTS).map(|_| connect()).collect();
    is_refused(&first_line(&connect()), "too many clients");
    let mut one = &quiet[3];
    one.write_all(b"{\"command\":\"status\"}\n")
        .expect("it listens");
    assert_eq!(first_line(one)["return"], "OK");
    drop(quiet);
    // Their places are free again, sooner or later.
    let served = (0..1000).any(|_| {
        let mut client = connect();
        std::thread::sleep(Duration::from_millis(5));
        let asked = client.write_all(b"{\"command\":\"status\"}\n");
        asked.is_ok() && first_line(&client)["return"] == "OK"
    });
    assert!(served);
}
