//! A card over shared memory: two streams and registers between two processes on one host.
