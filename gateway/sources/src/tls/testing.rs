//! An authority of a test's own, and a service that speaks TLS.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Identity;
use super::Tls;
use super::certificates;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A certificate for `localhost`, and its key.
    pub(crate) fn identity(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificates: certificate.pem(),
            key: key.serialize_pem().into(),
        }
    }

    pub(crate) fn trusted(&self, identity: Option<Identity>) -> Tls {
        Tls {
            authorities: Some(self.pem.clone()),
            identity,
        }
    }

    /// An address with a certificate of this authority's; `strict` asks for one of the client's.
    pub(crate) async fn serve(&self, strict: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(self.server(strict)));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else {
                        return;
                    };
                    let http = auto::Builder::new(TokioExecutor::new());
                    let answer = service_fn(async |_| Ok::<_, Infallible>(not_found()));
                    drop(http.serve_connection(TokioIo::new(stream), answer).await);
                });
            }
        });
        format!("https://localhost:{port}")
    }

    fn server(&self, strict: bool) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone());
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = match strict {
            false => config.with_no_client_auth(),
            true => {
                let roots = Arc::new(self.trusted(None).roots().unwrap());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let own = self.identity();
        let key = PrivateKeyDer::from_pem_slice(own.key.reveal().as_bytes()).unwrap();
        let chain = certificates(&own.certificates).unwrap();
        let mut config = config.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

/// What both protocols take for an answer.
fn not_found() -> Response<Full<Bytes>> {
    let response = Response::builder().header("content-type", "application/grpc");
    response
        .header("grpc-status", "5")
        .body(Full::default())
        .unwrap()
}
