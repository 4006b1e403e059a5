//! The identifiers and the times of a synthetic patient's objects.

use dicom_dictionary_std::uids;
use jiff::ToSpan;
use jiff::civil::DateTime;
use sha2::{Digest, Sha256};

use super::super::settings::{MrStudy, PhantomSettings, Scan};
use crate::dicom::uid::Uid;

/// What follows from the settings for every object. UIDs depend on all settings: other settings, other objects.
pub(super) struct Plan<'a> {
    pub(super) settings: &'a PhantomSettings,
    digest: String,
}

impl<'a> Plan<'a> {
    pub(super) fn new(settings: &'a PhantomSettings) -> Result<Self, serde_json::Error> {
        let digest = Sha256::digest(serde_json::to_vec(settings)?);
        Ok(Self { settings, digest: digest.iter().map(|byte| format!("{byte:02x}")).collect() })
    }

    pub(super) fn uid(&self, parts: &[&str]) -> Uid {
        let all: Vec<&str> = ["radiomicsd phantom", &self.digest].into_iter().chain(parts.iter().copied()).collect();
        Uid::derived(&all)
    }

    /// The study that holds a scan; structure sets are in the CT's.
    pub(super) fn study(&self, scan: Scan) -> Uid {
        match (scan, self.settings.mr.study) {
            (Scan::Mr, MrStudy::Own { .. }) => self.uid(&["study", "MR"]),
            _ => self.uid(&["study"]),
        }
    }

    pub(super) fn series(&self, scan: Scan) -> Uid {
        self.uid(&["series", scan.modality()])
    }

    pub(super) fn instance(&self, scan: Scan, slice: usize) -> Uid {
        self.uid(&["instance", scan.modality(), &slice.to_string()])
    }

    pub(super) fn frame_of_reference(&self, scan: Scan) -> Uid {
        if self.settings.same_frame_of_reference { self.uid(&["frame"]) } else { self.uid(&["frame", scan.modality()]) }
    }

    /// When the study of a scan began.
    pub(super) fn study_at(&self, scan: Scan) -> DateTime {
        match (scan, self.settings.mr.study) {
            (Scan::Mr, MrStudy::Own { days_later }) => {
                later(self.settings.scanned_at, i64::from(days_later) * 86_400 + MINUTES_TO_MR * 60)
            }
            _ => self.settings.scanned_at,
        }
    }

    /// When a scan began.
    pub(super) fn scan_at(&self, scan: Scan) -> DateTime {
        match (scan, self.settings.mr.study) {
            (Scan::Ct, _) => self.settings.scanned_at,
            (Scan::Pet, _) => later(self.settings.scanned_at, MINUTES_TO_PET * 60),
            (Scan::Mr, MrStudy::Same) => later(self.settings.scanned_at, MINUTES_TO_MR * 60),
            (Scan::Mr, MrStudy::Own { .. }) => self.study_at(scan),
        }
    }

    /// When the tracer was injected.
    pub(super) fn injected_at(&self) -> DateTime {
        later(self.scan_at(Scan::Pet), -i64::from(self.settings.pet.uptake_s))
    }
}

const MINUTES_TO_PET: i64 = 10;
const MINUTES_TO_MR: i64 = 60;

/// A moment some seconds later. The calendar ends in the year 9999; there it stays.
pub(super) fn later(at: DateTime, seconds: i64) -> DateTime {
    at.saturating_add(seconds.seconds())
}

/// A DA value.
pub(super) fn date_text(at: DateTime) -> String {
    format!("{:04}{:02}{:02}", at.year(), at.month(), at.day())
}

/// A TM value.
pub(super) fn time_text(at: DateTime) -> String {
    format!("{:02}{:02}{:02}", at.hour(), at.minute(), at.second())
}

/// The SOP class of a scan's images.
pub(super) const fn sop_class(scan: Scan) -> &'static str {
    match scan {
        Scan::Ct => uids::CT_IMAGE_STORAGE,
        Scan::Pet => uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
        Scan::Mr => uids::MR_IMAGE_STORAGE,
    }
}

/// A UID that the standard defines.
pub(super) fn uid_constant(text: &str) -> Uid {
    // The standard's own UIDs are well-formed; if one were not, the derived UID would be seen at once.
    Uid::parse(text).unwrap_or_else(|_| Uid::derived(&[text]))
}
