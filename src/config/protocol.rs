//! `[[protocol]]`: which cases it takes, what they need, and every setting of every stage.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};

use super::check::{Checker, one_of};
use super::defaults;
use super::error::did_you_mean;
use super::fused::{self, Around, FusedInput};
use super::input::{self, Input};
use super::locate::KeyPath;
use super::raw::{RawFeatures, RawGrid, RawProtocol, RawRegionCodes, RawRegistration, RawRoi};
use crate::case::{AtDeadline, AttributeRules, Pattern, ProtocolRules, RoiRules};
use crate::dicom::codes::is_laterality;
use crate::features::Family;
use crate::features::perturb::Perturb;
use crate::image::Interpolation;
use crate::image::Modality;
use crate::register::{SameFrame, Similarity, TransformKind};
use crate::report::{Code, Space};

/// A named set of rules and settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Protocol {
    /// Its name, unique.
    pub name: String,
    /// The role whose space the others are brought into: one of `inputs`, always required.
    pub reference: String,
    /// What happens to a case that is not complete at its deadline.
    pub at_deadline: AtDeadline,
    /// What the reference's series must say.
    #[serde(rename = "match")]
    pub matches: AttributeRules,
    /// What is measured.
    pub roi: Roi,
    /// What the measured thing is called.
    pub finding: RegionCodes,
    /// The maps between the roles' spaces.
    pub registration: Registration,
    /// Whether images are brought to one resolution.
    pub resolution: Resolution,
    /// The common grid.
    pub grid: Grid,
    /// Which features, and where.
    pub features: Features,
    /// The fitted `ComBat` model.
    pub harmonise: Harmonise,
    /// The trained model.
    pub fusion: Fusion,
    /// The roles; names are unique.
    #[serde(rename = "input")]
    pub inputs: Vec<Input>,
    /// Images fused of two roles, each measured under a role of its own. Written only where there are any: settings without
    /// them are those that they were before there were any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fused: Vec<FusedInput>,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Roi {
    /// Drawn regions whose name matches one of these.
    pub names: Vec<Pattern>,
    /// The rule that makes a region where none was drawn.
    pub automatic: Automatic,
}

/// A rule that makes a region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Automatic {
    /// None: only drawn regions are measured.
    None,
    /// PET voxels of at least this percentage of the largest SUV, connected to it.
    PetPercent(f64),
    /// PET voxels of at least this SUV, connected to the hottest one.
    PetSuv(f64),
}

impl Automatic {
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<f64>().ok();
        if text == "none" {
            return Some(Self::None);
        }
        if let Some(percent) = text.strip_prefix("pet-").and_then(|rest| rest.strip_suffix("-percent")) {
            return number(percent).filter(|n| defaults::AUTOMATIC_PERCENT_RANGE.contains(n)).map(Self::PetPercent);
        }
        let suv = number(text.strip_prefix("pet-suv-")?);
        suv.filter(|n| defaults::AUTOMATIC_SUV_RANGE.contains(n)).map(Self::PetSuv)
    }
}

impl fmt::Display for Automatic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::PetPercent(percent) => write!(f, "pet-{percent}-percent"),
            Self::PetSuv(suv) => write!(f, "pet-suv-{suv:?}"),
        }
    }
}

impl Serialize for Automatic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the measured thing is called where its drawing does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RegionCodes {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: CodeSource,
    /// Where it is.
    pub site: CodeSource,
    /// On which side. Written only where it is given: settings without it are those that they were before there was one.
    #[serde(skip_serializing_if = "CodeSource::is_from_roi")]
    pub laterality: CodeSource,
}

/// Where a code comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CodeSource {
    /// From the SEG or RTSTRUCT alone; absent there, absent in the report.
    #[default]
    FromRoi,
    /// From the SEG or RTSTRUCT; absent there, this one.
    Given(Code),
}

impl CodeSource {
    /// Whether only the drawing says it.
    #[must_use]
    pub const fn is_from_roi(&self) -> bool {
        matches!(self, Self::FromRoi)
    }

    /// The code to use where the drawing has none.
    #[must_use]
    pub const fn given(&self) -> Option<&Code> {
        match self {
            Self::FromRoi => None,
            Self::Given(code) => Some(code),
        }
    }

    /// `value|scheme|meaning`, within the lengths of PS3.3 8.8 (SH, SH, LO).
    fn parse(text: &str) -> Option<Self> {
        if text == "from-roi" {
            return Some(Self::FromRoi);
        }
        let mut parts = text.split('|').map(str::trim);
        let (value, scheme, meaning) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = |part: &str, max| !part.is_empty() && part.chars().count() <= max && !part.contains('\\');
        let legal = fits(value, 16) && fits(scheme, 16) && fits(meaning, 64) && parts.next().is_none();
        let code = Code { value: value.to_owned(), scheme: scheme.to_owned(), meaning: meaning.to_owned() };
        legal.then_some(Self::Given(code))
    }
}

impl Serialize for CodeSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::FromRoi => serializer.serialize_str("from-roi"),
            Self::Given(Code { value, scheme, meaning }) => {
                serializer.collect_str(&format_args!("{value}|{scheme}|{meaning}"))
            }
        }
    }
}

/// The maps between the roles' spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Registration {
    /// What kind of map is sought.
    pub transform: TransformKind,
    /// What a shared Frame of Reference is worth.
    pub same_frame_of_reference: SameFrame,
    /// What the first estimator maximises.
    pub measure: Similarity,
    /// Motions that are drawn for the misregistration error of features; 0 leaves it to the mean alone.
    pub error_draws: usize,
}

/// Whether images are brought to one resolution before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Resolution {
    /// `true`: the sharper images are blurred to the coarsest.
    #[serde(rename = "match")]
    pub matched: bool,
}

/// An isotropic grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Grid {
    /// Its spacing.
    pub spacing_mm: f64,
    /// How values between voxel centres are found.
    pub interpolation: Interpolation,
}

/// Which features, and where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Features {
    /// Where they are measured.
    pub space: Vec<Space>,
    /// Which families.
    pub families: Vec<Family>,
    /// Repeated measurements of perturbed images and regions, in native space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perturb: Option<Perturb>,
}

/// The fitted `ComBat` model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Harmonise {
    /// Its name; `None`, written `"none"`: values stay as they are.
    #[serde(serialize_with = "or_none")]
    pub model: Option<String>,
}

/// The trained model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fusion {
    /// The bundle's name; `None`, written `"none"`: nothing is predicted.
    #[serde(serialize_with = "or_none")]
    pub bundle: Option<String>,
}

fn or_none<S: Serializer>(name: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_deref().unwrap_or("none"))
}

impl Protocol {
    /// The input of that role.
    #[must_use]
    pub fn input(&self, role: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.role == role)
    }

    /// What grouping goes by.
    #[must_use]
    pub fn rules(&self) -> ProtocolRules {
        ProtocolRules {
            name: self.name.clone(),
            reference: self.reference.clone(),
            matches: self.matches.clone(),
            inputs: self.inputs.iter().map(Input::rules).collect(),
            roi: RoiRules {
                names: self.roi.names.clone(),
                tissues: self.inputs.iter().filter_map(Input::reference_tissue).collect(),
                required: self.roi.automatic == Automatic::None,
            },
            at_deadline: self.at_deadline,
        }
    }

    /// The keywords of all attributes that it matches on.
    pub(super) fn keywords(&self) -> BTreeSet<String> {
        let of_inputs = self.inputs.iter().flat_map(|input| input.matches.0.keys().chain(input.exclude.0.keys()));
        self.matches.0.keys().chain(of_inputs).cloned().collect()
    }
}

pub(super) const INTERPOLATIONS: &[(&str, Interpolation)] = &[
    ("nearest", Interpolation::Nearest),
    ("linear", Interpolation::Linear),
    ("cubic", Interpolation::Cubic),
    ("sinc", Interpolation::Sinc),
];

const AT_DEADLINES: &[(&str, AtDeadline)] = &[("process", AtDeadline::Process), ("park", AtDeadline::Park)];

const TRANSFORMS: &[(&str, TransformKind)] = &[
    ("none", TransformKind::None),
    ("rigid", TransformKind::Rigid),
    ("affine", TransformKind::Affine),
    ("bspline", TransformKind::Bspline),
];

const SAME_FRAMES: &[(&str, SameFrame)] =
    &[("verify", SameFrame::Verify), ("trust", SameFrame::Trust), ("refine", SameFrame::Refine)];

const MEASURES: &[(&str, Similarity)] = &[("nmi", Similarity::Nmi), ("mattes", Similarity::Mattes)];

const SPACES: &[(&str, Space)] = &[("native", Space::Native), ("aligned", Space::Aligned)];

pub(super) fn check(raw: RawProtocol, key: &KeyPath, c: &mut Checker<'_>) -> Option<Protocol> {
    let name_key = key.key("name");
    let name = c.required(&name_key, raw.name, "the protocol's name").and_then(|text| c.name(&name_key, text, 64));
    let at_deadline = c.choice(&key.key("at_deadline"), raw.at_deadline.as_deref(), AT_DEADLINES);
    let matches = input::check_rules(raw.matches, &key.key("match"), c);
    let grid = check_grid(
        &raw.grid,
        Grid { spacing_mm: defaults::GRID_SPACING_MM, interpolation: defaults::INTERPOLATION },
        &key.key("grid"),
        c,
    );
    let inputs_key = key.key("input");
    c.at_most(&inputs_key, raw.input.len(), defaults::INPUTS_MAX);
    let mut inputs: Vec<Input> = Vec::new();
    let mut stated_optional = Vec::new();
    for (i, raw) in raw.input.into_iter().enumerate() {
        let key = inputs_key.index(i);
        let optional = raw.required == Some(false);
        let Some(input) = input::check(raw, grid, &key, c) else { continue };
        if inputs.iter().any(|other| other.role == input.role) {
            c.wrong(&key.key("role"), &input.role, "every role once");
        }
        if optional {
            stated_optional.push((input.role.clone(), key.key("required")));
        }
        inputs.push(input);
    }
    let reference = check_reference(raw.reference, &mut inputs, &stated_optional, key, c);
    let roi = check_roi(raw.roi, &inputs, &key.key("roi"), c);
    let finding = check_codes(raw.finding, &key.key("finding"), c);
    let features = check_features(&raw.features, &key.key("features"), c);
    let around = Around { inputs: &inputs, spaces: &features.space };
    let fused = fused::check_all(raw.fused, &around, &key.key("fused"), c);
    Some(Protocol {
        name: name?,
        reference: reference?,
        at_deadline: at_deadline.unwrap_or(defaults::AT_DEADLINE),
        matches,
        roi,
        finding,
        registration: check_registration(&raw.registration, &key.key("registration"), c),
        resolution: Resolution { matched: raw.resolution.matched.unwrap_or(defaults::RESOLUTION_MATCH) },
        grid,
        features,
        harmonise: Harmonise { model: named_or_none(raw.harmonise.model, &key.key("harmonise").key("model"), c) },
        fusion: Fusion { bundle: named_or_none(raw.fusion.bundle, &key.key("fusion").key("bundle"), c) },
        inputs,
        fused,
    })
}

/// The reference is a role of the protocol, the first where none is named; every case needs it.
fn check_reference(
    named: Option<String>,
    inputs: &mut [Input],
    stated_optional: &[(String, KeyPath)],
    key: &KeyPath,
    c: &mut Checker<'_>,
) -> Option<String> {
    let Some(first) = inputs.first() else {
        c.problem(&key.key("input"), "is empty, expected at least one input with a role and a modality".to_owned());
        return None;
    };
    let reference = named.unwrap_or_else(|| first.role.clone());
    if let Some((_, key)) = stated_optional.iter().find(|(role, _)| *role == reference) {
        c.problem(key, "found false for the reference, which every case needs, expected true".to_owned());
    }
    match inputs.iter_mut().find(|input| input.role == reference) {
        Some(input) => input.required = true,
        None => {
            let roles: Vec<String> = inputs.iter().map(|input| format!("\"{}\"", input.role)).collect();
            let hint = did_you_mean(&reference, inputs.iter().map(|input| input.role.as_str()))
                .map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"));
            c.wrong(&key.key("reference"), &reference, &format!("a role of this protocol: {}{hint}", one_of(&roles)));
        }
    }
    Some(reference)
}

fn check_roi(raw: RawRoi, inputs: &[Input], key: &KeyPath, c: &mut Checker<'_>) -> Roi {
    let automatic_key = key.key("automatic");
    let automatic = match raw.automatic.as_deref() {
        None => Automatic::None,
        Some(text) => Automatic::parse(text).unwrap_or_else(|| {
            c.wrong(&automatic_key, text, "\"none\", or a rule such as \"pet-41-percent\" or \"pet-suv-4.0\"");
            Automatic::None
        }),
    };
    if automatic != Automatic::None && !inputs.iter().any(|input| input.modality == Modality::Pet) {
        c.wrong(&automatic_key, &automatic.to_string(), "an input of modality \"PT\" for that rule");
    }
    let names_key = key.key("names");
    let default = if automatic == Automatic::None { defaults::ROI_NAMES } else { &[] };
    let names = raw.names.unwrap_or_else(|| default.iter().map(|name| (*name).to_owned()).collect());
    if names.is_empty() && automatic == Automatic::None {
        c.problem(&names_key, "is empty and no region is automatic, expected something to measure".to_owned());
    }
    let names = names.iter().enumerate().filter_map(|(i, text)| c.pattern(&names_key.index(i), text)).collect();
    Roi { names, automatic }
}

fn check_codes(raw: RawRegionCodes, key: &KeyPath, c: &mut Checker<'_>) -> RegionCodes {
    let mut code = |name: &str, text: Option<String>| {
        let Some(text) = text else { return CodeSource::FromRoi };
        CodeSource::parse(&text).unwrap_or_else(|| {
            c.wrong(&key.key(name), &text, "\"from-roi\" or a code such as \"108369006|SCT|Neoplasm\"");
            CodeSource::FromRoi
        })
    };
    let codes = RegionCodes {
        kind: code("type", raw.kind),
        site: code("site", raw.site),
        laterality: code("laterality", raw.laterality),
    };
    if let Some(side) = codes.laterality.given().filter(|code| !is_laterality(&code.value)) {
        c.wrong(
            &key.key("laterality"),
            &side.value,
            "a side: 7771000 (left), 24028007 (right), 51440002 (both), 66459002 (one), SCT",
        );
    }
    codes
}

fn check_registration(raw: &RawRegistration, key: &KeyPath, c: &mut Checker<'_>) -> Registration {
    let transform = c.choice(&key.key("transform"), raw.transform.as_deref(), TRANSFORMS);
    let same_key = key.key("same_frame_of_reference");
    let same = c.choice(&same_key, raw.same_frame_of_reference.as_deref(), SAME_FRAMES);
    let measure = c.choice(&key.key("measure"), raw.measure.as_deref(), MEASURES);
    let (default, range) = (defaults::ERROR_DRAWS, &defaults::ERROR_DRAWS_RANGE);
    let draws = c.whole(&key.key("error_draws"), raw.error_draws, default, range);
    Registration {
        transform: transform.unwrap_or(defaults::TRANSFORM),
        same_frame_of_reference: same.unwrap_or(defaults::SAME_FRAME),
        measure: measure.unwrap_or(defaults::MEASURE),
        error_draws: usize::try_from(draws).unwrap_or(usize::MAX),
    }
}

pub(super) fn check_grid(raw: &RawGrid, default: Grid, key: &KeyPath, c: &mut Checker<'_>) -> Grid {
    let spacing_key = key.key("spacing_mm");
    let range = &defaults::GRID_SPACING_MM_RANGE;
    Grid {
        spacing_mm: c.number(&spacing_key, raw.spacing_mm, default.spacing_mm, range),
        interpolation: c
            .choice(&key.key("interpolation"), raw.interpolation.as_deref(), INTERPOLATIONS)
            .unwrap_or(default.interpolation),
    }
}

fn check_features(raw: &RawFeatures, key: &KeyPath, c: &mut Checker<'_>) -> Features {
    let space_key = key.key("space");
    let space = c.choices(&space_key, raw.space.as_deref(), &[Space::Native, Space::Aligned], SPACES);
    if space.is_empty() {
        c.problem(&space_key, "is empty, expected \"native\" or \"aligned\" or both".to_owned());
    }
    let names: Vec<(&str, Family)> = Family::ALL.iter().map(|family| (family.name(), *family)).collect();
    let families_key = key.key("families");
    let families = c.choices(&families_key, raw.families.as_deref(), Family::ALL, &names);
    if families.is_empty() {
        c.problem(&families_key, "is empty, expected at least one family".to_owned());
    }
    if let Some(expected) = raw.perturb.and_then(|perturb| perturb.fault()) {
        c.problem(&key.key("perturb"), format!("is out of range, expected {expected}"));
    }
    Features { space, families, perturb: raw.perturb }
}

fn named_or_none(text: Option<String>, key: &KeyPath, c: &mut Checker<'_>) -> Option<String> {
    text.filter(|text| text != "none").and_then(|text| c.name(key, text, 128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_rules_are_read_and_written_alike() {
        for text in ["none", "pet-41-percent", "pet-suv-4.0", "pet-suv-2.5"] {
            assert_eq!(Automatic::parse(text).unwrap().to_string(), text);
        }
        for wrong in ["pet-0-percent", "pet-100-percent", "pet-suv-0", "pet-suv-NaN", "ct-41-percent", ""] {
            assert_eq!(Automatic::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_code_has_three_parts_within_the_lengths_of_the_standard() {
        let code = CodeSource::parse("108369006|SCT|Neoplasm").unwrap();
        assert_eq!(code.given().unwrap().scheme, "SCT");
        assert_eq!(CodeSource::parse("from-roi"), Some(CodeSource::FromRoi));
        for wrong in ["108369006|SCT", "a|b|c|d", "|SCT|x", "12345678901234567|SCT|too long a value", "Neoplasm"] {
            assert_eq!(CodeSource::parse(wrong), None, "{wrong}");
        }
    }
}
