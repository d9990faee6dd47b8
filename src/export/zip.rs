//! A ZIP archive that is written as it streams, after PKWARE's APPNOTE 6.3: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.
//! Knows nothing of what its files hold.

use std::io::{self, Write};
use std::mem;

use flate2::read::DeflateDecoder;
use flate2::{Compress, Compression, Crc, FlushCompress};
use jiff::Timestamp;
use jiff::tz::TimeZone;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A flag: the name is UTF-8.
const UTF8: u16 = 1 << 11;

/// A flag: sums are zero in the header, and stand after the data.
const SUMS_AFTER: u16 = 1 << 3;

/// Versions of the format that a reader must know: of files that are deflated, and of numbers with 64 bits.
const DEFLATES: u16 = 20;
const ZIP64: u16 = 45;

/// Bytes of the list of files that are deflated at once.
const PAGE: usize = 64 << 10;

/// An archive that is being written. Its list of files, which ends it, stays in memory until then. There it is deflated: names
/// and times of files resemble those before, so that each file takes some 20 bytes. After a failure, nothing can be added.
#[derive(Debug)]
pub struct Zip<W> {
    to: W,
    /// Bytes that were written.
    at: u64,
    files: u64,
    /// What deflates one file, or page of the list, after the other.
    deflater: Compress,
    /// The deflated pages of the list.
    pages: Vec<Vec<u8>>,
    /// The last page.
    page: Vec<u8>,
}

impl<W: Write> Zip<W> {
    /// An archive that goes to `to`.
    pub fn new(to: W) -> Self {
        let deflater = Compress::new(Compression::default(), false);
        Self { to, at: 0, files: 0, deflater, pages: Vec::new(), page: Vec::new() }
    }

    /// Adds a file that is compressed already.
    pub fn store(&mut self, path: &str, modified: Option<Timestamp>, file: &[u8]) -> io::Result<()> {
        let mut crc = Crc::new();
        crc.update(file);
        let size = file.len() as u64;
        let entry = Entry { path, modified, flags: UTF8, method: STORED, sums: Sums::of(&crc, size, size)? };
        let at = self.at;
        self.put(&entry.header()?)?;
        self.put(file)?;
        self.list(&entry.listed(at)?)
    }

    /// Adds a file that `write` writes, of less than 4 GB. It is deflated.
    pub fn add<T>(
        &mut self,
        path: &str,
        modified: Option<Timestamp>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut entry = Entry { path, modified, flags: UTF8 | SUMS_AFTER, method: DEFLATED, sums: Sums::default() };
        let at = self.at;
        self.put(&entry.header()?)?;
        self.deflater.reset();
        let mut file = Deflated { to: &mut self.to, deflater: &mut self.deflater, crc: Crc::new() };
        let written = write(&mut file)?;
        let Deflated { to, deflater, crc } = file;
        deflate(deflater, &[], FlushCompress::Finish, to)?;
        entry.sums = Sums::of(&crc, deflater.total_out(), deflater.total_in())?;
        self.at += deflater.total_out();
        self.put(b"PK\x07\x08")?;
        self.put(&entry.sums.bytes())?;
        self.list(&entry.listed(at)?)?;
        Ok(written)
    }

    /// Writes the list of files, and flushes after each page of it. Returns what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        let at = self.at;
        for page in mem::take(&mut self.pages) {
            self.at += io::copy(&mut DeflateDecoder::new(page.as_slice()), &mut self.to)?;
            self.to.flush()?;
        }
        let page = mem::take(&mut self.page);
        self.put(&page)?;
        let (files, size, end) = (self.files, self.at - at, self.at);
        let mut last = Vec::new();
        if files >= u64::from(u16::MAX) || end >= u64::from(u32::MAX) {
            last.extend(b"PK\x06\x06");
            last.extend(44_u64.to_le_bytes()); // of this record, from here
            last.extend([ZIP64, ZIP64].map(u16::to_le_bytes).as_flattened()); // made by, and needed
            last.extend([0; 8]); // disks
            last.extend([files, files, size, at].map(u64::to_le_bytes).as_flattened());
            last.extend(b"PK\x06\x07");
            last.extend([0; 4]); // the disk of the record before
            last.extend(end.to_le_bytes());
            last.extend(1_u32.to_le_bytes()); // disks
        }
        let files = u16::try_from(files).unwrap_or(u16::MAX).to_le_bytes();
        last.extend(b"PK\x05\x06");
        last.extend([0; 4]); // disks
        last.extend([files, files].as_flattened());
        last.extend([low(size), low(at)].map(u32::to_le_bytes).as_flattened());
        last.extend([0; 2]); // the length of a comment
        self.put(&last)?;
        Ok(self.to)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.to.write_all(bytes)
    }

    /// Adds an entry to the list.
    fn list(&mut self, entry: &[u8]) -> io::Result<()> {
        self.files += 1;
        self.page.extend(entry);
        if self.page.len() >= PAGE {
            let mut page = Vec::new();
            self.deflater.reset();
            deflate(&mut self.deflater, &self.page, FlushCompress::Finish, &mut page)?;
            page.shrink_to_fit();
            self.pages.push(page);
            self.page.clear();
        }
        Ok(())
    }
}

/// What the header of a file, and its entry in the list, say of it.
struct Entry<'e> {
    path: &'e str,
    modified: Option<Timestamp>,
    flags: u16,
    method: u16,
    sums: Sums,
}

impl Entry<'_> {
    /// What stands before its data.
    fn header(&self) -> io::Result<Vec<u8>> {
        let extra = self.extra();
        let mut header = b"PK\x03\x04".to_vec();
        header.extend(self.fields(DEFLATES, &extra)?);
        header.extend(self.path.as_bytes());
        header.extend(extra);
        Ok(header)
    }

    /// Its entry in the list. Its header is `at` this place of the archive.
    fn listed(&self, at: u64) -> io::Result<Vec<u8>> {
        let mut extra = self.extra();
        let is_far = low(at) == u32::MAX;
        if is_far {
            extra.extend([1_u16, 8].map(u16::to_le_bytes).as_flattened());
            extra.extend(at.to_le_bytes());
        }
        let version = if is_far { ZIP64 } else { DEFLATES };
        let mut entry = b"PK\x01\x02".to_vec();
        entry.extend(version.to_le_bytes()); // made by
        entry.extend(self.fields(version, &extra)?);
        entry.extend([0; 10]); // no comment, the first disk, no attributes
        entry.extend(low(at).to_le_bytes());
        entry.extend(self.path.as_bytes());
        entry.extend(extra);
        Ok(entry)
    }

    /// What both have in common.
    fn fields(&self, version: u16, extra: &[u8]) -> io::Result<Vec<u8>> {
        let [date, time] = self.date_and_time();
        let path = u16::try_from(self.path.len()).map_err(io::Error::other)?;
        let extra = u16::try_from(extra.len()).map_err(io::Error::other)?;
        let mut fields = [version, self.flags, self.method, time, date].map(u16::to_le_bytes).as_flattened().to_vec();
        fields.extend(self.sums.bytes());
        fields.extend([path, extra].map(u16::to_le_bytes).as_flattened());
        Ok(fields)
    }

    /// When it was modified, as readers since Info-ZIP understand it: in seconds since 1970, UTC, until 2038.
    fn extra(&self) -> Vec<u8> {
        let seconds = self.modified.and_then(|at| i32::try_from(at.as_second()).ok());
        seconds.map(|seconds| [b"UT\x05\0\x01", seconds.to_le_bytes().as_slice()].concat()).unwrap_or_default()
    }

    /// The same for the others, which know no time zone. The first day of 1980 if it is not known, or beyond what they know.
    fn date_and_time(&self) -> [u16; 2] {
        let at = self.modified.map(|at| TimeZone::UTC.to_datetime(at)).filter(|at| (1980..=2107).contains(&at.year()));
        let Some(at) = at else { return [1 << 5 | 1, 0] };
        let [month, day, hour, minute, second] =
            [at.month(), at.day(), at.hour(), at.minute(), at.second()].map(i8::cast_unsigned).map(u16::from);
        [((at.year() - 1980).cast_unsigned() << 9) | (month << 5) | day, (hour << 11) | (minute << 5) | (second / 2)]
    }
}

/// The checksum of a file, and its sizes in bytes.
#[derive(Default)]
struct Sums {
    crc: u32,
    deflated: u32,
    size: u32,
}

impl Sums {
    /// Fails for 4 GB and more.
    fn of(crc: &Crc, deflated: u64, size: u64) -> io::Result<Self> {
        let [deflated, size] = [deflated, size].map(|size| u32::try_from(size).map_err(io::Error::other));
        Ok(Self { crc: crc.sum(), deflated: deflated?, size: size? })
    }

    fn bytes(&self) -> Vec<u8> {
        [self.crc, self.deflated, self.size].map(u32::to_le_bytes).concat()
    }
}

/// The number, or what stands for one that 32 bits cannot hold.
fn low(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A file that is being deflated.
struct Deflated<'f> {
    to: &'f mut dyn Write,
    deflater: &'f mut Compress,
    /// Of what is not deflated yet.
    crc: Crc,
}

impl Write for Deflated<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.crc.update(bytes);
        deflate(self.deflater, bytes, FlushCompress::None, self.to)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Deflates all of the bytes. Unless it is to `Finish`, some may stay in the deflater until more come.
fn deflate(deflater: &mut Compress, mut bytes: &[u8], flush: FlushCompress, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = [0; 8 << 10];
    loop {
        let (taken, made) = (deflater.total_in(), deflater.total_out());
        deflater.compress(bytes, &mut buffer, flush)?;
        let [taken, made] = [deflater.total_in() - taken, deflater.total_out() - made].map(|n| n as usize);
        bytes = &bytes[taken..];
        to.write_all(&buffer[..made])?;
        if bytes.is_empty() && made < buffer.len() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beyond_4_gb_are_listed_with_64_bits() {
        let far = 5_u64 << 30;
        let mut zip = Zip { at: far, ..Zip::new(Vec::new()) };
        zip.store("a", None, b"b").expect("a Vec takes every byte");
        let zip = zip.finish().expect("a Vec takes every byte");
        let after = |signature: &[u8]| {
            let at = zip.windows(4).position(|window| window == signature).expect("a record");
            &zip[at..]
        };
        let entry = after(b"PK\x01\x02");
        assert_eq!((&entry[42..46], &entry[46..47]), (&[0xff; 4][..], &b"a"[..]));
        assert_eq!(entry[47..59], [&[1, 0, 8, 0], far.to_le_bytes().as_slice()].concat());
        let list = far + 30 + 1 + 1;
        assert_eq!(after(b"PK\x06\x06")[48..56], list.to_le_bytes());
        assert_eq!(after(b"PK\x06\x07")[8..16], (list + 59).to_le_bytes());
        assert_eq!(after(b"PK\x05\x06")[16..20], [0xff; 4]);
    }

    #[test]
    fn of_each_file_some_bytes_stay_in_memory() {
        let mut zip = Zip::new(io::sink());
        for n in 0..20_000_u32 {
            let at = Timestamp::from_second(1_790_000_000 + i64::from(n) * 60).expect("a time");
            let id = n.wrapping_mul(2_654_435_761);
            let file: Vec<u8> = id.to_le_bytes().repeat(usize::from(id.to_le_bytes()[3]));
            zip.store(&format!("2026-11/{at} +14155551234 {id:08x}.docx"), Some(at), &file).expect("a sink");
        }
        let bytes: usize = zip.pages.iter().map(Vec::capacity).sum();
        assert!(bytes / 20_000 < 40, "{bytes} bytes");
    }
}
