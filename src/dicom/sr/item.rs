//! One node of a content tree.

use crate::dicom::codes::Coded;
use crate::dicom::uid::Uid;

/// A content item with its children (PS3.3 C.17.3).
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What it is to its parent. The root has a parent in no tree; its value here is never written.
    pub relationship: Relationship,
    /// What it says something about.
    pub concept: Coded,
    /// What it says.
    pub content: Content,
    /// What hangs below it, in order.
    pub children: Vec<Item>,
}

impl Item {
    /// An item without children.
    #[must_use]
    pub fn new(relationship: Relationship, concept: Coded, content: Content) -> Self {
        Self { relationship, concept, content, children: Vec::new() }
    }

    /// The item with these children.
    #[must_use]
    pub fn with(self, children: Vec<Item>) -> Self {
        Self { children, ..self }
    }

    /// A CODE item.
    #[must_use]
    pub fn code(relationship: Relationship, concept: Coded, value: Coded) -> Self {
        Self::new(relationship, concept, Content::Code(value))
    }

    /// A TEXT item.
    #[must_use]
    pub fn text(relationship: Relationship, concept: Coded, value: impl Into<String>) -> Self {
        Self::new(relationship, concept, Content::Text(value.into()))
    }

    /// A NUM item.
    #[must_use]
    pub fn number(relationship: Relationship, concept: Coded, value: f64, unit: Coded) -> Self {
        Self::new(relationship, concept, Content::Num(Number { value, unit }))
    }

    /// A UIDREF item.
    #[must_use]
    pub fn uid(relationship: Relationship, concept: Coded, uid: Uid) -> Self {
        Self::new(relationship, concept, Content::UidRef(uid))
    }

    /// A CONTAINER item; `template` is the DCMR template that it begins.
    #[must_use]
    pub fn container(
        relationship: Relationship,
        concept: Coded,
        template: Option<&'static str>,
        children: Vec<Item>,
    ) -> Self {
        let content = Content::Container { template: template.map(Into::into) };
        Self { relationship, concept, content, children }
    }

    /// The first child with this concept.
    #[must_use]
    pub fn child(&self, concept: &Coded) -> Option<&Item> {
        self.children.iter().find(|child| child.concept.is(concept))
    }

    /// This item and everything below it, parents first.
    pub fn walk(&self) -> impl Iterator<Item = &Item> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let item = open.pop()?;
            open.extend(item.children.iter().rev());
            Some(item)
        })
    }
}

/// Relationship Type (0040,A010).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relationship {
    /// The parent holds it.
    Contains,
    /// Who observed, or on what.
    HasObsContext,
    /// How it was acquired.
    HasAcqContext,
    /// It qualifies the parent's concept name.
    HasConceptMod,
    /// A property of the parent.
    HasProperties,
    /// What the parent was inferred from.
    InferredFrom,
}

impl Relationship {
    const ALL: [Self; 6] = [
        Self::Contains,
        Self::HasObsContext,
        Self::HasAcqContext,
        Self::HasConceptMod,
        Self::HasProperties,
        Self::InferredFrom,
    ];

    /// The defined term.
    #[must_use]
    pub const fn term(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::HasObsContext => "HAS OBS CONTEXT",
            Self::HasAcqContext => "HAS ACQ CONTEXT",
            Self::HasConceptMod => "HAS CONCEPT MOD",
            Self::HasProperties => "HAS PROPERTIES",
            Self::InferredFrom => "INFERRED FROM",
        }
    }

    /// The relationship of that term.
    #[must_use]
    pub fn from_term(term: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|relationship| relationship.term() == term)
    }
}

/// The value of an item, by Value Type (0040,A040).
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// CONTAINER, always CONTINUOUS.
    Container {
        /// The DCMR template that it begins.
        template: Option<std::borrow::Cow<'static, str>>,
    },
    /// CODE.
    Code(Coded),
    /// TEXT.
    Text(String),
    /// NUM.
    Num(Number),
    /// UIDREF.
    UidRef(Uid),
    /// DATE, a DA value.
    Date(String),
    /// TIME, a TM value.
    Time(String),
    /// IMAGE.
    Image(ImageReference),
    /// COMPOSITE.
    Composite(ImageReference),
}

impl Content {
    /// The defined term of Value Type (0040,A040).
    #[must_use]
    pub const fn value_type(&self) -> &'static str {
        match self {
            Self::Container { .. } => "CONTAINER",
            Self::Code(_) => "CODE",
            Self::Text(_) => "TEXT",
            Self::Num(_) => "NUM",
            Self::UidRef(_) => "UIDREF",
            Self::Date(_) => "DATE",
            Self::Time(_) => "TIME",
            Self::Image(_) => "IMAGE",
            Self::Composite(_) => "COMPOSITE",
        }
    }
}

/// A number with its unit: written as a decimal string of at most 16 characters and, exactly, as a double.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// The value.
    pub value: f64,
    /// Its UCUM unit.
    pub unit: Coded,
}

/// A reference to an instance, to frames or to segments of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// Referenced SOP Class UID.
    pub sop_class: Uid,
    /// Referenced SOP Instance UID.
    pub sop_instance: Uid,
    /// Referenced Segment Number; none for the whole instance.
    pub segments: Vec<u16>,
}

impl ImageReference {
    /// The whole instance.
    #[must_use]
    pub fn whole(sop_class: Uid, sop_instance: Uid) -> Self {
        Self { sop_class, sop_instance, segments: Vec::new() }
    }
}
