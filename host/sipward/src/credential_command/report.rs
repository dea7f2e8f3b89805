//! What `sipward credential list` and `check` print.

use std::process::ExitCode;

use accounts::{Book, Standing, Summary};
use serde_json::json;

use super::now_ms;
use crate::config::CredentialStore;

/// Exit code of `check` when passwords expire soon. 2 is what a wrong argument gives.
const EXPIRING: u8 = 3;

/// Exit code of `check` when passwords have expired.
const EXPIRED: u8 = 4;

/// Milliseconds of a day, and of a second.
const DAY_MS: u64 = 86_400_000;
const SECOND_MS: u64 = 1_000;

/// Print all accounts.
pub(super) fn list(book: &Book, store: &CredentialStore, json: bool) -> anyhow::Result<()> {
    let now_ms = now_ms()?;
    let accounts = book.summaries(&store.ages(), now_ms);
    if json {
        println!("{}", serde_json::to_string_pretty(&as_json(&accounts))?);
        return Ok(());
    }
    let mut rows =
        vec![["USER", "REALMS", "GROUPS", "CODES", "AGE", "PASSWORD"].map(str::to_owned)];
    rows.extend(accounts.iter().map(|one| {
        let codes: Vec<&str> = [(one.pin, "pin"), (one.totp, "totp")]
            .into_iter()
            .filter_map(|(there, name)| there.then_some(name))
            .collect();
        [
            one.user.clone(),
            one.realms.join(","),
            or_dash(one.groups.join(",")),
            or_dash(codes.join(",")),
            format!("{} d", now_ms.saturating_sub(one.changed_ms) / DAY_MS),
            in_words(one.standing),
        ]
    }));
    print(&rows);
    Ok(())
}

/// Print the accounts that need attention. The exit code tells the worst of them.
pub(super) fn check(book: &Book, store: &CredentialStore, json: bool) -> anyhow::Result<ExitCode> {
    let now_ms = now_ms()?;
    let mut due = book.summaries(&store.ages(), now_ms);
    due.retain(|one| matches!(one.standing, Standing::Expired(_) | Standing::Expiring(_)));
    due.sort_by_key(|one| one.expires_ms);
    if json {
        println!("{}", serde_json::to_string_pretty(&as_json(&due))?);
    } else {
        for one in &due {
            let age = now_ms.saturating_sub(one.changed_ms) / DAY_MS;
            println!(
                "{}: password {} days old, {}",
                one.user,
                age,
                in_words(one.standing)
            );
        }
    }
    let expired = due
        .iter()
        .any(|one| matches!(one.standing, Standing::Expired(_)));
    Ok(match (expired, due.is_empty()) {
        (true, _) => ExitCode::from(EXPIRED),
        (false, false) => ExitCode::from(EXPIRING),
        (false, true) => ExitCode::SUCCESS,
    })
}

fn in_words(standing: Standing) -> String {
    match standing {
        Standing::Good(days) => format!("good for {days} d"),
        Standing::Expiring(days) => format!("expires within {days} d"),
        Standing::Expired(days) => format!("expired {days} d ago"),
        Standing::Disabled => "account disabled".to_owned(),
    }
}

fn as_json(accounts: &[Summary]) -> serde_json::Value {
    let one = |account: &Summary| {
        json!({
            "user": account.user,
            "realms": account.realms,
            "groups": account.groups,
            "changed_unix": account.changed_ms / SECOND_MS,
            "expires_unix": account.expires_ms / SECOND_MS,
            "standing": match account.standing {
                Standing::Good(_) => "good",
                Standing::Expiring(_) => "expiring",
                Standing::Expired(_) => "expired",
                Standing::Disabled => "disabled",
            },
            "pin": account.pin,
            "totp": account.totp,
        })
    };
    accounts.iter().map(one).collect()
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// Columns as wide as their widest entry.
fn print(rows: &[[String; 6]]) {
    let mut widths = [0; 6];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        println!("{}", cells.join("  ").trim_end());
    }
}
