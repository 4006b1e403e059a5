//! Normalisation: intensities of each modality on a scale that can be compared, by that modality's own rules.
//!
//! CT stays in Hounsfield units, PET in standardised uptake values (or their logarithm), MR is made relative to the body it
//! shows. Nothing is scaled to \[0, 1\] by its extremes, nothing is clipped, and every scale is strictly increasing: the order
//! of the voxels is that of the image, up to the resolution of single precision.
//!
//! A scale is fitted once, on the whole image, and then applied wherever the image goes: statistics never depend on the
//! region that is measured.
//!
//! The correction of a bias field ([`bias`]) is no scale: it changes the order of voxels, and is an option of its own.

pub mod bias;
mod body;
mod ct;
mod error;
mod landmarks;
mod method;
mod mr;
mod pet;
mod scale;
mod stripe;

use crate::image::{Mask, Volume};

pub use body::body_mask;
pub use error::NormaliseError;
pub use landmarks::{HistogramStandard, PERCENTILES};
pub use method::{Contrast, Method, SuvKind};
pub use scale::{Knots, Scale};

/// A method fitted to one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// What is done to each value.
    pub scale: Scale,
    /// The intensity range (both ends inside, in the normalised unit) that the region is cut to before features are measured.
    pub resegment: Option<(f64, f64)>,
    /// One sentence on what was done, with its numbers.
    pub note: String,
}

/// A normalised image.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalised {
    /// The image in its new unit.
    pub volume: Volume<f32>,
    /// As in [`Fitted::resegment`].
    pub resegment: Option<(f64, f64)>,
    /// As in [`Fitted::scale`].
    pub scale: Scale,
    /// As in [`Fitted::note`].
    pub note: String,
}

/// What a method may need besides the image.
#[derive(Debug, Clone, Copy, Default)]
pub struct Aids<'a> {
    /// Where statistics are taken; the [`body_mask`] of the image where `None`.
    pub body: Option<&'a Mask>,
    /// The region of the reference tissue.
    pub tissue: Option<&'a Mask>,
    /// The stored histogram standard of the sequence's class.
    pub standard: Option<&'a HistogramStandard>,
    /// Whether the image is known to show a head.
    pub is_head: bool,
}

/// Fits a method to a whole image.
///
/// # Errors
/// When the window is no range, the body is empty or flat, or what the method needs is not among the aids.
pub fn fit(image: &Volume<f32>, method: &Method, aids: &Aids<'_>) -> Result<Fitted, NormaliseError> {
    match method {
        Method::Hounsfield { window } => ct::fit(*window),
        Method::Suv { kind, log } => Ok(pet::fit(*kind, *log)),
        Method::ZScore => mr::zscore(image, aids.body),
        Method::ReferenceTissue { .. } => mr::reference_tissue(image, aids.tissue.ok_or(NormaliseError::NoTissue)?),
        Method::Histogram { .. } => aids.standard.ok_or(NormaliseError::NoStandard)?.fit(image, aids.body),
        Method::WhiteStripe { contrast } if aids.is_head => stripe::fit(image, *contrast, aids.body),
        Method::WhiteStripe { .. } => Err(NormaliseError::NotAHead),
        Method::None => Ok(Fitted {
            scale: Scale::Unchanged,
            resegment: None,
            note: "intensities as they are: no normalisation".to_owned(),
        }),
    }
}

/// Fits a method to an image and applies it to the same image.
///
/// # Errors
/// As [`fit`].
pub fn normalise(mut image: Volume<f32>, method: &Method, aids: &Aids<'_>) -> Result<Normalised, NormaliseError> {
    let Fitted { scale, resegment, note } = fit(&image, method, aids)?;
    scale.apply(&mut image);
    Ok(Normalised { volume: image, resegment, scale, note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;
    use proptest::prelude::*;

    fn image(values: &[f32]) -> Volume<f32> {
        let grid = Geometry::new([values.len(), 1, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        Volume::from_values(grid, values.to_vec()).unwrap()
    }

    #[test]
    fn ct_keeps_its_values_and_the_window_only_cuts_the_region() {
        let ct = image(&[-1024.0, -600.0, 40.0, 3071.0]);
        let found =
            normalise(ct.clone(), &Method::Hounsfield { window: Some((-500.0, 400.0)) }, &Aids::default()).unwrap();
        assert_eq!(found.volume, ct);
        assert_eq!(found.resegment, Some((-500.0, 400.0)));
        for window in [(400.0, -500.0), (0.0, 0.0), (f64::NAN, 1.0)] {
            assert!(fit(&ct, &Method::Hounsfield { window: Some(window) }, &Aids::default()).is_err());
        }
    }

    #[test]
    fn pet_keeps_suv_or_takes_its_logarithm_without_losing_negative_values() {
        let pet = image(&[-0.25, 0.0, 1.0, 7.5]);
        let plain =
            normalise(pet.clone(), &Method::Suv { kind: SuvKind::BodyWeight, log: false }, &Aids::default()).unwrap();
        assert_eq!(plain.volume, pet);
        let log = normalise(pet, &Method::Suv { kind: SuvKind::BodyWeight, log: true }, &Aids::default()).unwrap();
        let expected = [-(1.25f32.ln()), 0.0, 2f32.ln(), 8.5f32.ln()];
        for (found, expected) in log.volume.voxels.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn what_a_method_needs_and_is_not_there_is_an_error() {
        let mr = image(&[1.0, 2.0]);
        let error = |method| fit(&mr, &method, &Aids::default()).unwrap_err();
        assert_eq!(error(Method::Histogram { standard: "t1".to_owned() }), NormaliseError::NoStandard);
        assert_eq!(error(Method::ReferenceTissue { roi: "fat".to_owned() }), NormaliseError::NoTissue);
        assert_eq!(error(Method::WhiteStripe { contrast: Contrast::T1 }), NormaliseError::NotAHead);
    }

    #[test]
    fn missing_voxels_stay_missing() {
        let mr = image(&[1.0, f32::NAN, 2.0, 3.0]);
        let found = normalise(mr, &Method::ZScore, &Aids::default()).unwrap();
        assert!(found.volume.voxels[[0, 0, 1]].is_nan());
        assert!(found.volume.voxels[[0, 0, 0]].is_finite());
    }

    proptest! {
        #[test]
        fn every_method_keeps_the_rank_of_every_voxel(
            stored in prop::collection::vec(0u16..4096, 3..200),
            slope in 0.01..20f32,
            intercept in -1024.0..10f32,
        ) {
            prop_assume!(stored.iter().any(|v| *v != stored[0]));
            let values: Vec<f32> = stored.iter().map(|v| f32::from(*v) * slope + intercept).collect();
            let grid = image(&values).geometry;
            let everywhere = Mask::filled(grid, true);
            let landmarks = PERCENTILES.iter().map(|p| p.sqrt()).collect();
            let standard = HistogramStandard::new(PERCENTILES.to_vec(), landmarks, 1).unwrap();
            let aids = Aids {
                body: Some(&everywhere),
                tissue: Some(&everywhere),
                standard: Some(&standard),
                is_head: true,
            };
            let methods = [
                Method::Hounsfield { window: Some((-10.0, 10.0)) },
                Method::Suv { kind: SuvKind::BodyWeight, log: false },
                Method::Suv { kind: SuvKind::BodyWeight, log: true },
                Method::ZScore,
                Method::ReferenceTissue { roi: String::new() },
                Method::Histogram { standard: String::new() },
                Method::WhiteStripe { contrast: Contrast::T1 },
                Method::None,
            ];
            for method in methods {
                let Ok(found) = normalise(image(&values), &method, &aids) else { continue };
                let after: Vec<f32> = found.volume.voxels.iter().copied().collect();
                for (i, a) in values.iter().enumerate() {
                    for (j, b) in values.iter().enumerate() {
                        prop_assert_eq!(a.partial_cmp(b), after[i].partial_cmp(&after[j]), "{:?}", method);
                    }
                }
            }
        }
    }
}
