//! Answers of the port of operators, as people read them.

use serde_json::Value as Json;

/// How the queues stand.
pub(super) fn queues(answer: &Json) -> String {
    let queues = list(&answer["queues"]);
    if queues.is_empty() {
        return "There are no queues.\n".to_owned();
    }
    let mut rows =
        vec![["QUEUE", "WAITING", "DEAD", "IN FLIGHT", "OLDEST", "STATE"].map(Into::into)];
    rows.extend(queues.iter().map(|queue| {
        [
            text(&queue["queue"]),
            text(&queue["waiting"]),
            text(&queue["dead"]),
            text(&queue["here"]["in_flight"]),
            text(&queue["oldest"]),
            state(queue),
        ]
    }));
    aligned(&rows)
}

fn state(queue: &Json) -> String {
    if let Some(reason) = queue["paused"]["reason"].as_str() {
        return format!("paused since {}: {reason}", text(&queue["paused"]["since"]));
    }
    let sources = list(&queue["here"]["sources"]).iter();
    let closed = sources.filter(|source| source["state"] != "flows");
    let closed: Vec<String> = closed
        .map(|source| match source["state"].as_str() {
            Some("denied") => format!("{} denies our credentials", text(&source["source"])),
            _ => format!("{} is down", text(&source["source"])),
        })
        .collect();
    match closed.is_empty() {
        true => "delivering".to_owned(),
        false => closed.join(", "),
    }
}

/// Messages that were given up.
pub(super) fn dead_letters(answer: &Json) -> String {
    let letters = list(&answer["dead_letters"]);
    if letters.is_empty() {
        return "There are no dead letters.\n".to_owned();
    }
    let heads = ["ID", "QUEUE", "DIED", "REASON", "ATTEMPTS", "LAST ERROR"];
    let mut rows = vec![heads.map(Into::into)];
    rows.extend(letters.iter().map(|letter| {
        [
            text(&letter["id"]),
            text(&letter["queue"]),
            text(&letter["died_at"]),
            text(&letter["reason"]),
            text(&letter["attempts"]),
            failure(&letter["error"]),
        ]
    }));
    let mut told = aligned(&rows);
    if let Some(next) = answer["next"].as_str() {
        told.push_str(&format!("There may be more: --after {next}\n"));
    }
    told
}

/// One message: each member that says something, one on a line.
pub(super) fn message(answer: &Json) -> String {
    let mut rows = Vec::new();
    members("", answer, &mut rows);
    aligned(&rows)
}

fn members(prefix: &str, value: &Json, rows: &mut Vec<[String; 2]>) {
    let Some(object) = value.as_object() else {
        return;
    };
    for (name, value) in object {
        let name = format!("{prefix}{name}");
        match value {
            Json::Null => {}
            Json::Object(_) if name.ends_with("error") => rows.push([name, failure(value)]),
            Json::Object(_) => members(&format!("{name}."), value, rows),
            value => rows.push([name, text(value)]),
        }
    }
}

/// What became of one or of many.
pub(super) fn retried(answer: &Json) -> String {
    let mut told = format!("put back: {}\n", answer["retried"]);
    if answer["moved_on"].as_u64().is_some_and(|count| count > 0) {
        let count = &answer["moved_on"];
        told.push_str(&format!(
            "left, since their keys have moved on: {count}. Where order does not matter: retry ID --force\n"
        ));
    }
    if answer["damaged"].as_u64().is_some_and(|count| count > 0) {
        let count = &answer["damaged"];
        told.push_str(&format!("left, since they cannot be read: {count}\n"));
    }
    told
}

fn failure(error: &Json) -> String {
    match error["code"].as_str() {
        Some(code) => format!(
            "{code} {}: {}",
            text(&error["status"]),
            text(&error["message"])
        ),
        None => "-".to_owned(),
    }
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Without line ends and other commands to a terminal, whoever wrote it.
fn text(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it })
            .collect(),
        other => other.to_string(),
    }
}

/// Columns two spaces apart.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn queues_are_a_table_that_says_why_one_does_not_deliver() {
        let here = |state: &str| {
            json!({ "in_flight": 2, "sources": [
                { "source": "reviews", "state": state },
                { "source": "mail", "state": "flows" },
            ] })
        };
        let queue = |name: &str, paused: Json, here: Json| json!({ "queue": name, "waiting": 12, "dead": 0, "oldest": null, "paused": paused, "here": here });
        let answer = json!({ "queues": [
            queue("email", Json::Null, here("flows")),
            queue("sms", json!({ "reason": "maintenance", "since": "2026-01-02T03:04:05.000Z" }), here("flows")),
            queue("print", Json::Null, here("denied")),
            queue("fax", Json::Null, here("down")),
            queue("left", Json::Null, Json::Null),
        ] });
        let expected = "\
QUEUE  WAITING  DEAD  IN FLIGHT  OLDEST  STATE
email  12       0     2          -       delivering
sms    12       0     2          -       paused since 2026-01-02T03:04:05.000Z: maintenance
print  12       0     2          -       reviews denies our credentials
fax    12       0     2          -       reviews is down
left   12       0     -          -       delivering
";
        assert_eq!(queues(&answer), expected);
        assert_eq!(queues(&json!({ "queues": [] })), "There are no queues.\n");
    }

    #[test]
    fn dead_letters_are_a_table_and_the_next_page_is_named() {
        let error = json!({ "code": "BAD_USER_INPUT", "status": "422", "message": "No\u{1b}[31m such\norder." });
        let answer = json!({
            "dead_letters": [{ "id": "7", "queue": "email", "died_at": "t", "reason": "REFUSED", "attempts": 1, "error": error }],
            "next": "7",
        });
        let expected = "\
ID  QUEUE  DIED  REASON   ATTEMPTS  LAST ERROR
7   email  t     REFUSED  1         BAD_USER_INPUT 422: No [31m such order.
There may be more: --after 7
";
        assert_eq!(dead_letters(&answer), expected);
        let none = json!({ "dead_letters": [], "next": null });
        assert_eq!(dead_letters(&none), "There are no dead letters.\n");
    }

    #[test]
    fn a_message_is_told_member_by_member_without_what_is_not_known() {
        let answer = json!({
            "id": "7",
            "delivered_at": null,
            "error": { "code": "A", "status": "503", "message": "m" },
            "message": { "key": "k", "call": { "verb": "POST", "headers": [["x", { "bytes": 2 }]] } },
        });
        let expected = "\
id                    7
error                 A 503: m
message.key           k
message.call.verb     POST
message.call.headers  [[\"x\",{\"bytes\":2}]]
";
        assert_eq!(message(&answer), expected);
    }

    #[test]
    fn what_was_left_is_told_with_the_reason() {
        let one = json!({ "retried": 1 });
        assert_eq!(retried(&one), "put back: 1\n");
        let many = json!({ "retried": 5, "moved_on": 2, "damaged": 1 });
        let told = retried(&many);
        assert!(told.contains("moved on: 2") && told.contains("cannot be read: 1"));
    }
}
