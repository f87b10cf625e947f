//! A parser of application layers, told anything, in any pieces: WebSocket.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_engine::app::AppProto;

fuzz_target!(|input: &[u8]| weir_fuzz::app::drive(AppProto::Websocket, false, input));
