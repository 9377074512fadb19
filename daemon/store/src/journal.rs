//! First aid for fjall's journal, from outside, while the database is closed.
//!
//! A journal (`N.jnl`, the largest N is being written) is a sequence of batches and then zeros.
//! Integers are little endian; this is fjall's format 3, which [`super::open`] pins with the
//! version of the crate.
//!
//! | part of a batch | bytes |
//! | --- | --- |
//! | start | `01` ‖ number of items (4) ‖ seqno (8) |
//! | each item | `02` ‖ kind (1) ‖ compression (1) ‖ keyspace (8) ‖ key length (2) ‖ value length (4) ‖ stored length (4) ‖ key ‖ stored value |
//! | or, for an item, that all of a keyspace goes | `04` ‖ keyspace (8) |
//! | end | `03` ‖ XXH3 of the items (8) ‖ `FJL` `03` |

use rustix::fs::{SeekFrom as SeekTo, seek};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const MAGIC: [u8; 4] = [b'F', b'J', b'L', 3];
/// The bytes before the first item of a batch.
const BATCH_HEAD: usize = 13;
/// The kind of an item that was written, and not deleted.
const VALUE: u8 = 0;
const NOT_COMPRESSED: u8 = 0;
const LZ4: u8 = 1;
/// No value has more.
const MAX_VALUE_BYTES: usize = 64 << 20;
/// What a damaged journal is called when somebody has seen that it is damaged.
const SEEN: &str = "acknowledged";

/// A disk's blocks are written one by one: a torn write lacks whole ones.
const BLOCK: usize = 512;

/// Cuts off each journal before its first damaged batch, which fjall does in silence for some kinds of
/// damage, while it refuses to open for others.
///
/// A power cut can tear the last batch, which nobody was told of: some of its blocks are written,
/// earlier ones are not. Any other damage is of what was acknowledged: then the journal as it was is kept
/// in `damaged` first, for what is intact behind the damage.
pub(super) fn cut_damage(database: &Path, damaged: &Path) -> std::io::Result<()> {
    if !database.try_exists()? {
        return Ok(());
    }
    for path in journals(database)? {
        let bytes = read(&path)?;
        let (intact, used) = (intact_bytes(&bytes), used_bytes(&bytes));
        if intact >= used {
            continue;
        }
        if is_torn(bytes.get(intact..used).unwrap_or_default()) {
            tracing::warn!(journal = %path.display(), intact, used, "the last write to a journal is \
                incomplete: it is cut off there");
        } else {
            let kept = free_place(&path, damaged)?;
            tracing::error!(journal = %path.display(), kept = %kept.display(), intact, used,
                "a journal is damaged: it is cut off there, and what is intact behind it is salvaged");
            copy(&path, &kept)?;
            File::open(damaged)?.sync_all()?;
        }
        let file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(u64::try_from(intact).unwrap_or(u64::MAX))?;
        file.sync_all()?;
    }
    File::open(database)?.sync_all()
}

/// Reads a journal as far as there is data in it: fjall makes it 64 MiB long at once, most of which are a hole.
pub(super) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut end = 0;
    loop {
        match seek(&file, SeekTo::Data(end)) {
            // Past the last data.
            Err(Errno::NXIO) => break,
            found => end = seek(&file, SeekTo::Hole(found?))?,
        }
    }
    (&file).seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(end).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where a damaged journal is kept: under its own name and a number that is free.
fn free_place(journal: &Path, damaged: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(damaged)?;
    let stem = journal.file_stem().unwrap_or_default().to_string_lossy();
    let mut places = (1..).map(|nth: u32| damaged.join(format!("{stem}-{nth}.jnl")));
    let is_free = |place: &PathBuf| {
        let seen = place.with_extension(SEEN);
        !place.exists() && !seen.exists()
    };
    places
        .find(is_free)
        .ok_or(std::io::ErrorKind::AlreadyExists.into())
}

/// Whether the last write to a journal was not finished: nothing whole follows it, and its end is not
/// there, or some block of it was never written.
fn is_torn(rest: &[u8]) -> bool {
    let lacks_block = rest
        .chunks(BLOCK)
        .any(|block| block.iter().all(|byte| *byte == 0));
    let is_followed =
        (1..rest.len()).any(|at| skip_batch(rest.get(at..).unwrap_or_default()).is_some());
    !is_followed && (lacks_block || !rest.ends_with(&MAGIC))
}

/// What stands before the zeros at the end of a journal.
fn used_bytes(journal: &[u8]) -> usize {
    let last = journal.iter().rposition(|byte| *byte != 0);
    last.map_or(0, |last| last.saturating_add(1))
}

/// Writes the journals anew, to other blocks of the disk.
///
/// After a failed sync the kernel takes the lost pages for clean: recovery reads them from memory
/// and finds nothing wrong, later commits follow them in the same file, and after a power cut the
/// journal would end at the damaged place, before commits that were acknowledged.
pub(super) fn renew(database: &Path) -> std::io::Result<()> {
    for path in journals(database)? {
        let draft = path.with_extension("new");
        copy(&path, &draft)?;
        std::fs::rename(draft, path)?;
    }
    File::open(database)?.sync_all()
}

/// The damaged journals that are kept and that nobody has acknowledged.
pub(super) fn kept(damaged: &Path) -> std::io::Result<Vec<PathBuf>> {
    match journals(damaged) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found,
    }
}

/// Somebody has seen that they are damaged: they stay, and nobody is told of them any more.
pub(super) fn acknowledge(damaged: &Path) -> std::io::Result<usize> {
    let kept = kept(damaged)?;
    for path in &kept {
        std::fs::rename(path, path.with_extension(SEEN))?;
    }
    Ok(kept.len())
}

fn journals(database: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for file in std::fs::read_dir(database)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Copies through memory (the system's own copying may share the blocks), holes as holes, and syncs
/// the copy.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    const CHUNK_BYTES: u64 = 1 << 16;
    let (from, mut to) = (File::open(from)?, File::create(to)?);
    let mut chunk = Vec::new();
    let mut length = 0;
    while (&from).take(CHUNK_BYTES).read_to_end(&mut chunk)? > 0 {
        if chunk.iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(length))?;
            to.write_all(&chunk)?;
        }
        length = length.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        chunk.clear();
    }
    to.set_len(length)?;
    to.sync_all()
}

/// The length of all batches before the first that is not whole.
fn intact_bytes(journal: &[u8]) -> usize {
    let mut rest = journal;
    while let Some(after) = skip_batch(rest) {
        rest = after;
    }
    journal.len().saturating_sub(rest.len())
}

/// What follows a whole batch with the right checksum.
fn skip_batch(journal: &[u8]) -> Option<&[u8]> {
    let mut rest = journal;
    let [START] = take(&mut rest)? else {
        return None;
    };
    let count = u32::from_le_bytes(take(&mut rest)?);
    let _seqno: [u8; 8] = take(&mut rest)?;
    let items = rest;
    for _ in 0..count {
        skip_entry(&mut rest)?;
    }
    let items = items.get(..items.len().checked_sub(rest.len())?)?;
    let [END] = take(&mut rest)? else { return None };
    let checksum = u64::from_le_bytes(take(&mut rest)?);
    let whole = take(&mut rest)? == MAGIC && checksum == xxhash_rust::xxh3::xxh3_64(items);
    whole.then_some(rest)
}

/// One row of a batch, as it stands in a journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    kind: u8,
    compression: u8,
    pub(super) key: &'a [u8],
    length: usize,
    stored: &'a [u8],
}

impl Item<'_> {
    /// What was written under its key; `None` if that was deleted, or cannot be read.
    pub(super) fn value(&self) -> Option<Vec<u8>> {
        match (self.kind, self.compression) {
            (VALUE, NOT_COMPRESSED) => Some(self.stored.to_vec()),
            (VALUE, LZ4) if self.length <= MAX_VALUE_BYTES => {
                lz4_flex::decompress(self.stored, self.length).ok()
            }
            _ => None,
        }
    }
}

/// The rows in a damaged journal that can be found behind the damage: those of whole batches, and
/// single ones. Each is to be judged by itself: where a batch is not whole, anything may stand.
pub(super) fn items_behind(journal: &[u8]) -> Vec<Item<'_>> {
    let used = journal.get(..used_bytes(journal)).unwrap_or_default();
    let mut rest = used.get(intact_bytes(used)..).unwrap_or_default();
    let mut items = Vec::new();
    while let Some((tag, after)) = rest.split_first() {
        if let (START, Some(behind)) = (*tag, skip_batch(rest)) {
            let mut batch = rest.get(BATCH_HEAD..).unwrap_or_default();
            while let Some(item) = read_item(&mut batch) {
                items.push(item);
            }
            rest = behind;
            continue;
        }
        let mut one = rest;
        if let (ITEM, Some(item)) = (*tag, read_item(&mut one)) {
            items.push(item);
        }
        rest = after;
    }
    items
}

/// Skips an item, or the order to empty a keyspace.
fn skip_entry(rest: &mut &[u8]) -> Option<()> {
    if rest.first() == Some(&CLEAR) {
        let _: [u8; 9] = take(rest)?;
        return Some(());
    }
    read_item(rest).map(drop)
}

fn read_item<'a>(rest: &mut &'a [u8]) -> Option<Item<'a>> {
    let [ITEM, kind, compression] = take(rest)? else {
        return None;
    };
    let _keyspace: [u8; 8] = take(rest)?;
    let key = usize::from(u16::from_le_bytes(take(rest)?));
    let length = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let stored = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (key, after) = rest.split_at_checked(key)?;
    let (stored, after) = after.split_at_checked(stored)?;
    *rest = after;
    Some(Item {
        kind,
        compression,
        key,
        length,
        stored,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fjall::{Database, KeyspaceCreateOptions, PersistMode};
    use proptest::prelude::*;

    /// A journal of some batches as fjall writes it, without the zeros at its end.
    fn journal(batches: u32) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::builder(dir.path())
            .worker_threads(1)
            .open()
            .unwrap();
        let space = database
            .keyspace("space", KeyspaceCreateOptions::default)
            .unwrap();
        for number in 0..batches {
            let mut batch = database.batch().durability(Some(PersistMode::Buffer));
            batch.insert(&space, number.to_be_bytes(), "compressible ".repeat(1000));
            batch.insert(&space, (number + 1000).to_be_bytes(), "short");
            batch.remove(&space, (number + 2000).to_be_bytes());
            batch.commit().unwrap();
        }
        let mut bytes = std::fs::read(dir.path().join("0.jnl")).unwrap();
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1);
        bytes
    }

    #[test]
    fn a_journal_that_fjall_wrote_is_intact() {
        let mut bytes = journal(10);
        let used = bytes.len();
        bytes.extend([0; 5000]);
        assert_eq!(intact_bytes(&bytes), used);
    }

    #[test]
    fn a_damaged_byte_anywhere_ends_the_journal_at_its_batch() {
        let bytes = journal(3);
        let ends: Vec<usize> = std::iter::successors(Some(0), |end| {
            Some(bytes.len() - skip_batch(&bytes[*end..])?.len())
        })
        .collect();
        assert_eq!((ends.len(), ends[3]), (4, bytes.len()));
        // The number of a batch (bytes 5 to 12) is not covered by its checksum.
        for damaged in
            (0..bytes.len()).filter(|at| ends.iter().all(|end| !(end + 5..end + 13).contains(at)))
        {
            let mut bytes = bytes.clone();
            bytes[damaged] ^= 0x10;
            let end = *ends.iter().rev().find(|end| **end <= damaged).unwrap();
            assert_eq!(intact_bytes(&bytes), end, "damaged at {damaged}");
        }
    }

    #[test]
    fn a_journal_is_read_as_far_as_there_is_data() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        for data in [vec![], vec![(0, 3)], vec![(200_000, 9), (1 << 20, 1)]] {
            let mut file = File::create(&path).unwrap();
            let mut expected = vec![0; 64 << 20];
            for (at, byte) in data {
                file.seek(SeekFrom::Start(at)).unwrap();
                file.write_all(&[byte]).unwrap();
                expected[usize::try_from(at).unwrap()] = byte;
            }
            file.set_len(64 << 20).unwrap();
            let read = read(&path).unwrap();
            assert!(read.len() < 2 << 20, "{}", read.len());
            assert!(expected.starts_with(&read));
            assert_eq!(used_bytes(&read), used_bytes(&expected));
        }
    }

    #[test]
    fn a_copy_is_the_same_with_its_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let mut bytes = vec![0; 200_000];
        bytes[70_000] = 1;
        bytes[131_072..140_000].fill(2);
        std::fs::write(&from, &bytes).unwrap();
        copy(&from, &to).unwrap();
        assert!(std::fs::read(to).unwrap() == bytes);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            intact_bytes(&[&[START, 2, 0, 0, 0], bytes.as_slice()].concat());
        }
    }
}
