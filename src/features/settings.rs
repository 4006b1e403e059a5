//! Every choice that changes a feature's value.

use serde::{Deserialize, Serialize};

use super::filters::Filter;
use super::perturb::Perturb;
use super::{Family, FeatureError};
use crate::image::Interpolation;

/// How features are extracted: the steps of the IBSI processing scheme, in their order.
///
/// It is written to the provenance as it is; nothing numerical is decided elsewhere. More settings will come: make one
/// with `Settings { …, ..Settings::default() }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Interpolation to another grid; `None` when the image is on its final grid already.
    pub resample: Option<Resample>,
    /// Where the new grid lies on the old one.
    pub grid_align: GridAlign,
    /// Round intensities to integers after interpolation: Hounsfield units (IBSI 68QD).
    pub round_to_integers: bool,
    /// Which voxels leave the intensity mask (IBSI IFBZ). The morphological mask is never touched.
    pub resegment: Resegment,
    /// Grey levels of the histogram and texture families.
    pub discretise: Discretise,
    /// Where the bins of a fixed width start.
    pub bin_anchor: BinAnchor,
    /// Discretisation of the intensity-volume histogram alone; `None` for intensities that are definite (CT).
    pub ivh: Discretise,
    /// Whether kurtosis is told in excess of that of a normal distribution.
    pub kurtosis: Kurtosis,
    /// Texture matrices.
    pub texture: Texture,
    /// Whether morphology has Moran's I and Geary's C: exact, they cost more than all other features together.
    pub autocorrelation: bool,
    /// Filters whose response maps are measured, `none` being the image itself; without any only the image is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Filter>,
    /// Grey levels of response maps; without it as those of the image, from the response's own minimum on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_discretise: Option<Discretise>,
    /// Repeated measurements of a perturbed image and region; none without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perturb: Option<Perturb>,
    /// Which families are computed.
    pub families: Vec<Family>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resample: None,
            grid_align: GridAlign::default(),
            round_to_integers: false,
            resegment: Resegment::default(),
            discretise: Discretise::None,
            bin_anchor: BinAnchor::default(),
            ivh: Discretise::None,
            kurtosis: Kurtosis::default(),
            texture: Texture::default(),
            autocorrelation: true,
            filter: Vec::new(),
            response_discretise: None,
            perturb: None,
            families: Family::ALL.iter().copied().filter(|family| *family != Family::Cross).collect(),
        }
    }
}

/// Interpolation of image and region to one grid (IBSI VTM2).
///
/// The new grid shares its centre with the old one, and has ceil(n d / d') voxels along each axis (IBSI 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resample {
    /// Spacing of the new grid, mm.
    pub spacing_mm: Spacing,
    /// How the image's intensities are interpolated.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// How the region is interpolated.
    #[serde(default)]
    pub mask_interpolation: Interpolation,
    /// The least interpolated share at which a voxel belongs to the region.
    #[serde(default = "half")]
    pub mask_threshold: f64,
}

impl Resample {
    /// To this spacing; the region linearly at one half.
    #[must_use]
    pub const fn new(spacing_mm: Spacing, interpolation: Interpolation) -> Self {
        Self { spacing_mm, interpolation, mask_interpolation: Interpolation::Linear, mask_threshold: 0.5 }
    }
}

const fn half() -> f64 {
    0.5
}

/// A new spacing: `2.0`, `[2.0, 2.0]` or `[2.0, 2.0, 3.0]` in a settings file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Spacing {
    /// The same along every axis.
    Isotropic(f64),
    /// Along x and y; slices stay where they are (IBSI 2-D).
    InPlane([f64; 2]),
    /// Along x, y and z.
    PerAxis([f64; 3]),
}

impl Spacing {
    /// The spacing along x, y and z for an image of this spacing.
    #[must_use]
    pub const fn along_axes(self, image_mm: [f64; 3]) -> [f64; 3] {
        match self {
            Self::Isotropic(d) => [d, d, d],
            Self::InPlane([x, y]) => [x, y, image_mm[2]],
            Self::PerAxis(d) => d,
        }
    }
}

/// Re-segmentation of the intensity mask: first the range, then outliers of what is left (IBSI 2.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resegment {
    /// Least intensity that stays.
    pub low: Option<f64>,
    /// Greatest intensity that stays.
    pub high: Option<f64>,
    /// Intensities further than so many standard deviations from the mean leave.
    pub outlier_sigma: Option<f64>,
}

impl Resegment {
    /// A range with both ends.
    #[must_use]
    pub const fn range(low: f64, high: f64) -> Self {
        Self { low: Some(low), high: Some(high), outlier_sigma: None }
    }
}

/// From intensities to grey levels 1, 2, 3 … (IBSI 4R0B).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discretise {
    /// The intensities are grey levels already: positive integers, or made so by an offset.
    #[default]
    None,
    /// Bins of this width in the image's unit (fixed bin size, IBSI Q3RU).
    BinWidth(f64),
    /// So many bins over the region's range (fixed bin number, IBSI K15C).
    Bins(u32),
}

impl Discretise {
    /// In the words of the results: `FBS 25`, `FBN 32`, or empty.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::None => String::new(),
            Self::BinWidth(width) => format!("FBS {width}"),
            Self::Bins(bins) => format!("FBN {bins}"),
        }
    }
}

/// Where the first bin of a fixed width starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinAnchor {
    /// At the lower end of the re-segmentation range, else at the region's minimum (IBSI).
    #[default]
    Ibsi,
    /// At the multiple of the width below the region's minimum, as if bins were counted from zero.
    Zero,
}

/// Where an interpolated grid lies on the one of the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GridAlign {
    /// Both share their centre (IBSI 2.4).
    #[default]
    Centre,
    /// Both share the outer corner of their first voxel.
    Corner,
}

/// How kurtosis of intensities is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kurtosis {
    /// Less 3, that of a normal distribution (IBSI IPH6).
    #[default]
    Excess,
    /// As it is.
    Plain,
}

/// How texture matrices are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Texture {
    /// Over which directions and slices matrices are built, and whether features or matrices are combined.
    pub aggregations: Vec<Aggregation>,
    /// Chebyshev distances of the pairs that co-occurrence matrices count, in voxels.
    pub glcm_distances: Vec<u8>,
    /// Norm by which the matrices of directions weigh exp(-length^2) when they are merged (GLCM and GLRLM); without it all
    /// weigh the same. Lengths are in voxels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weighting: Option<WeightNorm>,
    /// Chebyshev distance up to which voxels are neighbours in NGTDM.
    pub ngtdm_distance: u8,
    /// Norm by which neighbours weigh exp(-length^2) in NGTDM; without it all weigh the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ngtdm_weighting: Option<WeightNorm>,
    /// Chebyshev distance up to which voxels are neighbours in NGLDM.
    pub ngldm_distance: u8,
    /// Difference of grey levels up to which a neighbour depends on a voxel in NGLDM.
    pub ngldm_coarseness: u32,
}

impl Default for Texture {
    fn default() -> Self {
        Self {
            aggregations: vec![Aggregation::Merged3d],
            glcm_distances: vec![1],
            weighting: None,
            ngtdm_distance: 1,
            ngtdm_weighting: None,
            ngldm_distance: 1,
            ngldm_coarseness: 0,
        }
    }
}

impl Texture {
    /// The farthest that a voxel looks for neighbours.
    pub(super) fn reach(&self) -> usize {
        let pairs = self.glcm_distances.iter().copied().max().unwrap_or(1);
        usize::from(pairs.max(self.ngtdm_distance).max(self.ngldm_distance).max(1))
    }
}

/// How the length of a direction is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightNorm {
    /// The sum of the steps along the axes.
    Manhattan,
    /// The straight line.
    Euclidean,
    /// The largest of the steps.
    Chebyshev,
}

/// The farthest that a texture matrix may look for neighbours, in voxels.
pub const MAX_DISTANCE: u8 = 5;

/// Combination of texture matrices over directions and slices (IBSI 3.6 and 3.7).
///
/// Families without directions (zones, neighbourhoods) know only whether matrices are by slice, by slice and merged, or in
/// the volume: both variants of a kind give the same column there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Aggregation {
    /// By slice and direction; features averaged.
    #[serde(rename = "2d_averaged")]
    Averaged2d,
    /// By slice, directions merged; features averaged over slices.
    #[serde(rename = "2d_slice_merged")]
    SliceMerged2d,
    /// In slices, merged over slices by direction; features averaged over directions.
    #[serde(rename = "2.5d_direction_merged")]
    DirectionMerged25d,
    /// In slices, all merged.
    #[serde(rename = "2.5d_merged")]
    Merged25d,
    /// In the volume, by direction; features averaged.
    #[serde(rename = "3d_averaged")]
    Averaged3d,
    /// In the volume, all directions merged.
    #[serde(rename = "3d_merged")]
    Merged3d,
}

impl Aggregation {
    /// Every aggregation, in the order of the results.
    pub const ALL: &'static [Self] = &[
        Self::Averaged2d,
        Self::SliceMerged2d,
        Self::DirectionMerged25d,
        Self::Merged25d,
        Self::Averaged3d,
        Self::Merged3d,
    ];
}

/// The most bins of a fixed number: grey levels are kept in 16 bits.
pub const MAX_BINS: u32 = 65_535;

impl Settings {
    /// The filters but `none`.
    pub(super) fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.filter.iter().filter(|filter| !matches!(filter, Filter::None(_)))
    }

    /// Whether the image itself is measured.
    pub(super) fn measures_image(&self) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|filter| matches!(filter, Filter::None(_)))
    }

    /// Whether slices stay where they are.
    pub(super) fn keeps_slices(&self) -> bool {
        self.resample.is_some_and(|resample| matches!(resample.spacing_mm, Spacing::InPlane(_)))
    }

    /// The settings for response maps: the range of re-segmentation is one of the image.
    pub(super) fn of_responses(&self) -> Self {
        let discretise = self.response_discretise.unwrap_or(self.discretise);
        Self { resegment: Resegment::default(), discretise, ..self.clone() }
    }

    /// Whether every number is one that the steps can work with.
    ///
    /// # Errors
    /// A [`FeatureError::Setting`] that names the setting, what it is and what was expected.
    pub fn validate(&self) -> Result<(), FeatureError> {
        if let Some(resample) = &self.resample {
            let [x, y, z] = resample.spacing_mm.along_axes([1.0; 3]);
            check("resample.spacing_mm", [x, y, z].iter().all(|d| d.is_finite() && *d > 0.0), "positive millimetres")?;
            let threshold = resample.mask_threshold;
            check("resample.mask_threshold", threshold > 0.0 && threshold <= 1.0, "above 0 and at most 1")?;
        }
        let Resegment { low, high, outlier_sigma } = self.resegment;
        check("resegment.low", low.is_none_or(f64::is_finite), "a finite number")?;
        check("resegment.high", high.is_none_or(f64::is_finite), "a finite number")?;
        let ordered = low.zip(high).is_none_or(|(low, high)| low <= high);
        check("resegment.high", ordered, "at least resegment.low")?;
        let sigma_fits = outlier_sigma.is_none_or(|sigma| sigma.is_finite() && sigma > 0.0);
        check("resegment.outlier_sigma", sigma_fits, "a positive number")?;
        let response = self.response_discretise.unwrap_or_default();
        for (name, discretise) in
            [("discretise", self.discretise), ("ivh", self.ivh), ("response_discretise", response)]
        {
            let fits = match discretise {
                Discretise::None => true,
                Discretise::BinWidth(width) => width.is_finite() && width > 0.0,
                Discretise::Bins(bins) => (1..=MAX_BINS).contains(&bins),
            };
            check(name, fits, "a positive bin width, or 1 to 65535 bins")?;
        }
        if let Some(expected) = self.perturb.and_then(|perturb| perturb.fault()) {
            return Err(FeatureError::Setting { setting: "perturb", expected });
        }
        for filter in &self.filter {
            if let Some(expected) = filter.fault() {
                return Err(FeatureError::Setting { setting: "filter", expected });
            }
        }
        let labels: std::collections::BTreeSet<String> = self.filter.iter().map(Filter::label).collect();
        check("filter", labels.len() == self.filter.len(), "filters that differ from each other")?;
        let Texture { glcm_distances, ngtdm_distance, ngldm_distance, aggregations, .. } = &self.texture;
        check("texture.aggregations", !aggregations.is_empty(), "at least one aggregation")?;
        let near = |distance: &u8| (1..=MAX_DISTANCE).contains(distance);
        let distinct = (1..glcm_distances.len()).all(|k| !glcm_distances[..k].contains(&glcm_distances[k]));
        let some = !glcm_distances.is_empty() && glcm_distances.iter().all(near) && distinct;
        check("texture.glcm_distances", some, "one or more different distances of 1 to 5 voxels")?;
        check("texture.ngtdm_distance", near(ngtdm_distance), "1 to 5 voxels")?;
        check("texture.ngldm_distance", near(ngldm_distance), "1 to 5 voxels")?;
        Ok(())
    }
}

pub(super) fn check(setting: &'static str, holds: bool, expected: &'static str) -> Result<(), FeatureError> {
    if holds { Ok(()) } else { Err(FeatureError::Setting { setting, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_from_the_toml_that_the_configuration_shows() {
        let text = r#"
            families = ["intensity", "glcm"]
            round_to_integers = true
            [resample]
            spacing_mm = [2.0, 2.0]
            interpolation = "cubic"
            [resegment]
            low = -500.0
            high = 400.0
            [discretise]
            bin_width = 25.0
            [ivh]
            bins = 1000
            [texture]
            aggregations = ["2d_averaged", "2.5d_merged"]
        "#;
        let settings: Settings = toml::from_str(text).unwrap();
        settings.validate().unwrap();
        let resample = settings.resample.unwrap();
        assert_eq!(resample.spacing_mm, Spacing::InPlane([2.0, 2.0]));
        assert_eq!(resample.interpolation, Interpolation::Cubic);
        assert_eq!(resample.mask_interpolation, Interpolation::Linear);
        assert_eq!(settings.discretise, Discretise::BinWidth(25.0));
        assert_eq!(settings.ivh.label(), "FBN 1000");
        let back: Settings = serde_json::from_str(&serde_json::to_string(&settings).unwrap()).unwrap();
        assert_eq!(back, settings);
    }

    #[test]
    fn an_unknown_key_and_an_impossible_number_are_refused() {
        assert!(toml::from_str::<Settings>("bin_widht = 25.0").is_err());
        let wrong = Settings { discretise: Discretise::BinWidth(0.0), ..Settings::default() };
        assert!(wrong.validate().is_err());
        let wrong = Settings { resegment: Resegment::range(10.0, -10.0), ..Settings::default() };
        assert!(wrong.validate().unwrap_err().to_string().contains("resegment.high"));
    }
}
