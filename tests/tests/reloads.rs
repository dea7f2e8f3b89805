//! Some hundred reloads while calls run. `cargo xtask soak --reloads 20000` is the long run.

use sipward_tests::reloads::{self, Plan};

#[test]
fn reloads_cost_no_memory_no_descriptor_and_no_call_its_time() {
    let verdict = reloads::run(&Plan::new(400).wherever());
    verdict.print();
    assert!(verdict.good, "{}", verdict.lines.join("\n"));
}
