//! The table of features: one row per feature, with its IBSI identity, its unit and the function that computes it.
//!
//! The rows of a family stand in the family's file beside its formulas; [`all`] walks through all of them. A caller never
//! needs to know how many there are.

use super::Family;

/// What a feature is: its row of the table without the function.
///
/// The id alone is no key (volume at 10 % and at 90 % intensity share one); the tag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// IBSI permanent id such as `Q4LE`; empty for the project's own features.
    pub id: &'static str,
    /// IBSI tag without aggregation, such as `cm_joint_max`.
    pub tag: &'static str,
    /// Name in the IBSI reference manual.
    pub name: &'static str,
    /// Code meaning of the id: as DICOM prints it (CID 218 and its parts), else the manual's name.
    pub meaning: &'static str,
    /// The family.
    pub family: Family,
    /// The unit.
    pub unit: Unit,
}

/// A feature's unit, relative to the unit of the image's intensities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A pure number.
    One,
    /// The unit of the intensities.
    Same,
    /// The square of the unit of the intensities.
    Squared,
    /// Intensity times volume.
    SameTimesMm3,
    /// Length.
    Mm,
    /// Area.
    Mm2,
    /// Volume.
    Mm3,
    /// Reciprocal length.
    PerMm,
}

impl Unit {
    /// The UCUM expression, for intensities in the UCUM unit `image` (`[hnsf'U]`, `g/ml{SUVbw}`, `1`).
    ///
    /// UCUM has no power of a bracketed term, so the square is a product; it is read from left to right.
    #[must_use]
    pub fn ucum(self, image: &str) -> String {
        let pure = image.is_empty() || image == "1";
        match self {
            Self::One => "1".to_owned(),
            Self::Same | Self::Squared if pure => "1".to_owned(),
            Self::Same => image.to_owned(),
            Self::Squared => format!("{image}.{image}"),
            Self::SameTimesMm3 if pure => "mm3".to_owned(),
            Self::SameTimesMm3 => format!("{image}.mm3"),
            Self::Mm => "mm".to_owned(),
            Self::Mm2 => "mm2".to_owned(),
            Self::Mm3 => "mm3".to_owned(),
            Self::PerMm => "/mm".to_owned(),
        }
    }
}

/// One row: a feature and how it is computed from what its family prepared.
pub(super) struct Row<T> {
    pub(super) feature: Feature,
    /// The value; one that is not finite is left out of the results.
    pub(super) eval: fn(&T) -> f64,
    /// Why the value may be missing.
    pub(super) undefined: &'static str,
}

impl<T> Row<T> {
    /// A row whose code meaning is the manual's name.
    pub(super) const fn new(
        family: Family,
        id: &'static str,
        tag: &'static str,
        name: &'static str,
        unit: Unit,
        eval: fn(&T) -> f64,
    ) -> Self {
        let feature = Feature { id, tag, name, meaning: name, family, unit };
        Self { feature, eval, undefined: "the value is not finite" }
    }

    /// The feature, and the condition under which there is no value.
    pub(super) fn told(&self) -> (&Feature, &'static str) {
        (&self.feature, self.undefined)
    }

    /// The condition under which there is no value.
    pub(super) const fn undefined_when(mut self, reason: &'static str) -> Self {
        self.undefined = reason;
        self
    }
}

/// Every feature there is, family by family.
pub fn all() -> impl Iterator<Item = &'static Feature> {
    rows().map(|(feature, _)| feature)
}

/// Every feature, and why it may have no value.
pub(super) fn rows() -> impl Iterator<Item = (&'static Feature, &'static str)> {
    let morphology = super::morphology::ROWS.iter().map(Row::told);
    let local = super::local::ROWS.iter().map(Row::told);
    let intensity = super::intensity::ROWS.iter().map(Row::told);
    let histogram = super::histogram::ROWS.iter().map(Row::told);
    let ivh = super::ivh::ROWS.iter().map(Row::told);
    let glcm = super::texture::glcm::ROWS.iter().map(Row::told);
    let ngtdm = super::texture::ngtdm::ROWS.iter().map(Row::told);
    let counted = super::texture::counted().map(Row::told);
    let intensities = intensity.chain(histogram).chain(ivh);
    morphology.chain(local).chain(intensities).chain(glcm).chain(counted).chain(ngtdm).chain(super::cross::rows())
}

/// The feature of that tag (without aggregation suffix).
#[must_use]
pub fn find(tag: &str) -> Option<&'static Feature> {
    all().find(|feature| feature.tag == tag)
}
