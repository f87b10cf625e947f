//! Why a rule cannot be exercised.

use std::fmt;

/// Why nothing was made for a rule, or what was made does not do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Unmet {
    /// No bytes were found that satisfy what it wants of a buffer, by its keyword.
    Buffer(&'static str),
    /// It wants something with this digest.
    Digest(&'static str),
    /// No conversation of this protocol can be made.
    Protocol(&'static str),
    /// It wants something of the protocol that cannot be made, by its keyword.
    Field(&'static str),
    /// It wants something of a packet's headers that cannot be made.
    Header,
    /// No addresses or ports are left by its header.
    Ends,
    /// Nothing sets the bits or counters that it asks for, or what sets them cannot be made, or not on the same flow.
    State,
    /// It asks for data that comes from files: data sets, reputation, countries.
    Data,
    /// It asks for events: something must be wrong with the traffic.
    Event,
    /// It counts more than can reasonably be sent.
    Count,
    /// It asks how large or old a flow is.
    FlowProperty,
    /// What was made did not make it fire.
    Silent,
    /// It fires, and goes on firing whatever is broken.
    NoMiss,
}

impl Unmet {
    /// A short name for counting.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Buffer(_) => "no bytes found",
            Self::Digest(_) => "wants a digest",
            Self::Protocol(_) => "protocol cannot be made",
            Self::Field(_) => "field cannot be made",
            Self::Header => "header cannot be made",
            Self::Ends => "no addresses or ports",
            Self::State => "state that nothing sets",
            Self::Data => "needs data files",
            Self::Event => "asks for an event",
            Self::Count => "counts too much",
            Self::FlowProperty => "size or age of the flow",
            Self::Silent => "made, but did not fire",
            Self::NoMiss => "fires, but no near miss found",
        }
    }

    /// What it is about, where there is more to say.
    pub fn detail(&self) -> &'static str {
        match self {
            Self::Buffer(of) | Self::Digest(of) | Self::Protocol(of) | Self::Field(of) => of,
            _ => "",
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail() {
            "" => f.write_str(self.name()),
            detail => write!(f, "{}: {detail}", self.name()),
        }
    }
}
