//! TLS towards clients: certificates that are replaced while connections live.
//!
//! Owns reading the files, noticing that they changed, and the handshake. A
//! certificate that cannot be used leaves the one in use where it is.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::TlsFiles;

/// How often the files are looked at. Links that a deployment turns over are followed, too.
const LOOK: Duration = Duration::from_secs(2);

/// TLS on one port.
pub(crate) struct Tls {
    files: TlsFiles,
    /// What new connections are given.
    current: ArcSwap<ServerConfig>,
    /// What the files last held, usable or not.
    seen: Mutex<Contents>,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files; they must be usable.
    pub(crate) fn load(files: TlsFiles) -> anyhow::Result<Self> {
        let contents = Contents::read(&files)?;
        let current = contents.config(&files)?;
        Ok(Self {
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(contents),
            files,
        })
    }

    /// Looks at the files now and then. Never ends.
    pub(crate) async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.reload();
        }
    }

    /// Takes what the files hold now, where it is new and usable.
    pub(crate) fn reload(&self) {
        match self.try_reload() {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(
                    certificate = self.files.certificate,
                    "a new certificate is in use"
                );
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the certificate in use stays")
            }
        }
    }

    fn try_reload(&self) -> anyhow::Result<bool> {
        let contents = Contents::read(&self.files)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == contents {
            return Ok(false);
        }
        let config = contents.config(&self.files);
        // Also where it cannot be used: it is complained about once.
        *seen = contents;
        self.current.store(Arc::new(config?));
        Ok(true)
    }

    /// The handshake; none where it fails or takes too long.
    pub(super) async fn accept(
        &self,
        socket: TcpStream,
        patience: Duration,
    ) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.current.load_full());
        let shaken = tokio::time::timeout(patience, acceptor.accept(socket)).await;
        match shaken {
            Ok(Ok(socket)) => Some(socket),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        }
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> anyhow::Result<Self> {
        let read =
            |file: &str| std::fs::read(file).with_context(|| format!("{file} cannot be read"));
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files
                .clients
                .as_ref()
                .map(|clients| read(&clients.ca))
                .transpose()?,
        })
    }

    fn config(&self, files: &TlsFiles) -> anyhow::Result<ServerConfig> {
        let chain = certificates(&self.certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .with_context(|| format!("{} holds no private key", files.key))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = match self.client_verifier(files)? {
            Some(verifier) => config.with_client_cert_verifier(verifier),
            None => config.with_no_client_auth(),
        };
        let mut config = config
            .with_single_cert(chain, key)
            .with_context(|| format!("{} and {}", files.certificate, files.key))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn client_verifier(
        &self,
        files: &TlsFiles,
    ) -> anyhow::Result<Option<Arc<dyn ClientCertVerifier>>> {
        let (Some(clients), Some(pem)) = (&files.clients, &self.client_ca) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem, &clients.ca)? {
            roots.add(certificate).with_context(|| clients.ca.clone())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = match clients.required {
            true => verifier,
            false => verifier.allow_unauthenticated(),
        };
        Ok(Some(verifier.build().with_context(|| clients.ca.clone())?))
    }
}

fn certificates(pem: &[u8], file: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.with_context(|| format!("{file} is no PEM file"))?;
    anyhow::ensure!(!certificates.is_empty(), "{file} holds no certificate");
    Ok(certificates)
}
