//! `connme` and `byebye`.

use super::Flow;
use crate::{
    exit_code::ExitCode,
    output::{Failure, objects::Done},
    server_name::ServerName,
    session::Context,
};

pub(super) async fn connme(
    context: &mut Context,
    endpoint: Option<&ServerName>,
) -> Result<ExitCode, Failure> {
    context.connme(endpoint).await?;
    Ok(ExitCode::Done)
}

/// Closes the connection and stays; without a connection it leaves.
pub(super) async fn byebye(context: &mut Context) -> Flow {
    if context.server().is_none() {
        return Flow::Leave;
    }
    context.disconnect().await;
    context.printer.object(&Done::new("byebye"));
    context.printer.answer("connection closed");
    Flow::Next(ExitCode::Done)
}
