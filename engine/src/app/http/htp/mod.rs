//! A safe layer over `suricata-htp`, the HTTP/1 parser of Suricata (its C interface is all that it has).
//!
//! All `unsafe` of HTTP is here. The rules that keep it sound:
//! - A [`Connection`] owns its parser; nobody else has the pointer. It is made with the one [`Config`] of the process,
//!   which is never changed or freed after it was made.
//! - What a [`Tx`] shows is borrowed from the connection, or lives as long as a callback runs.
//! - Callbacks reach their [`Events`] by a pointer in a thread-local that is set only while htp is fed ([`feed`]), so that
//!   it always points to something that outlives the call.

mod tx;

use std::cell::Cell;
use std::ptr::{NonNull, null};
use std::sync::OnceLock;

use suricata_htp::HtpStatus;
use suricata_htp::c_api::config::*;
use suricata_htp::c_api::connection::htp_conn_next_log;
use suricata_htp::c_api::connection_parser::*;
use suricata_htp::c_api::log::{htp_log_code, htp_log_free};
use suricata_htp::c_api::transaction::*;
use suricata_htp::config::{Config, HtpServerPersonality};
use suricata_htp::connection_parser::{ConnectionParser, HtpStreamState};
use suricata_htp::log::HtpLogCode;
use suricata_htp::transaction::{Data, Transaction};

pub(in crate::app::http) use tx::Tx;

use crate::app::Way;

/// Longest line (request line, header) in bytes, most headers of a message, most transactions that wait: Suricata's
/// defaults.
const FIELD_LIMIT: usize = 18_000;
const MOST_HEADERS: u32 = 1024;
const MOST_TRANSACTIONS: u32 = 512;
/// Decompression ends where it makes more than this of little (bytes), or takes longer than this (microseconds).
const BOMB_LIMIT: usize = 1 << 20;
const TIME_LIMIT: u32 = 100_000;
const DECOMPRESSION_LAYERS: i32 = 2;
const LZMA_MEMORY: usize = 1 << 20;

/// What htp tells while it is fed.
pub(in crate::app::http) trait Events {
    /// Header or trailer lines, as they are on the wire, in pieces; so many bytes of what the server sends were used by
    /// then.
    fn raw_headers(&mut self, way: Way, tx: Tx<'_>, data: &[u8], used: usize);
    /// Some of a body, without chunking and compression.
    fn body(&mut self, way: Way, tx: Tx<'_>, data: &[u8]);
    /// Some of a body is missing.
    fn body_gap(&mut self, way: Way, tx: Tx<'_>);
    /// A response is complete.
    fn response_complete(&mut self);
}

thread_local! {
    static EVENTS: Cell<Option<NonNull<dyn Events>>> = const { Cell::new(None) };
}

/// Runs `feed` with `events` for the callbacks.
fn feed<R>(events: &mut dyn Events, feed: impl FnOnce() -> R) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            EVENTS.set(None);
        }
    }
    let pointer: NonNull<dyn Events + '_> = NonNull::from(events);
    // SAFETY: only the lifetime changes. `Reset` forgets the pointer before this function returns, and so before what
    // it points to can go.
    let pointer: NonNull<dyn Events + 'static> = unsafe { std::mem::transmute(pointer) };
    EVENTS.set(Some(pointer));
    let _reset = Reset;
    feed()
}

fn tell(tell: impl FnOnce(&mut dyn Events)) {
    // Taken, so that there is only one reference at a time, even if a callback came to feed htp itself.
    if let Some(mut events) = EVENTS.take() {
        // SAFETY: `feed` set it and has not returned: what it points to lives and is borrowed by `feed` alone, which
        // does not touch it.
        tell(unsafe { events.as_mut() });
        EVENTS.set(Some(events));
    }
}

fn with_data(data: *const Data, run: impl FnOnce(Tx<'_>, Option<&[u8]>)) {
    // SAFETY: htp calls back with data of a transaction that both live until the callback returns; the functions take
    // null, too. The bytes are `len` long where the pointer is not null.
    unsafe {
        let (tx, bytes) = (htp_tx_data_tx(data), htp_tx_data_data(data));
        let len = usize::try_from(htp_tx_data_len(data)).unwrap_or(0);
        if let Some(tx) = tx.as_ref()
            && len > 0
        {
            let bytes = (!bytes.is_null()).then(|| std::slice::from_raw_parts(bytes, len));
            run(Tx(tx), bytes);
        }
    }
}

macro_rules! data_callbacks {
    ($($name:ident, $way:ident, $tell:ident);*) => {
        $(unsafe extern "C" fn $name(parser: *const ConnectionParser, data: *mut Data) -> HtpStatus {
            $tell(Way::$way, parser, data);
            HtpStatus::OK
        })*
    };
}

fn headers_of(way: Way, parser: *const ConnectionParser, data: *const Data) {
    // SAFETY: htp calls back with the parser that it runs, which lives until the callback returns.
    let used = unsafe { htp_connp_response_data_consumed(parser) };
    let used = usize::try_from(used).unwrap_or(0);
    with_data(data, |tx, bytes| {
        tell(|events| events.raw_headers(way, tx, bytes.unwrap_or_default(), used));
    });
}

fn body_of(way: Way, _: *const ConnectionParser, data: *const Data) {
    with_data(data, |tx, bytes| {
        tell(|events| match bytes {
            Some(bytes) => events.body(way, tx, bytes),
            None => events.body_gap(way, tx),
        });
    });
}

data_callbacks! {
    request_headers, ToServer, headers_of;
    response_headers, ToClient, headers_of;
    request_body, ToServer, body_of;
    response_body, ToClient, body_of
}

unsafe extern "C" fn response_complete(
    _: *const ConnectionParser,
    _: *mut Transaction,
) -> HtpStatus {
    tell(|events| events.response_complete());
    HtpStatus::OK
}

/// The configuration of the process: as Suricata's without a configuration file of one's own.
fn config() -> &'static Config {
    static CONFIG: OnceLock<&'static Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let config = htp_config_create();
        // SAFETY: `config` is fresh from `htp_config_create`, not null, and known to nobody else until it is leaked
        // below; the callbacks have the types that htp asks for.
        unsafe {
            htp_config_register_request_header_data(config, request_headers);
            htp_config_register_request_trailer_data(config, request_headers);
            htp_config_register_response_header_data(config, response_headers);
            htp_config_register_response_trailer_data(config, response_headers);
            htp_config_register_request_body_data(config, request_body);
            htp_config_register_response_body_data(config, response_body);
            htp_config_register_response_complete(config, response_complete);
            htp_config_set_request_decompression(config, 1);
            htp_config_set_lzma_layers(config, 0);
            htp_config_set_lzma_memlimit(config, LZMA_MEMORY);
            htp_config_set_compression_bomb_limit(config, BOMB_LIMIT);
            htp_config_set_compression_time_limit(config, TIME_LIMIT);
            htp_config_set_field_limit(config, FIELD_LIMIT);
            htp_config_set_max_tx(config, MOST_TRANSACTIONS);
            htp_config_set_number_headers_limit(config, MOST_HEADERS);
            htp_config_set_server_personality(config, HtpServerPersonality::IDS);
            // The personality would lower the case of paths, which rules do not expect.
            htp_config_set_convert_lowercase(config, 0);
            htp_config_set_plusspace_decode(config, 0);
            htp_config_set_allow_space_uri(config, true);
            htp_config_set_double_decode_normalized_path(config, false);
            htp_config_set_double_decode_normalized_query(config, false);
            htp_config_set_normalized_uri_include_all(config, false);
            htp_config_set_decompression_layer_limit(config, DECOMPRESSION_LAYERS);
            &*config
        }
    })
}

/// The parser of a connection.
pub(in crate::app::http) struct Connection {
    parser: NonNull<ConnectionParser>,
}

// SAFETY: the parser is not `Send` because it shares a log queue with its transactions by `Rc` and has boxed closures and
// user data. All of them are reachable by this one pointer only: no clone of the `Rc` leaves the parser, logs are copied
// out, closures hold nothing but what belongs to the parser, and there is no user data. So the whole of it moves from one
// thread to another at once, and there is never more than one that uses it, as all access needs `&mut` or the owner.
unsafe impl Send for Connection {}

impl Connection {
    /// A parser for a connection between these ports.
    pub(in crate::app::http) fn new(client_port: u16, server_port: u16) -> Self {
        // SAFETY: the configuration lives as long as the process; the new parser is ours. No addresses, no time.
        let parser = unsafe {
            let parser = htp_connp_create(config());
            htp_connp_open(
                parser,
                null(),
                client_port.into(),
                null(),
                server_port.into(),
                null(),
            );
            parser
        };
        let parser = NonNull::new(parser).unwrap_or(NonNull::dangling());
        Self { parser }
    }

    /// The next bytes of a direction; none are ignored.
    pub(in crate::app::http) fn data(
        &mut self,
        way: Way,
        data: &[u8],
        events: &mut dyn Events,
    ) -> Answer {
        if data.is_empty() {
            return Answer::More;
        }
        self.chunk(way, data.as_ptr().cast(), data.len(), events)
    }

    /// So many bytes of a direction are missing.
    pub(in crate::app::http) fn gap(
        &mut self,
        way: Way,
        len: usize,
        events: &mut dyn Events,
    ) -> Answer {
        self.chunk(way, null(), len.max(1), events)
    }

    fn chunk(
        &mut self,
        way: Way,
        data: *const std::ffi::c_void,
        len: usize,
        events: &mut dyn Events,
    ) -> Answer {
        let parser = self.parser.as_ptr();
        // SAFETY: the parser is ours, `data` is null or `len` bytes that live until the call returns. No time.
        let state = feed(events, || unsafe {
            match way {
                Way::ToServer => htp_connp_request_data(parser, null(), data, len),
                Way::ToClient => htp_connp_response_data(parser, null(), data, len),
            }
        });
        match state {
            HtpStreamState::ERROR => Answer::Error,
            HtpStreamState::TUNNEL => Answer::Tunnel,
            HtpStreamState::DATA_OTHER => Answer::Other,
            _ => Answer::More,
        }
    }

    /// Nothing more comes in a direction; after the server's end nothing comes at all.
    pub(in crate::app::http) fn close(&mut self, way: Way, events: &mut dyn Events) {
        let parser = self.parser.as_ptr();
        // SAFETY: the parser is ours. No time.
        feed(events, || unsafe {
            match way {
                Way::ToServer => htp_connp_request_close(parser, null()),
                Way::ToClient => htp_connp_close(parser, null()),
            }
        });
    }

    /// How much of the last data of a direction was used.
    pub(in crate::app::http) fn consumed(&self, way: Way) -> usize {
        let parser = self.parser.as_ptr();
        // SAFETY: the parser is ours.
        let consumed = unsafe {
            match way {
                Way::ToServer => htp_connp_request_data_consumed(parser),
                Way::ToClient => htp_connp_response_data_consumed(parser),
            }
        };
        usize::try_from(consumed).unwrap_or(0)
    }

    /// How many transactions there were so far.
    pub(in crate::app::http) fn count(&self) -> usize {
        // SAFETY: the parser is ours.
        usize::try_from(unsafe { htp_connp_tx_size(self.parser.as_ptr()) }).unwrap_or(0)
    }

    /// The transaction at this place among those that are there; `None` past the last.
    pub(in crate::app::http) fn at(&mut self, place: usize) -> Option<Tx<'_>> {
        // SAFETY: the parser is ours; the transaction is borrowed from `self`, and whatever changes it needs `&mut`.
        unsafe { htp_connp_tx_index(self.parser.as_ptr(), place).as_ref() }.map(Tx)
    }

    /// The transaction with this number.
    pub(in crate::app::http) fn tx(&self, number: usize) -> Option<Tx<'_>> {
        // SAFETY: as for `at`.
        unsafe { htp_connp_tx(self.parser.as_ptr(), number).as_ref() }.map(Tx)
    }

    /// Forgets a transaction.
    pub(in crate::app::http) fn remove(&mut self, number: usize) {
        // SAFETY: the parser is ours, and nobody borrows a transaction of it.
        unsafe { htp_tx_destroy(self.parser.as_ptr(), number) }
    }

    /// The next thing that htp complains about.
    pub(in crate::app::http) fn complaint(&mut self) -> Option<HtpLogCode> {
        // SAFETY: the parser is ours, its connection lives as long; the log is a copy that we free once.
        unsafe {
            let log = htp_conn_next_log(htp_connp_connection(self.parser.as_ptr()));
            (!log.is_null()).then(|| {
                let code = htp_log_code(log);
                htp_log_free(log);
                code
            })
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the parser was made by `htp_connp_create`, is ours, and is freed here only.
        unsafe { htp_connp_destroy_all(self.parser.as_ptr()) }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// What came of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app::http) enum Answer {
    /// All is well, or well enough.
    More,
    /// It goes on once the other side has said more; not all data was [used](Connection::consumed).
    Other,
    /// From here on it is not HTTP.
    Tunnel,
    /// It cannot go on.
    Error,
}
