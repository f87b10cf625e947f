//! How rules are loaded, at the start and again.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use weir_engine::plan::RuleSet;
use weir_engine::state::Overrides;
use weir_rules::compile::Loaded;
use weir_wasm::modules::Modules;
use weir_wasm::runtime::Limits;

use super::{report_refused, settings};
use crate::cli::RunOptions;
use crate::config::Config;
use crate::failure::Failure;
use crate::rules::times::RuleTimes;
use crate::rules::{self, Evaluation, Evaluators, Trusted};

/// Rules that are ready to be evaluated.
pub struct Fresh {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// What evaluates them.
    pub evaluators: Evaluators,
    /// What was said about them; the rules themselves are no longer in it.
    pub loaded: Loaded,
    /// What the configuration says about limits.
    pub overrides: Arc<Overrides>,
}

/// What the command line says about rules.
#[derive(Clone, Debug)]
pub struct Again {
    rules: Vec<PathBuf>,
    config: Option<PathBuf>,
    frequency: Option<PathBuf>,
    strict: bool,
    require_signature: bool,
    evaluation: Evaluation,
    workers: usize,
    /// Packets wait for answers.
    live: bool,
    /// Where it is measured what rules take.
    pub times: Option<Arc<RuleTimes>>,
}

impl Again {
    /// Takes what a command line says.
    pub fn of(options: &RunOptions, workers: NonZeroUsize) -> Self {
        Self {
            rules: options.rules.clone(),
            config: options.config.clone(),
            frequency: options.frequency.clone(),
            strict: options.strict,
            require_signature: options.require_signature,
            evaluation: options.evaluator,
            workers: workers.get(),
            live: options.is_live(),
            times: options.profile_rules.then(Arc::default),
        }
    }

    /// Loads rules, and says which were refused. Modules of those `before` go on with what they have kept.
    pub fn load(
        &self,
        config: &Config,
        mut context: settings::Context,
        paths: Option<&[PathBuf]>,
        before: Option<&Arc<Modules>>,
    ) -> Result<Fresh, Failure> {
        if self.live {
            context.modules = config.modules.policy(Limits::inline());
        }
        let paths = paths.unwrap_or(&self.rules);
        let overrides = Arc::clone(&context.engine.overrides);
        let trusted = Trusted::new(config, self.require_signature)?;
        let rules::Set {
            mut loaded,
            code,
            modules,
        } = rules::load(
            paths,
            context,
            &trusted,
            self.workers,
            before.map(AsRef::as_ref),
        )?;
        report_refused(&loaded, paths, self.strict)?;
        let rules = Arc::new(std::mem::take(&mut loaded.rules));
        let evaluators = Evaluators::new(&rules, self.evaluation, &code, modules.as_ref(), before)?;
        Ok(Fresh {
            evaluators: match &self.times {
                Some(times) => evaluators.timed(times),
                None => evaluators,
            },
            rules,
            loaded,
            overrides,
        })
    }

    /// Loads rules once more, from the same paths unless others are given. What the configuration says about rules and
    /// limits is read anew, too; all else in it stays as it was at the start.
    pub fn reload(
        &self,
        paths: Option<&[PathBuf]>,
        before: Option<&Arc<Modules>>,
    ) -> Result<Fresh, Failure> {
        let config = Config::load(self.config.as_deref())
            .map_err(|error| Failure::Usage(error.to_string()))?
            .with_frequency(self.frequency.as_deref());
        let context = settings::Context::new(&config)?;
        self.load(&config, context, paths, before)
    }
}
