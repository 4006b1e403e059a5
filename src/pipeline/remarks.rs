//! What is remarked on the way.

use crate::finding::{Finding, FindingKind, Policies, Policy};

/// The findings and notes of a case as they come up, each once, under the site's policies.
#[derive(Debug)]
pub(super) struct Remarks<'a> {
    policies: &'a Policies,
    pub(super) findings: Vec<Finding>,
    pub(super) notes: Vec<String>,
}

impl<'a> Remarks<'a> {
    pub(super) fn new(policies: &'a Policies, known: &[Finding]) -> Self {
        let mut remarks = Self { policies, findings: Vec::new(), notes: Vec::new() };
        remarks.extend(known.iter().cloned());
        remarks
    }

    /// A finding of these words; says whether what shows it may still be used.
    pub(super) fn find(&mut self, kind: FindingKind, subject: &str, detail: impl Into<String>) -> bool {
        let finding = self.policies.finding(kind, subject, detail);
        let usable = finding.policy != Policy::Reject;
        self.extend([finding]);
        usable
    }

    /// Findings of a stage, each once.
    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    /// A sentence, once.
    pub(super) fn note(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.notes.contains(&sentence) {
            self.notes.push(sentence);
        }
    }

    pub(super) fn policies(&self) -> &'a Policies {
        self.policies
    }
}
