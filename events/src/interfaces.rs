//! What interfaces are called.

use weir_engine::packet::Interface;

/// Names of interfaces by their index ([`Interface::at`]), for `in_iface`. Without names no record has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces(Vec<String>);

impl Interfaces {
    /// These names, the first for index 0.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// The name of an interface, if there is one and it is known.
    #[inline]
    pub fn name(&self, iface: Interface) -> Option<&str> {
        self.0.get(iface.index()?).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_has_its_name_and_no_other_has_one() {
        let names = Interfaces::new(["eth1", "eth2"]);
        for (iface, name) in [
            (Interface::at(0), Some("eth1")),
            (Interface::at(1), Some("eth2")),
            (Interface::at(2), None),
            (Interface::NONE, None),
        ] {
            assert_eq!(names.name(iface), name, "{iface:?}");
            assert_eq!(Interfaces::default().name(iface), None, "{iface:?}");
        }
    }
}
