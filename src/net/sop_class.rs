//! What may be stored: by SOP class (PS3.4 annex B) and by transfer syntax.
//!
//! New storage classes appear every year and vendors have their own, so the rule names what is *not* storage: every
//! standard abstract syntax outside the storage root, and the few services below it.

use dicom_dictionary_std::uids;

use crate::dicom::uid::Uid;

/// Verification SOP Class (PS3.4 annex A).
pub const VERIFICATION: &str = uids::VERIFICATION;
/// Storage Commitment Push Model SOP Class (PS3.4 annex J).
pub const STORAGE_COMMITMENT: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL;

/// Everything that the standard registers lies below it.
const STANDARD_ROOT: &str = "1.2.840.10008.";
/// The storage SOP classes of PS3.4 B.5 lie below it.
const STORAGE_ROOT: &str = "1.2.840.10008.5.1.4.1.1.";

/// Storage SOP classes outside the storage root (PS3.4 annexes GG, U, X, AA and table B.5-1).
pub(super) const STORAGE_ELSEWHERE: &[&str] = &[
    uids::HANGING_PROTOCOL_STORAGE,
    uids::COLOR_PALETTE_STORAGE,
    uids::GENERIC_IMPLANT_TEMPLATE_STORAGE,
    uids::IMPLANT_ASSEMBLY_TEMPLATE_STORAGE,
    uids::IMPLANT_TEMPLATE_GROUP_STORAGE,
    uids::RT_BEAMS_DELIVERY_INSTRUCTION_STORAGE,
    uids::RT_BRACHY_APPLICATION_SETUP_DELIVERY_INSTRUCTION_STORAGE,
];

/// Services that are no storage although they lie below the storage root: queries for protocol approvals (PS3.4 annex II)
/// and inventories (annex KK).
const NO_STORAGE_INSIDE: &[&str] = &[
    uids::PROTOCOL_APPROVAL_INFORMATION_MODEL_FIND,
    uids::PROTOCOL_APPROVAL_INFORMATION_MODEL_MOVE,
    uids::PROTOCOL_APPROVAL_INFORMATION_MODEL_GET,
    "1.2.840.10008.5.1.4.1.1.201.2",
    "1.2.840.10008.5.1.4.1.1.201.3",
    "1.2.840.10008.5.1.4.1.1.201.4",
    "1.2.840.10008.5.1.4.1.1.201.5",
    "1.2.840.10008.5.1.4.1.1.201.6",
];

/// Whether instances of this abstract syntax are stored: any well-formed UID that is not a known service of another kind.
#[must_use]
pub fn is_storage(abstract_syntax: &str) -> bool {
    if Uid::parse(abstract_syntax).is_err() {
        return false;
    }
    if abstract_syntax.starts_with(STORAGE_ROOT) {
        return !NO_STORAGE_INSIDE.contains(&abstract_syntax);
    }
    !abstract_syntax.starts_with(STANDARD_ROOT) || STORAGE_ELSEWHERE.contains(&abstract_syntax)
}

/// The transfer syntaxes that are stored as they come. All standard ones whose data set this program can read up to the
/// pixels, and whose pixels are in the object: JPIP references, streamed video and private syntaxes are not among them.
pub const TRANSFER_SYNTAXES: &[&str] = &[
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.2",
    uids::JPEG_BASELINE8_BIT,
    uids::JPEG_EXTENDED12_BIT,
    "1.2.840.10008.1.2.4.52",
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.54",
    "1.2.840.10008.1.2.4.55",
    "1.2.840.10008.1.2.4.56",
    uids::JPEG_LOSSLESS,
    "1.2.840.10008.1.2.4.58",
    "1.2.840.10008.1.2.4.59",
    "1.2.840.10008.1.2.4.60",
    "1.2.840.10008.1.2.4.61",
    "1.2.840.10008.1.2.4.62",
    "1.2.840.10008.1.2.4.63",
    "1.2.840.10008.1.2.4.64",
    "1.2.840.10008.1.2.4.65",
    "1.2.840.10008.1.2.4.66",
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEGLS_LOSSLESS,
    uids::JPEGLS_NEAR_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::JPEG2000MC_LOSSLESS,
    uids::JPEG2000MC,
    uids::MPEG2MPML,
    uids::MPEG2MPMLF,
    uids::MPEG2MPHL,
    uids::MPEG2MPHLF,
    uids::MPEG4HP41,
    uids::MPEG4HP41F,
    uids::MPEG4HP41BD,
    uids::MPEG4HP41BDF,
    uids::MPEG4HP422D,
    uids::MPEG4HP422DF,
    uids::MPEG4HP423D,
    uids::MPEG4HP423DF,
    uids::MPEG4HP42STEREO,
    uids::MPEG4HP42STEREOF,
    uids::HEVCMP51,
    uids::HEVCM10P51,
    uids::JPEGXL_LOSSLESS,
    uids::JPEGXLJPEG_RECOMPRESSION,
    uids::JPEGXL,
    uids::HTJ2K_LOSSLESS,
    uids::HTJ2K_LOSSLESS_RPCL,
    uids::HTJ2K,
    uids::RLE_LOSSLESS,
    uids::DEFLATED_IMAGE_FRAME_COMPRESSION,
];

/// Transfer syntaxes of data sets that are not stored: verification, commitment, query.
pub const UNCOMPRESSED: &[&str] = &[uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::{facts, write};
    use crate::net::AeTitle;
    use crate::net::receive::file_meta::file_meta;
    use crate::net::receive::negotiate::{Context, Service};
    use dicom_dictionary_std::tags;

    #[test]
    fn whatever_is_no_known_service_can_be_stored() {
        for storage in [
            uids::CT_IMAGE_STORAGE,
            uids::RT_STRUCTURE_SET_STORAGE,
            uids::SEGMENTATION_STORAGE,
            uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE,
            uids::HANGING_PROTOCOL_STORAGE,
            "1.2.840.10008.5.1.4.1.1.999.1",
            "1.3.12.2.1107.5.9.1",
        ] {
            assert!(is_storage(storage), "{storage}");
        }
        for other in [
            VERIFICATION,
            STORAGE_COMMITMENT,
            uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
            uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND,
            uids::MODALITY_PERFORMED_PROCEDURE_STEP,
            uids::UNIFIED_PROCEDURE_STEP_PUSH,
            uids::HANGING_PROTOCOL_INFORMATION_MODEL_FIND,
            uids::INVENTORY_FIND,
            uids::PROTOCOL_APPROVAL_INFORMATION_MODEL_FIND,
            "1.2.840.10008.3.1.1.1",
            "../../etc",
            "",
        ] {
            assert!(!is_storage(other), "{other}");
        }
    }

    #[test]
    fn every_transfer_syntax_is_listed_once_and_none_points_elsewhere() {
        let mut sorted = TRANSFER_SYNTAXES.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), TRANSFER_SYNTAXES.len());
        for elsewhere in [uids::JPIP_REFERENCED, uids::JPIP_REFERENCED_DEFLATE, uids::JPIPHTJ2K_REFERENCED] {
            assert!(!TRANSFER_SYNTAXES.contains(&elsewhere));
        }
    }

    /// Deflated, implicit and big endian data sets have tests of their own with real files.
    #[test]
    fn the_header_of_every_explicit_little_endian_syntax_can_be_read() {
        let mut object = dicom_object::InMemDicomObject::new_empty();
        for (tag, uid) in [
            (tags::SOP_CLASS_UID, uids::CT_IMAGE_STORAGE),
            (tags::SOP_INSTANCE_UID, "1.2.3"),
            (tags::STUDY_INSTANCE_UID, "1.2.3.1"),
            (tags::SERIES_INSTANCE_UID, "1.2.3.2"),
        ] {
            object.put_str(tag, dicom_core::VR::UI, uid);
        }
        let file = write::part10(&object, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        let meta_bytes = u32::from_le_bytes(file[140..144].try_into().unwrap());
        let data_set = &file[144 + usize::try_from(meta_bytes).unwrap()..];
        let others = [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.2"];
        for uid in TRANSFER_SYNTAXES.iter().filter(|uid| !others.contains(uid)) {
            let context = Context {
                service: Service::Storage,
                abstract_syntax: Uid::parse(uids::CT_IMAGE_STORAGE).unwrap(),
                transfer_syntax: Uid::parse(uid).unwrap(),
            };
            let sender = AeTitle::parse("CT1").unwrap();
            let meta = file_meta(&context, &context.abstract_syntax, &Uid::parse("1.2.3").unwrap(), &sender);
            let facts = facts::from_bytes(&[meta.as_slice(), data_set].concat(), &[]).unwrap();
            assert_eq!(facts.transfer_syntax.as_str(), *uid);
            assert_eq!(facts.series.as_str(), "1.2.3.2");
        }
    }
}
