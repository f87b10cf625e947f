//! DNS messages (RFC 1035, 3596, 2782, 4255, 6891), read as leniently as Suricata does.

/// Most bytes of a name in presentation form; longer ones are cut.
pub(super) const MOST_NAME: usize = 1025;

/// Most labels and pointers of a name.
const MOST_LABELS: usize = 255;

/// Most bytes of names that are kept of one message: compression lets a datagram stand for a hundred times its size.
const MOST_NAMES: usize = 1 << 20;

/// Most strings of TXT records and options of OPT records that are kept of one message: both can be empty.
const MOST_PARTS: usize = 4096;

/// Most steps behind pointers in all names of one message: a name of two bytes can take 255.
const MOST_CHASED: usize = 1 << 17;

/// Bytes of the header.
pub(super) const HEADER: usize = 12;

/// A name, as `www.example.org`: labels as they are on the wire, with dots between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) bytes: Vec<u8>,
    /// Some of it was left out.
    pub(super) truncated: bool,
}

/// What was odd about names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Oddities {
    pub(super) truncated: bool,
    pub(super) looped: bool,
    pub(super) too_many_labels: bool,
}

/// The first twelve bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: u16,
    pub(super) flags: u16,
    /// Questions, answers, authorities, additional records.
    pub(super) counts: [u16; 4],
}

impl Header {
    /// The header, where it can be one of a DNS message of this many bytes.
    pub(super) fn read(message: &[u8], len: usize) -> Option<Self> {
        let mut reader = Reader {
            message,
            at: 0,
            end: message.len(),
        };
        let (id, flags) = (reader.u16()?, reader.u16()?);
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = reader.u16()?;
        }
        let header = Self { id, flags, counts };
        let records: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let fits = 2 * records <= len && (records > 0 || len <= HEADER);
        let asks = header.is_response() || counts[0] > 0;
        (fits && asks).then_some(header)
    }

    pub(super) fn is_response(self) -> bool {
        self.flags & 0x8000 != 0
    }

    pub(super) fn has_z(self) -> bool {
        self.flags & 0x0040 != 0
    }

    pub(super) fn opcode(self) -> u8 {
        (self.flags >> 11 & 0xf) as u8
    }

    pub(super) fn rcode(self) -> u8 {
        (self.flags & 0xf) as u8
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) name: Name,
    pub(super) rrtype: u16,
}

/// A resource record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: Name,
    pub(super) rrtype: u16,
    pub(super) ttl: u32,
    pub(super) data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// A, AAAA.
    Address(Vec<u8>),
    /// CNAME, PTR, MX, NS.
    Name(Name),
    Txt(Vec<Vec<u8>>),
    Null(Vec<u8>),
    Soa {
        mname: Name,
        rname: Name,
        /// Serial, refresh, retry, expire, minimum.
        numbers: [u32; 5],
    },
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: Name,
    },
    SshFp {
        algorithm: u8,
        kind: u8,
        fingerprint: Vec<u8>,
    },
    /// Code and value of each option.
    Opt(Vec<(u16, Vec<u8>)>),
    Other(Vec<u8>),
}

impl Data {
    /// The name in it that `dns.response.rrname` shows.
    pub(super) fn name(&self) -> Option<&Name> {
        match self {
            Self::Name(name) | Self::Soa { mname: name, .. } => Some(name),
            _ => None,
        }
    }

    /// Bytes that it holds beside itself.
    fn memory(&self) -> usize {
        match self {
            Self::Address(bytes) | Self::Null(bytes) | Self::Other(bytes) => bytes.len(),
            Self::Name(name) => name.bytes.len(),
            Self::Txt(texts) => {
                let bytes: usize = texts.iter().map(Vec::len).sum();
                texts.capacity() * size_of::<Vec<u8>>() + bytes
            }
            Self::Soa { mname, rname, .. } => mname.bytes.len() + rname.bytes.len(),
            Self::Srv { target, .. } => target.bytes.len(),
            Self::SshFp { fingerprint, .. } => fingerprint.len(),
            Self::Opt(options) => {
                let bytes: usize = options.iter().map(|(_, data)| data.len()).sum();
                options.capacity() * size_of::<(u16, Vec<u8>)>() + bytes
            }
        }
    }
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) header: Header,
    pub(super) queries: Vec<Query>,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) additionals: Vec<Record>,
    pub(super) bad_authorities: bool,
    pub(super) bad_additionals: bool,
    pub(super) oddities: Oddities,
    /// Strings and options for which there was no room.
    pub(super) left_out: u64,
}

impl Message {
    /// The message with this header; `None` where questions or answers make no sense.
    pub(super) fn read(message: &[u8], header: Header) -> Option<Self> {
        let mut reader = Reader {
            message,
            at: HEADER,
            end: message.len(),
        };
        let mut names = Names::default();
        let mut queries = Vec::new();
        for _ in 0..header.counts[0] {
            let name = names.read(&mut reader)?;
            let rrtype = reader.u16()?;
            reader.u16()?;
            queries.push(Query { name, rrtype });
        }
        let answers = read_records(&mut reader, header.counts[1], &mut names)?;
        let authorities = read_records(&mut reader, header.counts[2], &mut names);
        let bad_authorities = authorities.is_none();
        let mut additionals = Some(Vec::new());
        if !bad_authorities {
            additionals = read_records(&mut reader, header.counts[3], &mut names);
        }
        Some(Self {
            header,
            queries,
            answers,
            authorities: authorities.unwrap_or_default(),
            bad_authorities,
            bad_additionals: additionals.is_none(),
            additionals: additionals.unwrap_or_default(),
            oddities: names.oddities,
            left_out: names.left_out,
        })
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        let queries: usize = self.queries.iter().map(|of| of.name.bytes.len()).sum();
        let records = [&self.answers, &self.authorities, &self.additionals];
        let records: usize = records
            .into_iter()
            .flatten()
            .map(|of| size_of::<Record>() + of.name.bytes.len() + of.data.memory())
            .sum();
        size_of::<Self>() + self.queries.len() * size_of::<Query>() + queries + records
    }
}

fn read_records(reader: &mut Reader<'_>, count: u16, names: &mut Names) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    for _ in 0..count {
        let name = names.read(reader)?;
        let (rrtype, _class, ttl) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let len = usize::from(reader.u16()?);
        let mut data = reader.part(len)?;
        records.push(Record {
            name,
            rrtype,
            ttl,
            data: read_data(&mut data, rrtype, names)?,
        });
    }
    Some(records)
}

fn read_data(data: &mut Reader<'_>, rrtype: u16, names: &mut Names) -> Option<Data> {
    Some(match rrtype {
        1 | 28 => Data::Address(data.rest().to_vec()),
        2 | 5 | 12 => Data::Name(names.read(data)?),
        15 => {
            data.u16()?;
            Data::Name(names.read(data)?)
        }
        6 => {
            let (mname, rname) = (names.read(data)?, names.read(data)?);
            let mut numbers = [0; 5];
            for number in &mut numbers {
                *number = data.u32()?;
            }
            Data::Soa {
                mname,
                rname,
                numbers,
            }
        }
        16 => {
            let mut texts = Vec::new();
            while data.at < data.end {
                let len = usize::from(data.u8()?);
                let text = data.take(len)?;
                if names.has_room() {
                    texts.push(text.to_vec());
                }
            }
            Data::Txt(texts)
        }
        10 => Data::Null(data.rest().to_vec()),
        33 => Data::Srv {
            priority: data.u16()?,
            weight: data.u16()?,
            port: data.u16()?,
            target: names.read(data)?,
        },
        44 => Data::SshFp {
            algorithm: data.u8()?,
            kind: data.u8()?,
            fingerprint: data.rest().to_vec(),
        },
        41 => {
            let mut options = Vec::new();
            while data.at < data.end {
                let (code, len) = (data.u16()?, usize::from(data.u16()?));
                let value = data.take(len)?;
                if names.has_room() {
                    options.push((code, value.to_vec()));
                }
            }
            Data::Opt(options)
        }
        _ => Data::Other(data.rest().to_vec()),
    })
}

/// Reads a part of a message; pointers of names lead anywhere in it.
#[derive(Debug)]
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.end)?;
        let bytes = self.message.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn part(&mut self, count: usize) -> Option<Self> {
        let at = self.at;
        self.take(count)?;
        Some(Self {
            message: self.message,
            at,
            end: self.at,
        })
    }

    fn rest(&mut self) -> &'a [u8] {
        self.take(self.end - self.at).unwrap_or_default()
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

/// Reads names of one message, and keeps to its bounds.
#[derive(Debug, Default)]
struct Names {
    oddities: Oddities,
    kept: usize,
    /// Steps behind pointers.
    chased: usize,
    parts: usize,
    left_out: u64,
}

impl Names {
    /// True where another string or option is to be kept.
    fn has_room(&mut self) -> bool {
        let fits = self.parts < MOST_PARTS;
        self.parts += usize::from(fits);
        self.left_out += u64::from(!fits);
        fits
    }

    /// The next name. Where it ends without a final zero it ends with the data. After a pointer its end is known, and
    /// what is wrong behind it only cuts the name; before one it is an error.
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<Name> {
        let mut name = Name::default();
        let mut steps = 0;
        // A pointer leads to somewhere in the whole message.
        let mut jumped: Option<Reader<'_>> = None;
        loop {
            let source = jumped.as_mut().unwrap_or(&mut *reader);
            let from = source.at;
            if from >= source.end {
                break;
            }
            let len = usize::from(source.u8()?);
            match len >> 6 {
                _ if len == 0 => break,
                0 => {
                    let label = source.take(len)?;
                    if !name.truncated {
                        if !name.bytes.is_empty() {
                            name.bytes.push(b'.');
                        }
                        name.bytes.extend_from_slice(label);
                    }
                }
                3 => {
                    let to = (len & 0x3f) << 8 | usize::from(source.u8()?);
                    if to > source.message.len() {
                        return None;
                    }
                    if to == from {
                        self.oddities.looped = true;
                        if jumped.is_some() {
                            break;
                        }
                        return None;
                    }
                    let message = source.message;
                    jumped = Some(Reader {
                        message,
                        at: to,
                        end: message.len(),
                    });
                }
                _ => return None,
            }
            steps += 1;
            self.chased += usize::from(jumped.is_some());
            if steps > MOST_LABELS || (jumped.is_some() && self.chased > MOST_CHASED) {
                self.oddities.too_many_labels = true;
                jumped.as_ref()?;
                name.truncated = true;
                break;
            }
            let most = MOST_NAME.min(MOST_NAMES.saturating_sub(self.kept));
            if name.bytes.len() > most {
                name.bytes.truncate(most);
                name.truncated = true;
                if jumped.is_some() {
                    break;
                }
            }
        }
        self.oddities.truncated |= name.truncated;
        self.kept += name.bytes.len();
        Some(name)
    }
}
