//! A fault on a node of a cluster that another process holds up: asked of that process, its controller, over a socket
//! without a name in any file system, so that nothing of it can be left behind. It ends with the connection.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};

use faults::{FaultType, Place};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use vocab::ids::{FaultName, RunName};
use vocab::units::Span;

use super::{InjectError, Told, session};
use crate::cluster::Sites;

/// What is asked of a controller, as one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The fault.
    pub kind: FaultType,
    /// One node by name, or a link.
    pub place: Place,
    /// Without it until the connection ends.
    pub length: Option<Span>,
}

/// Listens for faults on demand until it is dropped.
pub struct Control(JoinHandle<()>);

impl Control {
    /// Stops listening; another may do so now.
    pub async fn end(mut self) {
        self.0.abort();
        let _aborted = (&mut self.0).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn address(run: &RunName) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("depbench/{run}"))
}

impl Control {
    /// Listens on behalf of a run. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When another process listens for a run of this name.
    pub fn listen(run: &RunName, sites: Sites) -> io::Result<Control> {
        let listener = StdListener::bind_addr(&address(run)?)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let mut served = 0_u64;
        Ok(Control(tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = nix::unistd::geteuid().as_raw();
                let peer = stream.peer_cred().map(|peer| peer.uid());
                // The socket has no permissions of its own.
                if !peer.is_ok_and(|peer| peer == own || peer == 0) {
                    continue;
                }
                served += 1;
                tokio::task::spawn_local(serve(stream, sites.clone(), served));
            }
        })))
    }
}

async fn serve(stream: UnixStream, sites: Sites, number: u64) {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    let (tell, mut told) = mpsc::unbounded_channel();
    let writer = tokio::task::spawn_local(async move {
        while let Some(told) = told.recv().await {
            let line = serde_json::to_string(&told).expect("what is told can be written") + "\n";
            if writing.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let outcome = async {
        let mut line = String::new();
        reading
            .read_line(&mut line)
            .await
            .map_err(|error| error.to_string())?;
        let ask: Ask = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let servers: Vec<_> = sites
            .servers()
            .map(|node| (node.name().clone(), None))
            .collect();
        let victim = ask
            .place
            .pick(&servers)
            .map_err(|error| error.to_string())?;
        let victim = victim.first().ok_or("there is no such node")?;
        // Faults of the experiment, and others on demand, go by other names.
        let fault: FaultName = format!("inject-{number}").parse().expect("a name");
        let (site, order) = sites.order(&fault, &ask.kind, &ask.place, victim).await?;
        let gone = async {
            let mut rest = String::new();
            // Whatever ends the conversation ends the fault.
            let _end = reading.read_line(&mut rest).await;
        };
        let heard = |told| {
            // The one who asked may be gone; then nobody needs to know.
            let _gone = tell.send(told);
        };
        session(&site, order, ask.length, gone, heard)
            .await
            .map_err(|error| error.to_string())
    };
    if let Err(reason) = outcome.await {
        let _gone = tell.send(Told::Failed(reason));
    }
    drop(tell);
    let _written = writer.await;
}

/// Asks the controller of a run, and passes on what it tells until the fault is cleared. Dropping this clears it, too.
///
/// # Errors
/// The controller cannot be reached, or ends before the fault is cleared; or what it says went wrong.
pub async fn ask(
    run: &RunName,
    ask: &Ask,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(Told),
) -> Result<(), InjectError> {
    let failed = |source| InjectError::Controller {
        run: run.to_string(),
        source,
    };
    let stream = address(run)
        .and_then(|address| StdStream::connect_addr(&address))
        .map_err(failed)?;
    stream.set_nonblocking(true).map_err(failed)?;
    let (reading, mut writing) = UnixStream::from_std(stream).map_err(failed)?.into_split();
    let line = serde_json::to_string(ask).expect("a fault can be written") + "\n";
    writing.write_all(line.as_bytes()).await.map_err(failed)?;
    let mut lines = BufReader::new(reading).lines();
    let mut stop = std::pin::pin!(stop);
    let mut writing = Some(writing);
    let mut cleared = false;
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line.map_err(failed)?,
            () = &mut stop, if writing.is_some() => {
                // The end of what is asked is the end of the fault.
                writing = None;
                continue;
            }
        };
        match line.map(|line| serde_json::from_str(&line)) {
            Some(Ok(Told::Failed(reason))) => return Err(InjectError::Fault(reason)),
            Some(Ok(told)) => {
                cleared = told == Told::Cleared;
                tell(told);
            }
            Some(Err(error)) => return Err(failed(error.into())),
            None if cleared => return Ok(()),
            None => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}
