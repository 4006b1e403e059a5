//! What may be configured and is not built yet, and what a configuration names that is not there: said at the start, not
//! when the first case comes.

use std::path::{Path, PathBuf};

use super::{Config, Receiver};

impl Config {
    /// One sentence for each setting that this version reads but cannot follow, with what happens instead.
    ///
    /// This is the one list of them: what is built leaves it in the same commit.
    #[must_use]
    pub fn unsupported(&self) -> Vec<String> {
        // Every setting that is read is followed.
        Vec::new()
    }

    /// The models that protocols name: `ComBat` models, then bundles.
    #[must_use]
    pub fn models(&self) -> (Vec<&String>, Vec<&String>) {
        let combat = self.protocols.iter().filter_map(|protocol| protocol.harmonise.model.as_ref());
        let bundles = self.protocols.iter().filter_map(|protocol| protocol.fusion.bundle.as_ref());
        (combat.collect(), bundles.collect())
    }

    /// One sentence for each file that is named and cannot be opened.
    #[must_use]
    pub fn missing_files(&self) -> Vec<String> {
        let tls = self.dicom.tls.as_ref();
        let named: [(&str, Option<&Path>); 8] = [
            ("dicom.tls.certificate", tls.map(|tls| tls.certificate.as_path())),
            ("dicom.tls.key", tls.map(|tls| tls.key.as_path())),
            ("dicom.tls.client_ca", tls.and_then(|tls| tls.client_ca.as_deref())),
            ("dicom.users", self.dicom.users.as_deref()),
            ("http.token_file", self.http.token_file.as_deref()),
            ("psf.table", self.psf.table.as_deref()),
            ("batch.rules", self.batch.rules.as_deref()),
            ("clinical.table", self.clinical.table.as_deref()),
        ];
        let tokens = self.destinations.iter().filter_map(|destination| match &destination.to {
            Receiver::Web { token_file, .. } => Some(("destination.token_file", token_file.as_deref())),
            Receiver::Dimse { .. } => None,
        });
        let clients = self.dicom.peers.iter().filter_map(|peer| Some(("dicom.peer.tls", peer.tls.as_ref()?)));
        let clients = clients
            .chain(self.destinations.iter().filter_map(|to| Some(("destination.tls", to.tls.as_ref()?))))
            .chain(self.audit.tls.iter().map(|tls| ("audit.tls", tls)))
            .flat_map(|(key, tls)| {
                [Some(&tls.ca), tls.certificate.as_ref(), tls.key.as_ref()]
                    .map(|path| (key, path.map(PathBuf::as_path)))
            });
        named
            .into_iter()
            .chain(tokens)
            .chain(clients)
            .filter_map(|(key, path)| {
                let path = path?;
                let error = std::fs::File::open(path).err()?;
                Some(format!("{key}: {} cannot be opened: {error}", path.display()))
            })
            .collect()
    }
}
