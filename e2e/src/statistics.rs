//! What benchmarks say of many tries.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Samples of the bootstrap: more change its answer in the third digit only.
const RESAMPLES: usize = 2_000;

/// The value below which `share` (0 to 1) of the values lie, between two of them by straight line; none of no values.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place among values that are in memory"
    )]
    let (below, part) = {
        let place = last as f64 * share.clamp(0.0, 1.0);
        (place as usize, place.fract())
    };
    let low = *sorted.get(below)?;
    let high = *sorted.get(below + 1).unwrap_or(&low);
    Some((high - low).mul_add(part, low))
}

/// The middle value; none of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Median of the first of each pair ÷ median of the second.
pub fn median_ratio(pairs: &[(f64, f64)]) -> Option<f64> {
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some(median(&ours)? / median(&theirs)?)
}

/// Standard error of [`median_ratio`], by the bootstrap over pairs (Efron 1979): how far the ratio of another run would
/// lie from this one's. The same pairs give the same answer.
pub fn ratio_noise(pairs: &[(f64, f64)]) -> Option<f64> {
    let mut random = StdRng::seed_from_u64(20);
    let mut ratios = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let drawn: Vec<(f64, f64)> = (0..pairs.len())
            .filter_map(|_| pairs.get(random.random_range(0..pairs.len())).copied())
            .collect();
        ratios.push(median_ratio(&drawn)?);
    }
    #[expect(clippy::cast_precision_loss, reason = "2000")]
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let spread = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some(spread.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_values() {
        let values = [40.0, 10.0, 30.0, 20.0];
        assert_eq!(quantile(&values, 0.0), Some(10.0));
        assert_eq!(median(&values), Some(25.0));
        assert_eq!(quantile(&values, 1.0), Some(40.0));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn equal_arms_have_the_ratio_one_and_more_tries_have_less_noise() {
        let tries = |count: u32| -> Vec<(f64, f64)> {
            // Two arms whose values are spread alike and do not go together.
            (0..count)
                .map(|index| {
                    (
                        f64::from(index * 37 % 100 + 100),
                        f64::from(index * 61 % 100 + 100),
                    )
                })
                .collect()
        };
        let ratio = median_ratio(&tries(400)).expect("pairs");
        assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
        let few = ratio_noise(&tries(25)).expect("pairs");
        let many = ratio_noise(&tries(400)).expect("pairs");
        assert!(many < few / 2.0, "{few} and {many}");
        assert_eq!(median_ratio(&[]), None);
        assert_eq!(ratio_noise(&[]), None);
    }
}
