//! W3C Trace Context, level 2: <https://www.w3.org/TR/trace-context-2/>
//!
//! Owns reading `traceparent` and `tracestate`. Whoever makes a call sends a
//! parent id of its own.

use http::HeaderMap;
use plan::source::TraceContext;
use uuid::Uuid;

const MEMBERS: usize = 32;
/// The trace id's last seven bytes are random: level 2, section 3.2.2.5.
const RANDOM: u8 = 0x02;

/// The trace that a request belongs to: the client's, or a new one that is named like the request.
pub(crate) fn of(headers: &HeaderMap, request: Uuid) -> TraceContext {
    let mut parents = headers.get_all("traceparent").iter();
    let given = match (parents.next(), parents.next()) {
        (Some(parent), None) => parse(parent.as_bytes()),
        _ => None,
    };
    match given {
        Some(trace) => TraceContext {
            state: state(headers),
            ..trace
        },
        None => new_trace(request),
    }
}

/// The last seven bytes of a UUIDv7 are random.
fn new_trace(request: Uuid) -> TraceContext {
    TraceContext {
        trace_id: request.into_bytes(),
        parent_id: [0; 8],
        flags: RANDOM,
        state: None,
    }
}

/// `00-TRACE-PARENT-FLAGS`; later versions may go on after a hyphen.
fn parse(header: &[u8]) -> Option<TraceContext> {
    let (head, rest) = header.split_at_checked(55)?;
    let [version] = hex(&head[..2])?;
    let more = rest.is_empty() || (version > 0 && rest[0] == b'-');
    let hyphens = [2, 35, 52].iter().all(|at| head[*at] == b'-');
    if version == 0xff || !more || !hyphens {
        return None;
    }
    let trace_id: [u8; 16] = hex(&head[3..35])?;
    let parent_id: [u8; 8] = hex(&head[36..52])?;
    let [flags] = hex(&head[53..55])?;
    let named = trace_id != [0; 16] && parent_id != [0; 8];
    named.then_some(TraceContext {
        trace_id,
        parent_id,
        flags,
        state: None,
    })
}

/// Lower case only, as the specification demands.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// All `tracestate` headers as one list, or none where it has too many members.
fn state(headers: &HeaderMap) -> Option<String> {
    let mut members = Vec::new();
    for value in headers.get_all("tracestate") {
        let value = value.to_str().ok()?;
        members.extend(value.split(',').map(str::trim).filter(|m| !m.is_empty()));
    }
    let well_formed = members.iter().all(|member| member.contains('='));
    let fits = !members.is_empty() && members.len() <= MEMBERS;
    (well_formed && fits).then(|| members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn trace(pairs: &[(&'static str, &str)]) -> TraceContext {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        of(&headers, Uuid::now_v7())
    }

    #[test]
    fn a_valid_parent_is_kept_with_its_state() {
        let trace = trace(&[
            ("traceparent", PARENT),
            ("tracestate", "a=1, b=2"),
            ("tracestate", "c=3"),
        ]);
        assert_eq!(trace.trace_id[..2], [0x4b, 0xf9]);
        assert_eq!(trace.parent_id[7], 0xb7);
        assert_eq!(trace.flags, 1);
        assert_eq!(trace.state.as_deref(), Some("a=1,b=2,c=3"));
    }

    #[test]
    fn an_invalid_parent_starts_a_new_trace_and_drops_the_state() {
        let upper = PARENT.to_uppercase();
        let longer = format!("{PARENT}-00");
        for parent in [
            "",
            "00",
            &upper,
            &longer,
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        ] {
            let trace = trace(&[("traceparent", parent), ("tracestate", "a=1")]);
            assert_ne!(trace.trace_id, [0; 16], "{parent}");
            assert_ne!(trace.trace_id[..2], [0x4b, 0xf9], "{parent}");
            assert_eq!(trace.state, None, "{parent}");
            assert_eq!(trace.flags, RANDOM, "{parent}");
        }
    }

    #[test]
    fn a_later_version_may_be_longer() {
        let later = format!("01{}-what-comes-later", &PARENT[2..]);
        assert_eq!(trace(&[("traceparent", &later)]).trace_id[0], 0x4b);
    }

    #[test]
    fn a_state_of_more_than_32_members_is_dropped() {
        let members = |n: usize| {
            (0..n)
                .map(|i| format!("k{i}=v"))
                .collect::<Vec<_>>()
                .join(",")
        };
        let state = |n| trace(&[("traceparent", PARENT), ("tracestate", &members(n))]).state;
        assert!(state(32).is_some());
        assert!(state(33).is_none());
    }
}
