//! What benchmarks say of many tries.

/// A measurement of two chains under the same conditions.
pub type Pair = (f64, f64);

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
pub fn median_ratio(pairs: &[Pair]) -> Option<f64> {
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some(median(&ours)? / median(&theirs)?)
}

/// Standard error of [`median_ratio`] over all pairs, from the ratios of parts that each stand for the whole
/// (interpenetrating samples, Mahalanobis 1946). Unlike the bootstrap it sees what is gained by spreading tries evenly.
/// None of fewer than two parts, or of an empty one.
pub fn ratio_noise(parts: &[Vec<Pair>]) -> Option<f64> {
    let ratios: Vec<f64> = parts
        .iter()
        .map(|part| median_ratio(part))
        .collect::<Option<_>>()?;
    if ratios.len() < 2 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let spread = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some((spread / count).sqrt())
}

/// Deals what is in order into `count` parts, so that each is spread over all of it.
pub fn deal(pairs: &[Pair], count: usize) -> Vec<Vec<Pair>> {
    (0..count)
        .map(|part| pairs.iter().skip(part).step_by(count).copied().collect())
        .collect()
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
    fn what_is_dealt_is_spread_and_whole() {
        let pairs: Vec<Pair> = (0..7).map(|index| (f64::from(index), 1.0)).collect();
        let parts = deal(&pairs, 3);
        let firsts: Vec<Vec<f64>> = parts
            .iter()
            .map(|part| part.iter().map(|pair| pair.0).collect())
            .collect();
        assert_eq!(firsts, [vec![0.0, 3.0, 6.0], vec![1.0, 4.0], vec![2.0, 5.0]]);
    }

    #[test]
    fn the_noise_is_of_what_does_not_come_from_the_phase() {
        // First frames wait for the next of evenly spread moments: wide, and the same in both chains.
        let even: Vec<Pair> = (0..200)
            .map(|phase| (f64::from(phase), f64::from(phase)))
            .collect();
        let ratio = median_ratio(&even).expect("pairs");
        assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
        let quiet = ratio_noise(&deal(&even, 10)).expect("parts");
        assert!(quiet < 1e-9, "{quiet}");
        // One of the chains is late now and then.
        let late = |phase: u32| {
            if (phase * 37).is_multiple_of(11) {
                150.0
            } else {
                0.0
            }
        };
        let noisy: Vec<Pair> = (0..200)
            .map(|phase| (f64::from(phase) + late(phase), f64::from(phase)))
            .collect();
        let noise = ratio_noise(&deal(&noisy, 10)).expect("parts");
        assert!(noise > 0.005, "{noise}");
        assert_eq!(median_ratio(&[]), None);
        assert_eq!(ratio_noise(&deal(&even, 1)), None, "one part has no spread");
    }
}
