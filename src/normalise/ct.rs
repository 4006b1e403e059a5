//! CT: Hounsfield units are a physical scale and stay.

use super::{Fitted, NormaliseError, Scale};

/// The values stay; a window becomes the re-segmentation range (IBSI 2.5): voxels beyond it leave the region, none is clipped
/// to its ends.
pub(super) fn fit(window: Option<(f64, f64)>) -> Result<Fitted, NormaliseError> {
    if let Some((low, high)) = window {
        let is_range = low.is_finite() && high.is_finite() && low < high;
        if !is_range {
            return Err(NormaliseError::Window { low, high });
        }
    }
    let note = match window {
        Some((low, high)) => format!("Hounsfield units; regions re-segmented to {low} .. {high} HU"),
        None => "Hounsfield units".to_owned(),
    };
    Ok(Fitted { scale: Scale::Unchanged, resegment: window, note })
}
