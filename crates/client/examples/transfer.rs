//! Uploads a file, shows the directory, and fetches the file back: the library in thirty lines.
//!
//! ```text
//! fulmar serve share --json                       # prints an invite
//! cargo run -p fulmar-client --example transfer -- 'fulmar://…' FILE
//! ```

use std::{path::PathBuf, process::ExitCode};

use fulmar_client::{
    Client, ClientConfig, DownloadTarget, Error, Event, Observer, TransferOptions, Trust, UploadSource,
};
use fulmar_proto::{listing::EntryName, path::DirPath, upload::Destination};

/// Prints how many bytes the other side has acknowledged.
struct Progress;

impl Observer for Progress {
    fn on(&self, event: Event) {
        if let Event::Acknowledged { bytes } = event {
            eprintln!("  {bytes} bytes");
        }
    }
}

async fn run(endpoint: &str, file: PathBuf, folder: PathBuf) -> Result<(), Error> {
    let client = Client::new(ClientConfig::new(folder.join("state")))?;
    let Ok(endpoint) = endpoint.parse() else {
        eprintln!("the first argument must be HOST:PORT or an invite");
        return Ok(());
    };
    let session = client.connect(&endpoint, &Trust::KnownOnly).await?;

    let root = Destination { path: DirPath::root(), must_be_directory: true };
    let options = TransferOptions::default();
    let up = session.upload(UploadSource::File(file), &root, &options, &Progress).await?;
    println!("uploaded {} bytes to {}, blake3 {}", up.bytes, up.destination, up.root);

    let mut listing = session.list(&DirPath::root(), true).await?;
    while let Some(page) = listing.next_page().await? {
        for entry in page {
            if let EntryName::Servable(name) = &entry.name {
                println!("{:>12}  {}", entry.size, name.escaped());
            }
        }
    }

    let target = DownloadTarget::Path { path: folder, must_be_directory: true };
    let down = session.download(&up.destination.parse()?, target, &options, &Progress).await?;
    println!("downloaded to {}", down.destination);
    session.close().await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(endpoint), Some(file)) = (args.next(), args.next()) else {
        eprintln!("usage: transfer ENDPOINT FILE");
        return ExitCode::from(2);
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    match run(&endpoint, file.into(), folder.path().to_owned()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("transfer: {error}");
            ExitCode::FAILURE
        }
    }
}
