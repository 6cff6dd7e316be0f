//! One GET, for health checks inside images that have neither shell nor curl.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

/// Succeeds when `url`, of the form `http://host:port/path`, answers 2xx in time.
///
/// # Errors
/// When the URL has another form, nobody answers in time, or the status is not 2xx.
pub async fn get(url: &str, patience: Duration) -> anyhow::Result<()> {
    let rest = url
        .strip_prefix("http://")
        .context("the URL must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let status = time::timeout(patience, status_line(host, path))
        .await
        .context("no answer in time")??;
    match status.split(' ').nth(1) {
        Some(code) if code.len() == 3 && code.starts_with('2') => Ok(()),
        _ => bail!("{url} answered: {status}"),
    }
}

async fn status_line(host: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(host)
        .await
        .with_context(|| format!("cannot reach {host}"))?;
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    stream.take(4096).read_to_end(&mut reply).await?;
    let reply = String::from_utf8_lossy(&reply);
    Ok(reply.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Faults, users};

    #[tokio::test]
    async fn only_a_success_in_time_passes() {
        let users = users::serve(
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            Faults::NONE,
        )
        .unwrap();
        let patience = Duration::from_secs(10);
        get(&format!("{}/__stats", users.url()), patience)
            .await
            .unwrap();
        get(&format!("{}/users/1", users.url()), patience)
            .await
            .unwrap();
        assert!(
            get(&format!("{}/users/0", users.url()), patience)
                .await
                .is_err()
        );
        users.faults().set(Faults {
            hang_rate: 1.0,
            ..Faults::NONE
        });
        assert!(
            get(
                &format!("{}/users/1", users.url()),
                Duration::from_millis(20)
            )
            .await
            .is_err()
        );
        let gone = users.url();
        users.stop().await;
        assert!(get(&gone, patience).await.is_err());
    }
}
