//! The programs that beds and their clients and servers are made of.
//!
//! This file stands alone, so that what sets machines up can read the same list.

/// A program that must be on the machine.
#[derive(Clone, Copy)]
pub struct Need {
    /// Debian's package.
    pub package: &'static str,
    /// What it is for.
    pub why: &'static str,
    /// True when it is there, however it came.
    pub present: fn() -> bool,
}

/// Links between namespaces and bridges: no bed without it.
pub const IPROUTE2: Need = Need {
    package: "iproute2",
    why: "test networks: namespaces, links and the kernel's bridge",
    present: || in_path("ip") && in_path("bridge"),
};
/// ICMP echo.
pub const PING: Need = Need {
    package: "iputils-ping",
    why: "test networks: ICMP echo",
    present: || in_path("ping"),
};
/// The HTTP client.
pub const CURL: Need = Need {
    package: "curl",
    why: "test networks: the HTTP client",
    present: || in_path("curl"),
};
/// The DNS server.
pub const DNSMASQ: Need = Need {
    package: "dnsmasq-base",
    why: "test networks: the DNS server",
    present: || in_path("dnsmasq"),
};
/// The DNS client.
pub const DIG: Need = Need {
    package: "bind9-dnsutils",
    why: "test networks: the DNS client",
    present: || in_path("dig"),
};
/// TCP and UDP flat out.
pub const IPERF3: Need = Need {
    package: "iperf3",
    why: "test networks: TCP and UDP flat out",
    present: || in_path("iperf3"),
};

/// Starts programs with fewer privileges.
pub const SETPRIV: Need = Need {
    package: "util-linux",
    why: "test networks: programs with few privileges",
    present: || in_path("setpriv"),
};

/// All of them.
pub const NEEDS: &[Need] = &[IPROUTE2, PING, CURL, DNSMASQ, DIG, IPERF3, SETPRIV];

/// Whether a program is found as a shell would find it; `/usr/sbin` and `/sbin` are looked into in any case.
pub fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}
