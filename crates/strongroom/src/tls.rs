//! The certificate that the API is served with: read from its files, and again when they change.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use strongroom_domain::Time;
use strongroom_http::Metrics;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use x509_parser::parse_x509_certificate;

/// How soon a change of a file is noticed.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct Tls {
    /// The chain, our own certificate first.
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub clients: Clients,
}

/// Whom the handshake asks for a certificate.
#[derive(Debug, Clone)]
pub enum Clients {
    Nobody,
    /// Whoever shows one must have it from a CA in the file; others may come without.
    Optional(PathBuf),
    Required(PathBuf),
}

impl Clients {
    fn ca(&self) -> Option<&Path> {
        match self {
            Self::Nobody => None,
            Self::Optional(ca) | Self::Required(ca) => Some(ca),
        }
    }
}

/// What the files hold.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Arc<ServerConfig>,
    /// When our certificate ends.
    pub(crate) until: Time,
}

/// A file that is written anew, or that another one takes the place of, has another of these.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Tls {
    /// All of the files, or what is wrong with one of them.
    pub(crate) fn load(&self) -> Result<Loaded, String> {
        let chain = certificates(&self.certificate)?;
        let own = chain
            .first()
            .ok_or_else(|| unread(&self.certificate, "certificate", &PemError::NoItemsFound))?;
        let until =
            end_of(own).ok_or_else(|| format!("{} holds what is no certificate.", self.certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unread(&self.key, "private key", &error))?;
        let unusable = |error: rustls::Error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            format!("The certificate {certificate} cannot be served with the key {key}: {error}.")
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let verifier = self.verifier()?;
        let mut config = match verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        }
        .with_single_cert(chain, key)
        .map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if self.clients.ca().is_some() {
            // A session that is taken up again would not be asked for its certificate again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Loaded {
            config: Arc::new(config),
            until,
        })
    }

    fn verifier(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
        let Some(ca) = self.clients.ca() else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca)? {
            roots
                .add(certificate)
                .map_err(|error| format!("{} holds what is no CA's certificate: {error}.", ca.display()))?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let Clients::Optional(_) = self.clients {
            builder = builder.allow_unauthenticated();
        }
        let built = builder.build();
        built
            .map(Some)
            .map_err(|error| format!("Clients cannot be checked by {}: {error}.", ca.display()))
    }

    fn stamps(&self) -> [Stamp; 3] {
        [Some(self.certificate.as_path()), Some(&self.key), self.clients.ca()].map(|path| {
            let found = std::fs::metadata(path?).ok()?;
            Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unread(path, "certificate", &error))
}

fn unread(path: &Path, what: &str, error: &PemError) -> String {
    let path = path.display();
    match error {
        PemError::Io(error) => format!("The {what} {path} cannot be read: {error}."),
        PemError::NoItemsFound => format!("{path} holds no {what} in PEM."),
        _ => format!("The {what} {path} is not PEM."),
    }
}

fn end_of(certificate: &CertificateDer<'_>) -> Option<Time> {
    let (_, read) = parse_x509_certificate(certificate).ok()?;
    Some(Time(read.validity().not_after.timestamp().saturating_mul(1_000_000)))
}

/// What is served now, and when to look for something newer.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) config: Arc<ArcSwap<ServerConfig>>,
    reload: Arc<Notify>,
}

impl Served {
    /// Serves what the files hold, and from then on what they come to hold, until `stop`. A connection keeps what it began
    /// with.
    pub(crate) fn start(tls: &Tls, metrics: Arc<Metrics>, stop: CancellationToken) -> Result<Self, String> {
        // Before the files are read: what changes meanwhile is seen the next time.
        let mut seen = tls.stamps();
        let loaded = tls.load()?;
        metrics.serves_certificate_until(loaded.until.seconds());
        let served = Self {
            config: Arc::new(ArcSwap::new(loaded.config)),
            reload: Arc::new(Notify::new()),
        };
        let (tls, config, reload) = (tls.clone(), served.config.clone(), served.reload.clone());
        tokio::spawn(async move {
            let mut last = seen;
            loop {
                let told = tokio::select! {
                    () = tokio::time::sleep(LOOK) => false,
                    () = reload.notified() => true,
                    () = stop.cancelled() => return,
                };
                let found = tls.stamps();
                // One file after the other is written: they are read once nothing changes any more.
                let settled = found == last;
                last = found;
                if !told && (found == seen || !settled) {
                    continue;
                }
                seen = found;
                match tls.load() {
                    Ok(loaded) => {
                        config.store(loaded.config);
                        metrics.serves_certificate_until(loaded.until.seconds());
                        tracing::info!(until = %loaded.until, "the certificate was read anew");
                    }
                    Err(says) => {
                        metrics.certificate_not_replaced();
                        tracing::error!("{says} What was served before is served on.");
                    }
                }
            }
        });
        Ok(served)
    }

    /// Reads the files now.
    pub(crate) fn reload(&self) {
        self.reload.notify_one();
    }
}
