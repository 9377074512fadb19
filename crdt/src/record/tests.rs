use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn written(version: u8, fields: &BTreeMap<Number, Vec<u8>>) -> Vec<u8> {
    let mut writer = Writer::new(version);
    for (number, value) in fields {
        writer.put_bytes(*number, value);
    }
    writer.finish().unwrap()
}

fn fields() -> impl Strategy<Value = BTreeMap<Number, Vec<u8>>> {
    let number = prop_oneof![1..12_u16, 1..=Number::MAX];
    let value = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..5),
        1 => prop::collection::vec(any::<u8>(), 100..300)
    ];
    prop::collection::btree_map(number, value, 0..8)
}

proptest! {
    #[test]
    fn a_record_reads_as_it_was_written(version: u8, fields in fields()) {
        let bytes = written(version, &fields);
        let record = Record::read(version, &bytes).unwrap();
        let read: BTreeMap<_, _> = record.fields().map(|(number, value)| (number, value.to_vec())).collect();
        prop_assert_eq!(&read, &fields);
        for (number, value) in &fields {
            prop_assert_eq!(record.fields().bytes(*number), Some(value.as_slice()));
        }
    }

    #[test]
    fn one_pass_finds_what_is_there(fields in fields(), asked in prop::collection::btree_set(1..14_u16, 0..8)) {
        let bytes = written(1, &fields);
        let mut reader = InOrder::read(1, &bytes).unwrap();
        for number in asked {
            let found = reader.bytes(number).unwrap();
            prop_assert_eq!(found, fields.get(&number).map(Vec::as_slice));
        }
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn one_pass_refuses_what_is_damaged(bytes in prop::collection::vec(0..8_u8, 0..12)) {
        let checked = Record::read(1, &bytes).map(|_| ());
        let mut reader = InOrder::read(1, &bytes);
        let asked = reader.as_mut().map(|reader| reader.bytes(3).map(|_| ()));
        let passed = asked.is_ok_and(|asked| asked.is_ok()) && reader.is_ok_and(|reader| reader.finish().is_ok());
        prop_assert_eq!(passed, checked.is_ok());
    }

    #[test]
    fn values_read_back(title: String, count in any::<Option<u64>>(), words: Vec<String>) {
        let mut writer = Writer::new(1);
        writer.put(1, &title).put_some(2, count.as_ref()).put(300, &words);
        let bytes = writer.finish().unwrap();
        let record = Record::read(1, &bytes).unwrap();
        prop_assert_eq!(record.need(1), Ok(title));
        prop_assert_eq!(record.get(2), Ok(count));
        prop_assert_eq!(record.need(300), Ok(words));
        prop_assert_eq!(record.need::<u8>(3), Err(RecordError::Missing(3)));
    }

    #[test]
    fn what_a_program_does_not_know_is_kept_and_what_it_knows_is_replaced(
        old in fields(), new in prop::collection::btree_map(1..8_u16, prop::collection::vec(any::<u8>(), 0..5), 0..5),
    ) {
        let known = 8;
        let bytes = written(1, &old);
        let mut writer = Writer::over(1, Record::read(1, &bytes).unwrap(), known);
        for (number, value) in &new {
            writer.put_bytes(*number, value);
        }
        let mut expected = new.clone();
        expected.extend(old.into_iter().filter(|(number, _)| *number > known));
        prop_assert_eq!(writer.finish(), Ok(written(1, &expected)));
    }

    #[test]
    fn hostile_bytes_are_refused_or_are_what_would_be_written(bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..40)) {
        if let Ok(record) = Record::read_any(&bytes) {
            let fields = record.fields().map(|(number, value)| (number, value.to_vec())).collect();
            prop_assert_eq!(written(record.version(), &fields), bytes);
        }
    }
}

#[test]
fn another_version_is_refused_in_words() {
    let error = Record::read(1, &written(2, &BTreeMap::new())).unwrap_err();
    assert!(error.is_newer());
    assert_eq!(
        error.to_string(),
        "it has version 2, but this program knows only version 1"
    );
}

#[test]
fn the_form_is_what_it_was() {
    let mut writer = Writer::new(3);
    writer
        .put(1, "milk")
        .put(2, &300_u16)
        .put_bytes(200, &[7; 2]);
    let bytes = [
        &[3, 1, 5, 4][..],
        b"milk",
        &[2, 3, 251, 44, 1, 200, 1, 2, 7, 7],
    ]
    .concat();
    assert_eq!(writer.finish(), Ok(bytes));
}

#[test]
fn fields_out_of_order_are_never_written() {
    let mut writer = Writer::new(1);
    writer.put(2, &1_u8).put(2, &1_u8);
    assert!(writer.finish().is_err());
    let mut writer = Writer::new(1);
    writer.put(0, &1_u8);
    assert!(writer.finish().is_err());
}

#[test]
fn bounds_hold() {
    let mut writer = Writer::new(1);
    for number in 1..=257 {
        writer.put_bytes(number, &[]);
    }
    assert_eq!(writer.finish(), Err(RecordError::TooLarge));
    let endless = [1, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(
        Record::read_any(&endless),
        Err(RecordError::Damaged("a number is too large"))
    );
}
