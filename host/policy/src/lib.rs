//! Facts, outcomes, the pipeline as a fold, and the Permit.
