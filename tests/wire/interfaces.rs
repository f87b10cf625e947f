//! By which port packets came, and flows began.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use weir_testbed::Host;
use weir_testbed::serve::{Echo, Pulse};

use crate::sensor::{Scene, balanced};

/// A port of the server, one of the client: connections to the first begin on the one side, those to the second on the other.
const PORTS: [u16; 2] = [7001, 7002];

#[test]
fn records_name_the_port_on_which_the_packet_came() {
    let rules = "\
alert tcp any any -> any [7001,7002] (msg:\"there\"; flow:to_server,established; sid:1;)
alert tcp any [7001,7002] -> any any (msg:\"back\"; flow:to_client,established; sid:2;)
";
    let Some(scene) = Scene::new(1, rules) else {
        return;
    };
    let (client, server) = (scene.bed.client(), scene.bed.server());
    let sensor = scene.sensor("--eve-types alert,flow");
    let talk = |from: &Host, to: &Host, port: u16| {
        let echo = Echo::start(to, port).expect("a server");
        let every = Duration::from_millis(10);
        let pulse = Pulse::start(from, IpAddr::V4(to.v4()), echo.port(), every);
        let pulse = pulse.expect("a connection");
        std::thread::sleep(Duration::from_millis(200));
        let pulses = pulse.stop();
        assert_eq!((pulses.broken, pulses.echoed), (None, pulses.sent));
        assert!(pulses.sent > 0);
    };
    talk(client, server, PORTS[0]);
    talk(server, client, PORTS[1]);
    balanced(&sensor.stop());

    // The client is behind the first port: what it sends, and what it begins, comes there.
    let named = |kind: &str, what: &str| -> BTreeSet<(String, String)> {
        let records = scene.records(kind).into_iter().filter(|record| {
            let of_ours = |name: &str| PORTS.iter().any(|&port| record[name] == port);
            of_ours("src_port") || of_ours("dest_port")
        });
        let records = records.map(|record| {
            let port = match &record["src_ip"] {
                src if *src == client.v4().to_string() => "port-a",
                src if *src == server.v4().to_string() => "port-b",
                other => panic!("{other} has said nothing: {record}"),
            };
            assert_eq!(record["in_iface"], port, "{record}");
            (
                port.to_owned(),
                record.pointer(what).expect(what).to_string(),
            )
        });
        records.collect()
    };
    let said = |pairs: &[(&str, u16)]| -> BTreeSet<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|&(port, what)| (port.to_owned(), what.to_string()))
            .collect()
    };
    assert_eq!(
        named("alert", "/alert/signature_id"),
        said(&[("port-a", 1), ("port-a", 2), ("port-b", 1), ("port-b", 2)])
    );
    assert_eq!(
        named("flow", "/dest_port"),
        said(&[("port-a", PORTS[0]), ("port-b", PORTS[1])])
    );
}
