use super::*;

#[test]
fn a_handle_reads_as_it_was_written() {
    let text = "web:1@node1#4711.889123";
    assert_eq!(text.parse::<Handle>().map(|handle| handle.to_string()), Ok(text.to_owned()));
    for bad in ["web", "web@node1", "web@node1#47", "web@node1#x.1", "@node1#1.2", "web@NODE#1.2"] {
        assert!(bad.parse::<Handle>().is_err(), "{bad}");
    }
}
