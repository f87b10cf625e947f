//! DNS: a query, and an answer where the rule looks at answers.

use weir_engine::app::{AppBuffer, AppField};
use weir_engine::plan::{AppTest, Rule};

use super::numbers::passing;
use super::parts::Parts;
use super::set::ByteSet;
use super::talk::Say;
use super::unmet::Unmet;

/// What is asked, and perhaps what is answered.
pub(super) fn messages(rule: &Rule, parts: &Parts<'_>, tcp: bool) -> Result<Vec<Say>, Unmet> {
    let (mut kind, mut opcode, mut code) = (1_u16, 0_u16, 0_u16);
    for test in &rule.app.tests {
        let AppTest::Number { field, num, .. } = test else {
            return Err(match test {
                AppTest::Event(_) => Unmet::Event,
                _ => Unmet::Field("dns"),
            });
        };
        let pass = |most: u64, wanted: u16| {
            let number =
                passing(num, most, wanted.into()).and_then(|number| u16::try_from(number).ok());
            number.ok_or(Unmet::Field("dns"))
        };
        match field {
            AppField::DnsOpcode => opcode = pass(15, 0)?,
            AppField::DnsRcode => code = pass(15, 0)?,
            AppField::DnsRrtype => kind = pass(0xffff, 1)?,
            _ => return Err(Unmet::Field(field.name())),
        }
    }
    if let Some(payload) = parts.payload()
        && parts.only_payload()
    {
        return Ok(raw(payload, parts.to_server, tcp));
    }
    let asked = [AppBuffer::DnsQuery, AppBuffer::DnsQueriesRrname];
    let told = [AppBuffer::DnsAnswersRrname, AppBuffer::DnsResponseRrname];
    let name = asked.iter().find_map(|&buffer| parts.of(buffer));
    let answer = told.iter().find_map(|&buffer| parts.of(buffer));
    let question = name.or(answer).unwrap_or(b"www.example.com");
    let mut query = header(opcode << 11 | 0x0100, 0);
    question_of(&mut query, question, kind);
    let mut reply = header(0x8180 | opcode << 11 | code, 1);
    question_of(&mut reply, question, kind);
    labels(&mut reply, answer.unwrap_or(question));
    reply.extend_from_slice(&kind.to_be_bytes());
    reply.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
    let data: &[u8] = match kind {
        28 => &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        16 => b"\x01a",
        _ => &[192, 0, 2, 1],
    };
    reply.extend_from_slice(&(data.len() as u16).to_be_bytes());
    reply.extend_from_slice(data);
    let mut says = vec![Say::up(framed(query, tcp))];
    if !parts.to_server || code != 0 {
        says.push(Say::down(framed(reply, tcp)));
    }
    Ok(says)
}

/// Bytes that are themselves a message, or the beginning of one.
fn raw(payload: &[u8], to_server: bool, tcp: bool) -> Vec<Say> {
    let bytes = payload.to_vec();
    if to_server {
        return vec![Say::up(bytes)];
    }
    let mut query = header(0x0100, 0);
    question_of(&mut query, b"www.example.com", 1);
    vec![Say::up(framed(query, tcp)), Say::down(bytes)]
}

fn framed(message: Vec<u8>, tcp: bool) -> Vec<u8> {
    if tcp {
        [&(message.len() as u16).to_be_bytes()[..], &message].concat()
    } else {
        message
    }
}

fn header(flags: u16, answers: u8) -> Vec<u8> {
    let [high, low] = flags.to_be_bytes();
    vec![0x1a, 0x2b, high, low, 0, 1, 0, answers, 0, 0, 0, 0]
}

fn question_of(out: &mut Vec<u8>, name: &[u8], kind: u16) {
    labels(out, name);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
}

fn labels(out: &mut Vec<u8>, name: &[u8]) {
    for label in name
        .split(|&byte| byte == b'.')
        .filter(|label| !label.is_empty())
    {
        // Longer labels were refused.
        out.push(label.len() as u8);
        out.extend_from_slice(label);
    }
    out.push(0);
}

/// What messages are as far as they must be, and free where they need not: an answer with an address, one with a text,
/// a query.
pub(super) fn seeds() -> Vec<Vec<ByteSet>> {
    let free = 0xee;
    let answer = |kind: u16, rest: &[u8]| {
        let mut out = header(0x8180, 1);
        question_of(&mut out, b"a", kind);
        out.extend_from_slice(&[0xc0, 0x0c]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(rest);
        out
    };
    let address = answer(1, &[free, free, free, free, 0, 4, free, free, free, free]);
    let mut text = vec![0, 0, 0, 60, 0, 201, 200];
    text.resize(text.len() + 200, free);
    let text = answer(16, &text);
    let mut query = header(0x0100, 0);
    query.push(63);
    query.resize(query.len() + 63, free);
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    let cell = |byte: u8| {
        if byte == free {
            ByteSet::ALL
        } else {
            ByteSet::of(byte)
        }
    };
    let all = [address, text, query].into_iter();
    all.map(|bytes| bytes.into_iter().map(cell).collect())
        .collect()
}
