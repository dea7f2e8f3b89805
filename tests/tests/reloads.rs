//! A thousand reloads while calls run. `cargo xtask soak --reloads 20000` is the long run.

use sipward_tests::reloads::{self, Plan};

#[test]
fn a_thousand_reloads_cost_no_memory_no_descriptor_and_no_call_its_time() {
    let verdict = reloads::run(&Plan::new(1_000).wherever());
    verdict.print();
    assert!(verdict.good, "{}", verdict.lines.join("\n"));
}
