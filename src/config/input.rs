//! `[[protocol.input]]`: one kind of series that a protocol asks for, with its own settings.

use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;
use serde::{Serialize, Serializer};

use super::check::{Checker, one_of};
use super::defaults;
use super::locate::KeyPath;
use super::protocol::{Grid, check_grid};
use super::raw::{RawDiscretise, RawFwhm, RawInput, RawMatch, RawNormalise};
use crate::case::{AttributeRules, InputRules, Prefer};
use crate::features::Discretise;
use crate::features::filters::Filter;
use crate::image::Modality;
use crate::normalise::{Contrast, Method, SuvKind};
use crate::volume::MrScaling;

/// One role of a protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Input {
    /// The role's name; the block's name in tables and reports.
    pub role: String,
    /// What kind of image it takes: CT, PT or MR.
    #[serde(serialize_with = "modality_code")]
    pub modality: Modality,
    /// Whether a case waits for it. Always `true` for the reference.
    pub required: bool,
    /// All of these must match.
    #[serde(rename = "match")]
    pub matches: AttributeRules,
    /// None of these may match.
    pub exclude: AttributeRules,
    /// How one of several series is chosen.
    pub prefer: Vec<Prefer>,
    /// The image's resolution.
    pub fwhm_mm: Fwhm,
    /// The role's own isotropic grid, on which native features are measured.
    pub grid: Grid,
    /// How an MR image is read; `None` for other modalities, whose settings have no such keys.
    #[serde(flatten)]
    pub mr: Option<MrReading>,
    /// The scale of its intensities.
    pub normalise: Method,
    /// Its grey levels for histograms and textures.
    pub discretise: Discretise,
    /// Filters whose response maps are measured beside the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Filter>,
    /// Grey levels of response maps; without it those of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_discretise: Option<Discretise>,
}

/// What only an MR image leaves open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MrReading {
    /// Which of the scales that the image offers its numbers are read in.
    #[serde(rename = "mr_scaling")]
    pub scaling: MrScaling,
    /// Whether its bias field is taken out before anything else.
    pub bias_correction: bool,
}

/// The resolution of an image: full width at half maximum of its point spread function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fwhm {
    /// From the site's table, else the image's attributes, else an estimate.
    Auto,
    /// In-plane x, in-plane y, through-plane, mm.
    Given([f64; 3]),
}

impl Serialize for Fwhm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Given(widths) => widths.serialize(serializer),
        }
    }
}

/// The code of a modality as the standard and the configuration write it (PS3.3 C.7.3.1.1.1).
#[must_use]
pub const fn code_of(modality: Modality) -> &'static str {
    match modality {
        Modality::Ct => "CT",
        Modality::Pet => "PT",
        Modality::Mr => "MR",
        Modality::Other => "OT",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn modality_code<S: Serializer>(modality: &Modality, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code_of(*modality))
}

impl Input {
    /// The name of the region that its intensities are relative to.
    pub(super) fn reference_tissue(&self) -> Option<String> {
        match &self.normalise {
            Method::ReferenceTissue { roi } => Some(roi.clone()),
            _ => None,
        }
    }

    /// What grouping goes by.
    pub(super) fn rules(&self) -> InputRules {
        InputRules {
            role: self.role.clone(),
            modality: code_of(self.modality).to_owned(),
            required: self.required,
            matches: self.matches.clone(),
            exclude: self.exclude.clone(),
            prefer: self.prefer.clone(),
        }
    }
}

const MODALITIES: &[(&str, Modality)] = &[("CT", Modality::Ct), ("PT", Modality::Pet), ("MR", Modality::Mr)];

const PREFERENCES: &[(&str, Prefer)] =
    &[("thinnest", Prefer::Thinnest), ("newest", Prefer::Newest), ("largest", Prefer::Largest)];

const SUV_KINDS: &[(&str, SuvKind)] = &[
    ("bw", SuvKind::BodyWeight),
    ("lbm", SuvKind::LeanBodyMass),
    ("lbm-james128", SuvKind::LeanBodyMassJames128),
    ("lbm-janmahasatian", SuvKind::LeanBodyMassJanmahasatian),
    ("bsa", SuvKind::BodySurfaceArea),
    ("ibw", SuvKind::IdealBodyWeight),
];

const MR_SCALINGS: &[(&str, MrScaling)] =
    &[("display", MrScaling::Display), ("philips", MrScaling::Philips), ("real-world", MrScaling::RealWorld)];

const CONTRASTS: &[(&str, Contrast)] = &[("t1", Contrast::T1), ("t2", Contrast::T2)];

/// The names of the methods, before their settings are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MethodName {
    Hounsfield,
    Suv,
    ZScore,
    ReferenceTissue,
    Histogram,
    WhiteStripe,
    None,
}

const METHODS: &[(&str, MethodName)] = &[
    ("hu", MethodName::Hounsfield),
    ("suv", MethodName::Suv),
    ("zscore", MethodName::ZScore),
    ("reference-tissue", MethodName::ReferenceTissue),
    ("reference_tissue", MethodName::ReferenceTissue),
    ("histogram", MethodName::Histogram),
    ("white-stripe", MethodName::WhiteStripe),
    ("none", MethodName::None),
];

pub(super) fn check(raw: RawInput, grid: Grid, key: &KeyPath, c: &mut Checker<'_>) -> Option<Input> {
    let role_key = key.key("role");
    let role = c.required(&role_key, raw.role, "the role's name").and_then(|text| c.name(&role_key, text, 32));
    let modality_key = key.key("modality");
    let modality = c.required(&modality_key, raw.modality, "\"CT\", \"PT\" or \"MR\"");
    let modality = modality.and_then(|text| c.choice(&modality_key, Some(&text), MODALITIES));
    let matches = check_rules(raw.matches, &key.key("match"), c);
    let exclude = check_rules(raw.exclude, &key.key("exclude"), c);
    let prefer = c.choices(&key.key("prefer"), raw.prefer.as_deref(), defaults::PREFER, PREFERENCES);
    let fwhm_mm = check_fwhm(raw.fwhm_mm, &key.key("fwhm_mm"), c);
    let grid = check_grid(&raw.grid, grid, &key.key("grid"), c);
    // Without a modality, its settings cannot be judged; the missing modality is written down already.
    let modality = modality?;
    let normalise = check_normalise(raw.normalise, modality, &key.key("normalise"), c);
    let discretise = check_discretise(raw.discretise.as_ref(), modality, &key.key("discretise"), c);
    let filter = check_filters(raw.filter, &key.key("filter"), c);
    let response_key = key.key("response_discretise");
    let of_responses = raw.response_discretise.as_ref();
    let response_discretise = of_responses.map(|raw| check_discretise(Some(raw), modality, &response_key, c));
    let required = raw.required.unwrap_or(defaults::INPUT_REQUIRED);
    let role = role?;
    let mr = check_mr(raw.mr_scaling.as_deref(), raw.bias_correction, modality, key, c);
    Some(Input {
        role,
        modality,
        required,
        matches,
        exclude,
        prefer,
        fwhm_mm,
        grid,
        mr,
        normalise,
        discretise,
        filter,
        response_discretise,
    })
}

fn check_mr(
    scaling: Option<&str>,
    bias_correction: Option<bool>,
    modality: Modality,
    key: &KeyPath,
    c: &mut Checker<'_>,
) -> Option<MrReading> {
    let scaling_key = key.key("mr_scaling");
    if modality == Modality::Mr {
        let scaling = c.choice(&scaling_key, scaling, MR_SCALINGS).unwrap_or_default();
        return Some(MrReading { scaling, bias_correction: bias_correction.unwrap_or(false) });
    }
    let of_mr = [(scaling_key, scaling.is_some()), (key.key("bias_correction"), bias_correction.is_some())];
    for (key, _) in of_mr.iter().filter(|(_, given)| *given) {
        c.problem(key, format!("is of MR, expected no such key for modality {}", code_of(modality)));
    }
    None
}

/// Regular expressions by attribute keyword.
pub(super) fn check_rules(raw: RawMatch, key: &KeyPath, c: &mut Checker<'_>) -> AttributeRules {
    let mut rules = AttributeRules::default();
    for (keyword, text) in raw.unwrap_or_default() {
        let key = key.key(&keyword);
        if StandardDataDictionary.by_name(&keyword).is_none() {
            c.problem(&key, "is no DICOM attribute, expected a keyword such as SeriesDescription".to_owned());
        }
        if let Some(pattern) = c.pattern(&key, &text) {
            rules.0.insert(keyword, pattern);
        }
    }
    rules
}

fn check_fwhm(raw: Option<RawFwhm>, key: &KeyPath, c: &mut Checker<'_>) -> Fwhm {
    match raw {
        None => Fwhm::Auto,
        Some(RawFwhm::Text(text)) => {
            if text != "auto" {
                c.wrong(key, &text, "\"auto\" or three widths in mm: in-plane x, y, through-plane");
            }
            Fwhm::Auto
        }
        Some(RawFwhm::Widths(widths)) => {
            for (i, width) in widths.iter().enumerate() {
                c.number(&key.index(i), Some(*width), 0.0, &defaults::FWHM_MM_RANGE);
            }
            Fwhm::Given(widths)
        }
    }
}

/// The method must fit the modality: a Hounsfield window means nothing on PET, and unscaled activity is no SUV.
fn check_normalise(raw: Option<RawNormalise>, modality: Modality, key: &KeyPath, c: &mut Checker<'_>) -> Method {
    let raw = raw.unwrap_or_default();
    let allowed: &[MethodName] = match modality {
        Modality::Ct => &[MethodName::Hounsfield],
        Modality::Pet => &[MethodName::Suv],
        Modality::Mr | Modality::Other => {
            use MethodName::{Histogram, None, ReferenceTissue, WhiteStripe, ZScore};
            &[ZScore, ReferenceTissue, Histogram, WhiteStripe, None]
        }
    };
    let method_key = key.key("method");
    let mut name = c.choice(&method_key, raw.method.as_deref(), METHODS).unwrap_or(allowed[0]);
    if !allowed.contains(&name) {
        let of_modality: Vec<String> = METHODS
            .iter()
            .filter(|(text, method)| allowed.contains(method) && !text.contains('_'))
            .map(|(text, _)| format!("\"{text}\""))
            .collect();
        let expected = format!("{} for modality {}", one_of(&of_modality), code_of(modality));
        c.wrong(&method_key, raw.method.as_deref().unwrap_or(""), &expected);
        name = allowed[0];
    } else {
        refuse_foreign_keys(&raw, name, key, c);
    }
    match name {
        MethodName::Hounsfield => Method::Hounsfield { window: check_window(raw.window, &key.key("window"), c) },
        MethodName::Suv => Method::Suv {
            kind: c.choice(&key.key("kind"), raw.kind.as_deref(), SUV_KINDS).unwrap_or_default(),
            log: raw.log.unwrap_or(false),
        },
        MethodName::ZScore => Method::ZScore,
        MethodName::ReferenceTissue => {
            let roi = c.required(&key.key("roi"), raw.roi, "the name of the ROI that covers the reference tissue");
            Method::ReferenceTissue { roi: roi.unwrap_or_default() }
        }
        MethodName::Histogram => {
            let standard_key = key.key("standard");
            let standard = c.required(&standard_key, raw.standard, "the name of a trained histogram standard");
            let standard = standard.and_then(|text| c.name(&standard_key, text, 128));
            Method::Histogram { standard: standard.unwrap_or_default() }
        }
        MethodName::WhiteStripe => {
            let contrast_key = key.key("contrast");
            let contrast = c.required(&contrast_key, raw.contrast, "\"t1\" or \"t2\"");
            let contrast = contrast.and_then(|text| c.choice(&contrast_key, Some(&text), CONTRASTS));
            Method::WhiteStripe { contrast: contrast.unwrap_or(Contrast::T1) }
        }
        MethodName::None => Method::None,
    }
}

fn refuse_foreign_keys(raw: &RawNormalise, name: MethodName, key: &KeyPath, c: &mut Checker<'_>) {
    for (setting, given, owner, owner_name) in [
        ("window", raw.window.is_some(), MethodName::Hounsfield, "hu"),
        ("kind", raw.kind.is_some(), MethodName::Suv, "suv"),
        ("log", raw.log.is_some(), MethodName::Suv, "suv"),
        ("roi", raw.roi.is_some(), MethodName::ReferenceTissue, "reference-tissue"),
        ("standard", raw.standard.is_some(), MethodName::Histogram, "histogram"),
        ("contrast", raw.contrast.is_some(), MethodName::WhiteStripe, "white-stripe"),
    ] {
        if given && owner != name {
            c.problem(&key.key(setting), format!("belongs to method \"{owner_name}\", expected no such key here"));
        }
    }
}

fn check_window(raw: Option<[f64; 2]>, key: &KeyPath, c: &mut Checker<'_>) -> Option<(f64, f64)> {
    let [low, high] = raw?;
    if !(low.is_finite() && high.is_finite() && low < high) {
        c.problem(key, format!("found [{low}, {high}], expected two finite numbers, the lower one first"));
    }
    Some((low, high))
}

/// Each filter with numbers that it can work with, and each once.
fn check_filters(raw: Vec<Filter>, key: &KeyPath, c: &mut Checker<'_>) -> Vec<Filter> {
    c.at_most(key, raw.len(), defaults::FILTERS_MAX);
    let mut filters: Vec<Filter> = Vec::with_capacity(raw.len());
    for (i, filter) in raw.into_iter().enumerate() {
        let key = key.index(i);
        if let Some(expected) = filter.fault() {
            c.problem(&key, format!("found {}, expected {expected}", filter.label()));
        } else if filters.iter().any(|other| other.label() == filter.label()) {
            c.problem(&key, format!("found {} again, expected every filter once", filter.label()));
        }
        filters.push(filter);
    }
    filters
}

/// Grey levels: those that are given, else what is usual for the modality.
pub(super) fn check_discretise(
    raw: Option<&RawDiscretise>,
    modality: Modality,
    key: &KeyPath,
    c: &mut Checker<'_>,
) -> Discretise {
    let default = match modality {
        Modality::Ct => Discretise::BinWidth(defaults::CT_BIN_WIDTH),
        Modality::Pet => Discretise::BinWidth(defaults::PT_BIN_WIDTH),
        Modality::Mr | Modality::Other => Discretise::Bins(defaults::MR_BINS),
    };
    let Some(raw) = raw else { return default };
    match (raw.bin_width, raw.bins) {
        (Some(width), None) => {
            Discretise::BinWidth(c.number(&key.key("bin_width"), Some(width), 1.0, &defaults::BIN_WIDTH_RANGE))
        }
        (None, Some(bins)) => {
            let bins = c.whole(&key.key("bins"), Some(bins), u64::from(defaults::MR_BINS), &defaults::BINS_RANGE);
            Discretise::Bins(u32::try_from(bins).unwrap_or(defaults::MR_BINS))
        }
        _ => {
            c.problem(key, "expected one of bin_width and bins, not both and not none".to_owned());
            default
        }
    }
}
