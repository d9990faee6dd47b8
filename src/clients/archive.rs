//! The archive: a folder or an S3 bucket that keeps recordings, too. Beside the audio it has its SHA-256, as `sha256sum` writes
//! and checks it. Each of the two is there as a whole or not at all.
//!
//! A folder has a [marker](MARKER). Where it is missing, the folder is another one, such as that below which a disk is not
//! mounted: nothing is written there, and nothing counts as deleted.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::buffered::BufWriter;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, RetryConfig};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use url::Url;

use super::range::Range;
use super::twilio::{AudioType, Playable};
use super::{Deadlines, Error, Kind, Refusal, Service, hex, is_local, sender};
use crate::metrics::Requests;

/// Bytes of audio that are in memory before they are written. What is shorter is written at once; of a bucket, this is the size of
/// a part, and no part but the last may be smaller: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
const PART: usize = 5 << 20;

/// How often a request to a bucket is repeated, and for how long.
const RETRIES: usize = 3;
const RETRIED_FOR: Duration = Duration::from_secs(20);

/// The end of the name of an object with a checksum.
const CHECKSUM: &str = ".sha256";

/// The file by which a folder is recognized.
const MARKER: &str = "callscribe-archive.txt";

/// The object that is written to see whether that is possible, and what it says. It has the same name each time, so that the next
/// check replaces and removes one that was left behind.
const CHECK: &str = "callscribe-check.txt";
const CHECKED: &[u8] = b"callscribe may write here\n";

/// How often an object that another instance removes is written before that counts as a failure.
const CHECKS: u32 = 5;

/// What stands between the URL of a bucket and that of its server.
const AT: &str = " at ";

/// Where the archive is.
#[derive(Debug, Clone)]
pub enum Place {
    Folder(PathBuf),
    Bucket(Bucket),
}

/// An S3 bucket, or one that speaks its API.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    /// What all keys begin with, without slashes at its ends; may be empty.
    pub prefix: String,
    pub region: String,
    /// The server that has the bucket in its path. `None` for AWS.
    pub endpoint: Option<Url>,
    pub access_key_id: String,
    pub secret_access_key: SecretString,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
}

/// Why something was not written.
#[derive(Debug)]
pub enum NotKept<E> {
    /// What was read failed.
    Source(E),
    Archive(Error),
}

#[derive(Debug)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    name: String,
    /// The folder, if it is one.
    folder: Option<PathBuf>,
    requests: Requests,
}

impl Archive {
    /// Opens the archive. Makes its folder if there is none, which only this user may enter. Asks no server.
    pub fn open(place: &Place, deadlines: &Deadlines, requests: &Requests) -> Result<Self, String> {
        let requests = requests.clone();
        match place {
            Place::Folder(folder) => {
                let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(|error| format!("the folder cannot be made: {}", error.kind()))?;
                let folder: PathBuf = folder.components().collect();
                let store = LocalFileSystem::new_with_prefix(&folder)
                    .map_err(|error| format!("the folder cannot be used: {}", innermost(&error)))?;
                let store = Arc::new(store.with_fsync(true).with_automatic_cleanup(true));
                Ok(Self { store, name: format!("file://{}", folder.display()), folder: Some(folder), requests })
            }
            Place::Bucket(bucket) => {
                let mut name = format!("s3://{}/{}", bucket.name, bucket.prefix).trim_end_matches('/').to_owned();
                if let Some(endpoint) = &bucket.endpoint {
                    name = format!("{name}{AT}{endpoint}");
                }
                let store = bucket.open(deadlines).map_err(|error| innermost(&error))?;
                Ok(Self { store, name, folder: None, requests })
            }
        }
    }

    /// Tells it from others: as `ARCHIVE_URL` names it, and the server of a bucket, if that is not Amazon's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of an object in the archive of this name.
    pub fn url_of(name: &str, key: &str) -> String {
        format!("{}/{key}", name.split(AT).next().unwrap_or(name))
    }

    /// Marks its folder, so that it is recognized. Call this before anything was written there.
    pub fn mark(&self) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let text = "callscribe keeps recordings in this folder, and recognizes it by this file.\n";
        let written = match std::fs::OpenOptions::new().write(true).create_new(true).open(folder.join(MARKER)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            file => file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())),
        };
        written.map_err(|error| format!("the folder cannot be written to: {}", error.kind()))
    }

    /// Whether its folder was marked. A bucket needs no marker.
    pub fn is_marked(&self) -> bool {
        self.folder.as_ref().is_none_or(|folder| folder.join(MARKER).exists())
    }

    /// Fails if its folder is not the one that was marked.
    fn recognize(&self) -> Result<(), Error> {
        if self.is_marked() {
            return Ok(());
        }
        let why = format!("the folder lacks {MARKER}: is its disk mounted, and is it the right folder?");
        Err(error(unavailable(&why)))
    }

    /// Whether other users of this computer may read what is in its folder.
    pub fn is_open_to_others(&self) -> bool {
        let data = self.folder.as_ref().and_then(|folder| std::fs::metadata(folder).ok());
        data.is_some_and(|data| data.permissions().mode() & 0o077 != 0)
    }

    /// Counts an operation that has ended.
    fn count(&self, operation: &'static str, begun: Instant, failure: Option<&Error>) {
        let outcome = failure.map_or("ok", |error| error.kind.label());
        self.requests.note(Service::Archive.label(), operation, outcome, begun.elapsed());
    }

    /// Writes an object from a stream, which is never whole in memory, and its checksum. Replaces one of this key.
    pub async fn keep<E>(
        &self,
        key: &str,
        audio: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Kept, NotKept<E>> {
        let begun = Instant::now();
        let kept = self.write(key, audio).await;
        match &kept {
            Ok(_) => self.count("keep", begun, None),
            Err(NotKept::Archive(error)) => self.count("keep", begun, Some(error)),
            Err(NotKept::Source(_)) => {}
        }
        kept
    }

    async fn write<E>(
        &self,
        key: &str,
        audio: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Kept, NotKept<E>> {
        let failed = |error: object_store::Error| NotKept::Archive(self::failed(&error));
        let path = path(key).map_err(failed)?;
        self.recognize().map_err(NotKept::Archive)?;
        let checksum = format!("{key}{CHECKSUM}");
        for name in [key, &checksum] {
            self.clear(name).await.map_err(NotKept::Archive)?;
        }
        let mut writer = BufWriter::with_capacity(Arc::clone(&self.store), path, PART).with_max_concurrency(1);
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        let mut audio = std::pin::pin!(audio);
        while let Some(piece) = audio.next().await {
            let written = match piece {
                Ok(piece) => {
                    digest.update(&piece);
                    bytes += piece.len() as u64;
                    writer.put(piece).await.map_err(failed)
                }
                Err(error) => Err(NotKept::Source(error)),
            };
            if let Err(error) = written {
                // Parts that stay behind would cost money. That a part could not be written is the error to report.
                _ = writer.abort().await;
                return Err(error);
            }
        }
        writer.shutdown().await.map_err(|error| NotKept::Archive(not_ended(&error)))?;
        let sha256 = hex(&digest.finalize());
        let name = key.rsplit('/').next().unwrap_or(key);
        let line = format!("{sha256}  {name}\n");
        let beside = self::path(&checksum).map_err(failed)?;
        self.store.put(&beside, line.into()).await.map_err(failed)?;
        Ok(Kept { bytes, sha256 })
    }

    /// Opens audio for a player, or the requested range of it.
    pub async fn play(&self, key: &str, range: Option<&str>) -> Result<Playable, Error> {
        let begun = Instant::now();
        let opened = self.open_audio(key, range).await;
        self.count("play", begun, opened.as_ref().err());
        opened
    }

    async fn open_audio(&self, key: &str, range: Option<&str>) -> Result<Playable, Error> {
        let path = path(key).map_err(|error| failed(&error))?;
        let total = self.store.head(&path).await.map_err(|error| failed(&error))?.size;
        let range = range.and_then(Range::parse);
        let part = range.map(|range| range.of(total).ok_or(error(Kind::BeyondEnd { total: Some(total) })));
        let part = part.transpose()?;
        let options = GetOptions {
            range: part.map(|part| GetRange::Bounded(part.first..part.last + 1)),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(&path, options).await.map_err(|error| failed(&error))?;
        let bytes = found.into_stream().map_err(|error| failed(&error));
        let audio_type = if key.ends_with(".mp3") { AudioType::Mp3 } else { AudioType::Wav };
        let length = part.map_or(total, |part| part.last + 1 - part.first);
        Ok(Playable { audio_type, part, length: Some(length), takes_ranges: true, bytes: bytes.boxed() })
    }

    /// Removes an object and its checksum, and what a broken attempt at it has left. None may be there.
    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        let begun = Instant::now();
        let removed = self.remove_both(key).await;
        self.count("remove", begun, removed.as_ref().err());
        removed
    }

    async fn remove_both(&self, key: &str) -> Result<(), Error> {
        self.recognize()?;
        for name in [format!("{key}{CHECKSUM}"), key.to_owned()] {
            let path = path(&name).map_err(|error| failed(&error))?;
            match self.store.delete(&path).await {
                Ok(()) => {}
                // S3 answers 204 for a key that it does not have: a 404 is about the bucket, or of a proxy in between.
                Err(object_store::Error::NotFound { .. }) if self.folder.is_some() => {}
                Err(error) => return Err(failed(&error)),
            }
            self.clear(&name).await?;
        }
        Ok(())
    }

    /// Writes a small object, reads it and removes it, also one that a killed program left behind.
    pub async fn check(&self) -> Result<(), Error> {
        self.recognize()?;
        let mut checks = 1;
        loop {
            self.clear(CHECK).await?;
            match self.check_once().await {
                // Another instance checks at the same time, and removed the object first.
                Err(object_store::Error::NotFound { .. }) if checks < CHECKS => checks += 1,
                Ok(read) if read == CHECKED => return Ok(()),
                Ok(_) => return Err(error(Kind::BadBody { path: CHECK.to_owned() })),
                Err(failure) => return Err(failed(&failure)),
            }
        }
    }

    async fn check_once(&self) -> object_store::Result<Bytes> {
        let path = Path::from(CHECK);
        self.store.put(&path, Bytes::from_static(CHECKED).into()).await?;
        let read = async { self.store.get(&path).await?.bytes().await };
        let read = read.await;
        self.store.delete(&path).await?;
        read
    }

    /// Removes the files that a program which was killed has left of an object in a folder: `<name>#<number>`. What was removed
    /// there stays removed after a power cut.
    async fn clear(&self, key: &str) -> Result<(), Error> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let file = folder.join(key);
        let cleared = spawn_blocking(move || {
            let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
                return Ok(());
            };
            let entries = match std::fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                entries => entries?,
            };
            for entry in entries {
                let found = entry?.file_name();
                let rest = found.to_str().and_then(|found| found.strip_prefix(name)?.strip_prefix('#'));
                if rest.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
                    std::fs::remove_file(folder.join(&found))?;
                }
            }
            std::fs::File::open(folder)?.sync_all()
        });
        let cleared = cleared.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        cleared.map_err(|error| self::error(unavailable(&error.to_string())))
    }
}

impl Bucket {
    fn open(&self, deadlines: &Deadlines) -> object_store::Result<Arc<dyn ObjectStore>> {
        let is_here = self.endpoint.as_ref().is_some_and(is_local);
        let http = sender::client(&super::tls::config(), deadlines, is_here);
        let http = http.read_timeout(deadlines.stall).build().expect("a client with TLS set up builds");
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: RETRIED_FOR };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key_id)
            .with_secret_access_key(self.secret_access_key.expose_secret())
            .with_checksum_algorithm(Checksum::SHA256)
            .with_disable_bulk_delete(true)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(retry)
            .with_http_connector(Client(http));
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        let store = builder.build()?;
        if self.prefix.is_empty() {
            return Ok(Arc::new(store));
        }
        Ok(Arc::new(PrefixStore::new(store, Path::parse(&self.prefix)?)))
    }
}

/// Our own HTTP client, for the crate that speaks S3.
#[derive(Debug, Clone)]
struct Client(reqwest::Client);

impl HttpConnector for Client {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap));
        let response = self.0.execute(request.map_err(http_error)?).await.map_err(http_error)?;
        let response: hyper::http::Response<reqwest::Body> = response.into();
        Ok(response.map(|body| HttpResponseBody::new(body.map_err(http_error))))
    }
}

fn http_error(error: reqwest::Error) -> HttpError {
    let kind = match &error {
        error if error.is_connect() => HttpErrorKind::Connect,
        error if error.is_timeout() => HttpErrorKind::Timeout,
        error if error.is_decode() => HttpErrorKind::Decode,
        _ => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error.without_url())
}

fn path(key: &str) -> object_store::Result<Path> {
    Ok(Path::parse(key)?)
}

fn error(kind: Kind) -> Error {
    let error = Error { service: Service::Archive, kind };
    tracing::warn!("{error}");
    error
}

fn failed(failure: &object_store::Error) -> Error {
    use object_store::Error as E;
    let refusal = |status| refusal(status, &innermost(failure));
    error(match failure {
        E::NotFound { .. } => Kind::NotFound(refusal(404)),
        E::PermissionDenied { .. } => Kind::Unauthorized(refusal(403)),
        E::Unauthenticated { .. } => Kind::Unauthorized(refusal(401)),
        _ => unavailable(&innermost(failure)),
    })
}

/// What the end of a write failed with.
fn not_ended(failure: &io::Error) -> Error {
    match failure.get_ref().and_then(|cause| cause.downcast_ref::<object_store::Error>()) {
        Some(cause) => failed(cause),
        None => error(unavailable(&innermost(failure))),
    }
}

fn unavailable(why: &str) -> Kind {
    Kind::Unavailable { retry_after: None, refusal: refusal(503, why) }
}

fn refusal(status: u16, message: &str) -> Refusal {
    let message = message.to_owned();
    Refusal { status, code: None, message, more_info: None, is_vendors: true }.shortened()
}

/// What is at the bottom of an error: the rest repeats it, with paths and URLs.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
