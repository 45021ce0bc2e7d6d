//! HTTPS: connections that begin with a TLS handshake.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{ServerConfig, ServerConnection};
use strongroom_broker::ClientCertificate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::server::{Listener, Peer};

/// How a TLS connection's first record begins.
const HANDSHAKE: u8 = 22;

/// For who speaks plain HTTP here, and would see nothing but a connection that ends.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 48\r\n\r\n\
    This address speaks HTTPS: begin it by https://\n";

/// A listener whose connections begin with a handshake, by the configuration that holds when they come.
#[derive(Debug)]
pub struct TlsListener {
    listener: TcpListener,
    config: Arc<ArcSwap<ServerConfig>>,
}

impl TlsListener {
    pub fn new(listener: TcpListener, config: Arc<ArcSwap<ServerConfig>>) -> Self {
        Self { listener, config }
    }
}

impl Listener for TlsListener {
    type Stream = TlsStream<TcpStream>;
    type Opening = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Peer)>> + Send>>;

    async fn accept(&self) -> io::Result<Self::Opening> {
        let (stream, address) = self.listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let config = self.config.load_full();
        Ok(Box::pin(async move {
            let stream = handshake(stream, config).await?;
            let mut peer = Peer::at(address);
            peer.certificate = shown(stream.get_ref().1).map(Arc::new);
            Ok((stream, peer))
        }))
    }
}

async fn handshake(mut stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [HANDSHAKE];
    stream.peek(&mut first).await?;
    if first == [HANDSHAKE] {
        return TlsAcceptor::from(config).accept(stream).await;
    }
    // Taken in, so that the end of the connection does not overtake the answer.
    let _ = stream.read(&mut [0; 4096]).await;
    stream.write_all(PLAIN).await?;
    stream.shutdown().await?;
    Err(io::ErrorKind::InvalidData.into())
}

fn shown(connection: &ServerConnection) -> Option<ClientCertificate> {
    let (own, intermediates) = connection.peer_certificates()?.split_first()?;
    Some(ClientCertificate {
        own: own.to_vec(),
        intermediates: intermediates.iter().map(|certificate| certificate.to_vec()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_as_long_as_it_says() {
        let text = std::str::from_utf8(PLAIN).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
    }
}
