//! Signers, and the pipelines that name them.

use super::{Checks, named, path};
use crate::config::hint;
use crate::config::model::Pipeline;

impl Checks<'_, '_, '_> {
    pub(super) fn signers(&mut self) {
        let (signers, numbers) = (&self.config.signers, &self.numbers.signers);
        self.unique(named(numbers, signers, "signer", |signer| &signer.name));
    }

    pub(super) fn signers_of(&mut self, number: usize, pipeline: &Pipeline) {
        let known: Vec<&str> = self
            .config
            .signers
            .iter()
            .map(|signer| signer.name.as_str())
            .collect();
        for (index, name) in pipeline.signers.iter().enumerate() {
            if !known.contains(&name.as_str()) && self.is_whole("signer") {
                let path = path("pipeline", number, &["signers", &index.to_string()]);
                self.wrong(
                    &path,
                    format!("there is no signer `{name}`"),
                    hint::among(name, known.iter().copied()),
                );
            }
        }
    }
}
