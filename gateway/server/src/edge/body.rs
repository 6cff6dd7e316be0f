//! Reading a request's body, bounded in bytes and in time.

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use tokio::time::Instant;

use super::problem::Kind;
use super::problem::Problem;
use crate::deadline::until;

/// The whole body. One that says its length beforehand is refused without being read.
pub(super) async fn read<B>(body: B, limit: usize, deadline: Instant) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let whole = Limited::new(body, limit).collect();
    match until(deadline, whole).await {
        Some(Ok(whole)) => Ok(whole.to_bytes()),
        Some(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Some(Err(_)) => Err(Problem::malformed("The body ended before it was whole.")),
        None => Err(Problem::new(
            Kind::RequestTimeout,
            "The body did not arrive in time.",
        )),
    }
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("The body is larger than {limit} bytes.");
    Problem::new(Kind::BodyTooLarge, detail).member("limit", limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::Full;
    use http_body_util::StreamBody;
    use std::convert::Infallible;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_over_it_is_refused() {
        let read = |bytes: &'static [u8]| read(Full::from(bytes), 4, soon());
        assert_eq!(read(b"1234").await.unwrap(), "1234");
        assert_eq!(read(b"12345").await.unwrap_err().status(), 413);
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_is_refused_once_it_is_too_long() {
        let frames = stream::repeat_with(|| Ok::<_, Infallible>(Frame::data("12".into())));
        let refused = read(StreamBody::new(frames), 4, soon()).await;
        assert_eq!(refused.unwrap_err().status(), 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_given_up() {
        let frames = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let refused = read(StreamBody::new(frames), 4, soon()).await;
        assert_eq!(refused.unwrap_err().status(), 408);
    }
}
