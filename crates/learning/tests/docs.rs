//! Protects the documentation from drifting away from the code.

use domain::calendar::MAX_GAP_BARS;
use domain::features::{COUNT, FEATURES, VERSION};
use learning::features::WARM_UP;

#[test]
fn every_feature_is_documented_with_its_formula_and_source() {
    let text = include_str!("../../../docs/features.md");
    for feature in FEATURES {
        let row = format!("| `{}` | `{}` | {} |", feature.name, feature.formula, feature.source);
        assert!(text.contains(&row), "docs/features.md lacks: {row}");
    }
    assert_eq!(text.matches("\n| `").count(), COUNT, "docs/features.md has rows of features that do not exist");
    for number in [format!("version {VERSION}"), format!("{WARM_UP} bars"), format!("{MAX_GAP_BARS} bars")] {
        assert!(text.contains(&number), "docs/features.md does not say {number}");
    }
}
