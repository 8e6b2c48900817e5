//! Connections of asynchronous programs, on `tokio`. Connection strings, hosts, encryption and time-outs are those of
//! the blocking face.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use log::{debug, info};
use postgres::error::SqlState;
use postgres::types::Type;
use postgres::{Row, SimpleQueryMessage, Statement};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Config, Connection};

use crate::database::connect::{self, ANSWER_LIMIT, Driver, Found};
use crate::database::conninfo::Target;
use crate::database::databases::resolve;
use crate::database::listen::quoted;
use crate::database::own_session::{HAS_OWN_SESSION, marked};
use crate::database::param::Param;
use crate::database::session::Session;
use crate::database::statement_cache::{Prepare, StatementCache};
use crate::database::transport::{AbortHandle, Connector, Stream};
use crate::error::{BoxError, Error, describe, sqlstate};
use crate::shortened::shortened;

/// How often the server of an idle connection is checked.
const CHECK_PERIOD: Duration = Duration::from_secs(5);

/// An open connection, driven by a task of the runtime. The task ends when the connection is dropped, after five
/// seconds at most if the server does not respond.
#[doc(hidden)]
pub struct AsyncConnection {
    session: AsyncSession,
    notified: Arc<Notify>,
    /// Closed when the connection has ended.
    ended: watch::Receiver<()>,
    abort: Option<AbortHandle>,
    /// Whether the session is this connection's alone, so that it can listen.
    has_session: bool,
    /// Database, servers and user, for messages.
    label: String,
}

impl AsyncConnection {
    /// Opens a connection; `application_name` is used if the connection string has none. Runs within a runtime with I/O
    /// and time.
    ///
    /// # Errors
    ///
    /// When the connection string is wrong, when no server accepts the connection, and when a schema precedes
    /// `pg_catalog` in the search path.
    pub async fn open(conninfo: &str, application_name: &str) -> Result<AsyncConnection, Error> {
        let target = resolve(conninfo, application_name, None)?;
        let mut connection = open_marked(&target).await?;
        let checked = connect::check(&mut connection).await;
        checked.map_err(|error| Error::failed(format!("cannot use {target}")).caused_by(error))?;
        Ok(connection)
    }

    /// Returns the driver's client.
    pub fn client(&self) -> &Client {
        &self.session.client
    }

    /// Returns a session of the connection that can be given away.
    pub fn session(&self) -> AsyncSession {
        self.session.clone()
    }

    /// Sends statements without waiting for their end. Later statements run after them.
    pub fn send(&self, statements: &str) {
        let mut sending = pin!(self.session.client.batch_execute(statements));
        // The first poll sends; the answer is not needed.
        let _ = sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }

    /// Returns database, servers and user, for messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns whether the connection is lost.
    pub fn is_closed(&self) -> bool {
        self.session.client.is_closed()
    }

    /// Waits until the server answers an empty statement, for five seconds at most.
    ///
    /// # Errors
    ///
    /// Fails if the server does not answer or the connection is lost; the connection must then be dropped.
    pub async fn check(&self) -> Result<(), BoxError> {
        answer(&mut self.session()).await
    }

    /// Waits until the connection is lost. The server of an idle connection is checked every five seconds.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut session, mut ended) = (self.session(), self.ended.clone());
        async move {
            // Nobody sends a value, so the wait ends when the sender is gone.
            while timeout(shortened(CHECK_PERIOD), ended.changed()).await.is_err() {
                if answer(&mut session).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Listens on a channel. Returns `false` behind a pooler, where a session is shared between clients.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub async fn listen(&self, channel: &str) -> Result<bool, postgres::Error> {
        if self.has_session {
            self.session.client.batch_execute(&format!("listen {}", quoted(channel))).await?;
        }
        Ok(self.has_session)
    }

    /// Waits for a notification. One that has arrived since the last call counts.
    pub async fn notified(&self) {
        self.notified.notified().await;
    }
}

impl Drop for AsyncConnection {
    fn drop(&mut self) {
        if let Some(abort) = &self.abort {
            abort.close();
        }
    }
}

impl fmt::Debug for AsyncConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncConnection").field(&self.label).finish()
    }
}

/// Opens a connection whose session is marked, or one without a mark where a pooler refuses it.
async fn open_marked(target: &Target) -> Result<AsyncConnection, Error> {
    match connect::find::<Tokio>(&marked(target, "")).await {
        Ok(found) => {
            let has_session = is_marked(&found.client.client).await.unwrap_or(false);
            Ok(AsyncConnection::new(found, target, has_session))
        }
        // Most poolers refuse start options that they do not recognise.
        Err(error) if sqlstate(&error) == Some(&SqlState::PROTOCOL_VIOLATION) => {
            Ok(AsyncConnection::new(connect::find::<Tokio>(target).await?, target, false))
        }
        Err(error) => Err(error),
    }
}

async fn answer(session: &mut AsyncSession) -> Result<(), BoxError> {
    match timeout(shortened(ANSWER_LIMIT), session.run("")).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err("the server does not respond".into()),
    }
}

/// Returns whether the server started the session for this connection.
async fn is_marked(client: &Client) -> Result<bool, postgres::Error> {
    let rows = client.query_typed(HAS_OWN_SESSION, &[]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

impl AsyncConnection {
    fn new(found: Found<Tokio>, target: &Target, has_session: bool) -> AsyncConnection {
        let Found { client: Driven { client, notified, ended }, abort, .. } = found;
        let label = target.to_string();
        let statements = StatementCache::new(&label, has_session);
        let session = AsyncSession { client: Arc::new(client), statements };
        AsyncConnection { session, notified, ended, abort, has_session, label }
    }
}

/// The session of a connection. Clones are of the same session.
#[doc(hidden)]
#[derive(Clone)]
pub struct AsyncSession {
    client: Arc<Client>,
    statements: StatementCache,
}

impl Session for AsyncConnection {
    async fn rows(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Vec<Row>, postgres::Error> {
        self.session.rows(statement, values).await
    }

    async fn repeat(
        &mut self,
        statement: &'static str,
        values: &[Param<'_>],
        restart: &str,
    ) -> Result<Vec<Row>, postgres::Error> {
        self.session.repeat(statement, values, restart).await
    }

    async fn run(&mut self, statements: &str) -> Result<(), postgres::Error> {
        self.session.run(statements).await
    }

    async fn pause(&mut self, time: Duration) {
        self.session.pause(time).await;
    }

    fn is_stopping(&self) -> bool {
        self.session.is_stopping()
    }
}

impl Session for AsyncSession {
    async fn rows(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Vec<Row>, postgres::Error> {
        self.client.query_typed(statement, values).await
    }

    async fn repeat(
        &mut self,
        statement: &'static str,
        values: &[Param<'_>],
        restart: &str,
    ) -> Result<Vec<Row>, postgres::Error> {
        self.statements.clone().rows(self, statement, values, restart).await
    }

    async fn run(&mut self, statements: &str) -> Result<(), postgres::Error> {
        self.client.batch_execute(statements).await
    }

    async fn pause(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Returns `false`: an asynchronous loop stops by dropping the future.
    fn is_stopping(&self) -> bool {
        false
    }
}

impl Prepare for AsyncSession {
    async fn prepare(&mut self, statement: &str, types: &[Type]) -> Result<Statement, postgres::Error> {
        self.client.prepare_typed(statement, types).await
    }

    async fn prepared_rows(
        &mut self,
        statement: &Statement,
        values: &[Param<'_>],
    ) -> Result<Vec<Row>, postgres::Error> {
        let values: Vec<_> = values.iter().map(|(value, _)| *value).collect();
        self.client.query(statement, &values).await
    }
}

/// The driver `tokio_postgres`.
struct Tokio;

/// A client, its notifications and its end.
struct Driven {
    client: Client,
    notified: Arc<Notify>,
    ended: watch::Receiver<()>,
}

impl Driver for Tokio {
    type Client = Driven;

    async fn addresses(name: &str, port: u16) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, port)).await?.map(|address| address.ip()).collect())
    }

    async fn connect(config: Config, connector: Connector) -> Result<Driven, postgres::Error> {
        let (client, connection) = config.connect(connector).await?;
        let notified = Arc::new(Notify::new());
        let (end, ended) = watch::channel(());
        let driving = drive(connection, notified.clone());
        tokio::spawn(async move {
            driving.await;
            drop(end);
        });
        Ok(Driven { client, notified, ended })
    }

    async fn simple_query(
        driven: &mut Driven,
        statement: &str,
    ) -> Result<Vec<SimpleQueryMessage>, postgres::Error> {
        driven.client.simple_query(statement).await
    }
}

/// Reads and writes the messages of a connection until it ends.
async fn drive(mut connection: Connection<postgres::Socket, Stream>, notified: Arc<Notify>) {
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(_))) => notified.notify_one(),
            Some(Ok(AsyncMessage::Notice(notice))) => info!("{}: {}", notice.severity(), notice.message()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return debug!("a connection has ended: {}", describe(&error)),
            None => return,
        }
    }
}
