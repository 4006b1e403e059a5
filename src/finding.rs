//! Findings: named, machine-readable remarks on the data, each with a policy.
//!
//! A finding goes to the log, the status page and the report. Its name never changes once published; its detail is a
//! sentence of numbers and attribute names, never of patient data.

use serde::{Deserialize, Serialize};

/// What is done when a finding is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The object that shows it is not used.
    Reject,
    /// The data are brought into a regular form (resampled, sorted, split) and used.
    Regularise,
    /// The data are used as they are.
    Accept,
}

/// Every finding there is. [`FindingKind::ALL`] is the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A slice is missing: a gap of a whole number of spacings.
    MissingSlice,
    /// Slice gaps vary by more than max(0.01 mm, 5 % of the spacing).
    VariableSpacing,
    /// Two slices lie at one position.
    DuplicatePosition,
    /// Slices of one series have different orientations.
    MixedOrientation,
    /// Slices of one series have different matrix sizes or pixel spacings.
    MixedMatrix,
    /// Slices of one series have different Frames of Reference.
    MixedFrameOfReference,
    /// The slice normal and the direction of travel differ.
    GantryTilt,
    /// One or two slices: no volume.
    TooFewSlices,
    /// Values do not look like Hounsfield units.
    NotHounsfield,
    /// The pixel data went through a lossy codec.
    LossyCompression,
    /// The transfer syntax cannot be decoded here.
    UnsupportedTransferSyntax,
    /// Rescale Slope (0028,1053) or Intercept (0028,1052) is absent where the modality needs it.
    RescaleMissing,
    /// Pixel data are absent, shorter than the header says, or damaged.
    PixelDataTruncated,
    /// A contour lies more than half a slice away from every slice.
    ContourOffSlice,
    /// Contours lie on planes between those that are nearest to the slices.
    ContourBetweenSlices,
    /// A contour is drawn twice.
    ContourDuplicate,
    /// A contour is open, a point, or of another type that has no inside.
    ContourNotClosed,
    /// Contours lie on planes of their own, oblique to the slices.
    ContourOblique,
    /// An ROI covers no voxel.
    EmptyRoi,
    /// Contours name images that are not in the series.
    UnresolvedSopReference,
    /// An RTSTRUCT, SEG or REG names a series that never came.
    ReferencedSeriesMissing,
    /// ROIs overlap too much to be two lesions and too little to be one (Dice 0.1 to 0.5).
    LesionAmbiguous,
    /// Several series fit one role.
    AmbiguousSeries,
    /// A role that the protocol lists did not come.
    RoleMissing,
    /// Images that share a Frame of Reference are not in register.
    FrameOfReferenceMisaligned,
    /// Images share a Frame of Reference, and nothing in them could verify it.
    FrameOfReferenceUnverified,
    /// No trusted registration.
    RegistrationNotTrusted,
    /// The images fit only when the matrix of a registration object is inverted.
    RegistrationObjectInverted,
    /// Images have no common Frame of Reference and none was estimated.
    NoCommonFrame,
    /// The target resolution is sharper than the source: nothing was blurred.
    TargetSharperThanSource,
    /// The resolution of an image came from a default.
    ResolutionAssumed,
    /// No harmonisation was applied.
    NotHarmonised,
    /// A scanner no longer measures as it did when the harmonisation was fitted.
    BatchDrift,
    /// No fusion model was applied.
    NotFused,
    /// A source attribute is illegal and was written empty.
    IllegalAttribute,
    /// A structure set is not approved.
    StructureSetNotApproved,
    /// The ROI was drawn by a rule, not a person.
    AutomaticRoi,
    /// The times to which a PET may be corrected give SUV more than 1 % apart.
    DecayReferenceAmbiguous,
    /// The earliest Acquisition Time stands for the time to which a PET is corrected.
    DecayReferenceAssumed,
    /// The date of the injection is not that of the scan; its time of day was used.
    AdministrationDateShifted,
    /// A dose below 1e5 was taken as MBq.
    DoseUnitAssumed,
    /// Weight or size were taken in another unit than the standard's.
    BodyUnitAssumed,
    /// A PET series does not tell what SUV needs.
    SuvNotComputable,
    /// Pixels hold Pixel Padding Value: they are missing, not measured.
    PixelPadding,
    /// Pixels are colours, not one quantity.
    ColourImage,
    /// A multi-frame object does not say where its frames lie.
    FunctionalGroupsMissing,
    /// A series holds several volumes.
    SeriesSplit,
    /// Slices of one series are encoded in different transfer syntaxes.
    MixedTransferSyntax,
    /// Two ROIs of one object have the same name.
    DuplicateRoiName,
    /// A role's series cannot be used; the detail says why.
    RoleRefused,
    /// An RTSTRUCT or SEG cannot be used; the detail says why.
    AnnotationRefused,
    /// An ROI cannot be told to lie on one series: it fits none, or several.
    RoiSeriesUnknown,
    /// An ROI reaches beyond the values of an image: over the edge of its field of view, or into padding.
    RoiTruncated,
    /// A region has no features on a role; the detail says why.
    NotMeasured,
    /// The bias field of an MR image was taken out: the rank of its voxels is not that of the scanner's image.
    BiasFieldCorrected,
    /// One study under two patients, or two studies under one Patient ID that differ in birth date or sex: not put together.
    PatientIdentityConflict,
    /// A lesion's side contradicts its place, another drawing of it, or the images' header.
    LateralityConflict,
    /// Series of one patient or study say different things of it.
    SeriesDisagree,
}

impl FindingKind {
    /// The catalogue, in the order of the documentation.
    pub const ALL: &'static [FindingKind] = &[
        Self::MissingSlice,
        Self::VariableSpacing,
        Self::DuplicatePosition,
        Self::MixedOrientation,
        Self::MixedMatrix,
        Self::MixedFrameOfReference,
        Self::GantryTilt,
        Self::TooFewSlices,
        Self::NotHounsfield,
        Self::LossyCompression,
        Self::UnsupportedTransferSyntax,
        Self::RescaleMissing,
        Self::PixelDataTruncated,
        Self::ContourOffSlice,
        Self::ContourBetweenSlices,
        Self::ContourDuplicate,
        Self::ContourNotClosed,
        Self::ContourOblique,
        Self::EmptyRoi,
        Self::UnresolvedSopReference,
        Self::ReferencedSeriesMissing,
        Self::LesionAmbiguous,
        Self::AmbiguousSeries,
        Self::RoleMissing,
        Self::FrameOfReferenceMisaligned,
        Self::FrameOfReferenceUnverified,
        Self::RegistrationNotTrusted,
        Self::RegistrationObjectInverted,
        Self::NoCommonFrame,
        Self::TargetSharperThanSource,
        Self::ResolutionAssumed,
        Self::NotHarmonised,
        Self::BatchDrift,
        Self::NotFused,
        Self::IllegalAttribute,
        Self::StructureSetNotApproved,
        Self::AutomaticRoi,
        Self::DecayReferenceAmbiguous,
        Self::DecayReferenceAssumed,
        Self::AdministrationDateShifted,
        Self::DoseUnitAssumed,
        Self::BodyUnitAssumed,
        Self::SuvNotComputable,
        Self::PixelPadding,
        Self::ColourImage,
        Self::FunctionalGroupsMissing,
        Self::SeriesSplit,
        Self::MixedTransferSyntax,
        Self::DuplicateRoiName,
        Self::RoleRefused,
        Self::AnnotationRefused,
        Self::RoiSeriesUnknown,
        Self::RoiTruncated,
        Self::NotMeasured,
        Self::BiasFieldCorrected,
        Self::PatientIdentityConflict,
        Self::LateralityConflict,
        Self::SeriesDisagree,
    ];

    /// The published name, as in the configuration, the log and the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingSlice => "missing_slice",
            Self::VariableSpacing => "variable_spacing",
            Self::DuplicatePosition => "duplicate_position",
            Self::MixedOrientation => "mixed_orientation",
            Self::MixedMatrix => "mixed_matrix",
            Self::MixedFrameOfReference => "mixed_frame_of_reference",
            Self::GantryTilt => "gantry_tilt",
            Self::TooFewSlices => "too_few_slices",
            Self::NotHounsfield => "not_hounsfield",
            Self::LossyCompression => "lossy_compression",
            Self::UnsupportedTransferSyntax => "unsupported_transfer_syntax",
            Self::RescaleMissing => "rescale_missing",
            Self::PixelDataTruncated => "pixel_data_truncated",
            Self::ContourOffSlice => "contour_off_slice",
            Self::ContourBetweenSlices => "contour_between_slices",
            Self::ContourDuplicate => "contour_duplicate",
            Self::ContourNotClosed => "contour_not_closed",
            Self::ContourOblique => "contour_oblique",
            Self::EmptyRoi => "empty_roi",
            Self::UnresolvedSopReference => "unresolved_sop_reference",
            Self::ReferencedSeriesMissing => "referenced_series_missing",
            Self::LesionAmbiguous => "lesion_ambiguous",
            Self::AmbiguousSeries => "ambiguous_series",
            Self::RoleMissing => "role_missing",
            Self::FrameOfReferenceMisaligned => "frame_of_reference_misaligned",
            Self::FrameOfReferenceUnverified => "frame_of_reference_unverified",
            Self::RegistrationNotTrusted => "registration_not_trusted",
            Self::RegistrationObjectInverted => "registration_object_inverted",
            Self::NoCommonFrame => "no_common_frame",
            Self::TargetSharperThanSource => "target_sharper_than_source",
            Self::ResolutionAssumed => "resolution_assumed",
            Self::NotHarmonised => "not_harmonised",
            Self::BatchDrift => "batch_drift",
            Self::NotFused => "not_fused",
            Self::IllegalAttribute => "illegal_attribute",
            Self::StructureSetNotApproved => "structure_set_not_approved",
            Self::AutomaticRoi => "automatic_roi",
            Self::DecayReferenceAmbiguous => "decay_reference_ambiguous",
            Self::DecayReferenceAssumed => "decay_reference_assumed",
            Self::AdministrationDateShifted => "administration_date_shifted",
            Self::DoseUnitAssumed => "dose_unit_assumed",
            Self::BodyUnitAssumed => "body_unit_assumed",
            Self::SuvNotComputable => "suv_not_computable",
            Self::PixelPadding => "pixel_padding",
            Self::ColourImage => "colour_image",
            Self::FunctionalGroupsMissing => "functional_groups_missing",
            Self::SeriesSplit => "series_split",
            Self::MixedTransferSyntax => "mixed_transfer_syntax",
            Self::DuplicateRoiName => "duplicate_roi_name",
            Self::RoleRefused => "role_refused",
            Self::AnnotationRefused => "annotation_refused",
            Self::RoiSeriesUnknown => "roi_series_unknown",
            Self::RoiTruncated => "roi_truncated",
            Self::NotMeasured => "not_measured",
            Self::BiasFieldCorrected => "bias_field_corrected",
            Self::PatientIdentityConflict => "patient_identity_conflict",
            Self::LateralityConflict => "laterality_conflict",
            Self::SeriesDisagree => "series_disagree",
        }
    }

    /// The policy where the configuration names none.
    #[must_use]
    pub const fn default_policy(self) -> Policy {
        match self {
            Self::MissingSlice
            | Self::VariableSpacing
            | Self::DuplicatePosition
            | Self::MixedOrientation
            | Self::MixedMatrix
            | Self::MixedFrameOfReference
            | Self::GantryTilt
            | Self::TooFewSlices
            | Self::UnsupportedTransferSyntax
            | Self::RescaleMissing
            | Self::PixelDataTruncated
            | Self::AmbiguousSeries
            | Self::RegistrationNotTrusted
            | Self::NoCommonFrame
            | Self::SuvNotComputable
            | Self::ColourImage
            | Self::FunctionalGroupsMissing
            | Self::RoleRefused
            | Self::AnnotationRefused
            | Self::RoiSeriesUnknown
            | Self::NotMeasured
            | Self::PatientIdentityConflict
            | Self::LateralityConflict => Policy::Reject,
            _ => Policy::Accept,
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// One remark on one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which remark.
    pub kind: FindingKind,
    /// What it is about: a role, a lesion, a stage; empty for the whole case.
    pub subject: String,
    /// Numbers and attribute names; never patient data.
    pub detail: String,
    /// What was done.
    pub policy: Policy,
}

impl Finding {
    /// A finding under its default policy.
    #[must_use]
    pub fn new(kind: FindingKind, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind, subject: subject.into(), detail: detail.into(), policy: kind.default_policy() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind.name())?;
        if !self.subject.is_empty() {
            write!(f, " ({})", self.subject)?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// The site's policies: the defaults with what the configuration changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies(std::collections::BTreeMap<FindingKind, Policy>);

impl Policies {
    /// The defaults with these changes.
    #[must_use]
    pub fn new(changes: impl IntoIterator<Item = (FindingKind, Policy)>) -> Self {
        Self(changes.into_iter().collect())
    }

    /// The policy for one kind.
    #[must_use]
    pub fn of(&self, kind: FindingKind) -> Policy {
        self.0.get(&kind).copied().unwrap_or(kind.default_policy())
    }

    /// A finding under this site's policy.
    #[must_use]
    pub fn finding(&self, kind: FindingKind, subject: impl Into<String>, detail: impl Into<String>) -> Finding {
        Finding { policy: self.of(kind), ..Finding::new(kind, subject, detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_in_the_catalogue_once_and_found_by_its_name() {
        let mut names: Vec<_> = FindingKind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FindingKind::ALL.len());
        for kind in FindingKind::ALL {
            assert_eq!(FindingKind::from_name(kind.name()), Some(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", kind.name()));
        }
    }

    #[test]
    fn the_page_on_quantities_tells_every_finding_with_its_detection_default_and_source() {
        let page = include_str!("../docs/quantities.md");
        let mut told = Vec::new();
        for line in page.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let Some(kind) = FindingKind::from_name(cells[0].trim_matches('`')) else {
                // Other tables of the page have fewer columns.
                assert!(cells.len() < 4, "{line}");
                continue;
            };
            let [_, detection, policy, source] = cells.as_slice() else { panic!("{line}") };
            let default = serde_json::to_value(kind.default_policy()).unwrap();
            assert_eq!(default.as_str(), Some(*policy), "{line}");
            assert!(!detection.is_empty() && !source.is_empty(), "{line}");
            told.push(kind);
        }
        assert_eq!(told.len(), FindingKind::ALL.len());
        told.sort_unstable();
        let mut all = FindingKind::ALL.to_vec();
        all.sort_unstable();
        assert_eq!(told, all);
    }
}
