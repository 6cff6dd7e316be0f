//! The way to a Redis, which is dialled when it is first needed.
//!
//! Owns address and connection. Knows nothing of what is kept there.

use std::sync::OnceLock;
use std::time::Duration;

use redis::Client;
use redis::IntoConnectionInfo as _;
use redis::RedisResult;
use redis::aio::ConnectionManager;
use redis::aio::ConnectionManagerConfig;

/// A Redis. Nothing is dialled before the first call.
pub struct Redis {
    client: Client,
    timeout: Duration,
    connection: OnceLock<ConnectionManager>,
}

impl Redis {
    /// At `redis://` or `rediss://`, with user and password; so long may one call take.
    ///
    /// # Errors
    /// When the address is none. It may hold a password, and the text does not repeat it.
    pub fn at(url: &str, timeout: Duration) -> Result<Self, String> {
        let info = url.into_connection_info();
        let client = info.and_then(Client::open);
        Ok(Self {
            client: client.map_err(|error| format!("the address of Redis: {error}"))?,
            timeout,
            connection: OnceLock::new(),
        })
    }

    /// The connection that all calls share.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn connection(&self) -> RedisResult<ConnectionManager> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
            .set_number_of_retries(0);
        let made = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        Ok(self.connection.get_or_init(|| made).clone())
    }

    /// How long one call may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}
