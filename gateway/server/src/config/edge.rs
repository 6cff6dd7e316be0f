//! What the edge needs to know, from what the file says.

use std::net::IpAddr;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use ipnet::IpNet;

use super::file::edge as file;
use super::problem::only;

pub(crate) use file::ForwardedHeader;

/// Whose word is taken for a client's address.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientAddress {
    /// Proxies whose header is believed.
    pub(crate) trusted: Vec<IpNet>,
    /// The header that they write.
    pub(crate) header: ForwardedHeader,
}

pub(super) fn client_address(written: file::ClientAddress) -> Result<ClientAddress, Diagnostics> {
    let trusted = written.trusted_proxies.iter().map(|text| network(text));
    Ok(ClientAddress {
        trusted: trusted.collect::<Result<_, _>>()?,
        header: written.header,
    })
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, Diagnostics> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| {
        let what = format!("client_address.trusted_proxies: `{text}` is no address or network");
        only(
            Diagnostic::error("CONFIG_VALUE", what)
                .help("write an address, or a network such as 10.0.0.0/8"),
        )
    })
}
