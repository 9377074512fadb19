use super::*;
use proptest::prelude::*;

fn about() -> About {
    About {
        node: "n1".to_owned(),
        cluster: "00".repeat(16),
        made_at_ms: 7,
        program: "0.1.0".to_owned(),
    }
}

fn sample() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &about()).unwrap();
    writer.put(Kind::Salt, b"salt").unwrap();
    writer.put(Kind::List, b"groceries").unwrap();
    writer.put(Kind::Change, b"milk").unwrap();
    writer.put(Kind::Change, b"").unwrap();
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<Block>, ArchiveError> {
    let mut reader = Reader::new(bytes)?;
    assert_eq!(reader.about(), &about());
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block()? {
        blocks.push(block);
    }
    Ok(blocks)
}

#[test]
fn what_was_written_reads_back() {
    let blocks = read(&sample()).unwrap();
    let kinds: Vec<Kind> = blocks.iter().map(|block| block.kind).collect();
    assert_eq!(kinds, [Kind::Salt, Kind::List, Kind::Change, Kind::Change]);
    assert_eq!(blocks[1].content, b"groceries");
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_not_whole() {
    let whole = sample();
    for length in 0..whole.len() {
        let error = read(&whole[..length]).unwrap_err();
        let is_told = match error {
            ArchiveError::NoArchive => length < 12,
            ArchiveError::CutOff { at } => at == length as u64,
            ArchiveError::Newer(_)
            | ArchiveError::Damaged { .. }
            | ArchiveError::Miscounted
            | ArchiveError::Trailing
            | ArchiveError::Io(_) => false,
        };
        assert!(is_told, "{length}: {error}");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_seen() {
    let whole = sample();
    for place in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[place / 8] ^= 1 << (place % 8);
        assert!(read(&bytes).is_err(), "bit {place}");
    }
}

#[test]
fn what_follows_the_end_mark_is_seen() {
    let mut bytes = sample();
    bytes.push(0);
    assert!(matches!(read(&bytes), Err(ArchiveError::Trailing)));
}

#[test]
fn a_block_of_an_unknown_kind_is_passed_over() {
    let beginning = beginning();
    let (mut bytes, mut sum) = (beginning.to_vec(), Sum::first(&beginning));
    let contents = [
        (1, serde_json::to_vec(&about()).unwrap()),
        (99, b"of a newer program".to_vec()),
        (255, Totals::default().bytes().to_vec()),
    ];
    for (kind, content) in contents {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        let head = [kind, length[0], length[1], length[2], length[3]];
        sum = sum.after(head, &content);
        bytes.extend(head);
        bytes.extend(&content);
        bytes.extend(sum.0);
    }
    assert_eq!(read(&bytes).unwrap(), []);
}

#[test]
fn a_newer_version_is_told() {
    let mut bytes = sample();
    bytes[11] = 2;
    assert!(matches!(read(&bytes), Err(ArchiveError::Newer(2))));
}

/// What was written once is read for ever.
#[test]
fn the_form_is_what_it_was() {
    let digest = Sha256::digest(sample());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        digits,
        "db6157af9c53f74bde257dc4af6bbb132afd62373cbbaedb427dd060a38b68bd"
    );
}

proptest! {
    #[test]
    fn rubbish_is_refused_and_never_a_panic(bytes: Vec<u8>) {
        let after_magic = [&beginning()[..], &bytes].concat();
        prop_assert!(Reader::new(bytes.as_slice()).is_err());
        prop_assert!(Reader::new(after_magic.as_slice()).is_err());
    }
}
