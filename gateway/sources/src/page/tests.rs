//! Reading pages, step by step.

use compose::model::EncodingId;
use http::HeaderMap;
use serde_json::Map;
use serde_json::json;

use super::*;
use crate::render::Encodings;

fn rule(style: PageStyle) -> Page {
    let arg = |name: &str| Expr::Arg {
        path: vec![name.to_owned()],
        encode: EncodingId(0),
    };
    Page {
        style,
        size: Some("limit".to_owned()),
        at: Some("at".to_owned()),
        next: None,
        has_more: None,
        total: None,
        max_size: 10,
        follow: Some(3),
        first: Some(arg("first")),
        after: Some(arg("after")),
    }
}

fn begun<'a>(rule: &'a Page, purpose: Purpose<'a>, args: Json) -> Result<Reading<'a>, RenderError> {
    let Json::Object(args) = args else {
        panic!("arguments are an object")
    };
    let args: Map<String, Json> = args;
    let headers = HeaderMap::new();
    Reading::begin(
        rule,
        purpose,
        &Scope {
            args: &args,
            rows: &[],
            headers: &headers,
            claims: &Json::Null,
            encodings: &Encodings::default(),
        },
    )
}

fn items(items: usize) -> Facts {
    Facts {
        items,
        ..Facts::default()
    }
}

fn next(count: usize, next: &str) -> Facts {
    Facts {
        next: Some(next.to_owned()),
        ..items(count)
    }
}

fn asked(reading: &Reading<'_>) -> (Option<u64>, Json) {
    let ask = reading.ask();
    (ask.size, ask.at.unwrap_or_default())
}

const CONNECTION: Purpose<'static> = Purpose::Connection { tells_next: true };

#[test]
fn the_size_is_what_is_wanted_up_to_the_largest_page() {
    let cursor = rule(PageStyle::Cursor);
    for (first, size) in [(3, 3), (10, 10), (99, 10), (0, 1)] {
        let reading = begun(&cursor, Purpose::List, json!({ "first": first })).unwrap();
        assert_eq!(asked(&reading), (Some(size), Json::Null), "first: {first}");
    }
    let single = Page {
        follow: None,
        ..cursor
    };
    let reading = begun(&single, Purpose::List, json!({})).unwrap();
    assert_eq!(asked(&reading), (None, Json::Null));
}

#[test]
fn reading_on_asks_for_what_is_missing() {
    let rule = rule(PageStyle::Cursor);
    let mut reading = begun(&rule, Purpose::List, json!({ "first": 15 })).unwrap();
    assert_eq!(reading.took(&next(10, "b")), Progress::ReadOn);
    assert_eq!(asked(&reading), (Some(5), json!("b")));
    assert_eq!(reading.took(&next(5, "c")), Progress::Done);
    let read = reading.finish();
    assert_eq!(
        (read.kept, read.has_next, read.has_previous),
        (15, true, false)
    );
}

#[test]
fn a_page_that_points_to_itself_is_the_last_one_read() {
    let rule = rule(PageStyle::Cursor);
    let mut reading = begun(&rule, Purpose::List, json!({})).unwrap();
    assert_eq!(reading.took(&next(10, "b")), Progress::ReadOn);
    assert_eq!(reading.took(&next(10, "b")), Progress::RanOut);
}

#[test]
fn following_ends_after_as_many_further_pages_as_it_says() {
    let rule = rule(PageStyle::Cursor);
    let batch = Purpose::Batch { limit: None };
    let mut reading = begun(&rule, batch, json!({})).unwrap();
    for cursor in ["b", "c", "d"] {
        assert_eq!(reading.took(&next(10, cursor)), Progress::ReadOn);
    }
    assert_eq!(reading.took(&next(10, "e")), Progress::RanOut);
}

#[test]
fn a_flag_that_says_there_is_no_more_beats_a_cursor() {
    let rule = rule(PageStyle::Cursor);
    let mut reading = begun(&rule, Purpose::List, json!({})).unwrap();
    let facts = Facts {
        has_more: Some(false),
        ..next(10, "b")
    };
    assert_eq!(reading.took(&facts), Progress::Done);
}

#[test]
fn offsets_go_on_by_the_items_that_came() {
    let rule = rule(PageStyle::Offset);
    let mut reading = begun(&rule, Purpose::List, json!({ "after": 5 })).unwrap();
    assert_eq!(asked(&reading), (Some(10), json!(5)));
    assert_eq!(reading.took(&items(10)), Progress::ReadOn);
    assert_eq!(asked(&reading), (Some(10), json!(15)));
    assert_eq!(reading.took(&items(9)), Progress::Done);
    let read = reading.finish();
    assert!(read.has_previous && !read.has_next);
}

#[test]
fn without_a_size_only_an_empty_page_is_the_last() {
    let rule = Page {
        size: None,
        ..rule(PageStyle::Offset)
    };
    let mut reading = begun(&rule, Purpose::List, json!({})).unwrap();
    assert_eq!(reading.took(&items(2)), Progress::ReadOn);
    assert_eq!(reading.took(&items(0)), Progress::Done);
}

#[test]
fn a_total_tells_the_end_exactly() {
    let rule = rule(PageStyle::Offset);
    let mut reading = begun(&rule, Purpose::List, json!({})).unwrap();
    let facts = Facts {
        total: Some(10),
        ..items(10)
    };
    assert_eq!(reading.took(&facts), Progress::Done);
    assert_eq!(reading.finish().total, Some(10));
}

#[test]
fn pages_keep_their_size_while_numbers_count_on() {
    let rule = rule(PageStyle::PageNumber);
    let mut reading = begun(&rule, Purpose::List, json!({ "first": 25, "after": 2 })).unwrap();
    assert_eq!(asked(&reading), (Some(10), json!(2)));
    assert_eq!(reading.took(&items(10)), Progress::ReadOn);
    assert_eq!(asked(&reading), (Some(10), json!(3)));
}

#[test]
fn every_place_of_a_list_is_reached_by_page_numbers() {
    let rule = rule(PageStyle::PageNumber);
    for offset in 0..60_u64 {
        for first in 1..=10_u64 {
            let cursor = Cursor::Offset(offset).encode();
            let args = json!({ "first": first, "after": cursor });
            let reading = begun(&rule, CONNECTION, args).unwrap();
            let (size, at) = asked(&reading);
            let page = at.as_u64().unwrap_or(1);
            assert_eq!((page - 1) * size.unwrap() + reading.skip, offset);
            assert!(size.unwrap() <= 10);
        }
    }
}

#[test]
fn what_stands_before_the_start_may_span_pages() {
    let rule = rule(PageStyle::Cursor);
    let cursor = Cursor::Page {
        page: "b".to_owned(),
        skip: 12,
    }
    .encode();
    let mut reading = begun(&rule, CONNECTION, json!({ "first": 3, "after": cursor })).unwrap();
    assert_eq!(reading.took(&next(10, "c")), Progress::ReadOn);
    assert_eq!(asked(&reading), (Some(5), json!("c")));
    assert_eq!(reading.took(&next(5, "d")), Progress::Done);
    assert_eq!(reading.finish().kept, 3);
}

#[test]
fn huge_numbers_from_the_client_do_no_harm() {
    for style in [PageStyle::Offset, PageStyle::PageNumber, PageStyle::Cursor] {
        let rule = rule(style);
        let cursor = match style {
            PageStyle::Cursor => Cursor::Page {
                page: "b".to_owned(),
                skip: u64::MAX,
            }
            .encode(),
            _ => Cursor::Offset(u64::MAX - 20).encode(),
        };
        let args = json!({ "first": u64::MAX, "after": cursor });
        let mut reading = begun(&rule, CONNECTION, args).unwrap();
        reading.took(&next(10, "c"));
        reading.took(&items(3));
        let read = reading.finish();
        assert!(read.kept <= 13);
        read.cursor(12);
    }
}

#[test]
fn cursors_come_back_as_they_were() {
    for cursor in [
        Cursor::Offset(0),
        Cursor::Offset(u64::MAX),
        Cursor::Page {
            page: String::new(),
            skip: 3,
        },
        Cursor::Page {
            page: "a:b/é?".to_owned(),
            skip: 0,
        },
    ] {
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    }
    for text in ["", "!", "bzo", "eDox", "cDo6", "////"] {
        assert_eq!(Cursor::decode(text), None, "{text}");
    }
}

#[test]
fn parameters_have_their_upstream_names() {
    let rule = rule(PageStyle::Offset);
    let ask = Ask {
        size: Some(3),
        at: Some(json!(6)),
    };
    let parameters: Vec<_> = ask.parameters(&rule).collect();
    assert_eq!(parameters, [("limit", json!(3)), ("at", json!(6))]);
    let nameless = Page { at: None, ..rule };
    assert_eq!(ask.parameters(&nameless).count(), 1);
}
