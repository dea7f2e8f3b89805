//! Sounds that are known beforehand, and whether a recording holds them.

use std::path::Path;

/// Samples a second, everywhere.
pub const RATE: usize = 8000;

/// What a caller plays: a tone that rises from 300 to 1,500 Hz.
#[must_use]
pub fn rising(seconds: usize) -> Vec<i16> {
    sweep(300.0, 1500.0, seconds)
}

/// What a callee plays: a tone that falls from 3,000 to 1,800 Hz.
#[must_use]
pub fn falling(seconds: usize) -> Vec<i16> {
    sweep(3000.0, 1800.0, seconds)
}

fn sweep(from: f64, to: f64, seconds: usize) -> Vec<i16> {
    let count = RATE * seconds;
    let mut phase = 0.0;
    (0..count)
        .map(|at| {
            let frequency = from + (to - from) * at as f64 / count as f64;
            phase += std::f64::consts::TAU * frequency / RATE as f64;
            (12_000.0 * phase.sin()) as i16
        })
        .collect()
}

/// Write a WAV file of one channel.
///
/// # Panics
/// It cannot be written.
pub fn write(path: &Path, samples: &[i16]) {
    let data = u32::try_from(samples.len() * 2).expect("a short sound");
    let rate = u32::try_from(RATE).expect("a low rate");
    let mut bytes = Vec::from(*b"RIFF");
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(rate.to_le_bytes());
    bytes.extend((2 * rate).to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|it| it.to_le_bytes()));
    std::fs::write(path, bytes).expect("a sound file");
}

/// Read a WAV file of one channel of 16 bits.
///
/// # Panics
/// It is no such file.
#[must_use]
pub fn read(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((head, body)) = rest.split_at_checked(8) {
        let size = head[4..].try_into().map(u32::from_le_bytes);
        let size = size.expect("four octets") as usize;
        if head.starts_with(b"fmt ") {
            assert_eq!(body[2..4], [1, 0], "{}: not one channel", path.display());
            assert_eq!(body[14..16], [16, 0], "{}: not 16 bits", path.display());
        }
        if head.starts_with(b"data") {
            let data = &body[..size.min(body.len())];
            return data
                .chunks_exact(2)
                .map(|it| i16::from_le_bytes([it[0], it[1]]))
                .collect();
        }
        rest = body.get(size + size % 2..).unwrap_or_default();
    }
    panic!("{}: no sound in it", path.display())
}

/// A-law of ITU-T G.711 to linear.
#[must_use]
pub fn from_a_law(octet: u8) -> i16 {
    let value = octet ^ 0x55;
    let mantissa = i16::from(value & 0x0f) << 4;
    let magnitude = match (value >> 4) & 7 {
        0 => mantissa + 8,
        segment => (mantissa + 0x108) << (segment - 1),
    };
    if value & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// Samples of a window in which the sounds are compared: a quarter of a second.
const WINDOW: usize = RATE / 4;
/// Time between two windows.
const STEP: usize = RATE / 2;
/// How far a sound may be moved: it starts late if a handshake goes before.
const REACH: usize = 3 * RATE / 2;

/// How well `known` is found in a recording: 1 if it is there, about 0 if it is not.
///
/// The normalised cross-correlation of five windows of a quarter of a second, each at its best
/// place; the one in the middle counts, so that a packet that was lost or a gap of a
/// jitter buffer in one window decides nothing.
#[must_use]
pub fn similarity(recording: &[i16], known: &[i16]) -> f64 {
    let mut found: Vec<f64> = (0..5)
        .map(|window| {
            let from = RATE + window * STEP;
            let known = known.get(from..from + WINDOW).expect("four seconds");
            let earliest = from.saturating_sub(REACH);
            let latest = (from + WINDOW + REACH).min(recording.len());
            best(recording.get(earliest..latest).unwrap_or_default(), known)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    found[2]
}

fn best(recording: &[i16], known: &[i16]) -> f64 {
    let known: Vec<f32> = known.iter().map(|it| f32::from(*it)).collect();
    let recording: Vec<f32> = recording.iter().map(|it| f32::from(*it)).collect();
    let energy = |samples: &[f32]| samples.iter().map(|it| it * it).sum::<f32>();
    let own = energy(&known);
    let mut best = 0.0_f64;
    // Sums of squares up to each sample: exact, as they are integers in f64.
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(recording.iter().scan(0.0, |sum, it| {
            *sum += f64::from(it * it);
            Some(*sum)
        }))
        .collect();
    for (at, part) in recording.windows(known.len()).enumerate() {
        let product: f32 = part.iter().zip(&known).map(|(a, b)| a * b).sum();
        let other = (sums[at + known.len()] - sums[at]) as f32;
        // Silence resembles nothing.
        if other > 1e4 {
            best = best.max(f64::from(product / (own * other).sqrt()));
        }
    }
    best
}

/// Bits of information in an octet, of at most 8.
#[must_use]
pub fn entropy(octets: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for octet in octets {
        counts[usize::from(*octet)] += 1;
    }
    let total = octets.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_is_found_late_and_damaged_and_no_other_one_is() {
        let known = rising(4);
        let mut recording = vec![0; 3000];
        recording.extend(&known);
        recording.drain(20_000..20_160);
        for (at, sample) in recording.iter_mut().enumerate() {
            *sample = sample.saturating_add((at * 7919 % 401) as i16 - 200);
        }
        assert!(similarity(&recording, &known) > 0.98);
        assert!(similarity(&recording, &falling(4)) < 0.2);
        assert!(similarity(&[0; 32_000], &known) < 0.1);
        assert!(similarity(&[], &known) < 0.1);
    }

    #[test]
    fn a_law_has_its_end_points() {
        // ITU-T G.711 table 1a, scaled to 16 bits.
        assert_eq!(from_a_law(0xd5), 8);
        assert_eq!(from_a_law(0x55), -8);
        assert_eq!(from_a_law(0xaa), 32_256);
        assert_eq!(from_a_law(0x2a), -32_256);
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.wav");
        write(&path, &[1, -2, 3]);
        assert_eq!(read(&path), [1, -2, 3]);
    }

    #[test]
    fn entropy_counts_bits() {
        assert!(entropy(&[7; 100]).abs() < 1e-9);
        let all: Vec<u8> = (0..=255).collect();
        assert!((entropy(&all) - 8.0).abs() < 1e-9);
    }
}
