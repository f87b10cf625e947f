//! What was said about rules when they were compiled.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::compile::{Counts, Loaded, Refused, Skipped, Warned, Warning};
use crate::syntax::ast::{Place, Problem};

/// [`Loaded`], without the rules.
#[derive(Serialize, Deserialize)]
pub(super) struct Report {
    refused: Vec<(String, Vec<Problem>)>,
    skipped: Vec<(String, Place, String)>,
    /// Each with its file and the line on which its rule begins.
    warnings: Vec<(String, u32, Warning)>,
    counts: Counts,
    comments: u64,
}

impl Report {
    pub(super) fn new(loaded: &Loaded) -> Self {
        let refused = loaded.refused.iter();
        let skipped = loaded.skipped.iter();
        let warnings = loaded.warnings.iter();
        Self {
            refused: refused
                .map(|of| (of.file.to_string(), of.problems.clone()))
                .collect(),
            skipped: skipped
                .map(|of| (of.file.to_string(), of.place, of.reason.clone()))
                .collect(),
            warnings: warnings
                .map(|of| (of.file.to_string(), of.rule, of.warning.clone()))
                .collect(),
            counts: loaded.counts,
            comments: loaded.comments as u64,
        }
    }

    /// What was loaded, without the rules.
    pub(super) fn into_loaded(self) -> Loaded {
        let mut files: HashMap<String, Arc<str>> = HashMap::new();
        let mut shared = |file: String| -> Arc<str> {
            let known = files.entry(file);
            let name = known.key().as_str().into();
            Arc::clone(known.or_insert(name))
        };
        let refused = self.refused.into_iter().map(|(file, problems)| Refused {
            file: shared(file),
            problems,
        });
        let refused = refused.collect();
        let skipped = (self.skipped.into_iter()).map(|(file, place, reason)| Skipped {
            file: shared(file),
            place,
            reason,
        });
        let skipped = skipped.collect();
        let warnings = self.warnings.into_iter();
        let warnings = warnings.map(|(file, rule, warning)| Warned {
            file: shared(file),
            rule,
            warning,
        });
        let warnings = warnings.collect();
        Loaded {
            refused,
            skipped,
            warnings,
            counts: self.counts,
            comments: usize::try_from(self.comments).unwrap_or(usize::MAX),
            ..Loaded::default()
        }
    }
}
