//! Medians, and how far values lie apart.

/// The median; 0 of nothing.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Half of the distance between the quartiles, as a part of the median: what "the same" can mean.
pub(super) fn noise(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: usize| sorted.get(sorted.len().saturating_sub(1) * part / 4).copied().unwrap_or(0.0);
    let middle = median(sorted.iter().copied());
    if middle > 0.0 { (at(3) - at(1)) / 2.0 / middle } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{median, noise};

    #[test]
    fn medians_of_odd_and_even_numbers_of_values() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
        assert_eq!(median([1.0, f64::NAN]), 1.0);
    }

    #[test]
    fn noise_ignores_a_single_outlier() {
        assert_eq!(noise(&[1.0, 1.0, 1.0, 1.0, 9.0]), 0.0);
        assert!(noise(&[1.0, 2.0, 3.0, 4.0, 5.0]) > 0.3);
    }
}
