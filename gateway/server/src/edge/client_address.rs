//! Who asks, as an address: the peer of the connection, or whom trusted proxies name.
//!
//! Owns reading `X-Forwarded-For` and `Forwarded`. Each proxy adds whom it saw
//! at the end, so the list is read from the right, through trusted proxies
//! only: whatever stands left of the first untrusted address, that client may
//! have written itself.

use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderName;
use http::header::FORWARDED;

use crate::config::ClientAddress;
use crate::config::ForwardedHeader;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl ClientAddress {
    /// The address of the client behind `peer`.
    pub(super) fn of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        match self.trusts(peer) {
            true => self.behind(peer, headers),
            false => peer,
        }
    }

    /// Whether this address is a proxy's.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }

    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ForwardedHeader::XForwardedFor => (X_FORWARDED_FOR, address),
            ForwardedHeader::Forwarded => (FORWARDED, forwarded_for),
        };
        let mut client = peer;
        for value in headers.get_all(name).iter().rev() {
            for hop in value.to_str().unwrap_or("").rsplit(',') {
                // What is no address was not written by a proxy: the last one that was counts.
                let Some(hop) = read(hop.trim()) else {
                    return client;
                };
                client = hop;
                if !self.trusts(hop) {
                    return client;
                }
            }
        }
        client
    }
}

/// The parameter `for` of one element: <https://www.rfc-editor.org/rfc/rfc7239#section-4>
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        let node = value.trim().trim_matches('"');
        name.eq_ignore_ascii_case("for").then(|| address(node))?
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(node: &str) -> Option<IpAddr> {
    let address = match node.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => match node.split_once(':') {
            Some((address, port)) if !port.contains(':') => address,
            _ => node,
        },
    };
    address
        .parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const PROXY: &str = "10.0.0.1";

    fn client(header: ForwardedHeader, peer: &str, sent: &[(&'static str, &str)]) -> String {
        let trusting = ClientAddress {
            trusted: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            header,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        trusting.of(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_stranger_is_who_connects_whatever_it_writes() {
        let sent = [
            ("x-forwarded-for", "192.0.2.9"),
            ("forwarded", "for=192.0.2.9"),
        ];
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            assert_eq!(client(header, "198.51.100.7", &sent), "198.51.100.7");
        }
    }

    #[test]
    fn the_list_is_read_from_the_right_through_trusted_proxies_only() {
        let table = [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["192.0.2.66, 192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.66, 192.0.2.1, 10.9.9.9"], "192.0.2.1"),
            (&["192.0.2.66", "192.0.2.1, fd00::2"], "192.0.2.1"),
            (&["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["2001:db8::5"], "2001:db8::5"),
            (&["[2001:db8::5]:80"], "2001:db8::5"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, unknown"], PROXY),
            (&["192.0.2.1, unknown, 10.3.3.3"], "10.3.3.3"),
            (&[""], PROXY),
            (&[], PROXY),
        ];
        for (values, expected) in table {
            let sent: Vec<_> = values
                .iter()
                .map(|value| ("x-forwarded-for", *value))
                .collect();
            assert_eq!(
                client(ForwardedHeader::XForwardedFor, PROXY, &sent),
                expected,
                "{values:?}"
            );
        }
    }

    #[test]
    fn the_standard_header_says_the_same_in_its_own_form() {
        let table = [
            ("for=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1"),
            ("for=192.0.2.66, For=\"[2001:db8::5]:80\"", "2001:db8::5"),
            ("for=192.0.2.1, for=10.4.4.4", "192.0.2.1"),
            ("for=192.0.2.1, for=_hidden", PROXY),
            ("proto=https", PROXY),
        ];
        for (value, expected) in table {
            let sent = [("forwarded", value), ("x-forwarded-for", "192.0.2.99")];
            assert_eq!(
                client(ForwardedHeader::Forwarded, PROXY, &sent),
                expected,
                "{value}"
            );
        }
    }
}
