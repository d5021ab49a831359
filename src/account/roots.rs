//! Roots that are trusted instead of the built-in ones.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::secret::read_file;

/// Read once, when they are given: they serve SMTP and the token request of every message. Whether they are of any use
/// is said when the account is checked.
pub(super) type Roots = Arc<Result<Vec<CertificateDer<'static>>, String>>;

/// A system's bundle has some 220 KB.
const MAX_FILE: u64 = 4 * 1024 * 1024;

pub(super) fn from_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read_file(path, MAX_FILE)?;
    from_pem(&pem).map_err(|what| format!("{}: {what}", path.display()))
}

pub(super) fn from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    // One that TLS cannot use would be left out without a word, and be missed where it mattered.
    let mut store = RootCertStore::empty();
    let mut roots = Vec::new();
    for root in CertificateDer::pem_slice_iter(pem) {
        let root = root.map_err(|e| format!("not PEM: {e}"))?;
        store
            .add(root.clone())
            .map_err(|e| format!("a certificate that cannot be a root: {e}"))?;
        roots.push(root);
    }
    if roots.is_empty() {
        return Err("no certificate in it".into());
    }
    Ok(roots)
}
