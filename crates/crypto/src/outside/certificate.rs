//! Client certificates of one authority. That the client has the key was proved in the handshake; here the chain is
//! verified again, by the authority that a login method names, at the time of the login.

use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use strongroom_domain::Time;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer as _, GeneralName, X509Certificate};

use super::Verified;

const SPIFFE: &str = "spiffe://";

/// Whom a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateNames {
    pub common_name: Option<String>,
    pub dns_names: Vec<String>,
    /// Where its one URI is one.
    pub spiffe_id: Option<String>,
}

/// Why a certificate is refused: for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// The method's own authority cannot be read.
    Authority,
    Malformed,
    /// It does not lead to the authority, or not now, or not for clients.
    Chain,
    /// Two names of a kind of which there may be one.
    Ambiguous,
}

impl CertificateFault {
    pub fn name(self) -> &'static str {
        match self {
            Self::Authority => "certificate_authority",
            Self::Malformed => "certificate_malformed",
            Self::Chain => "certificate_chain",
            Self::Ambiguous => "certificate_ambiguous",
        }
    }
}

/// The names in a certificate that leads to one of these authorities now.
pub fn verify_certificate(
    own: &[u8],
    intermediates: &[Vec<u8>],
    ca_pem: &str,
    now: Time,
) -> Result<Verified<CertificateNames>, CertificateFault> {
    let authorities = CertificateDer::pem_slice_iter(ca_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| CertificateFault::Authority)?;
    let anchors = authorities
        .iter()
        .map(anchor_from_trusted_cert)
        .collect::<Result<Vec<TrustAnchor<'_>>, _>>()
        .map_err(|_| CertificateFault::Authority)?;
    let own = CertificateDer::from(own);
    let between: Vec<_> = intermediates
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let seconds = u64::try_from(now.seconds()).map_err(|_| CertificateFault::Chain)?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    EndEntityCert::try_from(&own)
        .map_err(|_| CertificateFault::Malformed)?
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            &between,
            at,
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(|_| CertificateFault::Chain)?;
    names(&own).map(Verified)
}

fn names(der: &[u8]) -> Result<CertificateNames, CertificateFault> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateFault::Malformed)?;
    let common_names = parsed.subject().iter_common_name();
    let common_names = common_names
        .map(x509_parser::prelude::AttributeTypeAndValue::as_str)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| CertificateFault::Malformed)?;
    if common_names.len() > 1 {
        return Err(CertificateFault::Ambiguous);
    }
    let alternative = parsed
        .subject_alternative_name()
        .map_err(|_| CertificateFault::Malformed)?;
    let alternative = alternative.map_or(&[][..], |found| found.value.general_names.as_slice());
    let (mut dns_names, mut uris) = (Vec::new(), Vec::new());
    for name in alternative {
        match name {
            GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
            GeneralName::URI(uri) => uris.push(*uri),
            _ => {}
        }
    }
    // One that has a SPIFFE ID has no other URI.
    let spiffe_id = uris
        .iter()
        .find(|uri| uri.starts_with(SPIFFE))
        .map(|uri| (*uri).to_owned());
    if spiffe_id.is_some() && uris.len() > 1 {
        return Err(CertificateFault::Ambiguous);
    }
    Ok(CertificateNames {
        common_name: common_names.first().map(|name| (*name).to_owned()),
        dns_names,
        spiffe_id,
    })
}

impl CertificateNames {
    /// What stays the same when it is renewed; none: it names nobody.
    pub fn subject(&self) -> Option<String> {
        let common = || Some(format!("CN={}", self.common_name.as_ref()?));
        let dns = || Some(format!("DNS={}", self.dns_names.first()?));
        self.spiffe_id.clone().or_else(common).or_else(dns)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
        date_time_ymd,
    };

    use super::*;

    const NOW: Time = Time(1_800_000_000_000_000);

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority_params() -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn authority() -> Authority {
        CertifiedIssuer::self_signed(authority_params(), KeyPair::generate().unwrap()).unwrap()
    }

    /// A leaf of the authority, after it was changed.
    fn leaf(authority: &Authority, change: impl Fn(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "app");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, authority).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn verify(own: &[u8], authority: &Authority) -> Result<CertificateNames, CertificateFault> {
        verify_certificate(own, &[], &authority.pem(), NOW).map(|verified| verified.0)
    }

    #[test]
    fn its_names_are_those_of_an_authority_that_is_believed() {
        let (ours, theirs) = (authority(), authority());
        let own = leaf(&ours, |_| {});
        let names = verify(&own, &ours).unwrap();
        assert_eq!(
            (names.common_name.as_deref(), names.dns_names.as_slice()),
            (Some("app"), &["app.test".to_owned()][..])
        );
        assert_eq!(
            (names.spiffe_id.as_deref(), names.subject().as_deref()),
            (None, Some("CN=app"))
        );
        assert_eq!(verify(&own, &theirs), Err(CertificateFault::Chain));
        assert_eq!(verify(&[0; 10], &ours), Err(CertificateFault::Malformed));
        let fault = |pem: &str| verify_certificate(&own, &[], pem, NOW).err();
        assert_eq!(fault(""), Some(CertificateFault::Chain), "nobody is believed");
        assert_eq!(
            fault("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            Some(CertificateFault::Authority)
        );
        // Any of several.
        assert!(verify_certificate(&own, &[], &format!("{}{}", theirs.pem(), ours.pem()), NOW).is_ok());
    }

    #[test]
    fn it_holds_in_its_time_and_for_clients() {
        let ours = authority();
        let of_years = |from, to| {
            let own = leaf(&ours, |params| {
                params.not_before = date_time_ymd(from, 1, 1);
                params.not_after = date_time_ymd(to, 1, 1);
            });
            verify(&own, &ours).map(drop)
        };
        assert_eq!(of_years(2026, 2028), Ok(()));
        assert_eq!(of_years(2020, 2021), Err(CertificateFault::Chain));
        assert_eq!(of_years(2028, 2029), Err(CertificateFault::Chain));
        let purpose = |purpose: ExtendedKeyUsagePurpose| {
            let own = leaf(&ours, |params| params.extended_key_usages = vec![purpose.clone()]);
            verify(&own, &ours).map(drop)
        };
        assert_eq!(purpose(ExtendedKeyUsagePurpose::ClientAuth), Ok(()));
        assert_eq!(
            purpose(ExtendedKeyUsagePurpose::ServerAuth),
            Err(CertificateFault::Chain)
        );
        let another_authority = leaf(&ours, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
        assert_eq!(verify(&another_authority, &ours), Err(CertificateFault::Chain));
    }

    #[test]
    fn what_stands_between_must_lead_there() {
        let ours = authority();
        let key = KeyPair::generate().unwrap();
        let between = CertifiedIssuer::signed_by(authority_params(), key, &ours).unwrap();
        let own = leaf(&between, |_| {});
        assert_eq!(verify(&own, &ours), Err(CertificateFault::Chain));
        let chain = [between.der().to_vec()];
        assert!(verify_certificate(&own, &chain, &ours.pem(), NOW).is_ok());
        let other = [authority().der().to_vec()];
        assert!(verify_certificate(&own, &other, &ours.pem(), NOW).is_err());
    }

    #[test]
    fn a_spiffe_id_is_the_only_uri() {
        let ours = authority();
        let with = |names: &[SanType]| {
            let own = leaf(&ours, |params| params.subject_alt_names = names.to_vec());
            verify(&own, &ours)
        };
        let id = "spiffe://example.org/ns/shop/sa/app";
        let found = with(&[uri(id), SanType::DnsName("a.test".try_into().unwrap())]).unwrap();
        assert_eq!(
            (found.spiffe_id.as_deref(), found.subject().as_deref()),
            (Some(id), Some(id))
        );
        assert_eq!(
            with(&[uri(id), uri("https://a.test")]),
            Err(CertificateFault::Ambiguous)
        );
        assert_eq!(
            with(&[uri(id), uri("spiffe://example.org/other")]),
            Err(CertificateFault::Ambiguous)
        );
        assert_eq!(
            with(&[uri("https://a.test"), uri("https://b.test")]).unwrap().spiffe_id,
            None
        );
    }
}
