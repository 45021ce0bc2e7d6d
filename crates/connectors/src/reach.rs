//! The way to a server: to an address that the guard let pass, and from there by TLS for the name that was asked for.

mod bounded;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use strongroom_domain::target::Tls;
use strongroom_ports::{Server, TargetError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::guard::Guard;
use bounded::Bounded;
pub(crate) use bounded::MOST;

/// Of several addresses, the next one is tried after this.
const CONNECT: Duration = Duration::from_secs(2);

pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub(crate) async fn open(guard: &Guard, server: &Server) -> Result<TcpStream, TargetError> {
    let mut failed = TargetError::Unreachable;
    for address in guard.addresses(&server.host).await? {
        match call(SocketAddr::new(address, server.port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

pub(crate) async fn call(address: SocketAddr) -> Result<TcpStream, TargetError> {
    match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // Questions are small, and each waits for the answer to the last.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(_)) => Err(TargetError::Unreachable),
        Err(_) => Err(TargetError::TimedOut),
    }
}

pub(crate) async fn secure(server: &Server, stream: TcpStream) -> Result<impl Wire + 'static, TargetError> {
    let config = Arc::new(config(server.ca_pem.as_deref())?);
    let name = server.host.trim_end_matches('.').to_owned();
    let name = ServerName::try_from(name).map_err(|_| TargetError::Unreachable)?;
    let secured = TlsConnector::from(config).connect(name, stream).await;
    secured.map_err(|error| lost(&error))
}

/// As the server is spoken to: in clear, or secured from the first byte on.
pub(crate) async fn wire(guard: &Guard, server: &Server) -> Result<Box<dyn Wire>, TargetError> {
    let stream = open(guard, server).await?;
    Ok(match server.tls {
        Tls::Off => bounded(stream),
        Tls::Verify => bounded(secure(server, stream).await?),
    })
}

pub(crate) fn bounded(stream: impl Wire + 'static) -> Box<dyn Wire> {
    Box::new(Bounded::new(stream))
}

/// A connection that broke.
pub(crate) fn lost(error: &io::Error) -> TargetError {
    if error.kind() == io::ErrorKind::TimedOut {
        TargetError::TimedOut
    } else {
        TargetError::Unreachable
    }
}

fn config(ca_pem: Option<&str>) -> Result<ClientConfig, TargetError> {
    let builder = ClientConfig::builder();
    let builder = match ca_pem {
        None => builder
            .with_platform_verifier()
            .map_err(|_| TargetError::Certificates)?,
        Some(pem) => builder.with_root_certificates(trusted(pem)?),
    };
    Ok(builder.with_no_client_auth())
}

fn trusted(pem: &str) -> Result<RootCertStore, TargetError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|_| TargetError::Certificates)?;
    }
    Ok(roots)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TargetError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TargetError::Certificates),
    }
}

/// For a driver that does TLS by itself: those of the server, or those that this machine trusts.
pub(crate) fn authorities(ca_pem: Option<&str>) -> Result<Vec<CertificateDer<'static>>, TargetError> {
    match ca_pem {
        // Each is taken apart here, so that one that is none is told before anybody is called.
        Some(pem) => trusted(pem).and_then(|_| certificates(pem)),
        None => match rustls_native_certs::load_native_certs().certs {
            none if none.is_empty() => Err(TargetError::Certificates),
            certificates => Ok(certificates),
        },
    }
}

#[cfg(test)]
mod tests;
