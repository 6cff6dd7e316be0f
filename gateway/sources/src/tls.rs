//! Whom a source's certificate must be signed by, and who the gateway is to it.
//!
//! Owns reading PEM text into what the clients of both protocols need. Knows
//! nothing of files: whoever reads the configuration has read them.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tonic::transport::Certificate;
use tonic::transport::ClientTlsConfig;
use tonic::transport::Identity as GrpcIdentity;

use crate::Secret;

/// TLS towards one service. Without anything said: the machine's authorities, and no certificate of our own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM of the only authorities that are trusted, instead of the machine's.
    pub authorities: Option<String>,
    /// Who the gateway is, for services that ask.
    pub identity: Option<Identity>,
}

/// A client certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// PEM of the certificate, and of those between it and the authority.
    pub certificates: String,
    /// PEM of the private key.
    pub key: Secret,
}

/// PEM text that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTls(String);

impl Tls {
    /// Whether the text is what it should be, and key and certificate fit.
    pub fn check(&self) -> Result<(), BadTls> {
        // Reading the machine's authorities would check nothing.
        match *self == Self::default() {
            true => Ok(()),
            false => self.for_http().map(drop),
        }
    }

    /// For HTTP.
    pub(crate) fn for_http(&self) -> Result<ClientConfig, BadTls> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(bad)?
            .with_root_certificates(self.roots()?);
        match &self.identity {
            None => Ok(config.with_no_client_auth()),
            Some(identity) => config
                .with_client_auth_cert(identity.chain()?, identity.key()?)
                .map_err(|error| BadTls(format!("certificate and key do not fit: {error}"))),
        }
    }

    /// For gRPC channels.
    pub(crate) fn for_grpc(&self) -> ClientTlsConfig {
        let config = match &self.authorities {
            None => ClientTlsConfig::new().with_native_roots(),
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        };
        match &self.identity {
            None => config,
            Some(own) => {
                config.identity(GrpcIdentity::from_pem(&own.certificates, own.key.reveal()))
            }
        }
    }

    fn roots(&self) -> Result<RootCertStore, BadTls> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(pem) => {
                for certificate in certificates(pem)? {
                    roots.add(certificate).map_err(bad)?;
                }
            }
            None => {
                // Some of the machine's may be unreadable; those that can be read count.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        Ok(roots)
    }
}

impl Identity {
    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, BadTls> {
        certificates(&self.certificates)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, BadTls> {
        PrivateKeyDer::from_pem_slice(self.key.reveal().as_bytes())
            .map_err(|_| BadTls("there is no private key in PEM".to_owned()))
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read.map_err(bad)? {
        none if none.is_empty() => Err(BadTls("there is no certificate in PEM".to_owned())),
        some => Ok(some),
    }
}

fn bad(error: impl std::fmt::Display) -> BadTls {
    BadTls(error.to_string())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;
    use tokio::time::Instant;

    use super::testing::Authority;
    use super::*;
    use crate::outbound::Outbound;
    use crate::outbound::OutboundSettings;

    async fn asked(url: &str, tls: Tls) -> Result<u16, String> {
        let settings = OutboundSettings {
            tls,
            ..OutboundSettings::default()
        };
        let there = Outbound::new(url, &settings).map_err(|error| error.to_string())?;
        let deadline = Instant::now() + Duration::from_secs(20);
        let answer = there.get(HeaderMap::new(), deadline).await;
        answer
            .map(|(status, _)| status)
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_service_is_trusted_by_its_authority_alone() {
        let (ours, theirs) = (Authority::new(), Authority::new());
        let url = ours.serve(false).await;
        assert_eq!(asked(&url, ours.trusted(None)).await, Ok(200));
        let wrong = asked(&url, theirs.trusted(None)).await.unwrap_err();
        assert!(wrong.contains("certificate"), "{wrong}");
        assert!(asked(&url, Tls::default()).await.is_err());
    }

    #[tokio::test]
    async fn a_service_that_asks_for_a_certificate_gets_it() {
        let (ours, theirs) = (Authority::new(), Authority::new());
        let url = ours.serve(true).await;
        let own = ours.trusted(Some(ours.identity()));
        assert_eq!(asked(&url, own).await, Ok(200));
        assert!(asked(&url, ours.trusted(None)).await.is_err());
        let strange = ours.trusted(Some(theirs.identity()));
        assert!(asked(&url, strange).await.is_err());
    }

    #[test]
    fn what_is_no_certificate_or_does_not_fit_is_said_so() {
        let authority = Authority::new();
        let (one, other) = (authority.identity(), authority.identity());
        let mixed = Identity {
            key: other.key,
            ..one
        };
        let why = authority
            .trusted(Some(mixed))
            .check()
            .unwrap_err()
            .to_string();
        assert!(why.contains("do not fit"), "{why}");
        let nothing = Tls {
            authorities: Some("nothing".to_owned()),
            identity: None,
        };
        assert!(nothing.check().is_err());
        let shown = format!("{:?}", authority.identity());
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }
}
