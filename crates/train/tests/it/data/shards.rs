use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use glassformer_tensor::Pool;
use glassformer_tokens::Tokenizer;
use glassformer_train::data::{
    Corpus, CorpusOptions, DataError, DocumentSplit, Prepare, Progress, Shard, Shards,
};
use proptest::prelude::*;
use tempfile::tempdir;

use super::{split, write};

/// Prepares `corpus` in `folder`; says also whether work was done for it.
fn prepare(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    folder: &Path,
    threads: usize,
) -> (Shards, bool) {
    let pool = if threads == 1 {
        Pool::single()
    } else {
        Pool::new(threads)
    };
    let worked = Cell::new(false);
    let progress = |progress: Progress| {
        worked.set(true);
        assert!(progress.bytes <= progress.total_bytes);
    };
    let prepare = Prepare {
        corpus,
        tokenizer,
        val_fraction: 0.1,
        pool: &pool,
        progress: &progress,
    };
    let shards = prepare.shards_in(folder).unwrap();
    (shards, worked.get())
}

fn open(paths: &[PathBuf], documents: DocumentSplit) -> Corpus {
    Corpus::open(paths, split(documents)).unwrap()
}

fn text(tokenizer: &Tokenizer, shard: &Shard) -> String {
    tokenizer.decode(&shard.to_vec())
}

#[test]
fn one_text_is_split_as_nanogpt_does() {
    let folder = tempdir().unwrap();
    let content: String = ('a'..='z').cycle().take(105).collect();
    let corpus = open(
        &[write(folder.path(), "x.txt", &content)],
        DocumentSplit::Whole,
    );
    let tokenizer = corpus.learn_characters().unwrap();
    assert_eq!(tokenizer.vocab_size(), 26);
    let cache = folder.path().join("cache");
    let (shards, _) = prepare(&corpus, &tokenizer, &cache, 1);
    assert_eq!(text(&tokenizer, &shards.train), content[..94]);
    assert_eq!(text(&tokenizer, &shards.val), content[94..]);
    // nanoGPT's own format: little-endian pairs of bytes, nothing else.
    let bytes = fs::read(cache.join("train.bin")).unwrap();
    assert_eq!(bytes[..6], [0, 0, 1, 0, 2, 0]);
    assert_eq!(bytes.len(), 188);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 3);
}

#[test]
fn many_documents_are_split_between_two() {
    let folder = tempdir().unwrap();
    let lines = |name: &str| {
        (0..30)
            .map(|n| format!("{name} {n}"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let paths = [
        write(folder.path(), "a.txt", lines("a")),
        write(folder.path(), "b.txt.gz", lines("b")),
    ];
    let corpus = open(&paths, DocumentSplit::Line);
    let tokenizer = corpus.learn_bpe(270, &Pool::new(2)).unwrap();
    let (shards, _) = prepare(&corpus, &tokenizer, &folder.path().join("cache"), 1);
    let end = "<|endoftext|>";
    let val = text(&tokenizer, &shards.val);
    assert_eq!(
        val,
        format!("a 27{end}a 28{end}a 29{end}b 27{end}b 28{end}b 29{end}")
    );
    let train = text(&tokenizer, &shards.train);
    assert_eq!(train.matches(end).count(), 54);
    assert!(train.ends_with(&format!(
        "a 26{end}b 0{end}{}",
        &train[train.find("b 1").unwrap()..]
    )));
    let meta = shards.meta.unwrap();
    assert_eq!((meta.documents, meta.unknown.as_str()), (60, ""));
}

#[test]
fn characters_without_an_end_of_text_get_a_newline_between_documents() {
    let folder = tempdir().unwrap();
    let corpus = open(
        &[write(folder.path(), "x.txt", "ab\ncd\nef")],
        DocumentSplit::Line,
    );
    let tokenizer = corpus.learn_characters().unwrap();
    let (shards, _) = prepare(&corpus, &tokenizer, folder.path(), 1);
    assert_eq!(
        text(&tokenizer, &shards.train) + &text(&tokenizer, &shards.val),
        "ab\ncd\nef"
    );

    let other = Tokenizer::characters(std::iter::once("abc\n".to_owned())).unwrap();
    let (shards, _) = prepare(&corpus, &other, folder.path(), 1);
    assert_eq!(shards.meta.unwrap().unknown, "def");
}

#[test]
fn shards_do_not_depend_on_the_number_of_threads() {
    let folder = tempdir().unwrap();
    let long = "The quick brown fox, 床前明月光 jumps.\n".repeat(9_000);
    let paths = [
        write(folder.path(), "a.txt", long),
        write(folder.path(), "b.txt", "One\n\nTwo\n"),
    ];
    let corpus = open(&paths, DocumentSplit::Whole);
    let tokenizer = corpus.learn_bpe(300, &Pool::single()).unwrap();
    assert_eq!(
        corpus.learn_bpe(300, &Pool::new(3)).unwrap().to_json(),
        tokenizer.to_json()
    );
    let (alone, _) = prepare(&corpus, &tokenizer, &folder.path().join("1"), 1);
    let (three, _) = prepare(&corpus, &tokenizer, &folder.path().join("3"), 3);
    assert_eq!(alone.train.to_vec(), three.train.to_vec());
    assert_eq!(alone.val.to_vec(), three.val.to_vec());
    assert_eq!(alone.meta, three.meta);
    let first = tokenizer
        .encode(&fs::read_to_string(&paths[0]).unwrap())
        .unwrap()
        .ids;
    assert_eq!(alone.train.to_vec()[..1000], first[..1000]);
}

#[test]
fn shards_are_made_once() {
    let folder = tempdir().unwrap();
    let path = write(folder.path(), "x.txt", "some text, some more text\n");
    let cache = folder.path().join("deep/cache");
    let corpus = open(std::slice::from_ref(&path), DocumentSplit::Whole);
    let tokenizer = corpus.learn_characters().unwrap();
    let made = |corpus: &Corpus, tokenizer: &Tokenizer| prepare(corpus, tokenizer, &cache, 1).1;
    assert!(made(&corpus, &tokenizer));
    assert!(!made(&corpus, &tokenizer));

    let other = corpus.learn_bpe(260, &Pool::single()).unwrap();
    assert!(made(&corpus, &other), "another tokenizer");
    assert!(!made(&corpus, &other));
    assert!(
        made(
            &open(std::slice::from_ref(&path), DocumentSplit::Line),
            &other
        ),
        "other documents"
    );
    fs::write(&path, "some text, some other text, longer\n").unwrap();
    let corpus = open(&[path], DocumentSplit::Whole);
    assert!(made(&corpus, &other), "another text");

    fs::write(cache.join("train.bin"), b"1234").unwrap();
    assert!(made(&corpus, &other), "a damaged shard");
    fs::write(cache.join("meta.json"), b"{").unwrap();
    assert!(made(&corpus, &other), "a damaged meta.json");
    assert!(!made(&corpus, &other));
    assert_eq!(
        fs::read_dir(&cache).unwrap().count(),
        3,
        "nothing temporary is left"
    );
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let folder = tempdir().unwrap();
    let path = write(folder.path(), "x.jsonl", "{\"text\": \"abc\"}\n{");
    let corpus = open(&[path], DocumentSplit::Whole);
    let tokenizer = Tokenizer::characters(std::iter::once("abc".to_owned())).unwrap();
    let cache = folder.path().join("cache");
    let pool = Pool::single();
    let mut prepare = Prepare {
        corpus: &corpus,
        tokenizer: &tokenizer,
        val_fraction: 0.1,
        pool: &pool,
        progress: &|_| (),
    };
    assert!(matches!(
        prepare.shards_in(&cache),
        Err(DataError::Json { line: 2, .. })
    ));
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    for fraction in [1.0, -0.1, f64::NAN] {
        prepare.val_fraction = fraction;
        assert!(matches!(
            prepare.shards_in(&cache),
            Err(DataError::Fraction(_))
        ));
    }
}

#[test]
fn folders_of_blank_texts_hold_no_documents() {
    let folder = tempdir().unwrap();
    write(folder.path(), "x.txt", " \n \n");
    let corpus = Corpus::open(&[folder.path().to_owned()], CorpusOptions::default()).unwrap();
    assert!(matches!(
        corpus.learn_characters(),
        Err(DataError::NoDocuments { .. })
    ));
    assert!(matches!(
        corpus.learn_bpe(300, &Pool::single()),
        Err(DataError::NoDocuments { .. })
    ));
}

#[test]
fn damaged_shards_are_named() {
    let folder = tempdir().unwrap();
    let root = folder.path();
    assert!(!Shards::are_in(root));
    assert!(matches!(Shards::open(root), Err(DataError::Missing { .. })));
    Shards::write(root, &[1, 2, 9], &[3], 10).unwrap();
    assert!(Shards::are_in(root));
    let shards = Shards::open(root).unwrap();
    assert!(shards.meta.is_none());
    shards.train.check_vocab(10).unwrap();
    let error = shards.train.check_vocab(9).unwrap_err();
    assert!(
        matches!(error, DataError::OutOfVocabulary { at: 2, id: 9, .. }),
        "{error}"
    );
    assert!(matches!(
        Shards::write(root, &[1], &[10], 10),
        Err(DataError::OutOfVocabulary { .. })
    ));
    fs::write(root.join("val.bin"), b"123").unwrap();
    assert!(matches!(Shards::open(root), Err(DataError::Shard { .. })));
    fs::write(root.join("val.bin"), b"").unwrap();
    assert!(Shards::open(root).unwrap().val.is_empty());
}

proptest! {
    #[test]
    fn ids_come_back(
        train in prop::collection::vec(0u32..60_000, 0..5_000),
        val in prop::collection::vec(0u32..60_000, 0..50),
        vocab_size in prop::sample::select(vec![60_000usize, 65_536, 65_537, 200_000]),
    ) {
        let folder = tempdir().unwrap();
        Shards::write(folder.path(), &train, &val, vocab_size).unwrap();
        let shards = Shards::open(folder.path()).unwrap();
        let is_wide = folder.path().join("train.bin32").is_file();
        prop_assert_eq!(is_wide, vocab_size > 65_536);
        prop_assert_eq!(shards.train.to_vec(), train);
        prop_assert_eq!(shards.val.to_vec(), val);
    }
}

/// The counts that nanoGPT's `prepare.py` prints.
#[test]
fn shakespeare_is_split_as_nanogpt_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/text");
    let path = root.join("tinyshakespeare.txt");
    if !path.is_file() {
        eprintln!("skipped: no ../shared/data/text/tinyshakespeare.txt");
        return;
    }
    let folder = tempdir().unwrap();
    let corpus = open(&[path], DocumentSplit::Whole);
    let tokenizer = corpus.learn_characters().unwrap();
    let (shards, _) = prepare(&corpus, &tokenizer, folder.path(), 2);
    assert_eq!((shards.train.len(), shards.val.len()), (1_003_854, 111_540));
    shards.train.check_vocab(65).unwrap();
}
