//! Whom a client believes, and what it shows.

use std::fmt;

use reqwest::{Certificate, ClientBuilder, Identity};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::{Error, Result};

/// Nothing of it: the server's certificate is checked by what the machine trusts, and none is shown.
#[derive(Clone, Default)]
pub struct Tls {
    trusted: Option<Vec<Certificate>>,
    shown: Option<Identity>,
}

impl Tls {
    /// Believes a server by these CAs alone (PEM).
    pub fn trusting(self, pem: &[u8]) -> Result<Self> {
        let found = Certificate::from_pem_bundle(pem).ok().filter(|found| !found.is_empty());
        let trusted = found.ok_or_else(|| Error::Certificate("The CA file holds no certificate in PEM.".into()))?;
        Ok(Self {
            trusted: Some(trusted),
            ..self
        })
    }

    /// Shows a certificate of ours, and proves that we have its key (PEM, both).
    pub fn showing(self, certificate: &[u8], key: &SecretSlice<u8>) -> Result<Self> {
        let both = SecretSlice::from([key.expose_secret(), b"\n", certificate].concat());
        let refuse = |_| Error::Certificate("The client's certificate and key are not a pair in PEM.".into());
        Ok(Self {
            shown: Some(Identity::from_pem(both.expose_secret()).map_err(refuse)?),
            ..self
        })
    }

    pub(super) fn applied(&self, builder: ClientBuilder) -> ClientBuilder {
        let builder = match &self.trusted {
            Some(trusted) => builder.tls_certs_only(trusted.iter().cloned()),
            None => builder,
        };
        match &self.shown {
            Some(shown) => builder.identity(shown.clone()),
            None => builder,
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trusted = self.trusted.as_ref().map(Vec::len);
        write!(f, "Tls(CAs: {trusted:?}, shows one: {})", self.shown.is_some())
    }
}
