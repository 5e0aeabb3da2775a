//! Long lines are cut where sentences end.

/// Marks that end a sentence when white space follows, …
const WITH_SPACE: [char; 5] = ['.', '!', '?', '…', ';'];

/// … and those that end one whatever follows.
const ALONE: [char; 4] = ['。', '！', '？', '；'];

/// What may stand between the mark and the next sentence.
const CLOSING: [char; 10] = ['"', '\'', ')', '”', '’', '»', '」', '』', '）', '》'];

/// What stands before a character.
#[derive(Clone, Copy, PartialEq)]
enum Behind {
    /// Anything else.
    Words,
    /// A mark that wants white space, and what closes.
    Mark,
    /// A mark that wants none, and what closes.
    StrongMark,
    /// A mark and white space.
    End,
}

/// The sentences of a line, with the white space behind them: one behind the other they are the line. A point behind a
/// short form ends one too.
pub(super) fn sentences(line: &str) -> Vec<&str> {
    let (mut all, mut begin) = (Vec::new(), 0);
    let mut behind = Behind::Words;
    for (at, c) in line.char_indices() {
        let is_mark = ALONE.contains(&c) || WITH_SPACE.contains(&c);
        let is_strong = behind == Behind::StrongMark;
        if !c.is_whitespace() && behind == Behind::End
            || is_strong && !(c.is_whitespace() || is_mark || CLOSING.contains(&c))
        {
            all.push(&line[begin..at]);
            begin = at;
            behind = Behind::Words;
        }
        behind = match behind {
            _ if ALONE.contains(&c) => Behind::StrongMark,
            Behind::StrongMark if is_mark => Behind::StrongMark,
            _ if is_mark => Behind::Mark,
            Behind::Words => Behind::Words,
            _ if c.is_whitespace() => Behind::End,
            _ if CLOSING.contains(&c) => behind,
            _ => Behind::Words,
        };
    }
    all.push(&line[begin..]);
    all
}

/// The line in pieces of whole sentences, each as long as `fits` allows. `None`: one sentence alone is too long.
pub(super) fn pieces(line: &str, fits: impl Fn(&str) -> bool) -> Option<Vec<&str>> {
    let (mut pieces, mut begin, mut end) = (Vec::new(), 0, 0);
    for sentence in sentences(line) {
        let next = end + sentence.len();
        if !fits(line[begin..next].trim()) {
            if begin < end {
                pieces.push(line[begin..end].trim());
            }
            if !fits(sentence.trim()) {
                return None;
            }
            begin = end;
        }
        end = next;
    }
    pieces.push(line[begin..].trim());
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::{pieces, sentences};

    #[test]
    fn sentences_end_at_their_marks() {
        for (line, expected) in [
            (
                "One. Two!  \"Three?\" Four",
                vec!["One. ", "Two!  ", "\"Three?\" ", "Four"],
            ),
            ("猫在。狗呢？」好！", vec!["猫在。", "狗呢？」", "好！"]),
            ("3.14 is e.g. pi?!", vec!["3.14 is e.g. ", "pi?!"]),
            ("", vec![""]),
            ("...", vec!["..."]),
        ] {
            assert_eq!(sentences(line), expected);
            assert_eq!(sentences(line).concat(), line);
        }
    }

    #[test]
    fn pieces_are_as_long_as_they_may_be() {
        let cut = |line, most| pieces(line, |piece| piece.chars().count() <= most);
        assert_eq!(
            cut("One. Two. Three.", 9),
            Some(vec!["One. Two.", "Three."])
        );
        assert_eq!(cut("One. Two. Three.", 16), Some(vec!["One. Two. Three."]));
        assert_eq!(
            cut("One. Two. Three.", 6),
            Some(vec!["One.", "Two.", "Three."])
        );
        assert_eq!(cut("One. Two. Three.", 5), None);
    }
}
