//! A ZIP archive that is written as it streams. Knows nothing of what its files hold.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, ZipArchiveWriter};

/// An archive that is being written. Of each file that is written, some 300 bytes and its name stay in memory until the end.
#[derive(Debug)]
pub struct Zip<W> {
    archive: ZipArchiveWriter<W>,
}

impl<W: Write> Zip<W> {
    /// An archive that goes to `to`.
    pub fn new(to: W) -> Self {
        Self { archive: ZipArchiveWriter::new(to) }
    }

    /// Adds a file that `write` writes. `level` 0 is for what is compressed already. `modified` is in seconds since 1970.
    pub fn add<T>(
        &mut self,
        path: &str,
        modified: Option<i64>,
        level: Compression,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> io::Result<T> {
        // Without compression, too, it is deflated: of a file that is only stored, a reader of a stream would not know the end.
        let mut file = self.archive.new_file(path).compression_method(CompressionMethod::DEFLATE);
        if let Some(modified) = modified {
            file = file.last_modified(UtcDateTime::from_unix(modified));
        }
        let (mut entry, config) = file.start().map_err(io::Error::other)?;
        let mut writer = config.wrap(DeflateEncoder::new(&mut entry, level));
        let written = write(&mut writer)?;
        let (encoder, sums) = writer.finish().map_err(io::Error::other)?;
        encoder.finish()?;
        entry.finish(sums).map_err(io::Error::other)?;
        Ok(written)
    }

    /// Writes the list of files, which ends the archive. Returns what it was written to.
    pub fn finish(self) -> io::Result<W> {
        self.archive.finish().map_err(io::Error::other)
    }
}
