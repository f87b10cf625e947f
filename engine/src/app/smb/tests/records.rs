//! Records as clients and servers send them.

/// Says what comes in front of a message.
pub(super) fn session(record: Vec<u8>) -> Vec<u8> {
    let mut bytes = (record.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&record);
    bytes
}

pub(super) fn at(bytes: &mut Vec<u8>, place: usize, value: &[u8]) {
    if bytes.len() < place + value.len() {
        bytes.resize(place + value.len(), 0);
    }
    bytes[place..place + value.len()].copy_from_slice(value);
}

pub(super) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub(super) const FILE: [u8; 16] = [7; 16];
pub(super) const PIPE: [u8; 16] = [8; 16];

/// A record of SMB 2.
pub(super) fn two(
    command: u16,
    message: u64,
    tree: u32,
    status: u32,
    parts: &[(usize, &[u8])],
) -> Vec<u8> {
    let mut bytes = b"\xfeSMB\x40\0".to_vec();
    at(&mut bytes, 8, &status.to_le_bytes());
    at(&mut bytes, 12, &command.to_le_bytes());
    at(&mut bytes, 24, &message.to_le_bytes());
    at(&mut bytes, 36, &tree.to_le_bytes());
    at(&mut bytes, 40, &5_u64.to_le_bytes());
    at(&mut bytes, 63, &[0]);
    for (place, value) in parts {
        at(&mut bytes, *place, value);
    }
    bytes
}

pub(super) fn write2(
    message: u64,
    tree: u32,
    file: &[u8; 16],
    offset: u64,
    data: &[u8],
) -> Vec<u8> {
    let length = (data.len() as u32).to_le_bytes();
    two(
        9,
        message,
        tree,
        0,
        &[
            (66, &[112, 0]),
            (68, &length),
            (72, &offset.to_le_bytes()),
            (80, file),
            (111, &[0]),
            (112, data),
        ],
    )
}

pub(super) fn read2(message: u64, tree: u32, file: &[u8; 16], offset: u64) -> Vec<u8> {
    let length = 4096_u32.to_le_bytes();
    two(
        8,
        message,
        tree,
        0,
        &[
            (68, &length),
            (72, &offset.to_le_bytes()),
            (80, file),
            (112, &[0]),
        ],
    )
}

pub(super) fn read_answer2(message: u64, tree: u32, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_le_bytes();
    two(
        8,
        message,
        tree,
        0,
        &[(66, &[80]), (68, &length), (79, &[0]), (80, data)],
    )
}

pub(super) fn tree2(message: u64, tree: u32, name: &str, kind: u8) -> [Vec<u8>; 2] {
    let name = wide(name);
    let length = (name.len() as u16).to_le_bytes();
    [
        two(
            3,
            message,
            0,
            0,
            &[(68, &[72, 0]), (70, &length), (72, &name)],
        ),
        two(3, message, tree, 0, &[(66, &[kind]), (79, &[0])]),
    ]
}

pub(super) fn create2(message: u64, tree: u32, name: &str, file: &[u8; 16]) -> [Vec<u8>; 2] {
    let name = wide(name);
    let length = (name.len() as u16).to_le_bytes();
    [
        two(
            5,
            message,
            tree,
            0,
            &[
                (100, &[5]),
                (108, &[120, 0]),
                (110, &length),
                (119, &[0]),
                (120, &name),
            ],
        ),
        two(
            5,
            message,
            tree,
            0,
            &[(112, &[9]), (128, file), (152, &[0])],
        ),
    ]
}

/// A record of SMB 1.
pub(super) fn one(command: u8, message: u16, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = b"\xffSMB".to_vec();
    bytes.push(command);
    at(&mut bytes, 24, &[9, 0, 1, 0, 3, 0]);
    at(&mut bytes, 30, &message.to_le_bytes());
    for (place, value) in parts {
        at(&mut bytes, *place, value);
    }
    bytes
}
