//! Features in each role's own space, on its own isotropic grid.

use serde_json::json;

use super::carry::{Placed, Scene};
use super::lesions::Lesion;
use super::measure::{self, Block, Scaled};
use super::misregistration;
use super::provenance::NUMERICS_VERSION;
use super::remarks::Remarks;
use crate::features::{Extraction, FeatureError, Resample, Settings, Spacing, extract};
use crate::report::{MeasurementGroup, Space};
use rayon::prelude::*;

/// Measures a lesion on every role that it was placed on.
pub(super) fn measure(
    scene: &Scene<'_>,
    lesion: &Lesion,
    placed: &[Option<Placed>],
    scaled: &[Option<Scaled>],
    remarks: &mut Remarks<'_>,
) -> Vec<MeasurementGroup> {
    let blocks: Vec<Block> = (0..scene.roles.len())
        .into_par_iter()
        .filter_map(|role| {
            let (placed, scaled) = (placed.get(role)?.as_ref()?, scaled.get(role)?.as_ref()?);
            Some(Block { role, measured: block(scene, lesion, role, placed, scaled) })
        })
        .collect();
    let mut groups = measure::groups(blocks, "native", lesion, scene.roles, remarks);
    misregistration::add_native(&mut groups, scene, lesion, scaled);
    groups
}

/// How the features of a role are extracted in its own space.
pub(super) fn settings(scene: &Scene<'_>, role: usize, scaled: &Scaled) -> Settings {
    let input = scene.roles[role].input;
    let resample = Resample::new(Spacing::Isotropic(input.grid.spacing_mm), input.grid.interpolation);
    let settings = measure::settings(input, scene.protocol, &scaled.fitted, Some(resample));
    if measure::is_planar(&scene.roles[role]) { measure::in_planes(settings) } else { settings }
}

fn block(
    scene: &Scene<'_>,
    lesion: &Lesion,
    role: usize,
    placed: &Placed,
    scaled: &Scaled,
) -> Result<(MeasurementGroup, Extraction), FeatureError> {
    let settings = settings(scene, role, scaled);
    let role = &scene.roles[role];
    let grid = role.input.grid;
    let axes = if measure::is_planar(role) { "in-plane" } else { "isotropic" };
    let extraction = extract(&scaled.volume, &placed.mask, &settings)?;
    let mut parameters = vec![
        format!("numerics_version={NUMERICS_VERSION}"),
        format!("grid={axes} {} mm, {:?} interpolation", grid.spacing_mm, grid.interpolation).to_lowercase(),
    ];
    parameters.extend(measure::parameters(&settings, &scaled.fitted.note));
    let mut values = measure::values(&extraction, scaled.unit);
    let perturbations = measure::perturbations(&scaled.volume, &placed.mask, &settings, &mut values);
    let diagnostics = json!({
        "source": role.origin,
        "normalisation": { "scale": scaled.fitted.scale, "note": scaled.fitted.note, "unit": scaled.unit },
        "steps": extraction.diagnostics,
        "perturbations": perturbations,
    });
    let group = MeasurementGroup {
        lesion: lesion.told.number,
        role: role.name().to_owned(),
        made_of: Vec::new(),
        space: Space::Native,
        mask: placed.mask.clone(),
        drawn_on: placed.drawn_on.clone(),
        values,
        diagnostics,
        parameters,
    };
    Ok((group, extraction))
}
