//! A service's address as it is written.
//!
//! Owns what an address may look like: one host, or several joined by commas.

use http::Uri;
use http::uri::Scheme;

/// An address that is none: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadUrl(String);

impl BadUrl {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// One host of a service's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Scheme and authority, as the service sees them.
    pub(crate) origin: Uri,
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

/// A service's address: at least one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) hosts: Vec<Host>,
    /// The path before that of each call, without its last slash.
    pub(crate) prefix: String,
}

impl Address {
    /// `http://host:port/path`, `https://host`, or several joined by commas: their last path counts for all. Without a scheme it is that of the host before, or http.
    pub(crate) fn parse(url: &str) -> Result<Self, BadUrl> {
        let mut scheme = "http".to_owned();
        let mut address = Self {
            hosts: Vec::new(),
            prefix: String::new(),
        };
        for part in url
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (own, rest) = part.split_once("://").unwrap_or((&scheme, part));
            let uri = format!("{own}://{rest}")
                .parse::<Uri>()
                .map_err(|error| BadUrl(error.to_string()))?;
            scheme = own.to_owned();
            address.prefix = uri.path().trim_end_matches('/').to_owned();
            address.hosts.push(Host::new(&uri)?);
        }
        match address.hosts.is_empty() {
            true => Err(BadUrl("it is empty".to_owned())),
            false => Ok(address),
        }
    }

    /// The same, where each host must say its scheme.
    pub(crate) fn parse_http(url: &str) -> Result<Self, BadUrl> {
        let spelled = |part: &str| part.starts_with("http://") || part.starts_with("https://");
        match url.split(',').map(str::trim).all(spelled) {
            true => Self::parse(url),
            false => Err(BadUrl("it must begin with http:// or https://".to_owned())),
        }
    }

    /// A method's path: `package.Service/Method` behind the address's own path.
    pub(crate) fn path(&self, method: &str) -> String {
        format!("{}/{method}", self.prefix)
    }
}

impl Host {
    fn new(uri: &Uri) -> Result<Self, BadUrl> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(BadUrl::new("the scheme is neither http nor https")),
        };
        if uri.query().is_some() {
            return Err(BadUrl::new("it must have no query"));
        }
        let no_host = || BadUrl::new("it names no host");
        let authority = uri.authority().ok_or_else(no_host)?;
        if authority.as_str().contains('@') {
            return Err(BadUrl::new(
                "a user name or password in an address is not sent",
            ));
        }
        let name = authority.host().trim_matches(['[', ']']);
        if name.is_empty() {
            return Err(no_host());
        }
        let scheme = if tls { "https" } else { "http" };
        let origin = format!("{scheme}://{authority}").parse();
        Ok(Self {
            origin: origin.map_err(|_| no_host())?,
            name: name.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Vec<(String, u16, bool)> {
        let address = Address::parse(url).unwrap();
        let hosts = address.hosts.into_iter();
        hosts.map(|it| (it.name, it.port, it.tls)).collect()
    }

    #[test]
    fn an_address_is_one_host_or_several() {
        let host = |name: &str, port, tls| (name.to_owned(), port, tls);
        assert_eq!(hosts("http://a:81"), [host("a", 81, false)]);
        assert_eq!(hosts("https://a"), [host("a", 443, true)]);
        assert_eq!(hosts("a:50051"), [host("a", 50051, false)]);
        assert_eq!(hosts("http://[::1]:81"), [host("::1", 81, false)]);
        assert_eq!(
            hosts("https://a:1, b:2,http://c:3"),
            [host("a", 1, true), host("b", 2, true), host("c", 3, false)]
        );
    }

    #[test]
    fn a_path_stands_before_each_methods() {
        let address = Address::parse("http://a/base/").unwrap();
        assert_eq!(address.path("x.Y/Z"), "/base/x.Y/Z");
        let plain = Address::parse("http://a").unwrap();
        assert_eq!(plain.path("x.Y/Z"), "/x.Y/Z");
    }

    #[test]
    fn what_is_no_address_is_told_so() {
        for url in ["", ",", "ftp://a", "http://", "http://u:p@a", "http://a?b"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
        assert!(Address::parse_http("a:81").is_err());
        assert!(Address::parse_http("http://a:81,http://b").is_ok());
    }
}
