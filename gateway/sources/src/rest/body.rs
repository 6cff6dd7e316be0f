//! Bodies, in each encoding.

use bytes::Bytes;
use compose::model::BodyEncoding;
use compose::model::ListStyle;
use http::HeaderValue;
use serde_json::Value as Json;

use crate::render::RenderError;
use crate::render::text;
use crate::render::url::Query;

/// A body and what it is.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) content_type: HeaderValue,
}

/// Encodes a body's value.
pub(super) fn encode(value: &Json, encoding: BodyEncoding) -> Result<Body, RenderError> {
    match encoding {
        BodyEncoding::Json => Ok(body(value.to_string(), "application/json")),
        BodyEncoding::Form => Ok(body(form(value)?, "application/x-www-form-urlencoded")),
        BodyEncoding::Text => {
            let text = text::or_json(value).unwrap_or_default().into_owned();
            Ok(body(text, "text/plain; charset=utf-8"))
        }
        BodyEncoding::Multipart => multipart(value),
    }
}

fn body(text: String, content_type: &'static str) -> Body {
    Body {
        bytes: text.into(),
        content_type: HeaderValue::from_static(content_type),
    }
}

fn form(value: &Json) -> Result<String, RenderError> {
    if !value.is_object() {
        return Err(no_object());
    }
    let mut query = Query::form();
    query.value("", value, ListStyle::Repeated);
    Ok(query.finish())
}

fn no_object() -> RenderError {
    RenderError("The service takes a form, and a form is made of an object's entries.".to_owned())
}

/// `multipart/form-data`: <https://www.rfc-editor.org/rfc/rfc7578>.
fn multipart(value: &Json) -> Result<Body, RenderError> {
    let entries = value.as_object().ok_or_else(no_object)?;
    // Chosen by chance, so that no value can hold it.
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let mut out = String::new();
    for (name, value) in entries {
        match value {
            Json::Array(items) => items
                .iter()
                .for_each(|item| part(&mut out, &boundary, name, item)),
            value => part(&mut out, &boundary, name, value),
        }
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    let content_type = format!("multipart/form-data; boundary={boundary}");
    Ok(Body {
        bytes: out.into(),
        content_type: HeaderValue::try_from(content_type).map_err(|_| no_object())?,
    })
}

fn part(out: &mut String, boundary: &str, name: &str, value: &Json) {
    let Some(text) = text::or_json(value) else {
        return;
    };
    // As browsers write names: <https://html.spec.whatwg.org/#multipart-form-data>.
    let name = name
        .replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    out.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n"
    ));
    if value.is_object() || value.is_array() {
        out.push_str("Content-Type: application/json\r\n");
    }
    out.push_str(&format!("\r\n{text}\r\n"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encoded(value: &Json, encoding: BodyEncoding) -> String {
        let body = encode(value, encoding).unwrap();
        String::from_utf8(body.bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_form_is_made_of_an_objects_entries() {
        let value =
            json!({ "a b": "x&y=z", "n": 1, "none": null, "tags": ["p", "q"], "o": { "k": [1] } });
        assert_eq!(
            encoded(&value, BodyEncoding::Form),
            "a%20b=x%26y%3Dz&n=1&tags=p&tags=q&o=%7B%22k%22%3A%5B1%5D%7D"
        );
        assert!(encode(&json!([1]), BodyEncoding::Form).is_err());
    }

    #[test]
    fn each_entry_is_a_part_and_a_name_cannot_leave_its_quotes() {
        let value = json!({ "a\"\r\nX: y": "v", "list": [1, { "k": 2 }], "none": null });
        let body = encode(&value, BodyEncoding::Multipart).unwrap();
        let content_type = body.content_type.to_str().unwrap();
        let boundary = content_type
            .strip_prefix("multipart/form-data; boundary=")
            .unwrap();
        let text = String::from_utf8(body.bytes.to_vec())
            .unwrap()
            .replace(boundary, "B");
        assert_eq!(
            text,
            "--B\r\nContent-Disposition: form-data; name=\"a%22%0D%0AX: y\"\r\n\r\nv\r\n\
             --B\r\nContent-Disposition: form-data; name=\"list\"\r\n\r\n1\r\n\
             --B\r\nContent-Disposition: form-data; name=\"list\"\r\nContent-Type: application/json\r\n\r\n{\"k\":2}\r\n\
             --B--\r\n"
        );
    }

    #[test]
    fn text_and_json_are_what_they_are() {
        assert_eq!(encoded(&json!("plain"), BodyEncoding::Text), "plain");
        assert_eq!(encoded(&json!({ "a": 1 }), BodyEncoding::Text), "{\"a\":1}");
        assert_eq!(
            encoded(&json!({ "a": [null] }), BodyEncoding::Json),
            "{\"a\":[null]}"
        );
    }
}
