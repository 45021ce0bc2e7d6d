//! Client certificates, as the connection showed them.

use strongroom_crypto::{CertificateFault, verify_certificate};
use strongroom_domain::method::CertMethod;

use super::tokens::role_of;
use super::{Fault, Vouched, Wants};
use crate::Broker;
use crate::request::ClientCertificate;

impl Broker {
    pub(super) fn vouch_certificate(
        &self,
        method: &CertMethod,
        role: &str,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Vouched, Fault> {
        let shown = certificate.ok_or(Fault::NoCertificate)?;
        let names = verify_certificate(&shown.own, &shown.intermediates, &method.ca_pem, self.0.clock.now());
        let names = names.map_err(Fault::Certificate)?;
        let subject = names.subject().ok_or(Fault::Certificate(CertificateFault::Malformed))?;
        Ok(Vouched {
            // The method's authority is the only one.
            issuer: String::new(),
            subject,
            called: None,
            audiences: Vec::new(),
            claims: serde_json::Map::new(),
            service_account: None,
            spiffe_id: names.spiffe_id.clone(),
            dns_names: names.dns_names.clone(),
            common_name: names.common_name.clone(),
            wants: Wants::Role(role_of(role)?),
            state: None,
        })
    }
}
