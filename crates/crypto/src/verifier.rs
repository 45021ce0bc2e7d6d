//! What a server is told instead of a password, so that none stands in its log: it is made here as the server itself
//! would have made it.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use strongroom_domain::target::Engine;
use zeroize::Zeroizing;

use crate::{CryptoError, Random};

/// PostgreSQL's own number. The passwords that are made here are not to be guessed at any.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT: usize = 16;

/// PostgreSQL's SCRAM verifier, MySQL's `mysql_native_password` hash, Redis's SHA-256. The password is of printable ASCII,
/// which no server and no client normalises into anything else.
pub fn verifier(engine: Engine, password: &str, random: Random<'_>) -> Result<Zeroizing<String>, CryptoError> {
    if password.is_empty() || !password.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(CryptoError::UnfitPassword);
    }
    match engine {
        Engine::Postgres => Ok(scram(
            password,
            random().first_chunk().ok_or(CryptoError::UnfitPassword)?,
        )),
        Engine::Mysql => Ok(native(password)),
        Engine::Redis => Ok(hashed(password)),
        Engine::Webhook => Err(CryptoError::UnfitPassword),
    }
}

/// RFC 5802 §3 and RFC 7677, written as PostgreSQL stores them.
fn scram(password: &str, salt: &[u8; SALT]) -> Zeroizing<String> {
    let mut salted = Zeroizing::new([0; 32]);
    derive(
        PBKDF2_HMAC_SHA256,
        ITERATIONS,
        salt,
        password.as_bytes(),
        salted.as_mut_slice(),
    );
    let key = Key::new(HMAC_SHA256, salted.as_slice());
    let stored_key = digest(&SHA256, sign(&key, b"Client Key").as_ref());
    let server_key = sign(&key, b"Server Key");
    Zeroizing::new(format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(stored_key.as_ref()),
        BASE64.encode(server_key.as_ref()),
    ))
}

fn native(password: &str) -> Zeroizing<String> {
    let once = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let twice = digest(&SHA1_FOR_LEGACY_USE_ONLY, once.as_ref());
    Zeroizing::new(format!("*{}", HEXUPPER.encode(twice.as_ref())))
}

/// As `ACL SETUSER` takes it.
fn hashed(password: &str) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "#{}",
        HEXLOWER.encode(digest(&SHA256, password.as_bytes()).as_ref())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "6yB0l1LtD7xWvqTn4HJfQZcGkSeRmUaP2dOi5XhY";
    const ODD: &str = r#"a b~!"$%&/()=?`{[]}"#;

    /// What PostgreSQL 15, MariaDB 10.11 and Redis 7.0 had stored after they were told the password.
    #[test]
    fn as_the_servers_make_them() {
        for (password, stored) in [
            (
                "pencil",
                "SCRAM-SHA-256$4096:ZkfSHTic47hM97h/GJ23DA==$Z338KqK6maZQaBew2e/gJ2Yv6xC1Aqmz/CNginHd+Wc=:/EpP6O6OpYGaHMsp4oSXcD4/iS/ZA61mwnjF9cWoBeg=",
            ),
            (
                r#"a b~!"$%&/()=?`{[]}\ "#,
                "SCRAM-SHA-256$4096:WHoZgSLsnOxcfEGtp7Fo0A==$4FE4+abCLRWZ0TVr9vSNdXM2qLqaNRvJqvn5WwI2huE=:fEgmifRM4ocB/irt7TMlNSB/hs2Kas8L5VnVi+fjx7c=",
            ),
            (
                LONG,
                "SCRAM-SHA-256$4096:CbBedhocHBgGQUj4o5cR8w==$aG1MJfTMKEAgSsafLy3DWPP0VN1xBvS1QUfbm31gVdY=:7wMICvVGm6HAanXmkbKESKzzrZJmF7nvE4lhAnvIhFw=",
            ),
        ] {
            let mut random = [0; 32];
            let salt = stored[19..].split('$').next().unwrap();
            BASE64.decode_mut(salt.as_bytes(), &mut random[..18]).unwrap();
            assert_eq!(*verifier(Engine::Postgres, password, &|| random).unwrap(), stored);
        }
        for (engine, password, stored) in [
            (Engine::Mysql, "pencil", "*7614BE58636C810A9D8970A50B3B2A78450413E4"),
            (Engine::Mysql, LONG, "*4A8A26AECC18FC5AF9191A79745B68F6342790F6"),
            (Engine::Mysql, ODD, "*07DE933BEEC89E2E9B2A5E2EECDBAFC6A4023ED6"),
            (
                Engine::Redis,
                "pencil",
                "#13809668fb436386706f67dcb052ed584a04ba16a8c02a17d66d34c30fceda21",
            ),
            (
                Engine::Redis,
                LONG,
                "#d602c6871cf12c9aeffbe6043f08fdb999b2a03e8a8e255a2770e8b5e306544f",
            ),
        ] {
            assert_eq!(*verifier(engine, password, &|| [0; 32]).unwrap(), stored);
        }
    }

    #[test]
    fn a_verifier_is_of_a_password_that_means_one_thing() {
        for password in [
            "",
            "pa\u{df}",
            "\u{2168}",
            "a\u{a0}b",
            "a\nb",
            "a\0b",
            "\u{7f}",
            "\u{1f511}",
        ] {
            for engine in [Engine::Postgres, Engine::Mysql, Engine::Redis] {
                let refused = verifier(engine, password, &|| [0; 32]);
                assert_eq!(refused, Err(CryptoError::UnfitPassword), "{password:?}");
            }
        }
        assert!(verifier(Engine::Webhook, "pencil", &|| [0; 32]).is_err());
        let of_salt = |salt| verifier(Engine::Postgres, "pencil", &|| [salt; 32]).unwrap();
        assert!(of_salt(1) != of_salt(2));
    }
}
