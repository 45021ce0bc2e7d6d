//! The forms of what a method is told.

use super::Algorithm;
use crate::outbound::check_url;
use crate::{Error, Result};

const MAX_TOKEN_LIFETIME: u32 = 366 * 86_400;
pub(super) const MAX_PEM: usize = 65_536;
pub(super) const MAX_TEXT: usize = 1024;
pub(super) const MAX_LIST: usize = 64;

/// An issuer is a name; where it is asked, it is an address too.
pub(super) fn check_issuer(issuer: &str, asked: bool) -> Result<()> {
    check_text("issuer", issuer)?;
    if asked {
        check_url("issuer", issuer)?;
    }
    Ok(())
}

pub(super) fn check_text(field: &str, text: &str) -> Result<()> {
    if (1..=MAX_TEXT).contains(&text.len()) && !text.contains(char::is_control) {
        Ok(())
    } else {
        Err(Error::invalid(format!("'{field}' has 1 to 1,024 bytes.")))
    }
}

pub(super) fn check_list(field: &str, list: &[String]) -> Result<()> {
    if list.len() > MAX_LIST {
        return Err(Error::invalid(format!("'{field}' has at most {MAX_LIST} items.")));
    }
    list.iter().try_for_each(|text| check_text(field, text))
}

pub(super) fn check_audiences(audiences: &[String]) -> Result<()> {
    if audiences.is_empty() {
        return Err(Error::invalid(
            "'audiences' names whom a token must be for, like this installation's address.",
        ));
    }
    check_list("audiences", audiences)
}

pub(super) fn check_lifetime(lifetime: Option<u32>) -> Result<()> {
    if lifetime.is_none_or(|lifetime| (60..=MAX_TOKEN_LIFETIME).contains(&lifetime)) {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "'max_token_lifetime' is 60 to {MAX_TOKEN_LIFETIME} seconds."
        )))
    }
}

pub(super) fn check_algorithms(algorithms: Option<&[Algorithm]>) -> Result<()> {
    if algorithms.is_some_and(|algorithms| algorithms.is_empty() || algorithms.len() > Algorithm::ALL.len()) {
        return Err(Error::invalid(
            "'algorithms' names each algorithm once, and at least one.",
        ));
    }
    Ok(())
}

pub(super) fn check_pem(field: &str, pem: Option<&str>) -> Result<()> {
    let begins = "-----BEGIN CERTIFICATE-----";
    match pem {
        Some(pem) if pem.len() > MAX_PEM => Err(Error::invalid(format!("'{field}' has at most 65,536 bytes."))),
        Some(pem) if !pem.contains(begins) => Err(Error::invalid(format!("'{field}' holds no certificate in PEM."))),
        _ => Ok(()),
    }
}
