//! Audio for a player. Its type comes from its first bytes, and its part from numbers that fit what was asked for: no header
//! of the vendor's is passed on, because a browser would believe it in our name.

use std::fmt;
use std::str::FromStr;

use bytes::{Bytes, BytesMut};
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{ACCEPT_RANGES, CONTENT_RANGE, HeaderMap};
use sha2::{Digest, Sha256};

use super::Twilio;
use super::media::{Media, MediaFormat, MediaRequest, damaged};
use super::size::{self, AudioType};
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

/// Some bytes of the audio, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub first: u64,
    /// Included.
    pub last: u64,
    /// Size of the whole, if it is known.
    pub total: Option<u64>,
}

impl Part {
    fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// As `Content-Range` has it: `bytes 0-99/1000`.
impl FromStr for Part {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (bytes, total) = text.strip_prefix("bytes ").and_then(|text| text.split_once('/')).ok_or(())?;
        let (first, last) = bytes.split_once('-').ok_or(())?;
        let number = |digits: &str| digits.parse::<u64>().map_err(drop);
        let (first, last) = (number(first)?, number(last)?);
        let total = if total == "*" { None } else { Some(number(total)?) };
        let fits = first <= last && last < total.unwrap_or(u64::MAX);
        fits.then_some(Self { first, last, total }).ok_or(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}-{}/", self.first, self.last)?;
        match self.total {
            Some(total) => write!(f, "{total}"),
            None => f.write_str("*"),
        }
    }
}

/// One range of bytes, as a player asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    From(u64),
    Between(u64, u64),
    /// The last bytes, this many.
    Last(u64),
}

impl Range {
    /// Returns `None` for anything but one range of bytes: RFC 9110 lets a server ignore that.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
        let number = |digits: &str| digits.parse::<u64>().ok();
        match (first, last) {
            ("", last) => number(last).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// Returns `true` if this part answers the range.
    fn has(self, part: Part) -> bool {
        match self {
            Self::From(first) => part.first == first,
            Self::Between(first, last) => part.first == first && part.last <= last,
            Self::Last(bytes) => part.length() <= bytes && part.total.is_none_or(|total| part.last + 1 == total),
        }
    }
}

impl Range {
    /// Returns the part of this many bytes. Returns `None` for one that they do not have.
    fn of(self, total: u64) -> Option<Part> {
        let (first, last) = match self {
            Self::From(first) => (first, total),
            Self::Between(first, last) => (first, last),
            Self::Last(bytes) => (total.saturating_sub(bytes), total.min(bytes.saturating_mul(total))),
        };
        let last = last.min(total.checked_sub(1)?);
        (first <= last).then_some(Part { first, last, total: Some(total) })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(first) => write!(f, "bytes={first}-"),
            Self::Between(first, last) => write!(f, "bytes={first}-{last}"),
            Self::Last(bytes) => write!(f, "bytes=-{bytes}"),
        }
    }
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
        let part = range.and_then(|range| range.of(total));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_must_fit_the_range_that_was_asked_for() {
        for (range, part, fits) in [
            ("bytes=0-", "bytes 0-99/100", true),
            ("bytes=0-", "bytes 0-49/100", true),
            ("bytes=0-", "bytes 1-99/100", false),
            ("bytes=10-19", "bytes 10-19/100", true),
            ("bytes=10-19", "bytes 10-14/*", true),
            ("bytes=10-19", "bytes 10-20/100", false),
            ("bytes=-10", "bytes 90-99/100", true),
            ("bytes=-10", "bytes 0-4/5", true),
            ("bytes=-10", "bytes 89-99/100", false),
            ("bytes=-10", "bytes 80-89/100", false),
        ] {
            let part: Part = part.parse().unwrap();
            let range = Range::parse(range).unwrap();
            assert_eq!(range.has(part), fits, "{range} {part}");
            assert_eq!((part.to_string().parse(), Range::parse(&range.to_string())), (Ok(part), Some(range)));
        }
    }

    #[test]
    fn anything_but_one_range_of_bytes_is_no_range() {
        for range in ["bytes=0-1,3-4", "lines=0-1", "bytes=9-1", "bytes=-", "bytes=a-b", "bytes", ""] {
            assert_eq!(Range::parse(range), None, "{range}");
        }
        let most = u64::MAX;
        for part in ["bytes 1-0/9", "bytes 0-9/9", "bytes */9", "bytes 0-1", "0-1/9", &format!("bytes 0-{most}/*")] {
            assert!(part.parse::<Part>().is_err(), "{part}");
        }
    }
}
