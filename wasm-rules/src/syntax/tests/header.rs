use std::net::IpAddr;

use super::refused;
use crate::syntax::ast::{AddressItem, At, Expr, Place, PortItem, Problem};
use crate::syntax::{parse_addresses, parse_ports};

const START: Place = Place { line: 2, column: 5 };

fn addresses(text: &str) -> Result<At<Expr<AddressItem>>, Problem> {
    parse_addresses(text.as_bytes(), START)
}

fn ports(text: &str) -> Result<At<Expr<PortItem>>, Problem> {
    parse_ports(text.as_bytes(), START)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[track_caller]
fn one_address(text: &str, expected: AddressItem) {
    assert_eq!(addresses(text).expect(text).value, Expr::Item(expected));
}

#[test]
fn single_addresses_have_full_length() {
    one_address("1.2.3.4", AddressItem::Prefix(ip("1.2.3.4"), 32));
    one_address("2001:db8::1", AddressItem::Prefix(ip("2001:db8::1"), 128));
    one_address(
        "::ffff:1.2.3.4",
        AddressItem::Prefix(ip("::ffff:1.2.3.4"), 128),
    );
    one_address("::", AddressItem::Prefix(ip("::"), 128));
}

#[test]
fn prefixes_take_a_length_or_a_mask() {
    one_address("10.0.0.0/8", AddressItem::Prefix(ip("10.0.0.0"), 8));
    one_address("10.1.2.3/8", AddressItem::Prefix(ip("10.1.2.3"), 8));
    one_address("0.0.0.0/0", AddressItem::Prefix(ip("0.0.0.0"), 0));
    one_address(
        "1.2.3.0/255.255.255.0",
        AddressItem::Prefix(ip("1.2.3.0"), 24),
    );
    one_address("1.2.3.0/0.0.0.0", AddressItem::Prefix(ip("1.2.3.0"), 0));
    one_address(
        "1.2.3.4/255.255.255.255",
        AddressItem::Prefix(ip("1.2.3.4"), 32),
    );
    one_address("2001:db8::/32", AddressItem::Prefix(ip("2001:db8::"), 32));
}

#[test]
fn ranges_of_addresses() {
    one_address(
        "1.2.3.4-1.2.3.9",
        AddressItem::Range(ip("1.2.3.4"), ip("1.2.3.9")),
    );
    one_address(
        "2001::1-2001::ff",
        AddressItem::Range(ip("2001::1"), ip("2001::ff")),
    );
}

#[test]
fn lists_nest_and_know_their_places() {
    let parsed = addresses("[$HOME_NET, ![10.0.0.1,!$DMZ]]").expect("a list");
    let Expr::List(items) = parsed.value else {
        panic!("a list")
    };
    assert_eq!(items[0].value, Expr::Variable("HOME_NET".into()));
    assert_eq!(items[0].place.column, 6);
    let Expr::Not(inner) = &items[1].value else {
        panic!("negated")
    };
    assert_eq!((items[1].place.column, inner.place.column), (17, 18));
    let Expr::List(inner) = &inner.value else {
        panic!("a list")
    };
    assert_eq!(
        inner[0].value,
        Expr::Item(AddressItem::Prefix(ip("10.0.0.1"), 32))
    );
    assert!(
        matches!(&inner[1].value, Expr::Not(name) if name.value == Expr::Variable("DMZ".into()))
    );
}

#[test]
fn brackets_are_optional_around_a_list() {
    let bare = addresses("10.0.0.0/8,any").expect("a list").value;
    assert_eq!(bare, addresses("10.0.0.0/8,ANY").expect("a list").value);
    assert!(matches!(bare, Expr::List(items) if items.len() == 2 && items[1].value == Expr::Any));
    assert!(matches!(addresses("any").expect("any").value, Expr::Any));
}

#[test]
fn address_problems_are_where_they_are() {
    refused(
        addresses("1.2.3"),
        2,
        5,
        "expected an IPv4 or IPv6 address, found `1.2.3`",
    );
    refused(
        addresses("1.2.3.4/33"),
        2,
        13,
        "expected a prefix length from 0 to 32, found `33`",
    );
    refused(
        addresses("1.2.3.4/"),
        2,
        13,
        "expected a prefix length from 0 to 32, found the end",
    );
    refused(addresses("1.2.3.4/+8"), 2, 13, "expected a prefix length");
    refused(
        addresses("::/129"),
        2,
        8,
        "expected a prefix length from 0 to 128",
    );
    refused(
        addresses("1.2.3.4/255.0.255.0"),
        2,
        13,
        "expected a network mask",
    );
    refused(
        addresses("[1.2.3.4, 1.2.3.9-1.2.3.5]"),
        2,
        23,
        "expected an address that is not before 1.2.3.9",
    );
    refused(
        addresses("1.2.3.4-::1"),
        2,
        13,
        "expected an address of the same family",
    );
    refused(
        addresses("[1.2.3.4"),
        2,
        5,
        "the list is not closed: expected `]`",
    );
    refused(
        addresses("[1.2.3.4]]"),
        2,
        14,
        "expected `,` or the end, found `]`",
    );
    refused(
        addresses("[]"),
        2,
        6,
        "expected an address, `any`, `$NAME`, `!` or `[`, found `]`",
    );
    refused(addresses("[1.2.3.4,]"), 2, 14, "expected an address");
    refused(
        addresses("[1.2.3.4 5.6.7.8]"),
        2,
        14,
        "expected `,` or `]`, found `5.6.7.8]`",
    );
    refused(addresses(""), 2, 5, "expected an address");
    refused(addresses("$"), 2, 6, "expected a variable's name after `$`");
    refused(addresses("!any"), 2, 5, "`!any` never matches");
    refused(addresses("!!1.2.3.4"), 2, 6, "expected an address");
}

#[test]
fn nesting_ends_with_a_problem_not_with_the_stack() {
    let deep = "[".repeat(1_000_000);
    refused(
        addresses(&deep),
        2,
        5 + 32,
        "lists are nested more than 32 deep",
    );
}

#[test]
fn ports_and_their_ranges() {
    for (text, first, last) in [
        ("80", 80, 80),
        ("80:90", 80, 90),
        ("1024:", 1024, 65535),
        (":1023", 0, 1023),
        ("0", 0, 0),
    ] {
        assert_eq!(
            ports(text).expect(text).value,
            Expr::Item(PortItem(first, last))
        );
    }
    let list = ports("[!80,$HTTP_PORTS,1024:]").expect("a list").value;
    assert!(matches!(list, Expr::List(items) if items.len() == 3));
    assert!(matches!(
        ports("![80,443]").expect("negated").value,
        Expr::Not(_)
    ));
}

#[test]
fn port_problems_are_where_they_are() {
    refused(
        ports("65536"),
        2,
        5,
        "expected a port from 0 to 65535, found `65536`",
    );
    refused(
        ports("http"),
        2,
        5,
        "expected a port from 0 to 65535, found `http`",
    );
    refused(
        ports("90:80"),
        2,
        8,
        "expected a port that is not below 90, found 80",
    );
    refused(ports("[80,443:x]"), 2, 13, "expected a port");
    refused(ports("99999999999999999999"), 2, 5, "expected a port");
    refused(ports("-1"), 2, 5, "expected a port");
}
