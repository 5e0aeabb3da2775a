use std::fs;
use std::path::PathBuf;

use glassformer_train::data::{Corpus, CorpusOptions, DataError, DocumentSplit};
use proptest::prelude::*;
use tempfile::tempdir;

use super::{error, packed, read, split, write};

#[test]
fn a_folder_gives_its_texts_by_name() {
    let folder = tempdir().unwrap();
    let root = folder.path();
    write(root, "b.txt", "two");
    write(root, "a.txt.gz", "one");
    write(
        root,
        "c/x.jsonl.zst",
        "{\"text\": \"three\"}\n\n{\"text\": \"four\", \"n\": 1}",
    );
    write(root, "d.JSON", "{\"text\": \"five\"}");
    write(root, "e.txt", "");
    write(root, "SOURCES.md", "not a text");
    write(root, "image.png", "not a text");
    write(root, ".hidden.txt", "not a text");
    write(root, ".git/x.txt", "not a text");
    let corpus = Corpus::open(&[root.to_owned()], CorpusOptions::default()).unwrap();
    let documents: Vec<String> = corpus.documents().map(Result::unwrap).collect();
    assert_eq!(documents, ["one", "two", "three", "four", "five"]);
    assert_eq!(corpus.skipped(), 2);
    assert_eq!(corpus.files().len(), 4);
    // Named directly, any name will do.
    let named = read(&[root.join("SOURCES.md")], CorpusOptions::default()).unwrap();
    assert_eq!(named, ["not a text"]);
}

#[test]
fn documents_are_cut_as_asked() {
    let folder = tempdir().unwrap();
    let text = "\u{feff}one\r\ntwo\r\n\r\n \r\nthree\n<|endoftext|>\n\nfour<|endoftext|><|endoftext|>five\n";
    let path = [write(folder.path(), "x.txt", text)];
    let whole = read(&path, split(DocumentSplit::Whole)).unwrap();
    assert_eq!(whole, ["one\ntwo\n\n \nthree", "four", "five\n"]);
    let blank = read(&path, split(DocumentSplit::BlankLine)).unwrap();
    assert_eq!(blank, ["one\ntwo", "three", "four", "five"]);
    let line = read(&path, split(DocumentSplit::Line)).unwrap();
    assert_eq!(line, ["one", "two", "three", "four", "five"]);
}

#[test]
fn a_whole_text_is_kept_to_the_byte() {
    let folder = tempdir().unwrap();
    let text = "\n\n  First Citizen:\nBefore\rwe proceed 床\n\n";
    for name in ["x.txt", "x.txt.gz", "x.txt.zst"] {
        let path = write(folder.path(), name, text);
        assert_eq!(read(&[path], CorpusOptions::default()).unwrap(), [text]);
    }
}

#[test]
fn json_lines_are_not_cut_again() {
    let folder = tempdir().unwrap();
    let lines =
        "{\"text\": \"a\\r\\n\\nb\"}\r\n{\"text\": \"c<|endoftext|>d\"}\n{\"text\": \" \"}\n";
    let path = [write(folder.path(), "x.jsonl", lines)];
    assert_eq!(
        read(&path, split(DocumentSplit::Line)).unwrap(),
        ["a\n\nb", "c", "d"]
    );

    let path = [write(folder.path(), "y.jsonl", "{\"story\": \"a\"}\n")];
    let options = CorpusOptions {
        text_field: "story".into(),
        ..CorpusOptions::default()
    };
    assert_eq!(read(&path, options).unwrap(), ["a"]);
}

#[test]
fn what_is_not_there_or_empty_says_so() {
    let folder = tempdir().unwrap();
    let root = folder.path();
    assert!(matches!(
        error(&root.join("no.txt")),
        DataError::Missing { .. }
    ));
    assert!(matches!(
        error(&write(root, "empty.txt", "")),
        DataError::Empty { .. }
    ));
    assert!(matches!(
        error(&write(root, "blank.txt", " \n\n")),
        DataError::Empty { .. }
    ));
    assert!(matches!(
        error(&write(root, "empty.txt.gz", "")),
        DataError::Empty { .. }
    ));
    fs::create_dir(root.join("sub")).unwrap();
    assert!(matches!(
        error(&root.join("sub")),
        DataError::NoDocuments { .. }
    ));
    assert!(matches!(
        read(&[], CorpusOptions::default()),
        Err(DataError::NoDocuments { .. })
    ));
}

#[test]
fn what_is_not_text_says_where() {
    let folder = tempdir().unwrap();
    let root = folder.path();
    let offset = |path: PathBuf| match error(&path) {
        DataError::NotText { offset, .. } => offset,
        other => panic!("{other}"),
    };
    assert_eq!(offset(write(root, "latin1.txt", b"caf\xe9\n")), 3);
    assert_eq!(offset(write(root, "binary.txt", b"PK\x00\x01")), 2);
    assert_eq!(offset(write(root, "utf16.txt", b"\xff\xfea\0")), 0);
    let late = [&b"line\n".repeat(30_000)[..], b"ab\xff\n"].concat();
    assert_eq!(offset(write(root, "late.txt.gz", &late)), 150_002);
    assert_eq!(offset(write(root, "cut.txt", &"床".as_bytes()[..2])), 0);
    assert_eq!(
        offset(write(
            root,
            "x.jsonl",
            b"{\"text\": \"a\"}\n{\"text\": \"\xff\"}"
        )),
        24
    );
}

#[test]
fn bad_json_says_in_which_line() {
    let folder = tempdir().unwrap();
    let root = folder.path();
    let good = "{\"text\": \"a\"}\n\n";
    for bad in [
        "{\"text\": ",
        "[1, 2]",
        "text",
        "{\"text\": \"\\ud800\"}",
        "{\"a\": 1} x",
    ] {
        let path = write(root, "bad.jsonl", format!("{good}{bad}\n{good}"));
        let error = error(&path);
        assert!(matches!(error, DataError::Json { line: 3, .. }), "{error}");
        assert!(error.to_string().contains("bad.jsonl:3: "), "{error}");
    }
    for bad in [
        "{}",
        "{\"text\": null}",
        "{\"text\": [\"a\"]}",
        "{\"Text\": \"a\"}",
    ] {
        let error = error(&write(root, "bad.jsonl", format!("{good}{bad}")));
        assert!(
            matches!(error, DataError::NoField { line: 3, .. }),
            "{error}"
        );
    }
}

#[test]
fn damaged_archives_say_so() {
    let folder = tempdir().unwrap();
    let text: String = (0..40_000u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_string())
        .collect();
    for name in ["x.txt.gz", "x.txt.zst"] {
        let whole = packed(name, text.as_bytes());
        let path = folder.path().join(name);
        for damage in [&whole[..whole.len() / 2], &b"not packed at all"[..]] {
            fs::write(&path, damage).unwrap();
            let error = error(&path);
            assert!(matches!(error, DataError::Damaged { .. }), "{error}");
        }
    }
}

#[test]
fn nothing_comes_after_an_error() {
    let folder = tempdir().unwrap();
    let bad = write(
        folder.path(),
        "a.jsonl",
        "{\"text\": \"a\"}\n{\n{\"text\": \"b\"}",
    );
    let good = write(folder.path(), "b.txt", "c");
    let corpus = Corpus::open(&[bad, good], CorpusOptions::default()).unwrap();
    let documents: Vec<bool> = corpus
        .documents()
        .map(|document| document.is_ok())
        .collect();
    assert_eq!(documents, [true, false]);
    assert!(matches!(
        corpus.learn_characters(),
        Err(DataError::Json { line: 2, .. })
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        name in prop::sample::select(vec!["x.txt", "x.jsonl", "x.txt.gz", "x.txt.zst"]),
    ) {
        let folder = tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let _ = read(&[path], CorpusOptions::default());
    }

    #[test]
    fn lines_come_back(lines in prop::collection::vec("[ \\t]?[^\\r\\n\\x00\u{feff}]{0,12}", 1..20)) {
        let folder = tempdir().unwrap();
        let path = write(folder.path(), "x.txt", "a\n".to_owned() + &lines.join("\r\n"));
        let kept = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| line.trim_end().to_owned());
        let expected: Vec<String> = std::iter::once("a".to_owned()).chain(kept).collect();
        prop_assert_eq!(read(&[path], split(DocumentSplit::Line)).unwrap(), expected);
    }
}
