//! A connection that is cut ever later, until what it is for gets through.

use std::net::SocketAddr;

use strongroom_testkit::Proxy;

/// The network of one try: so many bytes to the server, and no more.
pub(crate) fn tries(port: u16, step: u64) -> impl Iterator<Item = Proxy> {
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    (1..).map(move |at| {
        let proxy = Proxy::start(server);
        proxy.cut_after(at * step);
        proxy
    })
}
