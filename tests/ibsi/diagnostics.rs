//! The diagnostics of an extraction under the tags of the reference tables.

use radiomicsd::features::{Diagnostics, ImageDiagnostics, RoiDiagnostics};

/// Tag and value of each diagnostic.
pub fn tagged(found: &Diagnostics) -> Vec<(String, f64)> {
    let mut values = Vec::new();
    image(&found.initial.image, "init_img", &mut values);
    image(&found.interpolated.image, "interp_img", &mut values);
    region(&found.initial.roi, "init_roi", &mut values);
    region(&found.interpolated.roi, "interp_roi", &mut values);
    region(&found.resegmented, "reseg_roi", &mut values);
    values
}

fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap())
}

fn image(image: &ImageDiagnostics, suffix: &str, values: &mut Vec<(String, f64)>) {
    for (axis, name) in ["x", "y", "z"].iter().enumerate() {
        values.push((format!("img_dim_{name}_{suffix}"), number(image.dimensions[axis])));
        values.push((format!("vox_dim_{name}_{suffix}"), image.spacing_mm[axis]));
    }
    let intensity = image.intensity.unwrap();
    for (name, value) in [("mean", intensity.mean), ("min", intensity.min), ("max", intensity.max)] {
        values.push((format!("{name}_int_{suffix}"), value));
    }
}

fn region(roi: &RoiDiagnostics, suffix: &str, values: &mut Vec<(String, f64)>) {
    for (axis, name) in ["x", "y", "z"].iter().enumerate() {
        values.push((format!("int_mask_dim_{name}_{suffix}"), number(roi.dimensions[axis])));
        values.push((format!("int_mask_bb_dim_{name}_{suffix}"), number(roi.intensity_bounding_box[axis])));
        values.push((format!("morph_mask_bb_dim_{name}_{suffix}"), number(roi.morphological_bounding_box[axis])));
    }
    values.push((format!("int_mask_vox_count_{suffix}"), number(roi.intensity_voxels)));
    values.push((format!("morph_mask_vox_count_{suffix}"), number(roi.morphological_voxels)));
    let intensity = roi.intensity.unwrap();
    for (name, value) in [("mean", intensity.mean), ("min", intensity.min), ("max", intensity.max)] {
        values.push((format!("int_mask_{name}_int_{suffix}"), value));
    }
}
