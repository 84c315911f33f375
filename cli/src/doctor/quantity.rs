//! Kubernetes' quantities, as numbers to compare.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The number, e.g. 0.1 of `100m`; `None` if it is none.
pub(super) fn number(quantity: &Quantity) -> Option<f64> {
    const UNITS: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let text = quantity.0.as_str();
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)))
        .unwrap_or((text, 1.0));
    // Rust reads words, too, such as `inf`.
    let is_number = digits.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    digits.parse::<f64>().ok().filter(|_| is_number).map(|number| number * unit)
}
