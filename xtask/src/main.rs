//! Every developer command of Sipward.

fn main() {}
