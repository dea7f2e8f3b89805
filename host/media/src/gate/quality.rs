//! An estimate of what a listener thinks: the E-model of ITU-T G.107 with its
//! default values, and impairment factors of G.113 appendix I.
//!
//! What the relay cannot know is left at its default: echo, noise, loudness. Loss
//! after the relay and the listener's jitter buffer are not seen either, so this
//! is the best that the call can have sounded.

use crate::Codec;

/// Rating of a call without impairments, all parameters at their defaults
/// (G.107 section 7.7).
const DEFAULT_RATING: f64 = 93.2;

/// Equipment impairment and robustness against random loss.
struct Equipment {
    impairment: f64,
    robustness: f64,
}

impl Equipment {
    fn of(codec: Codec) -> Option<Self> {
        let (impairment, robustness) = match codec {
            // G.113 table I.4: with packet loss concealment of G.711 appendix I.
            Codec::G711 => (0.0, 25.1),
            // The same table: G.729A.
            Codec::G729 => (11.0, 19.0),
            // G.113 table IV.3 gives 13 of the 129 of the wideband scale (G.107.1);
            // brought to this scale it lies within that of G.711.
            Codec::G722 => (2.0, 10.0),
            // No value is standardised. Close to G.711, and its own concealment and
            // in-band correction are stronger.
            Codec::Opus => (0.0, 30.0),
            Codec::TelephoneEvent | Codec::ComfortNoise | Codec::Other => return None,
        };
        Some(Self {
            impairment,
            robustness,
        })
    }
}

/// The rating R, 0 to 100, for a loss of 0 to 1 and a one-way delay from mouth to
/// ear. `None` for codecs without a known impairment.
#[must_use]
pub fn transmission_rating(codec: Codec, loss: f64, delay_ms: f64) -> Option<f64> {
    let Equipment {
        impairment,
        robustness,
    } = Equipment::of(codec)?;
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    // G.107 equation 7-29 with BurstR of 1: losses are taken to be random.
    let effective = impairment + (95.0 - impairment) * percent / (percent + robustness);
    Some((DEFAULT_RATING - delay_impairment(delay_ms) - effective).clamp(0.0, 100.0))
}

/// Mean opinion score times 100, 100 to 450: G.107 annex B.
#[must_use]
pub fn mean_opinion_score(codec: Codec, loss: f64, delay_ms: f64) -> Option<u16> {
    let rating = transmission_rating(codec, loss, delay_ms)?;
    let score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    // In range by the clamp; the polynomial dips below 1 for ratings under 6.5.
    Some((score.clamp(1.0, 4.5) * 100.0).round() as u16)
}

/// Idd of G.107 equations 7-27 and 7-28: none up to 100 ms.
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms.is_nan() || delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    let first = (1.0 + x.powi(6)).powf(1.0 / 6.0);
    let second = 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0);
    25.0 * (first - second + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_recommendation() {
        // G.107 annex B: R of 93.2 is 4.41, 70 is 3.60, 50 is 2.58.
        assert_eq!(mean_opinion_score(Codec::G711, 0.0, 0.0), Some(441));
        // G.729A without loss: R of 82.2 is 4.10.
        assert_eq!(mean_opinion_score(Codec::G729, 0.0, 0.0), Some(410));
        assert_eq!(mean_opinion_score(Codec::Other, 0.0, 0.0), None);
        assert_eq!(mean_opinion_score(Codec::TelephoneEvent, 0.0, 0.0), None);
    }

    #[test]
    fn delay_hurts_after_100_ms() {
        assert_eq!(delay_impairment(100.0), 0.0);
        assert!(delay_impairment(101.0) >= 0.0);
        // G.107: Idd at 200 ms is about 3, at 400 ms about 24.
        assert!(
            (2.5..4.0).contains(&delay_impairment(200.0)),
            "{}",
            delay_impairment(200.0)
        );
        assert!(
            (22.0..28.0).contains(&delay_impairment(400.0)),
            "{}",
            delay_impairment(400.0)
        );
        assert_eq!(delay_impairment(f64::NAN), 0.0);
    }

    #[test]
    fn more_loss_is_never_better() {
        for codec in [Codec::G711, Codec::G722, Codec::G729, Codec::Opus] {
            let scores: Vec<u16> = (0..=100)
                .filter_map(|percent| mean_opinion_score(codec, f64::from(percent) / 100.0, 0.0))
                .collect();
            assert!(
                scores.is_sorted_by(|better, worse| better >= worse),
                "{codec:?}"
            );
            assert!(scores.iter().all(|score| (100..=450).contains(score)));
        }
        let worst = mean_opinion_score(Codec::G711, f64::INFINITY, f64::INFINITY);
        assert!(worst.is_some_and(|score| score < 200));
    }
}
