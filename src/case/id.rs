//! The names of cases, and the short digests by which grouping compares things without keeping them.

use sha2::{Digest, Sha256};

use super::CaseId;
use crate::dicom::uid::Uid;

/// The case of one protocol in one study, for good.
///
/// It follows from the protocol's name and the Study Instance UID alone. The series are not part of it: a series that comes
/// later is a revision of the same case, not another one. Nor is the Patient ID: a corrected one would orphan the results.
/// 64 bits of SHA-256: among a million cases two names collide with a chance of 3e-8, and the name leads back to nobody.
pub(super) fn case_id(protocol: &str, study: &Uid) -> CaseId {
    CaseId(format!("{:016x}", digest(&["case", protocol, study.as_str()])))
}

/// The case that stands for a study which no protocol takes. No protocol has an empty name.
pub(super) fn untaken_id(study: &Uid) -> CaseId {
    case_id("", study)
}

/// The first 64 bits of SHA-256 over texts and their lengths.
pub(super) fn digest(parts: &[&str]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    #[test]
    fn a_case_is_named_by_protocol_and_study_and_by_nothing_else() {
        let id = case_id("pet-ct", &uid("1.2.3"));
        assert_eq!(id, case_id("pet-ct", &uid("1.2.3")));
        assert_ne!(id, case_id("pet-ct", &uid("1.2.4")));
        assert_ne!(id, case_id("pet-c", &uid("1.2.3")));
        assert_ne!(untaken_id(&uid("1.2.3")), id);
    }

    #[test]
    fn the_name_is_a_file_name_and_does_not_repeat_the_uid() {
        let id = case_id("../Müller", &uid("1.2.840.99")).0;
        assert_eq!(id.len(), 16);
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
}
