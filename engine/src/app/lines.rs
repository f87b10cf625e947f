//! Lines of text out of a stream, up to a limit: for FTP and SMTP.

use std::borrow::Cow;

/// A line, without what ends it.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, at most as many as the limit.
    pub bytes: Cow<'a, [u8]>,
    /// It ended with a line feed only (1), with carriage return and line feed (2), or its end was not seen (0).
    pub ending: u8,
    /// It was longer than the limit: the rest of it is dropped.
    pub truncated: bool,
    /// It begins a line; false for what [`Lines::piece`] gives of a line that it has begun before.
    pub begins: bool,
}

/// Cuts one direction of a stream into lines. It holds at most one line's limit of bytes.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    begun: Vec<u8>,
    /// The rest of a line that was too long is dropped up to its line feed.
    dropping: bool,
    /// Pieces of the line at hand have been given.
    continued: bool,
}

impl Lines {
    /// Lines of at most so many bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            begun: Vec::new(),
            dropping: false,
            continued: false,
        }
    }

    /// The next line; it is taken from `data`. `None` when all of `data` is taken and the line is not complete.
    pub fn next<'a>(&mut self, data: &mut &'a [u8]) -> Option<Line<'a>> {
        self.drop_rest(data);
        let Some(end) = memchr::memchr(b'\n', data) else {
            return self.keep(std::mem::take(data));
        };
        let (head, rest) = data.split_at(end);
        *data = rest.get(1..).unwrap_or_default();
        let mut bytes = if self.begun.is_empty() {
            Cow::Borrowed(head)
        } else {
            let mut whole = std::mem::take(&mut self.begun);
            // More than the limit is of no use.
            let room = (self.limit + 2).saturating_sub(whole.len());
            whole.extend_from_slice(head.get(..room).unwrap_or(head));
            Cow::Owned(whole)
        };
        let mut ending = 1;
        if bytes.last() == Some(&b'\r') {
            cut(&mut bytes, 1);
            ending = 2;
        }
        let over = bytes.len().saturating_sub(self.limit);
        cut(&mut bytes, over);
        Some(Line {
            bytes,
            ending,
            truncated: over > 0,
            begins: !std::mem::take(&mut self.continued),
        })
    }

    /// Drops the rest of a line of which no more is wanted.
    fn drop_rest(&mut self, data: &mut &[u8]) {
        if self.dropping {
            let end = memchr::memchr(b'\n', data);
            self.dropping = end.is_none();
            let taken = end.map_or(data.len(), |end| end + 1);
            *data = data.get(taken..).unwrap_or_default();
        }
    }

    /// Keeps the beginning of a line; it is the line where it is too long already.
    fn keep<'a>(&mut self, part: &[u8]) -> Option<Line<'a>> {
        // One more than the limit: it may be the carriage return of a line that is just not too long.
        let room = (self.limit + 1).saturating_sub(self.begun.len());
        self.begun
            .extend_from_slice(part.get(..room).unwrap_or(part));
        let full = part.len() > room
            || (self.begun.len() > self.limit && self.begun.last() != Some(&b'\r'));
        full.then(|| {
            self.dropping = true;
            self.begun.truncate(self.limit);
            Line {
                bytes: Cow::Owned(std::mem::take(&mut self.begun)),
                ending: 0,
                truncated: true,
                begins: !self.continued,
            }
        })
    }

    /// The next line, or a piece of one that is longer than the limit: nothing is dropped.
    pub fn piece<'a>(&mut self, data: &mut &'a [u8]) -> Option<Line<'a>> {
        self.drop_rest(data);
        if data.is_empty() {
            return None;
        }
        let (head, ending) = match memchr::memchr(b'\n', data) {
            Some(end) => {
                let (head, rest) = data.split_at(end);
                *data = rest.get(1..).unwrap_or_default();
                (head, 1)
            }
            None => (std::mem::take(data), 0),
        };
        if ending == 0 && self.begun.len() + head.len() <= self.limit {
            self.begun.extend_from_slice(head);
            return None;
        }
        let mut line = Line {
            bytes: if self.begun.is_empty() {
                Cow::Borrowed(head)
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend_from_slice(head);
                Cow::Owned(whole)
            },
            ending,
            truncated: false,
            begins: !std::mem::replace(&mut self.continued, ending == 0),
        };
        if line.bytes.last() == Some(&b'\r') {
            cut(&mut line.bytes, 1);
            if ending == 0 {
                // It may end the line.
                self.begun.push(b'\r');
            } else {
                line.ending = 2;
            }
        }
        Some(line)
    }

    /// Bytes are missing: the line at hand is dropped up to the next line feed.
    pub fn gap(&mut self) {
        self.begun.clear();
        self.continued = false;
        self.dropping = true;
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        self.begun.capacity()
    }
}

/// Takes so many bytes from the end.
fn cut(bytes: &mut Cow<'_, [u8]>, count: usize) {
    let left = bytes.len().saturating_sub(count);
    match bytes {
        Cow::Borrowed(bytes) => *bytes = bytes.get(..left).unwrap_or_default(),
        Cow::Owned(bytes) => bytes.truncate(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], limit: usize) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(line) = lines.next(&mut piece) {
                found.push((line.bytes.into_owned(), line.truncated));
            }
            assert!(lines.memory() <= 64);
        }
        found
    }

    #[test]
    fn cuts_do_not_matter() {
        let text = b"one\r\ntwo\nexactly8\r\nfar too long\r\n\r\nend\r\nrest";
        let whole = lines(&[text], 8);
        assert_eq!(whole.len(), 6);
        assert_eq!(whole[2], (b"exactly8".to_vec(), false));
        assert_eq!(whole[3], (b"far too ".to_vec(), true));
        for at in 0..=text.len() {
            let (head, tail) = text.split_at(at);
            assert_eq!(lines(&[head, tail], 8), whole, "cut at {at}");
        }
        let bytes: Vec<_> = text.chunks(1).collect();
        assert_eq!(lines(&bytes, 8), whole);
    }

    #[test]
    fn a_gap_ends_where_the_next_line_begins() {
        let mut of = Lines::new(8);
        assert_eq!(of.next(&mut &b"lost"[..]), None);
        of.gap();
        let mut data = &b"still lost\nfound\nre"[..];
        assert_eq!(&*of.next(&mut data).expect("a line").bytes, b"found");
        assert_eq!(of.next(&mut data), None);
        of.gap();
        let mut data = &b"st\nof it"[..];
        assert_eq!(of.piece(&mut data), None);
        let mut data = &b" all\n"[..];
        assert_eq!(&*of.piece(&mut data).expect("a line").bytes, b"of it all");
    }

    #[test]
    fn pieces_make_up_the_line() {
        let text = b"one\r\nfar far too long, far too long\r\nend\n";
        for chunk in 1..text.len() {
            let mut of = Lines::new(8);
            let (mut whole, mut begun) = (Vec::new(), 0);
            for mut data in text.chunks(chunk) {
                while let Some(line) = of.piece(&mut data) {
                    begun += usize::from(line.begins);
                    whole.extend_from_slice(&line.bytes);
                    let ends: [&[u8]; 3] = [b"", b"\n", b"\r\n"];
                    whole.extend_from_slice(ends[usize::from(line.ending)]);
                }
            }
            assert_eq!(whole, text, "chunks of {chunk}");
            assert_eq!(begun, 3);
        }
    }
}
