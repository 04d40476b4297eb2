//! Links by which a file is fetched without a token: they name the export and when they end, and are signed.

use std::{path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use kehu_kernel::{
    Error, Instant, Result, Tx,
    audit::{self, Access},
    crypto::Keyring,
};

use super::{Content, ExportFormat, ExportId, ExportList, Source, entity, file::directory, run::label_of};

/// How long a link can be used.
const LINK: Duration = Duration::from_secs(3600);

/// What a link opens.
#[derive(Debug)]
pub struct Download {
    /// The list.
    pub list: ExportList,
    /// The format of the file.
    pub format: ExportFormat,
    /// When it was ready.
    pub finished_at: Option<Instant>,
    /// The file.
    pub content: Content,
}

/// Path and end of a fresh link.
pub(super) fn sign(keys: &Keyring, id: ExportId, kept_until: Option<Instant>, now: Instant) -> (String, Instant) {
    let end = now.plus(LINK);
    let until = Instant::from_seconds(kept_until.map_or(end, |at| at.min(end)).seconds());
    let signature = BASE64.encode(keys.sign_link(&signed(id, until.seconds())));
    (format!("/v1/exports/{id}/content?expires={}&signature={signature}", until.seconds()), until)
}

fn signed(id: ExportId, until: i64) -> Vec<u8> {
    format!("export\0{id}\0{until}").into_bytes()
}

/// Opens the file of an export by a link; recorded as an access of the one who asked for it.
///
/// # Errors
/// [`Error::NotFound`] for a link that Kehu did not make, and when the file is gone; [`Error::Forbidden`] when the time of the
/// link is over, or the one who asked may not export any more.
pub fn open(tx: &mut Tx<'_>, source: &Source, data_dir: &Path, id: ExportId, until: i64, signature: &str) -> Result<Download> {
    let signature = BASE64.decode(signature).map_err(|_| Error::NotFound)?;
    if !tx.keys.verify_link(&signed(id, until), &signature) {
        return Err(Error::NotFound);
    }
    if Instant::from_seconds(until) <= tx.now {
        return Err(Error::Forbidden("The link has expired; read the export again for a fresh one.".into()));
    }
    let row = entity::ready(tx, id)?;
    let request = row.request(&tx.keys)?;
    let actor = row.actor(tx, source, &request)?;
    let key = row.key(&tx.keys)?.ok_or(Error::NotFound)?;
    let size = row.size_bytes.and_then(|size| u64::try_from(size).ok()).ok_or(Error::NotFound)?;
    let access = Access {
        customer_id: None,
        resource: "export",
        resource_id: id.cast(),
        action: "export.download",
        fields: &[row.list.as_str()],
    };
    audit::record(tx, &actor, access)?;
    let content = Content::new(directory(data_dir, id), key, label_of(row.format), row.parts.0, size);
    Ok(Download { list: row.list, format: row.format, finished_at: row.finished_at, content })
}
