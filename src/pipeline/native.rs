//! Features in each role's own space, on its own isotropic grid.

use serde_json::json;

use super::carry::{Placed, Scene};
use super::lesions::Lesion;
use super::measure::{self, Block, Scaled};
use super::provenance::NUMERICS_VERSION;
use super::remarks::Remarks;
use crate::features::{Extraction, FeatureError, Resample, Spacing, extract};
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
    measure::groups(blocks, "native", lesion, scene.roles, remarks)
}

fn block(
    scene: &Scene<'_>,
    lesion: &Lesion,
    role: usize,
    placed: &Placed,
    scaled: &Scaled,
) -> Result<(MeasurementGroup, Extraction), FeatureError> {
    let role = &scene.roles[role];
    let grid = role.input.grid;
    let resample = Resample::new(Spacing::Isotropic(grid.spacing_mm), grid.interpolation);
    let mut settings = measure::settings(role.input, scene.protocol, &scaled.fitted, Some(resample));
    let mut axes = "isotropic";
    if measure::is_planar(role) {
        (settings, axes) = (measure::in_planes(settings), "in-plane");
    }
    let extraction = extract(&scaled.volume, &placed.mask, &settings)?;
    let mut parameters = vec![
        format!("numerics_version={NUMERICS_VERSION}"),
        format!("grid={axes} {} mm, {:?} interpolation", grid.spacing_mm, grid.interpolation).to_lowercase(),
    ];
    parameters.extend(measure::parameters(&settings, &scaled.fitted.note));
    let diagnostics = json!({
        "source": role.origin,
        "normalisation": { "scale": scaled.fitted.scale, "note": scaled.fitted.note, "unit": scaled.unit },
        "steps": extraction.diagnostics,
    });
    let group = MeasurementGroup {
        lesion: lesion.told.number,
        role: role.name().to_owned(),
        space: Space::Native,
        mask: placed.mask.clone(),
        drawn_on: placed.drawn_on.clone(),
        values: measure::values(&extraction, scaled.unit),
        diagnostics,
        parameters,
    };
    Ok((group, extraction))
}
