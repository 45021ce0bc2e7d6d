//! `dev --tls`: a CA of this directory's own, and the server's certificate from it. Whoever is to believe that
//! certificate is told to trust this CA, for this server, and for nothing else.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use strongroom_domain::Time;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

use crate::config::Sources;
use crate::files;

const DAY: Duration = Duration::from_hours(24);
const CA_LIFE: Duration = DAY.saturating_mul(3650);
/// Some clients take none of more than 398 days.
const LIFE: Duration = DAY.saturating_mul(365);
/// What ends sooner than this is made anew at a start.
const SPARE: Duration = DAY.saturating_mul(30);

struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn of(directory: &Path, name: &str) -> Self {
        let folder = directory.join("tls");
        Self {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}-key.pem")),
        }
    }

    /// Whether it is there, for all of these addresses, and for a while yet.
    fn holds(&self, now: Time, addresses: &[IpAddr]) -> bool {
        let Ok(text) = fs::read(&self.certificate) else {
            return false;
        };
        let Ok((_, pem)) = parse_x509_pem(&text) else {
            return false;
        };
        let Ok(read) = pem.parse_x509() else { return false };
        let end = Time(read.validity().not_after.timestamp().saturating_mul(1_000_000));
        let names = read.subject_alternative_name().ok().flatten();
        let names = names.map_or_else(Vec::new, |names| names.value.general_names.clone());
        let named = |address: &IpAddr| names.contains(&GeneralName::IPAddress(&octets(*address)));
        end.since(now) > SPARE && addresses.iter().all(named)
    }

    /// The certificate is the last to come and the first to go: where it is, its key is.
    fn replace(&self, certificate: &str, key: &str) -> Result<(), String> {
        self.remove()?;
        let write = |path: &Path, text: &str| {
            files::write_new(path, text).map_err(|error| format!("{} cannot be made: {error}.", path.display()))
        };
        write(&self.key, key)?;
        write(&self.certificate, certificate)
    }

    fn remove(&self) -> Result<(), String> {
        for path in [&self.certificate, &self.key] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(format!("{} cannot be replaced: {error}.", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Has the files of this directory served, and says which is the CA's.
pub(crate) fn name(directory: &Path, sources: &mut Sources) -> PathBuf {
    let server = Pair::of(directory, "server");
    sources.set("tls.certificate_file", &server.certificate.to_string_lossy());
    sources.set("tls.key_file", &server.key.to_string_lossy());
    Pair::of(directory, "ca").certificate
}

/// Makes what is missing, or ends soon. The server's certificate is for this machine by itself, and for the address it listens on.
pub(crate) fn make(directory: &Path, listen: IpAddr, now: Time) -> Result<(), String> {
    let (ca, server) = (Pair::of(directory, "ca"), Pair::of(directory, "server"));
    let folder = directory.join("tls");
    files::make_directory(&folder).map_err(|error| format!("{} cannot be made: {error}.", folder.display()))?;
    if !ca.holds(now, &[]) {
        server.remove()?;
        let key = KeyPair::generate().map_err(unmade)?;
        let certificate = authority(now)?.self_signed(&key).map_err(unmade)?;
        ca.replace(&certificate.pem(), &key.serialize_pem())?;
    }
    let mut addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
    if !listen.is_unspecified() && !addresses.contains(&listen) {
        addresses.push(listen);
    }
    if server.holds(now, &addresses) {
        return Ok(());
    }
    let text = files::read_own(&ca.key).map_err(|error| format!("{} cannot be read: {error}.", ca.key.display()))?;
    let ca_key = KeyPair::from_pem(&text).map_err(|error| format!("{} is not a key: {error}.", ca.key.display()))?;
    let issuer = Issuer::new(authority(now)?, ca_key);
    let key = KeyPair::generate().map_err(unmade)?;
    let certificate = served(now, &addresses)?.signed_by(&key, &issuer).map_err(unmade)?;
    server.replace(&certificate.pem(), &key.serialize_pem())
}

fn authority(now: Time) -> Result<CertificateParams, String> {
    let mut params = params(now, CA_LIFE, "Strongroom dev CA")?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn served(now: Time, addresses: &[IpAddr]) -> Result<CertificateParams, String> {
    let mut params = params(now, LIFE, "Strongroom dev")?;
    params.subject_alt_names = addresses.iter().copied().map(SanType::IpAddress).collect();
    params
        .subject_alt_names
        .push(SanType::DnsName("localhost".try_into().map_err(unmade)?));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(now: Time, life: Duration, name: &str) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::new(Vec::new()).map_err(unmade)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let since_1970 = Duration::from_secs(now.seconds().unsigned_abs());
    // A client's clock may be behind.
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970.saturating_sub(DAY);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970 + life;
    Ok(params)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn unmade(error: rcgen::Error) -> String {
    format!("A certificate cannot be made: {error}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_kept_until_they_end_soon_or_lack_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, server) = (Pair::of(folder.path(), "ca"), Pair::of(folder.path(), "server"));
        let now = Time(1_800_000_000_000_000);
        let after = |days: u32| Time(now.0 + i64::from(days) * 86_400_000_000);
        let made = |listen: &str, at| {
            make(folder.path(), listen.parse().unwrap(), at).unwrap();
            [&ca, &server].map(|pair| fs::read_to_string(&pair.certificate).unwrap())
        };
        let first = made("127.0.0.1", now);
        assert_eq!(made("0.0.0.0", after(334)), first, "kept");
        let renewed = made("127.0.0.1", after(336));
        assert_eq!(renewed[0], first[0], "the CA outlives it");
        assert_ne!(renewed[1], first[1]);
        let elsewhere = made("192.0.2.7", after(336));
        assert_ne!(elsewhere[1], renewed[1], "for another address");
        assert_eq!(made("127.0.0.1", after(337)), elsewhere, "more than it needs");
        let all_new = made("127.0.0.1", after(3640));
        assert!(all_new[0] != first[0] && all_new[1] != elsewhere[1]);
        fs::remove_file(&server.certificate).unwrap();
        let again = made("127.0.0.1", after(3640));
        assert!(
            again[0] == all_new[0] && again[1] != all_new[1],
            "what is missing is made"
        );
        for file in [&ca.key, &server.key] {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
