//! Lists and reads log files, several at a time and line by line.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use flate2::write::MultiGzDecoder;
use futures::stream::{self, StreamExt, TryStreamExt};
use time::Date;

use super::key::{self, LATE};
use super::line::Line;
use super::origin::Origin;
use super::period::Period;
use super::tally::{Detail, Tally};
use crate::aws::{Aws, AwsError, pages};
use crate::error::{Error, Result};

/// How many requests are under way at a time.
const AT_ONCE: usize = 16;

/// How often the reading of a file is begun.
const TRIES: u32 = 3;

/// The longest line that is read. A subject can be 16 KB at most, as the certificate that it is in.
const LONGEST_LINE: usize = 64 * 1024;

/// How many unreadable files are told by name.
const MOST_NAMED: usize = 20;

/// What the logs of a period say.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The connections.
    pub(crate) tally: Tally,
    /// How many files were read.
    pub(crate) files: usize,
    /// How many of them not to their end.
    pub(crate) damaged: usize,
    /// The first of these, with what is wrong.
    pub(crate) damage: Vec<(String, String)>,
}

/// A log file.
struct File {
    bucket: String,
    key: String,
}

/// What was read of one file.
struct FileReading {
    tally: Tally,
    damage: Option<String>,
}

/// Reads the logs of a period; `told` hears how many files there are before they are read.
///
/// # Errors
///
/// A bucket that cannot be listed or a file that cannot be fetched.
pub(crate) async fn read(
    aws: &Arc<Aws>,
    origins: &[Origin],
    period: Period,
    detail: Detail,
    told: impl FnOnce(usize),
) -> Result<Reading> {
    let files = list(aws, origins, period).await?;
    told(files.len());
    let mut reading = Reading {
        tally: Tally::new(detail),
        files: files.len(),
        damaged: 0,
        damage: Vec::new(),
    };
    let tasks = files.into_iter().map(|file| {
        let aws = Arc::clone(aws);
        async move {
            let key = file.key.clone();
            // A task of its own, so that several processors unpack.
            let task = tokio::spawn(async move { read_file(&aws, &file, period, detail).await });
            let read = task.await.map_err(|error| {
                Error::refused(format!("the reading of `{key}` broke off: {error}"))
            })?;
            Ok::<_, Error>((key, read?))
        }
    });
    let mut tasks = stream::iter(tasks).buffer_unordered(AT_ONCE);
    while let Some((key, file)) = tasks.try_next().await? {
        reading.tally.merge(file.tally);
        if let Some(damage) = file.damage {
            reading.damaged += 1;
            if reading.damage.len() < MOST_NAMED {
                reading.damage.push((key, damage));
            }
        }
    }
    reading.damage.sort();
    Ok(reading)
}

/// Lists the files that can tell of a period.
async fn list(aws: &Aws, origins: &[Origin], period: Period) -> Result<Vec<File>> {
    let days = origins
        .iter()
        .flat_map(|origin| period.days(LATE).into_iter().map(move |day| (origin, day)));
    let listed = days.map(|(origin, day)| list_day(aws, origin, day, period));
    let files: Vec<Vec<File>> = stream::iter(listed)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(files.into_iter().flatten().collect())
}

async fn list_day(aws: &Aws, origin: &Origin, day: Date, period: Period) -> Result<Vec<File>> {
    let start = origin.names.of_day(day);
    let after = origin.names.from(day, period.since);
    let keys = pages(async |token: Option<String>| {
        // The bucket may be another account's, so no owner is expected.
        let send = aws
            .s3
            .list_objects_v2()
            .bucket(&origin.bucket)
            .prefix(&start)
            .start_after(&after)
            .set_continuation_token(token)
            .send();
        let page = aws.call("s3:ListObjectsV2", send).await;
        let page = page.map_err(|error| unreadable(error, origin))?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        let keys: Vec<String> = keys.map(str::to_owned).collect();
        Ok((keys, page.next_continuation_token))
    });
    let keys: BTreeSet<String> = keys.await?.into_iter().collect();
    let chosen = keys
        .into_iter()
        .filter(|key| key::may_tell_of(key, &start, &period));
    let file = |key| File {
        bucket: origin.bucket.clone(),
        key,
    };
    Ok(chosen.map(file).collect())
}

/// Says which bucket cannot be read.
fn unreadable(error: AwsError, origin: &Origin) -> Error {
    if error.is("NoSuchBucket") {
        return Error::refused_with(
            format!(
                "the bucket `{}` of the connection logs does not exist ({error})",
                origin.bucket
            ),
            "the load balancer's attribute `connection_logs.s3.bucket` names it: make the bucket, or name another",
        );
    }
    error.into()
}

/// Reads a file; where its transfer breaks off, from its beginning.
async fn read_file(aws: &Aws, file: &File, period: Period, detail: Detail) -> Result<FileReading> {
    let mut tried = 0;
    loop {
        tried += 1;
        let mut unpacked = MultiGzDecoder::new(Lines::new(period, detail));
        let fetched = fetch(aws, file, &mut unpacked).await;
        let damage = match fetched {
            Ok(damage) => damage.or_else(|| finish(&mut unpacked)),
            Err(error) if tried < TRIES && error.uncertain => {
                aws.clock.sleep(Duration::from_secs(1)).await;
                continue;
            }
            // It has expired since it was listed, or went to an archive.
            Err(error) if error.is("NoSuchKey") || error.is("InvalidObjectState") => {
                Some(error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        let lines = unpacked.get_mut();
        lines.end();
        let tally = std::mem::replace(&mut lines.tally, Tally::of_file(detail));
        return Ok(FileReading { tally, damage });
    }
}

/// Fetches a file piece by piece; says what is wrong with its content.
async fn fetch(
    aws: &Aws,
    file: &File,
    unpacked: &mut MultiGzDecoder<Lines>,
) -> Result<Option<String>, AwsError> {
    const OPERATION: &str = "s3:GetObject";
    let request = aws.s3.get_object().bucket(&file.bucket).key(&file.key);
    let answer = aws.call(OPERATION, request.send()).await?;
    let mut body = answer.body;
    loop {
        match body.try_next().await {
            Ok(Some(piece)) => {
                if let Err(error) = unpacked.write_all(&piece) {
                    return Ok(Some(format!("it is damaged: {error}")));
                }
            }
            Ok(None) => return Ok(None),
            Err(error) => return Err(AwsError::broken_off(OPERATION, &error)),
        }
    }
}

/// Unpacks what is left; says what is wrong with it.
fn finish(unpacked: &mut MultiGzDecoder<Lines>) -> Option<String> {
    let finished = unpacked.try_finish();
    finished
        .err()
        .map(|error| format!("it is damaged: {error}"))
}

/// Takes unpacked bytes and counts their lines.
struct Lines {
    period: Period,
    tally: Tally,
    /// The beginning of a line of which the end is yet to come.
    begun: Vec<u8>,
    /// Whether that line is too long to be read.
    is_too_long: bool,
}

impl Lines {
    fn new(period: Period, detail: Detail) -> Self {
        Self {
            period,
            tally: Tally::of_file(detail),
            begun: Vec::new(),
            is_too_long: false,
        }
    }

    fn line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() {
            return;
        }
        match Line::parse(&text) {
            Ok(line) if self.period.contains(line.time) => self.tally.add(&line),
            Ok(_) => {}
            Err(_) => self.tally.add_broken(),
        }
    }

    /// Takes a part of a line that does not end with it.
    fn begin(&mut self, part: &[u8]) {
        if self.begun.len() + part.len() > LONGEST_LINE {
            self.is_too_long = true;
            self.begun.clear();
        }
        if !self.is_too_long {
            self.begun.extend_from_slice(part);
        }
    }

    /// Takes the end of the line that has begun.
    fn end(&mut self) {
        if std::mem::take(&mut self.is_too_long) {
            self.tally.add_broken();
        } else if !self.begun.is_empty() {
            let mut begun = std::mem::take(&mut self.begun);
            self.line(&begun);
            begun.clear();
            self.begun = begun;
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(line) if self.begun.is_empty() && !self.is_too_long => {
                    if line.len() > LONGEST_LINE {
                        self.tally.add_broken();
                    } else {
                        self.line(line);
                    }
                }
                Some(line) => {
                    self.begin(line);
                    self.end();
                }
                None => self.begin(part),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use time::macros::datetime;

    use super::*;

    const PERIOD: Period = Period {
        since: datetime!(2026-11-28 9:00 UTC),
        until: datetime!(2026-11-28 10:00 UTC),
        is_open: false,
    };

    fn line(time: &str) -> String {
        format!("2026-11-28T{time}Z 192.0.2.1 1 443 TLSv1.3 X - \"CN=a\" - 01 Success TID\n")
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Unpacks in pieces of so many bytes.
    fn unpack(bytes: &[u8], size: usize) -> (Tally, Option<String>) {
        let mut unpacked = MultiGzDecoder::new(Lines::new(PERIOD, Detail::All));
        let damage = bytes
            .chunks(size)
            .find_map(|piece| unpacked.write_all(piece).err())
            .map(|error| error.to_string());
        let damage = damage.or_else(|| finish(&mut unpacked));
        unpacked.get_mut().end();
        (unpacked.get_ref().tally.clone(), damage)
    }

    #[test]
    fn lines_are_counted_however_the_file_comes_in_pieces() {
        let text = [
            line("09:00:00"),
            line("08:59:59"),
            "broken\n".to_owned(),
            line("10:00:00"),
        ];
        let text = text.concat();
        let bytes = [
            packed(text.as_bytes()),
            packed(line("09:30:00").trim().as_bytes()),
        ]
        .concat();
        for size in [1, 7, 64, 4096] {
            let (tally, damage) = unpack(&bytes, size);
            assert_eq!(
                (tally.connections, tally.broken, damage),
                (3, 1, None),
                "{size}"
            );
        }
    }

    #[test]
    fn what_a_damaged_file_says_up_to_its_damage_counts() {
        let text: String = (0..60)
            .map(|minute| line(&format!("09:{minute:02}:00")))
            .collect();
        let bytes = packed(text.as_bytes());
        let (tally, damage) = unpack(&bytes[..bytes.len() - 4], 16);
        assert!(damage.is_some());
        assert_eq!(tally.connections, 60);
        let (tally, damage) = unpack(b"no gzip at all, but long enough to be something", 16);
        assert!(damage.is_some() && tally.connections == 0, "{damage:?}");
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let long = vec![b'x'; 3 * LONGEST_LINE];
        let text = [&long[..], b"\n", line("09:00:00").as_bytes(), &long[..]].concat();
        let bytes = packed(&text);
        for size in [512, bytes.len()] {
            let mut unpacked = MultiGzDecoder::new(Lines::new(PERIOD, Detail::All));
            for piece in bytes.chunks(size) {
                unpacked.write_all(piece).unwrap();
                assert!(unpacked.get_ref().begun.capacity() <= 2 * LONGEST_LINE);
            }
            assert_eq!(finish(&mut unpacked), None);
            unpacked.get_mut().end();
            let tally = &unpacked.get_ref().tally;
            assert_eq!((tally.connections, tally.broken), (1, 2));
        }
    }
}
