//! Links in mails.

/// The scheme that Suricata looks for by default (`extract-urls-schemes`); it is no part of what it finds.
const SCHEME: &[u8] = b"http://";

/// Longest line that is kept until it ends.
const LINE_LIMIT: usize = 8192;

/// Most links of a mail that are kept, and most bytes of them.
const MOST: usize = 1024;
const MOST_BYTES: usize = 256 * 1024;

/// Collects links.
#[derive(Debug, Default)]
pub(super) struct Urls {
    line: Vec<u8>,
    found: Vec<Vec<u8>>,
    bytes: usize,
    left_out: u64,
}

impl Urls {
    /// Looks at text, as it comes.
    pub fn text(&mut self, text: &[u8]) {
        self.line.extend_from_slice(text);
        let end = if self.line.len() > LINE_LIMIT {
            self.line.len()
        } else {
            memchr::memrchr(b'\n', text).map_or(0, |at| self.line.len() - text.len() + at + 1)
        };
        self.look(end);
    }

    /// The text ends here.
    pub fn flush(&mut self) {
        self.look(self.line.len());
    }

    fn look(&mut self, end: usize) {
        let mut rest = self.line.get(..end).unwrap_or_default();
        while let Some(colon) = memchr::memmem::find(rest, b"://") {
            let (head, tail) = rest.split_at(colon);
            let tail = tail.get(3..).unwrap_or_default();
            let scheme = SCHEME.len() - 3;
            let is_it = head
                .get(head.len().wrapping_sub(scheme)..)
                .is_some_and(|scheme| {
                    SCHEME
                        .get(..scheme.len())
                        .is_some_and(|of| of.eq_ignore_ascii_case(scheme))
                });
            rest = tail;
            if !is_it {
                continue;
            }
            let ends = |byte: &u8| {
                matches!(
                    byte,
                    b' ' | b'"' | b'\'' | b'<' | b'>' | b']' | b'\t' | b'\r' | b'\n'
                )
            };
            let length = tail.iter().position(ends).unwrap_or(tail.len());
            let (url, after) = tail.split_at(length);
            if self.found.len() < MOST && self.bytes + url.len() <= MOST_BYTES {
                self.bytes += url.len();
                self.found.push(url.to_vec());
            } else {
                self.left_out += 1;
            }
            rest = after;
        }
        self.line.drain(..end.min(self.line.len()));
    }

    /// The links, without their scheme.
    pub fn found(&self) -> &[Vec<u8>] {
        &self.found
    }

    /// How many more there were.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        self.line.capacity() + self.bytes + self.found.capacity() * size_of::<Vec<u8>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_however_text_is_cut() {
        let text = b"See http://google.com, <a href=\"HTTP://a.b/c?d\">http://x</a>\r\nhttps://no http://last";
        for chunk in 1..text.len() {
            let mut urls = Urls::default();
            text.chunks(chunk).for_each(|piece| urls.text(piece));
            urls.flush();
            assert_eq!(
                urls.found(),
                [&b"google.com,"[..], b"a.b/c?d", b"x", b"last"]
            );
        }
    }

    #[test]
    fn endless_lines_are_bounded() {
        let mut urls = Urls::default();
        for _ in 0..10_000 {
            urls.text(b"http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ");
        }
        assert_eq!(urls.found().len(), MOST);
        assert!(urls.memory() < MOST_BYTES);
    }
}
