//! Argon2id (RFC 9106): what people remember, made costly to guess.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use crate::CryptoError;

/// The memory it works in is wiped. Costs that make no hash are a format that is not ours.
pub(crate) fn argon2id(
    secret: &[u8],
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    let unknown = |_| CryptoError::UnknownFormat;
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(unknown)?;
    let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
    let mut out = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(secret, salt, out.as_mut_slice(), memory.as_mut_slice())
        .map_err(unknown)?;
    Ok(out)
}
