//! PET: standardised uptake values are a scale of their own; the logarithm is optional.

use super::{Fitted, Scale, SuvKind};

/// SUV, or log(1 + SUV). The volume comes in SUV already: the factor is applied where the slices are read, because it may
/// differ from slice to slice.
pub(super) fn fit(kind: SuvKind, log: bool) -> Fitted {
    let name = match kind {
        SuvKind::BodyWeight => "body weight",
        SuvKind::LeanBodyMass => "lean body mass (Morgan and Bray)",
        SuvKind::LeanBodyMassJames128 => "lean body mass (James)",
        SuvKind::LeanBodyMassJanmahasatian => "lean body mass (Janmahasatian)",
        SuvKind::BodySurfaceArea => "body surface area",
        SuvKind::IdealBodyWeight => "ideal body weight",
    };
    let (scale, note) = if log {
        (Scale::Log, format!("log(1 + SUV), SUV by {name}"))
    } else {
        (Scale::Unchanged, format!("SUV by {name}"))
    };
    Fitted { scale, resegment: None, note }
}
