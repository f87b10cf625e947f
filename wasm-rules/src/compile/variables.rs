//! Address and port expressions, and the variables in them.
//!
//! As in Suricata, an expression is flattened before it is evaluated: whatever is under an odd number of `!` is taken
//! away, the rest is added, and brackets only group. Where nothing is added, everything is (for addresses: everything
//! of the families that something is taken away from).

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_engine::plan::{AddrSet, PortSet};

use crate::syntax::ast::{AddressItem, At, Expr, Place, PortItem, Problem};

/// Deepest nesting of brackets and variables in an expression.
const MAX_DEPTH: usize = 64;

/// Address groups of the `suricata.yaml` that Suricata installs.
const STOCK_ADDRESSES: [(&str, &str); 15] = [
    ("HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"),
    ("EXTERNAL_NET", "!$HOME_NET"),
    ("HTTP_SERVERS", "$HOME_NET"),
    ("SMTP_SERVERS", "$HOME_NET"),
    ("SQL_SERVERS", "$HOME_NET"),
    ("DNS_SERVERS", "$HOME_NET"),
    ("TELNET_SERVERS", "$HOME_NET"),
    ("AIM_SERVERS", "$EXTERNAL_NET"),
    ("DC_SERVERS", "$HOME_NET"),
    ("DNP3_SERVER", "$HOME_NET"),
    ("DNP3_CLIENT", "$HOME_NET"),
    ("MODBUS_CLIENT", "$HOME_NET"),
    ("MODBUS_SERVER", "$HOME_NET"),
    ("ENIP_CLIENT", "$HOME_NET"),
    ("ENIP_SERVER", "$HOME_NET"),
];

/// Port groups of the `suricata.yaml` that Suricata installs.
const STOCK_PORTS: [(&str, &str); 12] = [
    ("HTTP_PORTS", "80"),
    ("SHELLCODE_PORTS", "!80"),
    ("ORACLE_PORTS", "1521"),
    ("SSH_PORTS", "22"),
    ("DNP3_PORTS", "20000"),
    ("MODBUS_PORTS", "502"),
    ("FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"),
    ("FTP_PORTS", "21"),
    ("GENEVE_PORTS", "6081"),
    ("VXLAN_PORTS", "4789"),
    ("TEREDO_PORTS", "3544"),
    ("SIP_PORTS", "[5060,5061]"),
];

/// The variables of rule headers, resolved.
///
/// A variable that cannot be resolved (undefined, defined by itself, not an expression, empty) is no error until a
/// rule uses it.
#[derive(Clone, Debug)]
pub struct Variables {
    addresses: BTreeMap<String, Group<AddrSet>>,
    ports: BTreeMap<String, Group<PortSet>>,
}

/// What an expression says.
#[derive(Clone, Debug)]
pub(super) struct Resolved<S> {
    /// The addresses or ports.
    pub(super) set: S,
    /// Something is negated, in the expression or in a variable that it uses.
    pub(super) negated: bool,
}

/// A variable: its terms, for expressions that use it among others, and its set, for the many that use it alone.
#[derive(Clone, Debug)]
struct Group<S> {
    terms: Result<Terms<S>, String>,
    plain: Result<Resolved<S>, String>,
    negated: Result<Resolved<S>, String>,
}

/// A flattened expression.
#[derive(Clone, Debug)]
struct Terms<S> {
    plus: S,
    minus: S,
}

impl<S: Space> Terms<S> {
    fn plus(plus: S) -> Self {
        Self {
            plus,
            minus: S::none(),
        }
    }

    fn none() -> Self {
        Self::plus(S::none())
    }

    fn swapped(self) -> Self {
        Self {
            plus: self.minus,
            minus: self.plus,
        }
    }
}

/// What addresses and ports have in common.
trait Space: Clone {
    type Item;
    fn none() -> Self;
    fn any() -> Self;
    fn item(item: &Self::Item) -> Option<Self>;
    fn add(&mut self, other: &Self);
    /// `plus` without `minus`, after Suricata's rules for what an absent `plus` means.
    fn settle(terms: &Terms<Self>) -> Result<Self, &'static str>;
    fn is_none(&self) -> bool;
    fn parse(text: &[u8], place: Place) -> Result<At<Expr<Self::Item>>, Problem>;
}

impl Space for AddrSet {
    type Item = AddressItem;

    fn none() -> Self {
        AddrSet::none()
    }

    fn any() -> Self {
        AddrSet::any()
    }

    fn item(item: &AddressItem) -> Option<Self> {
        match *item {
            AddressItem::Prefix(address, length) => AddrSet::prefix(address, length),
            AddressItem::Range(first, last) => AddrSet::range(first, last),
        }
    }

    fn add(&mut self, other: &Self) {
        self.union(other);
    }

    fn settle(terms: &Terms<Self>) -> Result<Self, &'static str> {
        let mut set = Self::none();
        for family in [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ] {
            let whole = Self::prefix(family, 0).unwrap_or_default();
            let of_family = |set: &Self| {
                let mut outside = set.clone();
                outside.subtract(&whole);
                let mut inside = set.clone();
                inside.subtract(&outside);
                inside
            };
            let (mut plus, minus) = (of_family(&terms.plus), of_family(&terms.minus));
            if family.is_ipv4() && minus == whole {
                return Err("every IPv4 address is negated");
            }
            if plus.is_empty() && !minus.is_empty() {
                plus = whole;
            }
            plus.subtract(&minus);
            set.union(&plus);
        }
        if set.is_empty() {
            Err("no address is left once the negated ones are taken away")
        } else {
            Ok(set)
        }
    }

    fn is_none(&self) -> bool {
        self.is_empty()
    }

    fn parse(text: &[u8], place: Place) -> Result<At<Expr<AddressItem>>, Problem> {
        crate::syntax::parse_addresses(text, place)
    }
}

impl Space for PortSet {
    type Item = PortItem;

    fn none() -> Self {
        PortSet::none()
    }

    fn any() -> Self {
        PortSet::any()
    }

    fn item(item: &PortItem) -> Option<Self> {
        PortSet::range(item.0, item.1)
    }

    fn add(&mut self, other: &Self) {
        self.union(other);
    }

    fn settle(terms: &Terms<Self>) -> Result<Self, &'static str> {
        if terms.minus.is_any() {
            return Err("every port is negated");
        }
        let mut set = if terms.plus.is_empty() {
            Self::any()
        } else {
            terms.plus.clone()
        };
        set.subtract(&terms.minus);
        if set.is_empty() {
            Err("no port is left once the negated ones are taken away")
        } else {
            Ok(set)
        }
    }

    fn is_none(&self) -> bool {
        self.is_empty()
    }

    fn parse(text: &[u8], place: Place) -> Result<At<Expr<PortItem>>, Problem> {
        crate::syntax::parse_ports(text, place)
    }
}

/// Why an expression has no value: where, and what is wrong there.
type Trouble = (Place, String);

/// Flattens one expression.
struct Flattener<'e, 'l, S> {
    /// Gives the terms of a variable.
    lookup: &'l mut dyn FnMut(&str) -> Result<Terms<S>, String>,
    /// Variables that are in already, and whether they were negated: a second mention adds nothing.
    seen: HashSet<(&'e str, bool)>,
}

impl<'e, S: Space> Flattener<'e, '_, S> {
    fn flatten(
        &mut self,
        expr: &'e At<Expr<S::Item>>,
        negated: bool,
        depth: usize,
    ) -> Result<Terms<S>, Trouble> {
        if depth == 0 {
            return Err((
                expr.place,
                format!("brackets are nested more than {MAX_DEPTH} deep"),
            ));
        }
        let plus = match &expr.value {
            Expr::Any => Terms::plus(S::any()),
            Expr::Item(item) => match S::item(item) {
                Some(set) => Terms::plus(set),
                None => return Err((expr.place, "the range is empty".to_owned())),
            },
            Expr::Variable(name) if !self.seen.insert((name, negated)) => Terms::none(),
            Expr::Variable(name) => (self.lookup)(name).map_err(|message| (expr.place, message))?,
            Expr::List(list) => return self.flatten_list(list, negated, depth - 1),
            Expr::Not(inner) => return self.flatten(inner, !negated, depth - 1),
        };
        Ok(if negated { plus.swapped() } else { plus })
    }

    /// Flattens a list by halves, so that the time it takes is all but linear in its length.
    fn flatten_list(
        &mut self,
        list: &'e [At<Expr<S::Item>>],
        negated: bool,
        depth: usize,
    ) -> Result<Terms<S>, Trouble> {
        match list {
            [] => Ok(Terms::none()),
            [only] => self.flatten(only, negated, depth),
            _ => {
                let (left, right) = list.split_at(list.len() / 2);
                let mut terms = self.flatten_list(left, negated, depth)?;
                let right = self.flatten_list(right, negated, depth)?;
                terms.plus.add(&right.plus);
                terms.minus.add(&right.minus);
                Ok(terms)
            }
        }
    }
}

/// Flattens `expr`; `lookup` gives the terms of a variable.
fn flatten<S: Space>(
    expr: &At<Expr<S::Item>>,
    lookup: &mut dyn FnMut(&str) -> Result<Terms<S>, String>,
) -> Result<Terms<S>, Trouble> {
    let seen = HashSet::new();
    Flattener { lookup, seen }.flatten(expr, false, MAX_DEPTH)
}

fn settle<S: Space>(terms: &Terms<S>) -> Result<Resolved<S>, &'static str> {
    Ok(Resolved {
        set: S::settle(terms)?,
        negated: !terms.minus.is_none(),
    })
}

/// Resolves a set of variables that may use each other.
struct Resolver<'a, S> {
    texts: &'a BTreeMap<String, String>,
    known: BTreeMap<String, Result<Terms<S>, String>>,
    /// Variables that are being resolved, outermost first.
    open: Vec<String>,
}

impl<S: Space> Resolver<'_, S> {
    fn resolve(&mut self, name: &str) -> Result<Terms<S>, String> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let Some(text) = self.texts.get(name) else {
            return Err(format!("the variable ${name} is not defined"));
        };
        if self.open.iter().any(|open| open == name) {
            return Err(format!("the variable ${name} is defined by itself"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(format!(
                "the variable ${name} is nested more than {MAX_DEPTH} deep"
            ));
        }
        self.open.push(name.to_owned());
        let outcome = S::parse(text.as_bytes(), Place { line: 1, column: 1 })
            .map_err(|problem| (problem.place, problem.message))
            .and_then(|expr| flatten(&expr, &mut |name| self.resolve(name)))
            .map_err(|(_, message)| format!("in the value of ${name}: {message}"));
        self.open.pop();
        // A member of a cycle is only known to be bad where the cycle was entered.
        if self.open.is_empty() || outcome.is_ok() {
            self.known.insert(name.to_owned(), outcome.clone());
        }
        outcome
    }
}

fn resolve_all<S: Space>(texts: &BTreeMap<String, String>) -> BTreeMap<String, Group<S>> {
    let mut resolver = Resolver {
        texts,
        known: BTreeMap::new(),
        open: Vec::new(),
    };
    let group = |name: &String| {
        let terms = resolver.resolve(name);
        let settled = |terms: Result<Terms<S>, String>| {
            terms.and_then(|terms| settle(&terms).map_err(|message| format!("${name}: {message}")))
        };
        let plain = settled(terms.clone());
        let negated = settled(terms.clone().map(Terms::swapped));
        (
            name.clone(),
            Group {
                terms,
                plain,
                negated,
            },
        )
    };
    texts.keys().map(group).collect()
}

fn evaluate<S: Space>(
    expr: &At<Expr<S::Item>>,
    groups: &BTreeMap<String, Group<S>>,
    subject: &str,
) -> Result<Resolved<S>, Problem> {
    let problem = |(place, message): Trouble| Problem::syntax(place, message).about(subject);
    let group = |name: &str| {
        groups
            .get(name)
            .ok_or_else(|| format!("the variable ${name} is not defined"))
    };
    let whole = |at: &At<Expr<S::Item>>,
                 name: &str,
                 pick: fn(&Group<S>) -> &Result<Resolved<S>, String>| {
        let found = group(name).and_then(|group| pick(group).clone());
        found.map_err(|message| problem((at.place, message)))
    };
    match &expr.value {
        Expr::Any => {
            return Ok(Resolved {
                set: S::any(),
                negated: false,
            });
        }
        Expr::Variable(name) => return whole(expr, name, |group| &group.plain),
        Expr::Not(inner) => {
            if let Expr::Variable(name) = &inner.value {
                return whole(inner, name, |group| &group.negated);
            }
        }
        Expr::Item(_) | Expr::List(_) => {}
    }
    let terms = flatten(expr, &mut |name| {
        group(name).and_then(|group| group.terms.clone())
    })
    .map_err(problem)?;
    settle(&terms).map_err(|message| problem((expr.place, message.to_owned())))
}

impl Variables {
    /// Variables from their definitions: names without the dollar sign, and what they stand for, in the language of
    /// rule headers.
    pub fn new(
        addresses: impl IntoIterator<Item = (String, String)>,
        ports: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let (addresses, ports) = (addresses.into_iter().collect(), ports.into_iter().collect());
        Self {
            addresses: resolve_all(&addresses),
            ports: resolve_all(&ports),
        }
    }

    /// The definitions of Suricata's stock configuration, address groups and port groups.
    pub fn stock_definitions() -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        (
            STOCK_ADDRESSES.iter().map(owned).collect(),
            STOCK_PORTS.iter().map(owned).collect(),
        )
    }

    /// The variables of Suricata's stock configuration.
    pub fn stock() -> Self {
        let (addresses, ports) = Self::stock_definitions();
        Self::new(addresses, ports)
    }

    /// Every variable that has no value, with the reason; a rule that uses one is refused.
    pub fn problems(&self) -> impl Iterator<Item = (&str, &str)> {
        fn bad<S>(groups: &BTreeMap<String, Group<S>>) -> impl Iterator<Item = (&str, &str)> {
            groups.iter().filter_map(|(name, group)| {
                Some((name.as_str(), group.plain.as_ref().err()?.as_str()))
            })
        }
        bad(&self.addresses).chain(bad(&self.ports))
    }

    /// The ports of the port group `name`, if there is one and it has a value.
    pub fn port_group(&self, name: &str) -> Option<&PortSet> {
        self.ports
            .get(name)?
            .plain
            .as_ref()
            .ok()
            .map(|resolved| &resolved.set)
    }

    /// The addresses that an expression in the language of rule headers stands for.
    ///
    /// # Errors
    /// Why it stands for none.
    pub fn address_set(&self, text: &str) -> Result<AddrSet, String> {
        crate::syntax::parse_addresses(text.as_bytes(), Place { line: 1, column: 1 })
            .and_then(|expr| self.addresses(&expr))
            .map(|resolved| resolved.set)
            .map_err(|problem| problem.message)
    }

    /// The addresses that an expression in the language of rule headers stands for, and whether any are negated in it.
    ///
    /// # Errors
    /// Why it stands for none.
    pub(crate) fn addresses_of(&self, text: &str) -> Result<(AddrSet, bool), Problem> {
        let expr = crate::syntax::parse_addresses(text.as_bytes(), Place::default())?;
        let resolved = self.addresses(&expr)?;
        Ok((resolved.set, resolved.negated))
    }

    /// The ports that an expression in the language of rule headers stands for.
    ///
    /// # Errors
    /// Why it stands for none.
    pub(crate) fn ports_of(&self, text: &str) -> Result<PortSet, Problem> {
        let expr = crate::syntax::parse_ports(text.as_bytes(), Place::default())?;
        Ok(self.ports(&expr)?.set)
    }

    /// The addresses that an expression stands for.
    pub(super) fn addresses(
        &self,
        expr: &At<Expr<AddressItem>>,
    ) -> Result<Resolved<AddrSet>, Problem> {
        evaluate(expr, &self.addresses, "address")
    }

    /// The ports that an expression stands for.
    pub(super) fn ports(&self, expr: &At<Expr<PortItem>>) -> Result<Resolved<PortSet>, Problem> {
        evaluate(expr, &self.ports, "port")
    }
}
