//! Image-level fusion: two roles' images on the common grid as one image, measured like any other under a role of its own.
//!
//! Both images come as the aligned blocks have them: at one resolution, through the registration, on their modality's scale.
//! Each is taken to the common range that the protocol names (nothing is clipped: the map is the same straight line for
//! every patient), and then their wavelet bands are averaged ([`BandAverage`]). Where a role did not come, or is not on the
//! common grid, there is no block, and a finding says so.
//!
//! [`BandAverage`]: crate::features::filters::BandAverage

use std::sync::Arc;

use serde_json::json;

use super::carry::{Placed, Scene};
use super::lesions::Lesion;
use super::measure;
use super::provenance::NUMERICS_VERSION;
use super::remarks::Remarks;
use crate::align;
use crate::config::{FusedInput, Protocol};
use crate::features::{Extraction, FeatureValue, Settings, extract};
use crate::finding::FindingKind;
use crate::image::{Mask, Volume};
use crate::normalise::Scale;
use crate::report::{MeasurementGroup, Space};

/// Adds the fused blocks of a lesion.
pub(super) fn add(
    groups: &mut Vec<MeasurementGroup>,
    scene: &Scene<'_>,
    lesion: &Lesion,
    mask: &Mask,
    (aligned, placed): (&[(usize, align::Aligned)], &[Option<Placed>]),
    remarks: &mut Remarks<'_>,
) {
    let subject = lesion.subject();
    let images: Vec<(&str, &Volume<f32>)> =
        aligned.iter().map(|(role, image)| (scene.roles[*role].name(), &image.volume)).collect();
    for fused in &scene.protocol.fused {
        if let Some(absent) = fused.of.iter().find(|role| !images.iter().any(|(name, _)| name == role)) {
            remarks.find(FindingKind::NotMeasured, &subject, format!("{}: {absent} is not there", fused.role));
            continue;
        }
        let Some(shown) = shown_on(fused, scene, placed) else { continue };
        let Some(image) = image(fused, &images) else { continue };
        let settings = settings(fused, scene.protocol);
        match extract(&image, mask, &settings) {
            Ok(extraction) => {
                let name = format!("{}, aligned", fused.role);
                measure::remark_on_missing(&extraction, &subject, &name, remarks);
                groups.push(group(fused, scene, lesion, shown, (&settings, &extraction)));
            }
            Err(error) => {
                remarks.find(FindingKind::NotMeasured, &subject, format!("{}, aligned: {error}", fused.role));
            }
        }
    }
}

/// The values alone, of images that may lie elsewhere; of those fused images that one of `moved` is part of.
pub(super) fn values(
    images: &[(&str, &Volume<f32>)],
    moved: &[&str],
    protocol: &Protocol,
    mask: &Mask,
) -> Vec<(String, FeatureValue)> {
    let moves = |fused: &&FusedInput| fused.of.iter().any(|role| moved.contains(&role.as_str()));
    let mut found = Vec::new();
    for fused in protocol.fused.iter().filter(moves) {
        let Some(image) = image(fused, images) else { continue };
        let Ok(extraction) = extract(&image, mask, &settings(fused, protocol)) else { continue };
        found.extend(extraction.values.into_iter().map(|value| (fused.role.clone(), value)));
    }
    found
}

/// The fused image; `None` where a role is not there.
fn image(fused: &FusedInput, images: &[(&str, &Volume<f32>)]) -> Option<Volume<f32>> {
    let ranged = |which: usize| -> Option<Volume<f32>> {
        let (_, image) = images.iter().find(|(name, _)| *name == fused.of[which])?;
        let [low, high] = fused.range[which];
        let mut image = Volume::clone(image);
        Scale::Linear { offset: low, divisor: high - low }.apply(&mut image);
        Some(image)
    };
    fused.average.apply(&ranged(0)?, &ranged(1)?)
}

/// How the features of a fused image are extracted: as those of MR, whose intensities have no unit either, without filters.
fn settings(fused: &FusedInput, protocol: &Protocol) -> Settings {
    let preset = Settings::preset("clinical-mr").unwrap_or_default();
    Settings { resample: None, discretise: fused.discretise, families: measure::families(protocol), ..preset }
}

/// The role on whose images the region is shown, with the other one: the reference where it is one of both.
fn shown_on<'a>(
    fused: &'a FusedInput,
    scene: &Scene<'_>,
    placed: &'a [Option<Placed>],
) -> Option<([&'a str; 2], &'a Placed)> {
    let [a, b] = &fused.of;
    let order = if *b == scene.protocol.reference { [b, a] } else { [a, b] };
    let role = scene.roles.iter().position(|role| role.name() == order[0])?;
    Some((order.map(String::as_str), placed.get(role)?.as_ref()?))
}

fn group(
    fused: &FusedInput,
    scene: &Scene<'_>,
    lesion: &Lesion,
    (made_of, placed): ([&str; 2], &Placed),
    (settings, extraction): (&Settings, &Extraction),
) -> MeasurementGroup {
    let grid = scene.protocol.grid;
    let [a, b] = &fused.of;
    let [[a_low, a_high], [b_low, b_high]] = fused.range;
    let average = &fused.average;
    let note = format!("common range: 0 to 1 is {a} {a_low} to {a_high}, {b} {b_low} to {b_high}");
    let mut parameters = vec![
        format!("numerics_version={NUMERICS_VERSION}"),
        format!("grid=isotropic {} mm, {:?} interpolation", grid.spacing_mm, grid.interpolation).to_lowercase(),
        format!("fused_of={a}, {b}"),
        format!("fusion={}", average.words(a)),
    ];
    parameters.extend(measure::parameters(settings, &note));
    MeasurementGroup {
        lesion: lesion.told.number,
        role: fused.role.clone(),
        made_of: made_of.map(str::to_owned).to_vec(),
        space: Space::Aligned,
        mask: Arc::clone(&placed.mask),
        drawn_on: scene.regions[lesion.leading].origin.clone(),
        values: measure::values(extraction, "1"),
        diagnostics: json!({ "fused": fused, "steps": extraction.diagnostics }),
        parameters,
    }
}
