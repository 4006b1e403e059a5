//! Features of grey level size zone matrices (IBSI 3.8, 9SAK): i is the level, j the number of voxels of a zone.
//!
//! A zone is a connected set of voxels of one level: over 26 neighbours in the volume, over 8 in a slice.

use super::emphasis::{Emphasis, row};
use crate::features::Family;
use crate::features::table::Row;

const FAMILY: Family = Family::Glszm;

/// The rows of the family.
pub(in crate::features) static ROWS: [Row<Emphasis>; 16] = [
    row(FAMILY, "5QRC", "szm_sze", "Small zone emphasis", |m| m.short),
    row(FAMILY, "48P8", "szm_lze", "Large zone emphasis", |m| m.long),
    row(FAMILY, "XMSY", "szm_lgze", "Low grey level zone emphasis", |m| m.low),
    row(FAMILY, "5GN9", "szm_hgze", "High grey level zone emphasis", |m| m.high),
    row(FAMILY, "5RAI", "szm_szlge", "Small zone low grey level emphasis", |m| m.short_low),
    row(FAMILY, "HW1V", "szm_szhge", "Small zone high grey level emphasis", |m| m.short_high),
    row(FAMILY, "YH51", "szm_lzlge", "Large zone low grey level emphasis", |m| m.long_low),
    row(FAMILY, "J17V", "szm_lzhge", "Large zone high grey level emphasis", |m| m.long_high),
    row(FAMILY, "JNSA", "szm_glnu", "Grey level non-uniformity", |m| m.level_nonuniformity),
    row(FAMILY, "Y1RO", "szm_glnu_norm", "Normalised grey level non-uniformity", |m| m.level_nonuniformity_norm),
    row(FAMILY, "4JP3", "szm_zsnu", "Zone size non-uniformity", |m| m.extent_nonuniformity),
    row(FAMILY, "VB3A", "szm_zsnu_norm", "Normalised zone size non-uniformity", |m| m.extent_nonuniformity_norm),
    row(FAMILY, "P30P", "szm_z_perc", "Zone percentage", |m| m.percentage),
    row(FAMILY, "BYLV", "szm_gl_var", "Grey level variance", |m| m.level_variance),
    row(FAMILY, "3NSA", "szm_zs_var", "Zone size variance", |m| m.extent_variance),
    row(FAMILY, "GU8N", "szm_zs_entr", "Zone size entropy", |m| m.entropy),
];
