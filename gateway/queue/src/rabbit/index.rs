//! What is known of messages, in Redis.
//!
//! Owns the connection, the one script whose steps Redis runs as a whole, and
//! which start of Redis is spoken with: after a restart it may have forgotten
//! the last second, or everything, so what it knew before is not believed.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::Client;
use redis::FromRedisValue;
use redis::IntoConnectionInfo as _;
use redis::RedisError;
use redis::RedisWrite as _;
use redis::Script;
use redis::ToRedisArgs;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use crate::store::Unavailable;

const SCRIPT: &str = concat!(
    include_str!("lua/lines.lua"),
    include_str!("lua/append.lua"),
    include_str!("lua/take.lua"),
    include_str!("lua/operate.lua"),
    include_str!("lua/run.lua"),
);

/// What is known of messages.
pub(super) struct Index {
    client: Client,
    timeout: Duration,
    prefix: String,
    script: Script,
    session: Mutex<Option<Arc<Session>>>,
}

/// One connection to one start of Redis.
struct Session {
    connection: MultiplexedConnection,
    run: String,
}

/// Redis did not answer, or has no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// `maxmemory` is reached, and nothing may be evicted.
    Full,
    /// It may have been done, or not.
    Away(String),
}

impl From<Trouble> for Unavailable {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Full => Self("Redis has no room".into()),
            Trouble::Away(why) => Self(format!("Redis: {why}")),
        }
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some("OOM") => Self::Full,
            _ => Self::Away(error.to_string()),
        }
    }
}

/// A step of the script, and what it is told.
pub(super) struct Step<'a> {
    index: &'a Index,
    name: &'static str,
    arguments: Vec<Vec<u8>>,
}

impl Index {
    /// Nothing is dialled yet.
    ///
    /// # Errors
    /// When the address is none. It may hold a password, and the text does not repeat it.
    pub(super) fn new(url: &str, timeout: Duration, prefix: String) -> Result<Self, String> {
        let client = url.into_connection_info().and_then(Client::open);
        Ok(Self {
            client: client.map_err(|error| format!("the address of Redis: {error}"))?,
            timeout,
            prefix,
            script: Script::new(SCRIPT),
            session: Mutex::new(None),
        })
    }

    /// A step of the script.
    pub(super) fn step(&self, name: &'static str) -> Step<'_> {
        Step {
            index: self,
            name,
            arguments: Vec::new(),
        }
    }

    /// Which start of Redis is spoken with.
    pub(super) async fn run(&self) -> Result<String, Trouble> {
        Ok(self.session().await?.run.clone())
    }

    /// Whether it keeps what it is told.
    ///
    /// # Errors
    /// When it cannot be reached, or may evict: says what to change.
    pub(super) async fn check(&self) -> Result<(), String> {
        let memory = self.info("memory").await;
        let memory = memory.map_err(|trouble| Unavailable::from(trouble).0)?;
        let policy = line(&memory, "maxmemory_policy").unwrap_or("noeviction");
        let bounded = line(&memory, "maxmemory").is_some_and(|most| most != "0");
        if bounded && policy != "noeviction" {
            return Err(format!(
                "Redis may evict what is known of messages: its maxmemory-policy is {policy}, and must be noeviction"
            ));
        }
        Ok(())
    }

    async fn info(&self, section: &str) -> Result<String, Trouble> {
        let session = self.session().await?;
        let mut connection = session.connection.clone();
        let asked = redis::cmd("INFO").arg(section).to_owned();
        let told: String = asked.query_async(&mut connection).await?;
        Ok(told)
    }

    /// A connection that hears what is told.
    pub(super) async fn listen(&self, channel: &str) -> Result<redis::aio::PubSub, Trouble> {
        let listening = async {
            let mut pubsub = self.client.get_async_pubsub().await?;
            pubsub.subscribe(channel).await?;
            Ok::<_, RedisError>(pubsub)
        };
        match tokio::time::timeout(self.timeout, listening).await {
            Ok(pubsub) => Ok(pubsub?),
            Err(_) => Err(self.silent()),
        }
    }

    async fn session(&self) -> Result<Arc<Session>, Trouble> {
        let mut current = self.session.lock().await;
        if let Some(session) = &*current {
            return Ok(session.clone());
        }
        let session = tokio::time::timeout(self.timeout, self.connect()).await;
        let session = Arc::new(session.map_err(|_| self.silent())??);
        *current = Some(session.clone());
        Ok(session)
    }

    async fn connect(&self) -> Result<Session, Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await?;
        let server = redis::cmd("INFO").arg("server").to_owned();
        let told: String = server.query_async(&mut connection).await?;
        let run = line(&told, "run_id").unwrap_or_default().to_owned();
        Ok(Session { connection, run })
    }

    /// It is dialled again: who answers then may be another.
    async fn forget(&self, session: &Arc<Session>) {
        let mut current = self.session.lock().await;
        if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, session)) {
            *current = None;
        }
    }

    fn silent(&self) -> Trouble {
        Trouble::Away(format!("no answer within {:?}", self.timeout))
    }
}

impl Step<'_> {
    /// Told with it.
    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        argument.write_redis_args(&mut self.arguments);
        self
    }

    /// Bytes as they are.
    pub(super) fn bytes(mut self, argument: &[u8]) -> Self {
        self.arguments.write_arg(argument);
        self
    }

    /// Takes it.
    pub(super) async fn ask<T: FromRedisValue>(&self) -> Result<T, Trouble> {
        let session = self.index.session().await?;
        let mut call = self.index.script.prepare_invoke();
        call.key(&self.index.prefix)
            .arg(self.name)
            .arg(&session.run);
        for argument in &self.arguments {
            call.arg(&argument[..]);
        }
        let mut connection = session.connection.clone();
        let asked = call.invoke_async::<Value>(&mut connection);
        let answered = match tokio::time::timeout(self.index.timeout, asked).await {
            Ok(answered) => answered.map_err(Trouble::from),
            Err(_) => Err(self.index.silent()),
        };
        if let Err(Trouble::Away(why)) = &answered {
            tracing::debug!(why, step = self.name, "Redis did not do as it was told");
            self.index.forget(&session).await;
        }
        let answer = redis::from_redis_value(answered?);
        answer.map_err(|error| Trouble::Away(error.to_string()))
    }
}

fn line<'t>(told: &'t str, name: &str) -> Option<&'t str> {
    told.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(key, value)| (key == name).then(|| value.trim()))
}
