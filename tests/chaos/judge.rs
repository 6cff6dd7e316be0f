//! What an answer is worth beside the one that a healthy shop gives.

use serde_json::Value as Json;

/// The verdict on one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As a healthy shop answers.
    Whole,
    /// Something is null, and an error says so.
    Partial,
    /// Data that differs without an error.
    Wrong,
}

/// Compares an answer with the data of a healthy one.
pub(crate) fn verdict(healthy: &Json, answer: &Json) -> Verdict {
    let errors = answer["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let told: Vec<&[Json]> = errors
        .iter()
        .map(|error| error["path"].as_array().map_or(&[][..], Vec::as_slice))
        .collect();
    match agrees(healthy, &answer["data"], &mut Vec::new(), &told) {
        false => Verdict::Wrong,
        true if told.is_empty() => Verdict::Whole,
        true => Verdict::Partial,
    }
}

/// Whether each difference is a null that an error explains.
fn agrees(healthy: &Json, found: &Json, path: &mut Vec<Json>, told: &[&[Json]]) -> bool {
    match (healthy, found) {
        (healthy, found) if healthy == found => true,
        (_, Json::Null) => told.iter().any(|error| error.starts_with(path)),
        (Json::Object(healthy), Json::Object(found)) => {
            let same = healthy.keys().eq(found.keys());
            same && healthy
                .iter()
                .all(|(name, value)| below(name.as_str().into(), value, &found[name], path, told))
        }
        (Json::Array(healthy), Json::Array(found)) => {
            let pairs = healthy.iter().zip(found).enumerate();
            let mut pairs = pairs
                .map(|(index, (healthy, found))| below(index.into(), healthy, found, path, told));
            healthy.len() == found.len() && pairs.all(|agrees| agrees)
        }
        _ => false,
    }
}

fn below(
    segment: Json,
    healthy: &Json,
    found: &Json,
    path: &mut Vec<Json>,
    told: &[&[Json]],
) -> bool {
    path.push(segment);
    let agrees = agrees(healthy, found, path, told);
    path.pop();
    agrees
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(data: Json, paths: &[Json]) -> Verdict {
        let healthy = json!({ "a": { "b": 1, "c": [1, 2] } });
        let errors: Vec<Json> = paths.iter().map(|path| json!({ "path": path })).collect();
        verdict(&healthy, &json!({ "data": data, "errors": errors }))
    }

    #[test]
    fn what_is_null_with_an_error_there_or_below_is_partial() {
        let part = json!({ "a": { "b": null, "c": [1, 2] } });
        assert_eq!(judged(part, &[json!(["a", "b"])]), Verdict::Partial);
        assert_eq!(
            judged(json!({ "a": null }), &[json!(["a", "c", 1])]),
            Verdict::Partial
        );
    }

    #[test]
    fn what_differs_without_an_error_is_wrong() {
        let null = json!({ "a": { "b": null, "c": [1, 2] } });
        assert_eq!(judged(null.clone(), &[]), Verdict::Wrong);
        assert_eq!(judged(null, &[json!(["a", "c"])]), Verdict::Wrong);
        let other = json!({ "a": { "b": 2, "c": [1, 2] } });
        assert_eq!(judged(other, &[json!(["a", "b"])]), Verdict::Wrong);
        let shorter = json!({ "a": { "b": 1, "c": [1] } });
        assert_eq!(judged(shorter, &[json!(["a", "c"])]), Verdict::Wrong);
        let healthy = json!({ "a": { "b": 1, "c": [1, 2] } });
        assert_eq!(judged(healthy, &[]), Verdict::Whole);
    }
}
