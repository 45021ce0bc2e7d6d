//! Reading a backup: nothing of it is believed before its part has opened, and its end is told by its last part alone.

use strongroom_crypto::{Keys, Unlock};
use strongroom_domain::{Code, Digest, Error, Result, Schema};
use strongroom_ports::Part;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

use super::header::{Header, MAX_BYTES};
use super::{MAX_PART_BYTES, Stamp, damaged, rows};

pub type Source = Box<dyn AsyncRead + Send + Unpin>;

/// A backup whose header was read.
pub struct BackupFile {
    pub(super) header: Header,
    pub(super) digest: Digest,
    source: BufReader<Source>,
}

impl std::fmt::Debug for BackupFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BackupFile({})", self.header.id)
    }
}

impl BackupFile {
    pub async fn read(source: Source) -> Result<Self> {
        let (mut source, mut bytes) = (BufReader::new(source), Vec::new());
        for _ in 0..2 {
            let mut line = (&mut source).take(MAX_BYTES);
            line.read_until(b'\n', &mut bytes).await.map_err(unreadable)?;
        }
        let (header, digest) = Header::from_bytes(&bytes)?;
        Ok(Self { header, digest, source })
    }

    /// The keys that the backup was sealed under, by the first of these that opens it, for a store of that schema.
    /// Stretching a passphrase takes a noticeable time.
    pub fn unlock<'k>(&self, unlocks: impl IntoIterator<Item = &'k Unlock>, schema: Schema) -> Result<Keys> {
        for unlock in unlocks {
            if let Some(keys) = self.header.unlock(unlock, schema.writes())? {
                return Ok(keys);
            }
        }
        Err(Error::new(
            Code::BackupNotOpened,
            format!(
                "No key that was given opens the backup: it opens by {}.",
                self.header.opened_by()
            ),
        ))
    }

    /// What is put on record of it once it is kept.
    pub fn stamp(&self) -> Stamp {
        self.header.stamp()
    }

    pub(super) fn parts<'a>(&'a mut self, keys: &'a Keys) -> Parts<'a> {
        Parts {
            file: self,
            keys,
            number: 0,
            done: false,
        }
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::new(Code::BackupDamaged, "The backup cannot be read.").because(error)
}

/// A backup's parts, in order.
pub(super) struct Parts<'a> {
    file: &'a mut BackupFile,
    keys: &'a Keys,
    number: i64,
    done: bool,
}

impl Parts<'_> {
    /// `None` behind the last one, if the file ends there.
    pub(super) async fn next(&mut self) -> Result<Option<Part>> {
        if self.done {
            return Ok(None);
        }
        let last = self.exactly::<1>().await?;
        let last = match last {
            [0] => false,
            [1] => true,
            _ => return Err(self.altered()),
        };
        let length = u32::from_be_bytes(self.exactly().await?);
        if u64::from(length) > MAX_PART_BYTES {
            return Err(self.altered());
        }
        let mut sealed = Vec::new();
        let source = &mut self.file.source;
        source
            .take(length.into())
            .read_to_end(&mut sealed)
            .await
            .map_err(unreadable)?;
        if u32::try_from(sealed.len()) != Ok(length) {
            return Err(self.cut_off());
        }
        let place = self.file.header.part(self.file.digest, self.number, last);
        let bytes = self.keys.open_backup_part(&place, &sealed);
        let bytes = bytes.map_err(|_| self.altered())?;
        self.number += 1;
        if last {
            return self.end(&bytes).await;
        }
        rows::from_bytes(&bytes).map(Some).ok_or_else(|| {
            damaged(&format!(
                "Its part {} holds what this program does not know; a newer one wrote it.",
                self.number
            ))
        })
    }

    /// The last part is empty, and nothing is behind it.
    async fn end(&mut self, bytes: &[u8]) -> Result<Option<Part>> {
        self.done = true;
        let mut more = [0];
        let more = self.file.source.read(&mut more).await.map_err(unreadable)?;
        if bytes.is_empty() && more == 0 {
            Ok(None)
        } else {
            Err(damaged("Something follows its end."))
        }
    }

    async fn exactly<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        match self.file.source.read_exact(&mut bytes).await {
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.cut_off()),
            Err(error) => Err(unreadable(error)),
        }
    }

    fn cut_off(&self) -> Error {
        damaged(&format!("It is cut off behind part {}.", self.number))
    }

    fn altered(&self) -> Error {
        damaged(&format!(
            "Its part {} is altered, or is not of this place.",
            self.number + 1
        ))
    }
}
