//! What `examples/secure-trunk` ships: the tests here hold it to its settings.

use sipward_tests::stage::root;

/// A file of the example.
pub(crate) fn file(name: &str) -> String {
    let path = root().join("examples/secure-trunk").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The part of its configuration that is about one plugin.
pub(crate) fn plugin(name: &str) -> String {
    let text = file("sipward.toml");
    let begin = format!("[[plugin]]\nname = \"{name}\"\n");
    let start = text
        .find(&begin)
        .unwrap_or_else(|| panic!("the example has no {name}"));
    let rest = &text[start..];
    let ends = ["\n[[plugin]]", "\n[[pipeline]]", "\n# ----"];
    let end = ends.iter().filter_map(|end| rest.find(end)).min();
    patient(&format!("{}\n", &rest[..end.unwrap_or(rest.len())]))
}

/// The same with more time for each plugin: a machine that does many other things too must
/// not refuse a call for it.
pub(crate) fn patient(text: &str) -> String {
    text.replace(".wasm\"\n", ".wasm\"\nlimits.deadline_ms = 5000\n")
}

/// A number in a plugin's settings, such as `lock` in `{ warn = 40, lock = 200 }`, in the
/// part of its text that begins with `after`.
pub(crate) fn number(plugin: &str, after: &str, key: &str) -> f64 {
    let text = self::plugin(plugin);
    let start = text
        .find(after)
        .unwrap_or_else(|| panic!("{plugin} has no `{after}`"));
    let found = text[start..].match_indices(key).find_map(|(at, _)| {
        let place = start + at;
        let before = text[..place].chars().next_back();
        let rest = text[place + key.len()..].trim_start().strip_prefix('=')?;
        before
            .is_none_or(|it| !it.is_alphanumeric() && it != '_')
            .then_some(rest)
    });
    let rest = found.unwrap_or_else(|| panic!("{plugin} has no {key} after `{after}`"));
    let digits = |it: char| it.is_ascii_digit() || it == '.';
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(|it| digits(*it))
        .collect();
    digits
        .parse()
        .unwrap_or_else(|error| panic!("{key} of {plugin} is no number: {error}"))
}

/// What a minute to a number costs by the example's price list.
pub(crate) fn price(number: &str) -> f64 {
    let rates = file("rates.txt");
    let prices = rates.lines().filter_map(|line| {
        let (prefix, price) = line.split_once('=')?;
        let prefix = prefix.trim();
        let price: f64 = price.split_whitespace().next()?.parse().ok()?;
        (!prefix.starts_with('#') && number.starts_with(prefix)).then_some((prefix.len(), price))
    });
    let longest = prices.max_by_key(|(length, _)| *length);
    longest.expect("a price for everything").1
}

/// The points that a sign of `fraud-score` has by default, from the table of its README.
pub(crate) fn points(sign: &str) -> f64 {
    let path = root().join("plugins/fraud-score/README.md");
    let text = std::fs::read_to_string(&path).expect("the README of fraud-score");
    let row = text
        .lines()
        .find(|line| line.starts_with(&format!("| `{sign}` | ")))
        .unwrap_or_else(|| panic!("fraud-score has no sign {sign}"));
    let last = row.trim_end_matches(" |").rsplit("| ").next();
    last.and_then(|points| points.trim().parse().ok())
        .unwrap_or_else(|| panic!("no points in `{row}`"))
}
