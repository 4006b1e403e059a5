//! `[[protocol.fused]]`: the images of two roles as one, a pseudo-modality with its own block (image-level fusion).

use serde::Serialize;

use super::check::Checker;
use super::defaults;
use super::input::{self, Input};
use super::locate::KeyPath;
use super::raw::RawFused;
use crate::features::Discretise;
use crate::features::filters::BandAverage;
use crate::image::Modality;
use crate::report::Space;

/// Two roles of a protocol as one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FusedInput {
    /// The name of its block; no other role has it.
    pub role: String,
    /// The roles that it is made of.
    pub of: [String; 2],
    /// Of each, in the unit of its features, what becomes 0 and what becomes 1: their common range. Nothing is clipped.
    pub range: [[f64; 2]; 2],
    /// How their bands are averaged; weights are those of the first.
    #[serde(flatten)]
    pub average: BandAverage,
    /// Its grey levels.
    pub discretise: Discretise,
}

/// What a protocol says of its inputs and where it measures.
pub(super) struct Around<'a> {
    pub inputs: &'a [Input],
    pub spaces: &'a [Space],
}

pub(super) fn check_all(
    raw: Vec<RawFused>,
    around: &Around<'_>,
    key: &KeyPath,
    c: &mut Checker<'_>,
) -> Vec<FusedInput> {
    c.at_most(key, raw.len(), defaults::FUSED_MAX);
    let mut all: Vec<FusedInput> = Vec::new();
    for (i, raw) in raw.into_iter().enumerate() {
        let key = key.index(i);
        let Some(fused) = check(raw, around, &key, c) else { continue };
        if all.iter().any(|other| other.role == fused.role) {
            c.wrong(&key.key("role"), &fused.role, "every role once");
        }
        all.push(fused);
    }
    all
}

fn check(raw: RawFused, around: &Around<'_>, key: &KeyPath, c: &mut Checker<'_>) -> Option<FusedInput> {
    let is_role = |name: &String| around.inputs.iter().any(|input| input.role == *name);
    let role_key = key.key("role");
    let role = c.required(&role_key, raw.role, "the name of the fused block");
    let role = role.and_then(|text| c.name(&role_key, text, 32));
    if let Some(taken) = role.as_ref().filter(|role| is_role(role)) {
        c.wrong(&role_key, taken, "a name that no input has");
    }
    if !around.spaces.contains(&Space::Aligned) {
        c.problem(key, "is measured on the common grid, expected \"aligned\" in features.space".to_owned());
    }
    let of_key = key.key("of");
    let of = c.required(&of_key, raw.of, "two roles of this protocol").unwrap_or_default();
    let of: Option<[String; 2]> = match <[String; 2]>::try_from(of) {
        Ok([a, b]) if a != b && is_role(&a) && is_role(&b) => Some([a, b]),
        Ok(_) => None,
        Err(_) => None,
    };
    if of.is_none() {
        c.problem(&of_key, "expected two different roles of this protocol".to_owned());
    }
    let range_key = key.key("range");
    let range = c.required(&range_key, raw.range, "for each of both what becomes 0 and what becomes 1");
    let rises = |[low, high]: &[f64; 2]| low.is_finite() && high.is_finite() && low < high;
    if range.is_some_and(|range| !range.iter().all(rises)) {
        c.problem(&range_key, "expected two pairs of finite numbers, the lower one first".to_owned());
    }
    let weight = raw.weight.unwrap_or(defaults::FUSED_WEIGHT);
    let average = BandAverage {
        wavelet: raw.wavelet.unwrap_or(defaults::FUSED_WAVELET),
        levels: raw.levels.unwrap_or(defaults::FUSED_LEVELS),
        weight,
        detail_weight: raw.detail_weight.unwrap_or(weight),
        band_pass_ratio: raw.band_pass_ratio.unwrap_or(defaults::FUSED_BAND_PASS_RATIO),
    };
    if let Some(expected) = average.fault() {
        c.problem(key, format!("expected {expected}"));
    }
    let discretise = input::check_discretise(raw.discretise.as_ref(), Modality::Other, &key.key("discretise"), c);
    Some(FusedInput { role: role?, of: of?, range: range?, average, discretise })
}
