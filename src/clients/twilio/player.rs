//! Audio for a player. Its type comes from its first bytes, and its part from numbers that fit what was asked for: no header
//! of the vendor's is passed on, because a browser would believe it in our name.

use bytes::{Bytes, BytesMut};
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{ACCEPT_RANGES, CONTENT_RANGE, HeaderMap};
use sha2::{Digest, Sha256};

use super::Twilio;
use super::media::{Media, MediaFormat, MediaRequest, damaged};
use super::size::{self, AudioType};
use crate::clients::range::{Part, Range};
use crate::clients::{Error, Kind, Sender};

/// Size of the blocks in which encrypted audio is verified.
const BLOCK: usize = 64 << 10;

/// Audio that is what it says.
pub struct Playable {
    pub audio_type: AudioType,
    /// `None` for the whole.
    pub part: Option<Part>,
    /// Number of bytes, if it is known.
    pub length: Option<u64>,
    pub takes_ranges: bool,
    /// Ends with an error if the audio turns out to be damaged, or longer or shorter than it says.
    pub bytes: BoxStream<'static, Result<Bytes, Error>>,
}

impl Twilio {
    /// Opens a recording's audio, or the requested range of it, as [`Twilio::media`] does, and makes sure that it is audio.
    /// A part from the middle has no first bytes to tell: its type is that of the format asked for.
    pub async fn play(&self, sid: &str, request: &MediaRequest) -> Result<Playable, Error> {
        let range = request.range.as_deref().and_then(Range::parse);
        if request.decryption.is_some() {
            return self.play_decrypted(sid, range, request).await;
        }
        let request = MediaRequest { range: range.as_ref().map(Range::to_string), ..request.clone() };
        let Media { status, headers, length, mut bytes } = self.media(sid, &request).await?;
        let part = match range.filter(|_| status == 206) {
            Some(range) => Some(self.part(range, &headers, length, &request)?),
            None => None,
        };
        let mut read = Vec::new();
        let audio_type = if part.is_none_or(|part| part.first == 0) {
            let mut head = Vec::new();
            while head.len() < size::HEAD
                && let Some(piece) = bytes.try_next().await?
            {
                head.extend_from_slice(&piece[..piece.len().min(size::HEAD)]);
                read.push(Ok(piece));
            }
            AudioType::of(&head).ok_or_else(|| self.sender.error(damaged("is neither WAV nor MP3")))?
        } else {
            request.format.into()
        };
        let bytes = stream::iter(read).chain(bytes);
        let bytes = match part {
            Some(part) => exactly(part.length(), bytes, self.sender.clone()).boxed(),
            None => bytes.boxed(),
        };
        let takes_ranges = part.is_some() || headers.get(ACCEPT_RANGES).is_some_and(|units| units == "bytes");
        Ok(Playable { audio_type, part, length: part.map(Part::length).or(length), takes_ranges, bytes })
    }

    /// Opens audio that is encrypted. Only its end proves that it is whole and unchanged, and a player would have played the
    /// rest by then. So it is read twice: first to its end, for the digests of its blocks, and then for the player, who gets
    /// only blocks with the same digests.
    async fn play_decrypted(&self, sid: &str, range: Option<Range>, request: &MediaRequest) -> Result<Playable, Error> {
        let mut blocks = Box::pin(in_blocks(self.media(sid, request).await?.bytes));
        let (mut digests, mut total, mut audio_type) = (Vec::new(), 0, None);
        while let Some(block) = blocks.try_next().await? {
            audio_type = audio_type.or_else(|| AudioType::of(&block[..block.len().min(size::HEAD)]));
            total += block.len() as u64;
            digests.push(Sha256::digest(&block));
        }
        let audio_type = audio_type.ok_or_else(|| self.sender.error(damaged("is neither WAV nor MP3")))?;
        let part = match range.map(|range| range.of(total)) {
            Some(None) => return Err(self.sender.error(Kind::BeyondEnd { total: Some(total) })),
            Some(part) => part,
            None => None,
        };
        let (first, last) = part.map_or((0, total.saturating_sub(1)), |part| (part.first, part.last));
        let sender = self.sender.clone();
        let verified =
            in_blocks(self.media(sid, request).await?.bytes).zip(stream::iter(digests.into_iter().enumerate()));
        let bytes = verified.map(move |(block, (number, digest))| {
            let block = block?;
            if Sha256::digest(&block) != digest {
                return Err(sender.error(damaged("was changed between two readings")));
            }
            let begin = (number * BLOCK) as u64;
            let index = |at: u64| usize::try_from(at.saturating_sub(begin)).unwrap_or(BLOCK).min(block.len());
            Ok(block.slice(index(first)..index(last + 1)))
        });
        let bytes = exactly(last + 1 - first, bytes.try_filter(|block| ready(!block.is_empty())), self.sender.clone());
        Ok(Playable { audio_type, part, length: Some(last + 1 - first), takes_ranges: true, bytes: bytes.boxed() })
    }

    /// Returns which part it is by `Content-Range`.
    fn part(
        &self,
        range: Range,
        headers: &HeaderMap,
        length: Option<u64>,
        request: &MediaRequest,
    ) -> Result<Part, Error> {
        let part = headers.get(CONTENT_RANGE).and_then(|part| part.to_str().ok()?.parse::<Part>().ok());
        let part = part.filter(|part| range.has(*part) && length.is_none_or(|length| length == part.length()));
        let part = part.ok_or_else(|| self.sender.error(Kind::BadBody { path: "Content-Range".to_owned() }))?;
        let largest = size::largest(Some(request.format.into()), None, request.seconds);
        if part.total.unwrap_or(part.last + 1) > largest {
            return Err(self.sender.error(damaged(size::TOO_LONG)));
        }
        Ok(part)
    }
}

impl From<MediaFormat> for AudioType {
    fn from(format: MediaFormat) -> Self {
        match format {
            MediaFormat::Wav => Self::Wav,
            MediaFormat::Mp3 => Self::Mp3,
        }
    }
}

/// Cuts audio into blocks of [`BLOCK`] bytes; the last one may be shorter.
fn in_blocks(
    bytes: BoxStream<'static, Result<Bytes, Error>>,
) -> impl futures_util::Stream<Item = Result<Bytes, Error>> + Send + 'static {
    stream::try_unfold((bytes, BytesMut::new()), |(mut bytes, mut block)| async move {
        while block.len() < BLOCK
            && let Some(piece) = bytes.try_next().await?
        {
            block.extend_from_slice(&piece);
        }
        let whole = block.split_to(block.len().min(BLOCK)).freeze();
        Ok((!whole.is_empty()).then_some((whole, (bytes, block))))
    })
}

/// Ends with an error if there are more or fewer bytes.
fn exactly(
    length: u64,
    bytes: impl futures_util::Stream<Item = Result<Bytes, Error>> + Send + 'static,
    sender: Sender,
) -> impl futures_util::Stream<Item = Result<Bytes, Error>> + Send + 'static {
    stream::try_unfold((bytes.boxed(), length), move |(mut bytes, left)| {
        let sender = sender.clone();
        async move {
            let piece = bytes.try_next().await?;
            let read = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            match (piece, left.checked_sub(read)) {
                (Some(piece), Some(left)) => Ok(Some((piece, (bytes, left)))),
                (None, Some(0)) => Ok(None),
                _ => Err(sender.error(damaged("is not as long as its part"))),
            }
        }
    })
}
