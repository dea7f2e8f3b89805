//! What `sipward status` says of databases, lists and groups.

use std::sync::Arc;

use geo::Database;
use policy_wasm::LookupBook;
use serde_json::{Value, json};

/// Lists that the text shows; more are in the JSON.
const LISTS_IN_TEXT: usize = 20;

/// A line for each database and list; empty without any.
pub(super) fn text(book: &LookupBook) -> String {
    let mut text = String::new();
    for (key, database) in databases(book) {
        text.push_str(&format!(
            "\ngeo {key}: {}, built {}",
            database.kind(),
            date(database.built())
        ));
    }
    for (name, list) in book.lists.iter().take(LISTS_IN_TEXT) {
        text.push_str(&format!("\nlist {name}: {} entries", list.len()));
    }
    if book.lists.len() > LISTS_IN_TEXT {
        let more = book.lists.len() - LISTS_IN_TEXT;
        text.push_str(&format!(
            "\nand {more} more lists; see `sipward status --json`"
        ));
    }
    text
}

/// The same in figures.
pub(super) fn json(book: &LookupBook) -> Value {
    let geo = databases(book).map(|(key, database)| {
        let about = json!({
            "kind": database.kind(),
            "built": date(database.built()),
            "built_seconds": database.built(),
            "nodes": database.nodes(),
        });
        (key.to_owned(), about)
    });
    let lists = book.lists.iter().map(|(name, list)| {
        let about = json!({ "entries": list.len(), "bytes": list.bytes() });
        (name.clone(), about)
    });
    json!({
        "geo": geo.collect::<serde_json::Map<_, _>>(),
        "lists": lists.collect::<serde_json::Map<_, _>>(),
    })
}

fn databases(book: &LookupBook) -> impl Iterator<Item = (&'static str, &Arc<Database>)> {
    let places = &book.places;
    [
        ("country", &places.country),
        ("asn", &places.asn),
        ("city", &places.city),
    ]
    .into_iter()
    .filter_map(|(key, database)| Some((key, database.as_ref()?)))
}

/// Seconds since 1970 as a date of the Gregorian calendar, in UTC.
fn date(seconds: u64) -> String {
    // Years that begin in March have their leap day at the end, and 400 of them have
    // 146,097 days. The first such period that matters began on 0000-03-01.
    let days = seconds / 86_400 + 719_468;
    let (period, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, late) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = period * 400 + year + late;
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, shown) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_700_000_000, "2023-11-14"),
            (1_704_067_199, "2023-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(seconds), shown, "{seconds}");
        }
        // Whatever a file says, it is shown.
        assert!(date(u64::MAX).ends_with(|last: char| last.is_ascii_digit()));
    }
}
