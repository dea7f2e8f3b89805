//! What an operator changes from reload to reload: settings, a plugin's file, a candidate,
//! and of which plugins the pipeline is made.

use crate::stage::{Stage, marked};

/// Changes after which all are as at first, but for files that were never there before:
/// each kind has its turn, and three states or two.
pub(super) const ROUND: u32 = 4 * 6;
/// Of so many changes, one brings a file that was never there before.
const ANEW: u32 = 100;

/// What stands in `deny`, in turn. The number that is called is not among it.
const DENIED: [&[&str]; 3] = [&["+49900"], &["+49900", "+49137"], &[]];
/// The candidate, in turn.
const CANDIDATES: [&str; 3] = [
    "",
    "[plugin.candidate]\nmode = \"shadow\"\n\
     settings = { default = \"deny\", allow = [\"+4930\"], deny = [\"+49900\"] }\n",
    "[plugin.candidate]\nmode = \"canary\"\nshare = 0.5\n\
     settings = { default = \"deny\", allow = [\"+49\"], deny = [\"+49800\"] }\n",
];

/// The operator's next change.
pub(super) struct Changes<'s> {
    stage: &'s Stage,
    /// The plugin whose file changes, as it was built.
    original: Vec<u8>,
    made: u32,
    settings: usize,
    candidate: usize,
    twice: bool,
    file: u32,
}

impl<'s> Changes<'s> {
    /// Writes the first configuration.
    pub(super) fn new(stage: &'s Stage) -> Self {
        let changes = Self {
            stage,
            original: std::fs::read(stage.plugin("rate-limit")).expect("the plugin"),
            made: 0,
            settings: 0,
            candidate: 0,
            twice: false,
            file: 0,
        };
        changes.write();
        changes
    }

    /// Makes one, and says the number of the generation that it shall be.
    pub(super) fn make(&mut self) -> u32 {
        self.made += 1;
        match self.made % 4 {
            0 => self.settings = (self.settings + 1) % DENIED.len(),
            1 => self.replace_file(),
            2 => self.candidate = (self.candidate + 1) % CANDIDATES.len(),
            _ => self.twice = !self.twice,
        }
        self.write();
        1 + self.made
    }

    /// One of two files, or one that is new to this process and its cache.
    fn replace_file(&mut self) {
        self.file = match self.made % ANEW {
            1 => 2 + self.made,
            _ => (self.file + 1) % 2,
        };
        let file = self.stage.plugin("rate-limit");
        let beside = file.with_extension("new");
        let bytes = marked(&self.original, &self.file.to_string());
        std::fs::write(&beside, bytes).expect("another file");
        std::fs::rename(&beside, &file).expect("the file in its place");
    }

    fn write(&self) {
        let plugins = match self.twice {
            true => "\"ip-acl\", \"rate-limit\", \"rate-limit-again\", \"destination-limits\"",
            false => "\"ip-acl\", \"rate-limit\", \"destination-limits\"",
        };
        let text = self
            .stage
            .filled(include_str!("reloads.toml"), DENIED[self.settings])
            .replace("@CANDIDATE@", CANDIDATES[self.candidate])
            .replace("@PLUGINS@", plugins);
        self.stage.write(&text);
    }
}
