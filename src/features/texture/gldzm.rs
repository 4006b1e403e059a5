//! Features of grey level distance zone matrices (IBSI 3.9, VMDZ): i is the level, j the distance of a zone.
//!
//! The distance of a zone is the least number of steps along the axes from one of its voxels out of the morphological mask.

use super::emphasis::{Emphasis, row};
use crate::features::Family;
use crate::features::table::Row;

const FAMILY: Family = Family::Gldzm;

/// The rows of the family.
pub(in crate::features) static ROWS: [Row<Emphasis>; 16] = [
    row(FAMILY, "0GBI", "dzm_sde", "Small distance emphasis", |m| m.short),
    row(FAMILY, "MB4I", "dzm_lde", "Large distance emphasis", |m| m.long),
    row(FAMILY, "S1RA", "dzm_lgze", "Low grey level zone emphasis", |m| m.low),
    row(FAMILY, "K26C", "dzm_hgze", "High grey level zone emphasis", |m| m.high),
    row(FAMILY, "RUVG", "dzm_sdlge", "Small distance low grey level emphasis", |m| m.short_low),
    row(FAMILY, "DKNJ", "dzm_sdhge", "Small distance high grey level emphasis", |m| m.short_high),
    row(FAMILY, "A7WM", "dzm_ldlge", "Large distance low grey level emphasis", |m| m.long_low),
    row(FAMILY, "KLTH", "dzm_ldhge", "Large distance high grey level emphasis", |m| m.long_high),
    row(FAMILY, "VFT7", "dzm_glnu", "Grey level non-uniformity", |m| m.level_nonuniformity),
    row(FAMILY, "7HP3", "dzm_glnu_norm", "Normalised grey level non-uniformity", |m| m.level_nonuniformity_norm),
    row(FAMILY, "V294", "dzm_zdnu", "Zone distance non-uniformity", |m| m.extent_nonuniformity),
    row(FAMILY, "IATH", "dzm_zdnu_norm", "Normalised zone distance non-uniformity", |m| m.extent_nonuniformity_norm),
    row(FAMILY, "VIWW", "dzm_z_perc", "Zone percentage", |m| m.percentage),
    row(FAMILY, "QK93", "dzm_gl_var", "Grey level variance", |m| m.level_variance),
    row(FAMILY, "7WT1", "dzm_zd_var", "Zone distance variance", |m| m.extent_variance),
    row(FAMILY, "GBDU", "dzm_zd_entr", "Zone distance entropy", |m| m.entropy),
];
