//! Whom a node calls: a name is resolved once, every address of it is checked, and what was checked is what is called.

use std::net::IpAddr;
use std::pin::Pin;

use strongroom_ports::{FetchError, TargetError};

use crate::Allowed;

pub(crate) type Resolving<'a> = Pin<Box<dyn Future<Output = Option<Vec<IpAddr>>> + Send + 'a>>;

/// Who knows a name's addresses.
pub(crate) trait Resolve: Send + Sync {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await.ok()?;
            Some(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why nobody is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barred {
    Forbidden(IpAddr),
    Unresolved,
}

impl From<Barred> for FetchError {
    fn from(barred: Barred) -> Self {
        match barred {
            Barred::Forbidden(address) => Self::Forbidden(address),
            Barred::Unresolved => Self::Unresolved,
        }
    }
}

impl From<Barred> for TargetError {
    fn from(barred: Barred) -> Self {
        match barred {
            Barred::Forbidden(address) => Self::Forbidden(address),
            Barred::Unresolved => Self::Unresolved,
        }
    }
}

pub(crate) struct Guard {
    pub(crate) allowed: Allowed,
    /// This machine may be called where it is named, and then in plain HTTP too.
    pub(crate) home: bool,
    pub(crate) resolver: Box<dyn Resolve>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Guard({:?})", self.allowed)
    }
}

impl Guard {
    pub(crate) fn new(allowed: Allowed, home: bool) -> Self {
        Self {
            allowed,
            home,
            resolver: Box::new(System),
        }
    }

    /// Those of the host. One that may not be called refuses all: nobody shall choose among them.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Barred> {
        let host = host.to_ascii_lowercase();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let addresses = match literal {
            Ok(address) => vec![address],
            Err(_) => self.resolver.resolve(&host).await.unwrap_or_default(),
        };
        if addresses.is_empty() {
            return Err(Barred::Unresolved);
        }
        for address in &addresses {
            self.allowed.check(&host, *address, self.home)?;
        }
        Ok(addresses)
    }
}
