//! What frames say, and headers that come in several.

use super::frame::{self, Header, Said};
use super::hpack::{Field, Kind};
use super::{Block, Http2};
use crate::app::{Output, Way};

/// Most bytes of headers in several frames.
const MOST_BLOCK: usize = 102_400;

impl Http2 {
    /// What a frame says. What is wrong with it is told of the transaction before, as in Suricata.
    pub(super) fn read(
        &mut self,
        way: Way,
        header: Header,
        payload: &[u8],
        out: &mut Output,
    ) -> Said {
        match header.kind {
            frame::DATA => Said::Data,
            frame::PRIORITY | frame::RST_STREAM | frame::WINDOW_UPDATE => {
                frame::fixed(header, payload).unwrap_or_else(|| {
                    self.event("http2.invalid_frame_length", out);
                    Said::Nothing
                })
            }
            // Suricata takes the first number, the last stream's, for the code of the error.
            frame::GOAWAY => match payload.first_chunk() {
                Some(code) => Said::Goaway(u32::from_be_bytes(*code)),
                None => {
                    self.event("http2.invalid_frame_length", out);
                    Said::Nothing
                }
            },
            frame::SETTINGS => {
                let settings = frame::settings(payload);
                for &(id, value) in &settings {
                    if id == 1 {
                        // What the other side may keep.
                        let other = &mut self.sides[way.other() as usize];
                        other.table.set_limit(value.into());
                    }
                }
                Said::Settings(settings)
            }
            frame::HEADERS | frame::PUSH_PROMISE => self.first_headers(way, header, payload, out),
            frame::CONTINUATION => self.more_headers(way, header, payload, out),
            _ => Said::Nothing,
        }
    }

    fn first_headers(
        &mut self,
        way: Way,
        header: Header,
        payload: &[u8],
        out: &mut Output,
    ) -> Said {
        let Some((weight, promised, block)) = frame::before_block(header, payload) else {
            self.event("http2.invalid_frame_data", out);
            return Said::Nothing;
        };
        let ended = header.has(frame::END_HEADERS);
        let mut fields = Some(Vec::new());
        if ended {
            fields = self.fields(way, block, header.len == payload.len(), out);
        } else {
            self.sides[way as usize].block = Some(Block {
                stream: header.stream,
                bytes: block.to_vec(),
            });
        }
        match (fields, promised) {
            (None, _) => Said::Nothing,
            (Some(fields), Some(promised)) => Said::Promise(promised, fields, ended),
            (Some(fields), None) => Said::Headers(fields, weight),
        }
    }

    fn more_headers(&mut self, way: Way, header: Header, payload: &[u8], out: &mut Output) -> Said {
        let ended = header.has(frame::END_HEADERS);
        let complete = header.len == payload.len();
        let side = &mut self.sides[way as usize];
        let begun = side.block.take_if(|block| block.stream == header.stream);
        let Some(mut block) = begun else {
            let fields = self.fields(way, payload, complete, out);
            return fields.map_or(Said::Nothing, |fields| Said::Continuation(fields, ended));
        };
        if block.bytes.len() + payload.len() < MOST_BLOCK {
            block.bytes.extend_from_slice(payload);
        } else {
            self.event("http2.reassembly_limit_reached", out);
        }
        if !ended {
            self.sides[way as usize].block = Some(block);
            return Said::Continuation(Vec::new(), false);
        }
        let fields = self.fields(way, &block.bytes, complete, out);
        fields.map_or(Said::Nothing, |fields| Said::Continuation(fields, true))
    }

    /// Unpacks headers.
    fn fields(
        &mut self,
        way: Way,
        block: &[u8],
        complete: bool,
        out: &mut Output,
    ) -> Option<Vec<Field>> {
        let fields = self.sides[way as usize].table.read(block);
        let Some(fields) = fields else {
            if complete {
                self.event("http2.invalid_frame_data", out);
            }
            return None;
        };
        if fields.iter().any(|field| field.kind == Kind::Overflow) {
            self.event("http2.header_integer_overflow", out);
        }
        let wrong = |field: &Field| matches!(field.kind, Kind::Missing | Kind::Overflow);
        if fields.iter().any(wrong) {
            self.event("http2.invalid_header", out);
        }
        Some(fields)
    }
}
