//! A door to a server that takes nothing but TLS, from the first byte on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

use super::certificates::Pem;
use super::server::Server;

/// The server name and the protocol in the first message of a TLS client.
#[derive(Debug, PartialEq)]
pub(crate) struct Hello {
    pub(crate) name: Option<String>,
    pub(crate) protocol: Option<String>,
}

type Hellos = Arc<Mutex<Vec<Hello>>>;

/// Decrypts connections to a port of 127.0.0.1 and forwards them to a server's socket.
pub(crate) struct TlsOnly {
    port: u16,
    hellos: Hellos,
    _runtime: Runtime,
}

impl TlsOnly {
    /// Starts one that says that it speaks PostgreSQL's protocol.
    pub(crate) fn start(pem: &Pem, server: &Server) -> TlsOnly {
        TlsOnly::start_speaking(&["postgresql"], pem, server)
    }

    /// Starts one that says that it speaks these protocols.
    pub(crate) fn start_speaking(protocols: &[&str], pem: &Pem, server: &Server) -> TlsOnly {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread can be started");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let hellos = Hellos::default();
        let socket = server.socket_dir().join(format!(".s.PGSQL.{}", server.port()));
        runtime.spawn(serve(listener, acceptor(protocols, pem), socket, hellos.clone()));
        TlsOnly { port, hellos, _runtime: runtime }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the first messages of clients since the last call.
    pub(crate) fn take_hellos(&self) -> Vec<Hello> {
        std::mem::take(&mut self.hellos.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Shows the certificate even if the key is another one's.
fn acceptor(protocols: &[&str], pem: &Pem) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(pem.certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).expect("a key");
    let provider = ring::default_provider();
    let key = provider.key_provider.load_private_key(key).expect("a key of a known kind");
    let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("the versions are known")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, socket: PathBuf, hellos: Hellos) {
    while let Ok((client, _)) = listener.accept().await {
        let (acceptor, socket, hellos) = (acceptor.clone(), socket.clone(), hellos.clone());
        tokio::spawn(async move { pass_on(client, &acceptor, &socket, &hellos).await });
    }
}

/// The client detects every failure.
async fn pass_on(client: TcpStream, acceptor: &TlsAcceptor, socket: &Path, hellos: &Hellos) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let (_, session) = client.get_ref();
    let protocol = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let hello = Hello { name: session.server_name().map(str::to_owned), protocol };
    hellos.lock().unwrap_or_else(PoisonError::into_inner).push(hello);
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
