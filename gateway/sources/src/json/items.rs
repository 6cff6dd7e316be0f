//! The items of a list, one by one, as they are written.
//!
//! Owns taking a reply's list apart by its items' keys, and putting items back
//! into a reply. Knows nothing of what is read of them.

use bytes::BufMut as _;
use bytes::Bytes;
use bytes::BytesMut;

use super::leaf::Scalar;
use super::reader::Fault;
use super::reader::Reader;
use crate::cache::id_of;

/// Each item's key and text; none where the reply has no list there, or an item no key.
pub(crate) fn items(
    reply: &Bytes,
    unwrap: &[String],
    keys: &[&[String]],
) -> Option<Vec<(String, Bytes)>> {
    let text = std::str::from_utf8(reply).ok()?;
    let mut reader = Reader::new(text);
    to_list(&mut reader, unwrap).ok()?.then_some(())?;
    let mut items = Vec::new();
    let mut more = reader.opens(b']').ok()?;
    while more {
        let start = reader.place();
        reader.skip().ok()?;
        let item = reader.since(start);
        let parts = keys.iter().map(|path| part(item, path));
        let parts: Vec<String> = parts.collect::<Option<_>>()?;
        let id = id_of(parts.iter().map(String::as_str));
        items.push((id, reply.slice(start..start + item.len())));
        more = reader.goes_on(b']').ok()?;
    }
    Some(items)
}

/// Goes to where the list begins, or says that there is none.
fn to_list(reader: &mut Reader<'_>, path: &[String]) -> Result<bool, Fault> {
    match path.split_first() {
        None => Ok(reader.peek()? == b'['),
        Some((first, rest)) => Ok(enter(reader, first)? && to_list(reader, rest)?),
    }
}

/// Goes to the value of a property, or says that there is none.
fn enter(reader: &mut Reader<'_>, wanted: &str) -> Result<bool, Fault> {
    if reader.peek()? != b'{' {
        return Ok(false);
    }
    let mut more = reader.opens(b'}')?;
    while more {
        let name = reader.name()?;
        if reader.says(name, wanted) {
            return Ok(true);
        }
        reader.skip()?;
        more = reader.goes_on(b'}')?;
    }
    Ok(false)
}

/// One part of an item's key, as text.
fn part(item: &str, path: &[String]) -> Option<String> {
    let mut reader = Reader::new(item);
    for name in path {
        enter(&mut reader, name).ok()?.then_some(())?;
    }
    if reader.peek().ok()? == b'"' {
        let text = reader.string().ok()?;
        return reader.text(text).ok().map(|text| text.into_owned());
    }
    match reader.scalar().ok()? {
        Scalar::Int(value) => Some(value.to_string()),
        Scalar::UInt(value) => Some(value.to_string()),
        Scalar::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A reply of some items: each text is one item, or several with commas between them.
pub(crate) fn joined(items: &[Bytes], unwrap: &[String]) -> Bytes {
    let room: usize = items.iter().map(|item| item.len() + 1).sum();
    let mut reply = BytesMut::with_capacity(room + 32);
    for name in unwrap {
        reply.put_u8(b'{');
        reply.put_slice(
            serde_json::Value::from(name.as_str())
                .to_string()
                .as_bytes(),
        );
        reply.put_u8(b':');
    }
    reply.put_u8(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            reply.put_u8(b',');
        }
        reply.put_slice(item);
    }
    reply.put_u8(b']');
    reply.put_bytes(b'}', unwrap.len());
    reply.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        let names = text.split('.').filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }

    fn of(reply: &'static str, unwrap: &str, key: &str) -> Option<Vec<(String, String)>> {
        let key = path(key);
        let items = items(&Bytes::from(reply), &path(unwrap), &[&key])?;
        let text = |(id, item): (String, Bytes)| {
            let item = String::from_utf8(item.to_vec()).unwrap();
            (id, item)
        };
        Some(items.into_iter().map(text).collect())
    }

    #[test]
    fn items_are_taken_as_they_are_written() {
        let reply = r#"{"more": 1, "data": {"items": [ {"id": 7, "a": [1]} , {"id":"x\u0041"} ]}}"#;
        let items = of(reply, "data.items", "id").unwrap();
        assert_eq!(items[0], ("1:7".into(), r#"{"id": 7, "a": [1]}"#.into()));
        assert_eq!(items[1].0, "2:xA");
        assert_eq!(of("[]", "", "id"), Some(Vec::new()));
    }

    #[test]
    fn a_reply_that_is_not_as_it_should_be_is_left_whole() {
        for (reply, unwrap, key) in [
            (r#"[{"a": 1}]"#, "", "id"),
            (r#"[{"id": null}]"#, "", "id"),
            (r#"[{"id": 1.5}]"#, "", "id"),
            (r#"{"items": {}}"#, "items", "id"),
            (r#"{"other": []}"#, "items", "id"),
            (r#"[{"id": 1}"#, "", "id"),
            ("null", "", "id"),
        ] {
            assert_eq!(of(reply, unwrap, key), None, "{reply}");
        }
    }

    #[test]
    fn what_was_taken_apart_is_put_together_again() {
        let text = |items: &[&'static str], unwrap: &str| {
            let items: Vec<Bytes> = items.iter().map(|it| Bytes::from(*it)).collect();
            String::from_utf8(joined(&items, &path(unwrap)).to_vec()).unwrap()
        };
        assert_eq!(text(&["{}", "1,2"], ""), "[{},1,2]");
        assert_eq!(text(&["{}"], "a.b"), r#"{"a":{"b":[{}]}}"#);
        assert_eq!(text(&[], "a"), r#"{"a":[]}"#);
    }
}
