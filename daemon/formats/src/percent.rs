//! Texts as one word: what would end the word, or steer a terminal, stands as `%20`.

/// The text as a word without blanks.
pub(crate) fn encode(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || c == '%' {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                word.push_str(&format!("%{byte:02X}"));
            }
        } else {
            word.push(c);
        }
    }
    word
}

/// What such a word stands for; one with a `%` of another meaning stands for itself.
pub(crate) fn decode(word: &str) -> String {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digits = [ahead.next(), ahead.next()].map(|digit| {
            let digit = digit.and_then(|digit| char::from(digit).to_digit(16));
            digit.and_then(|digit| u8::try_from(digit).ok())
        });
        match digits {
            [Some(high), Some(low)] if byte == b'%' => {
                bytes.push(high << 4 | low);
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_word_of_another_meaning_stays() {
        for word in ["100%", "%", "%zz", "%e9", "50%-off"] {
            assert_eq!(decode(word), word);
        }
        assert_eq!(encode("big shop\n100%"), "big%20shop%0A100%25");
    }

    proptest! {
        #[test]
        fn a_text_comes_back(text in any::<String>()) {
            let word = encode(&text);
            prop_assert!(!word.contains(char::is_whitespace));
            prop_assert_eq!(decode(&word), text);
        }
    }
}
