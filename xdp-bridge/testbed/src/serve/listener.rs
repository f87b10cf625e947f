//! A TCP server: a thread that accepts, and one a connection.

use std::io;
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::BedError;
use crate::host::Host;

/// How often a listener looks whether it should end.
const TICK: Duration = Duration::from_millis(5);

/// Listens on all addresses of a host, both families. Dropping it ends it and its connections.
pub(super) struct Listener {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// `serve` has each connection until it returns.
    pub fn start(
        host: &Host,
        port: u16,
        serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self, BedError> {
        let listen = || -> io::Result<TcpListener> {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let what = format!("listening on TCP port {port} of {}", host.name());
        let listener = host
            .enter(listen)?
            .map_err(BedError::system(what.clone()))?;
        let address = listener.local_addr().map_err(BedError::system(what))?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        Ok(Self {
            port: address.port(),
            stop,
            thread: Some(std::thread::spawn(move || accept(&listener, &told, serve))),
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(
    listener: &TcpListener,
    stop: &AtomicBool,
    serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync,
) {
    let open: Mutex<Vec<Arc<TcpStream>>> = Mutex::new(Vec::new());
    let serve = &serve;
    let open = &open;
    std::thread::scope(|scope| {
        while !stop.load(Ordering::Relaxed) {
            let Ok((stream, _)) = listener.accept() else {
                std::thread::sleep(TICK);
                continue;
            };
            let stream = Arc::new(stream);
            let mut list = open.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that only this list knows have been served.
            list.retain(|stream| Arc::strong_count(stream) > 1);
            list.push(Arc::clone(&stream));
            drop(list);
            scope.spawn(move || {
                // Accepted sockets may or may not wait, as the listener does not.
                let _ = stream.set_nonblocking(false);
                let _ = stream.set_nodelay(true);
                // A connection may break at any time: that is what beds are for.
                let _ = serve(&stream);
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
        for stream in open.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}
