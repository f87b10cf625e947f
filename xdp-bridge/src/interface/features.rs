//! What a driver can do with XDP: the generic netlink family `netdev` (`Documentation/netlink/specs/netdev.yaml`).

use std::io;

use super::facts::XdpFeatures;
use super::netlink::{GENERIC, Socket, attribute, attributes, u16_at};

/// `GENL_ID_CTRL`, which knows the other families.
const CONTROL: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

const GET_DEVICE: u8 = 1;
const DEVICE_IFINDEX: u16 = 1;
const DEVICE_XDP_FEATURES: u16 = 3;

/// `struct genlmsghdr`: command, version, reserved.
const HEADER: usize = 4;

/// What the driver of an interface can do; `None` where the kernel does not say.
pub(super) fn of(ifindex: u32) -> Option<XdpFeatures> {
    match ask(ifindex) {
        Ok(features) => features,
        Err(error) => {
            tracing::debug!(
                "interface {ifindex}: the kernel does not say what XDP can do: {error}"
            );
            None
        }
    }
}

fn ask(ifindex: u32) -> io::Result<Option<XdpFeatures>> {
    let mut socket = Socket::asking(GENERIC)?;
    let mut find = vec![GET_FAMILY, 1, 0, 0];
    attribute(&mut find, FAMILY_NAME, b"netdev\0");
    let answers = socket.ask(CONTROL, 0, &find)?;
    let value = |body: &[u8], wanted: u16| {
        let rest = body.get(HEADER..).unwrap_or_default();
        let found = attributes(rest).find(|(kind, _)| *kind == wanted);
        found.map(|(_, value)| value.to_vec())
    };
    let family = answers
        .iter()
        .find_map(|answer| u16_at(&value(&answer.body, FAMILY_ID)?, 0));
    let Some(family) = family else {
        return Ok(None);
    };
    let mut get = vec![GET_DEVICE, 1, 0, 0];
    attribute(&mut get, DEVICE_IFINDEX, &ifindex.to_ne_bytes());
    let answers = socket.ask(family, 0, &get)?;
    Ok(answers
        .iter()
        .find_map(|answer| XdpFeatures::new(&value(&answer.body, DEVICE_XDP_FEATURES)?)))
}
