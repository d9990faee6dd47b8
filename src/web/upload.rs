//! `multipart/form-data`: small fields, and one file that streams into AssemblyAI's upload. The file is never whole in memory
//! and never on disk; its name is stored, and never logged. `transcribe` interprets the fields.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::http::{HeaderMap, header};
use futures_util::{Stream, StreamExt, stream};
use multer::{Field, Multipart};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::error::ApiError;
use crate::clients::assemblyai::limits::LARGEST_UPLOAD;
use crate::context::Shared;
use crate::pipeline::ordering::{self, Uploaded};

/// The name of the file's field.
pub(super) const FILE: &str = "file";

/// Largest size of everything in a form but its file, in bytes.
const LARGEST_REST: u64 = 1 << 20;

/// Time for which the rest of a refused body is read. Browsers show a response only once they have sent the whole body.
const LISTEN_OUT: Duration = Duration::from_secs(5);

/// The body, shared by the parser and by the code that reads the rest of a refused one.
type SharedBody = Arc<Mutex<BodyDataStream>>;

/// Reads a form to its end, or as far as it can be read, and adds its fields to `fields` in their order. Uploads its file to
/// AssemblyAI, and returns it if there was one. `check` gets the fields before the file, so that no file is uploaded in
/// vain. A page without a script may send `most` files in one form.
pub(super) async fn read(
    context: &Shared,
    headers: &HeaderMap,
    body: Body,
    fields: &mut Vec<(String, String)>,
    most: usize,
    check: impl Fn(&[(String, String)]) -> Result<(), ApiError>,
) -> Result<Vec<Uploaded>, ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type)
        .map_err(|_| ApiError::BadRequest("multipart/form-data: expected a boundary in Content-Type".to_owned()))?;
    if body.size_hint().lower() > LARGEST_UPLOAD + LARGEST_REST {
        return Err(too_large(LARGEST_UPLOAD));
    }
    let body: SharedBody = Arc::new(Mutex::new(body.into_data_stream()));
    let file = read_fields(context, Arc::clone(&body), boundary, fields, most, check).await;
    if matches!(&file, Err(error) if !matches!(error, ApiError::TooSlow)) {
        let rest = async { while let Some(Ok(_)) = body.lock().await.next().await {} };
        tokio::select! {
            _ = timeout(LISTEN_OUT, rest) => {}
            () = context.stopping.cancelled() => {}
        }
    }
    file
}

async fn read_fields(
    context: &Shared,
    body: SharedBody,
    boundary: String,
    fields: &mut Vec<(String, String)>,
    most: usize,
    check: impl Fn(&[(String, String)]) -> Result<(), ApiError>,
) -> Result<Vec<Uploaded>, ApiError> {
    let rest = Arc::new(AtomicU64::new(0));
    let mut parts = Multipart::new(pieces(body, context.assemblyai.stall(), Arc::clone(&rest)), boundary);
    let mut uploaded = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(ApiError::BadRequest("multipart/form-data: expected a name for every field".to_owned()));
        };
        match file_name(&part) {
            None if name == FILE => {
                let hint = "file: expected a file, with a file name, such as curl -F file=@call.wav sends";
                return Err(ApiError::BadRequest(hint.to_owned()));
            }
            None => {
                let text = part.bytes().await.map_err(unreadable)?;
                let text = String::from_utf8(text.into());
                fields.push((name, text.map_err(|_| ApiError::BadRequest("a field is not UTF-8".to_owned()))?));
            }
            Some(file_name) => {
                let mut file = Box::pin(audio(part, LARGEST_UPLOAD, Arc::clone(&rest)));
                let first = match file.next().await.transpose()? {
                    Some(first) => first,
                    // A browser sends an empty one if no file was chosen.
                    None if file_name.is_empty() => continue,
                    None => return Err(ApiError::BadRequest("file: the file is empty".to_owned())),
                };
                if name != FILE {
                    return Err(ApiError::BadRequest("expected the file in a field named file".to_owned()));
                }
                if uploaded.len() >= most {
                    return Err(ApiError::BadRequest(if most > 1 {
                        format!("file: expected at most {most} files")
                    } else {
                        "file: expected one file".to_owned()
                    }));
                }
                check(fields)?;
                let file = stream::iter([Ok(first)]).chain(file);
                uploaded.push(ordering::upload::<_, ApiError>(context, file).await?.named(&file_name));
            }
        }
    }
    Ok(uploaded)
}

/// Returns the name of the file that a part is. A client may send it as `filename*` alone, in the form of RFC 8187.
fn file_name(part: &Field<'_>) -> Option<String> {
    if let Some(name) = part.file_name() {
        return Some(name.to_owned());
    }
    let disposition = String::from_utf8_lossy(part.headers().get(header::CONTENT_DISPOSITION)?.as_bytes()).into_owned();
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parameters = disposition.split(|char| {
        let is_end = char == ';' && !is_quoted;
        if char == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = char == '\\' && is_quoted && !is_escaped;
        is_end
    });
    let mut named = parameters.filter_map(|parameter| parameter.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("filename*"))?;
    // Such as UTF-8'en'call.wav.
    value.rsplit('\'').next().map(|name| name.trim().to_owned())
}

/// Returns the body in pieces, each of which must arrive in time. Other tasks have a turn after each piece: otherwise the
/// parser would read a whole file in one go where the line is fast. `rest` counts the bytes that are not part of the file.
fn pieces(
    body: SharedBody,
    stall: Duration,
    rest: Arc<AtomicU64>,
) -> impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static {
    stream::try_unfold((body, rest), move |(body, rest)| async move {
        tokio::task::yield_now().await;
        let next = async { body.lock().await.next().await };
        let piece = timeout(stall, next).await.map_err(|_| ApiError::TooSlow)?;
        let Some(piece) = piece.transpose().map_err(|_| broken_off())? else { return Ok(None) };
        let length = piece.len() as u64;
        if rest.fetch_add(length, Ordering::Relaxed) + length > LARGEST_REST {
            return Err(too_large(LARGEST_REST));
        }
        Ok(Some((piece, (body, rest))))
    })
}

/// Returns a body in pieces, each of which must arrive in time.
pub(super) fn pieces_in_time(body: Body, stall: Duration) -> impl Stream<Item = Result<Bytes, ApiError>> + Send {
    stream::try_unfold(body.into_data_stream(), move |mut body| async move {
        let piece = timeout(stall, body.next()).await.map_err(|_| ApiError::TooSlow)?;
        Ok(piece.transpose().map_err(|_| broken_off())?.map(|piece| (piece, body)))
    })
}

/// Returns a file's bytes, up to `limit`, without empty pieces.
fn audio(
    part: Field<'static>,
    limit: u64,
    rest: Arc<AtomicU64>,
) -> impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static {
    let mut came = 0;
    let pieces = part.map(move |piece| {
        let piece = piece.map_err(unreadable)?;
        let length = piece.len() as u64;
        rest.fetch_sub(length, Ordering::Relaxed);
        came += length;
        if came > limit { Err(too_large(limit)) } else { Ok(piece) }
    });
    pieces.filter(|piece| std::future::ready(!matches!(piece, Ok(piece) if piece.is_empty())))
}

fn unreadable(error: multer::Error) -> ApiError {
    use multer::Error as E;
    match error {
        E::StreamReadFailed(cause) => cause.downcast().map_or_else(|_| broken_off(), |error| *error),
        E::IncompleteStream | E::IncompleteFieldData { .. } | E::IncompleteHeaders => {
            ApiError::BadRequest("multipart/form-data: the form is incomplete".to_owned())
        }
        _ => ApiError::BadRequest("multipart/form-data: the headers of a field cannot be read".to_owned()),
    }
}

fn broken_off() -> ApiError {
    ApiError::BadRequest("the body was cut off".to_owned())
}

fn too_large(limit: u64) -> ApiError {
    ApiError::TooLarge(usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Returns the length of what is read of a file.
    async fn read_file(pieces: usize, limit: u64) -> Result<usize, ApiError> {
        let (head, end) =
            ("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n", "\r\n--b--\r\n");
        let bytes = [head.as_bytes(), &vec![7; pieces], end.as_bytes()].concat();
        let body = bytes.chunks(10).map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece))).collect::<Vec<_>>();
        let mut form = Multipart::new(stream::iter(body), "b");
        let part = form.next_field().await.map_err(unreadable)?.expect("a field");
        let file: Vec<_> = audio(part, limit, Arc::new(AtomicU64::new(u64::MAX))).collect().await;
        file.into_iter().map(|piece| piece.map(|piece| piece.len())).sum()
    }

    #[tokio::test]
    async fn a_file_ends_with_an_error_where_it_becomes_too_long() {
        assert_eq!(read_file(1_000, 1_000).await.expect("a file"), 1_000);
        assert!(matches!(read_file(1_001, 1_000).await, Err(ApiError::TooLarge(1_000))));
        assert_eq!(read_file(0, 1_000).await.expect("no bytes"), 0);
    }
}
