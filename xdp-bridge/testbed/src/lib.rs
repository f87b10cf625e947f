//! Hosts and links made of network namespaces and veth pairs, for tests and benchmarks.
