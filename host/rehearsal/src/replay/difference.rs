//! Two policies on one capture: where they differ, and what each lets in.

use std::collections::BTreeMap;

use serde::Serialize;

use super::decided::Decided;

/// Differing decisions that are listed; all are counted.
const LISTED: usize = 1_000;

/// What a policy let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Calls that it let in.
    pub admitted: u64,
    /// Of those, calls that were answered.
    pub answered: u64,
    /// What those lasted together, in milliseconds.
    pub talked_ms: u64,
}

impl Cost {
    fn add(&mut self, decided: &Decided) {
        if decided.verdict != "admit" {
            return;
        }
        self.admitted += 1;
        if let Some(call) = &decided.call {
            self.answered += u64::from(call.answered_ms.is_some());
            self.talked_ms = self.talked_ms.saturating_add(call.talked_ms);
        }
    }

    /// Whole minutes, begun ones counted.
    #[must_use]
    pub const fn minutes(&self) -> u64 {
        self.talked_ms.div_ceil(60_000)
    }
}

/// Calls from one peer to one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Name of the peer that they come from.
    pub peer: Option<String>,
    /// Country of the number.
    pub destination: String,
    /// INVITEs that would begin a call.
    pub attempts: u64,
    /// Attempts on which the two do not agree.
    pub differing: u64,
    /// What the first policy lets in.
    pub first: Cost,
    /// What the second lets in.
    pub second: Cost,
}

/// A request on which the two do not agree. One of the two may not have been asked: the
/// call was never let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Differing {
    /// What the first decided.
    pub first: Option<Decided>,
    /// What the second decided.
    pub second: Option<Decided>,
}

/// Two policies side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Requests on which both decided alike.
    pub alike: u64,
    /// Requests on which they did not.
    pub differing: u64,
    /// The first thousand of those, in the order of the capture.
    pub listed: Vec<Differing>,
    /// Calls by peer and destination.
    pub rows: Vec<Row>,
}

type Key = (Option<String>, String);

/// Holds decisions on the same capture against each other.
#[must_use]
pub fn compare(first: &[Decided], second: &[Decided]) -> Difference {
    let mut difference = Difference::default();
    let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
    let (mut one, mut two) = (first.iter().peekable(), second.iter().peekable());
    loop {
        let places = (
            one.peek().map(|it| it.message),
            two.peek().map(|it| it.message),
        );
        let (left, right) = match places {
            (None, None) => break,
            (Some(a), Some(b)) if a == b => (one.next(), two.next()),
            (Some(a), Some(b)) if a < b => (one.next(), None),
            (Some(_), None) => (one.next(), None),
            _ => (None, two.next()),
        };
        difference.pair(left, right, &mut rows);
    }
    difference.rows = rows.into_values().collect();
    difference
}

impl Difference {
    fn pair(
        &mut self,
        left: Option<&Decided>,
        right: Option<&Decided>,
        rows: &mut BTreeMap<Key, Row>,
    ) {
        let alike = match (left, right) {
            (Some(left), Some(right)) => {
                (left.verdict, left.status) == (right.verdict, right.status)
                    && left.call.as_ref().map(|it| it.end) == right.call.as_ref().map(|it| it.end)
            }
            _ => false,
        };
        if alike {
            self.alike += 1;
        } else {
            self.differing += 1;
            if self.listed.len() < LISTED {
                self.listed.push(Differing {
                    first: left.cloned(),
                    second: right.cloned(),
                });
            }
        }
        let Some(known) = left.or(right).filter(|it| it.begins_call) else {
            return;
        };
        let key = (known.peer.clone(), known.destination.clone());
        let row = rows.entry(key).or_insert_with(|| Row {
            peer: known.peer.clone(),
            destination: known.destination.clone(),
            attempts: 0,
            differing: 0,
            first: Cost::default(),
            second: Cost::default(),
        });
        row.attempts += 1;
        row.differing += u64::from(!alike);
        for (cost, decided) in [(&mut row.first, left), (&mut row.second, right)] {
            if let Some(decided) = decided {
                cost.add(decided);
            }
        }
    }
}
