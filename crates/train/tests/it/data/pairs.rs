//! Pairs of sentences, from files to batches.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glassformer_kernels::random;
use glassformer_tensor::Pool;
use glassformer_train::data::pairs::{
    Pair, PairBatch, PairBatches, PairFiles, PairShard, PairShards, PairTokenizers, PairsFrom,
    PreparePairs,
};
use glassformer_train::data::{DataError, Shard};
use proptest::prelude::*;

use super::write;

const END: u32 = 1;
const START: u32 = 0;

fn parallel(source: PathBuf, target: PathBuf) -> PairFiles {
    PairFiles::Parallel { source, target }
}

fn read(files: &PairFiles) -> Result<Vec<Pair>, DataError> {
    files.open()?.pairs()?.collect()
}

fn texts(pairs: &[Pair]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|pair| (&*pair.source, &*pair.target))
        .collect()
}

/// Checked to be one line.
fn message(files: &PairFiles) -> String {
    let message = read(files).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn two_files_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    // A byte order mark, line ends of Windows, an empty line, none at the end, and U+2028, which ends no line.
    let source = write(
        folder.path(),
        "a.en",
        "\u{feff}One.\r\nTwo\u{2028}three. \r\n\r\nFour.",
    );
    let target = write(folder.path(), "a.de.gz", "Eins.\n Zwei drei.\nx\nVier.\n");
    let pairs = read(&parallel(source, target)).unwrap();
    let expected = [
        ("One.", "Eins."),
        ("Two\u{2028}three.", "Zwei drei."),
        ("", "x"),
        ("Four.", "Vier."),
    ];
    assert_eq!(texts(&pairs), expected);
    assert_eq!(
        pairs.iter().map(Pair::is_half).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    assert_eq!(pairs[3].line, 4);
}

#[test]
fn columns_of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(
        folder.path(),
        "a.tsv",
        "1\tHi.\t嗨。\t CC-BY\n2\tRun.\t跑。\n\n",
    );
    let columns = |columns| PairFiles::Columns {
        path: path.clone(),
        columns,
    };
    let pairs = read(&columns([2, 3])).unwrap();
    assert_eq!(texts(&pairs), [("Hi.", "嗨。"), ("Run.", "跑。"), ("", "")]);
    let pairs = read(&columns([3, 2])).unwrap();
    assert_eq!(texts(&pairs)[0], ("嗨。", "Hi."));
    let message = message(&columns([2, 4]));
    assert!(
        message.contains("a.tsv:2: column 4 is wanted, and there are 3"),
        "{message}"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| write(folder.path(), name, bytes);
    let five = write("five", b"1\n2\n3\n4\n5\n");
    let three = write("three", b"1\n2\n3");
    let latin = write("latin", b"1\n2\n3\n\xe9\n5\n");
    for files in [
        parallel(five.clone(), three.clone()),
        parallel(three.clone(), five.clone()),
    ] {
        let text = message(&files);
        assert!(text.contains("five has 5"), "{text}");
        assert!(text.contains("three has 3"), "{text}");
        assert!(
            text.contains(&format!("line 4 of {}", five.display())),
            "{text}"
        );
    }
    let text = message(&parallel(five.clone(), latin.clone()));
    assert!(
        text.contains("latin is no UTF-8 text") && text.contains("in line 4 (byte 6)"),
        "{text}"
    );
    let text = message(&parallel(five.clone(), folder.path().join("none")));
    assert!(text.contains("none does not exist"), "{text}");
    let text = message(&parallel(write("empty", b""), five));
    assert!(text.contains("empty holds no text"), "{text}");
}

/// Words of two made-up languages; every hundredth pair lacks a side, and one is long.
fn corpus(folder: &Path, pairs: u64) -> PairFiles {
    let words = ["ka", "lo", "mi", "ne", "su"];
    let sentence = |key: u64, n: u64| {
        let length = 1 + random::bits(key, n) % 9;
        let word = |i| words[(random::bits(key, 1_000 * n + i) % 5) as usize];
        (0..length).map(word).collect::<Vec<_>>().join(" ")
    };
    let mut sides = [String::new(), String::new()];
    for n in 0..pairs {
        sides[0] += &sentence(1, n);
        sides[1] += &match n % 100 {
            50 => String::new(),
            7 if n == 7 => "ka ".repeat(60),
            _ => sentence(2, n).to_uppercase(),
        };
        for side in &mut sides {
            side.push('\n');
        }
    }
    parallel(
        write(folder, "c.src", &sides[0]),
        write(folder, "c.tgt", &sides[1]),
    )
}

fn prepare(
    from: &PairsFrom,
    tokenizers: &PairTokenizers,
    pool: &Pool,
    folder: &Path,
) -> PairShards {
    let prepare = PreparePairs {
        from,
        tokenizers,
        val_fraction: 0.1,
        context: 40,
        pool,
        progress: &|_| (),
    };
    prepare.shards_in(folder).unwrap()
}

#[test]
fn prepared_once_and_the_same_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let from = PairsFrom {
        train: corpus(folder.path(), 400),
        val: None,
    };
    for separate in [false, true] {
        let tokenizers =
            PairTokenizers::learn(&from.train, 300, separate, true, &Pool::single()).unwrap();
        let again = PairTokenizers::learn(&from.train, 300, separate, true, &Pool::new(3)).unwrap();
        let prints = |t: &PairTokenizers| t.both().map(|one| one.fingerprint().to_owned());
        assert_eq!(prints(&tokenizers), prints(&again));
        assert_eq!(tokenizers.target.is_some(), separate);
        // Saved and read again.
        let place = folder.path().join(format!("saved-{separate}"));
        std::fs::create_dir(&place).unwrap();
        tokenizers.write(&place).unwrap();
        assert_eq!(
            prints(&PairTokenizers::read(&place).unwrap()),
            prints(&tokenizers)
        );

        let shards = prepare(
            &from,
            &tokenizers,
            &Pool::single(),
            &folder.path().join("one"),
        );
        let other = prepare(
            &from,
            &tokenizers,
            &Pool::new(3),
            &folder.path().join("three"),
        );
        for (a, b) in [(&shards.train, &other.train), (&shards.val, &other.val)] {
            for side in 0..2 {
                assert_eq!(a.sides()[side].to_vec(), b.sides()[side].to_vec());
            }
        }
        let meta = &shards.meta;
        assert_eq!(meta.skipped.empty, Some([4, 51]));
        assert_eq!(meta.skipped.long, Some([1, 8]));
        assert_eq!(meta.train_pairs + meta.val_pairs, 400 - 5);
        assert!((15..70).contains(&meta.val_pairs), "{}", meta.val_pairs);
        let notes = meta.skipped.notes(40);
        assert!(
            notes[0].starts_with("4 pairs were left out, the first in line 51"),
            "{notes:?}"
        );
        // Not made again: what stands there is what was written before.
        let path = folder.path().join("one/train.source.bin");
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        prepare(
            &from,
            &tokenizers,
            &Pool::single(),
            &folder.path().join("one"),
        );
        assert_eq!(
            std::fs::metadata(&path).unwrap().modified().unwrap(),
            before
        );
    }
}

/// What comes out of the shards are the sentences that went in, in small letters; none is on both sides.
#[test]
fn the_text_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let from = PairsFrom {
        train: corpus(folder.path(), 400),
        val: None,
    };
    let tokenizers = PairTokenizers::learn(&from.train, 300, true, true, &Pool::single()).unwrap();
    let shards = prepare(
        &from,
        &tokenizers,
        &Pool::single(),
        &folder.path().join("data"),
    );
    let sentences = |shard: &PairShard| {
        let sentence = |n| {
            let (mut source, mut target) = (Vec::new(), Vec::new());
            shard.append(n, [&mut source, &mut target]);
            let [reads, writes] = tokenizers.both();
            [reads.decode_text(&source), writes.decode_text(&target)]
        };
        (0..shard.len()).map(sentence).collect::<Vec<_>>()
    };
    let (train, val) = (sentences(&shards.train), sentences(&shards.val));
    let mut all = [train.clone(), val.clone()].concat();
    let given = read(&from.train).unwrap();
    let mut expected: Vec<_> = given
        .iter()
        .filter(|pair| !pair.is_half() && pair.line != 8)
        .map(|pair| [pair.source.clone(), pair.target.to_lowercase()])
        .collect();
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    assert!(
        val.iter()
            .all(|[source, _]| train.iter().all(|[other, _]| source != other))
    );
}

#[test]
fn validation_may_have_files_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let val = parallel(
        write(folder.path(), "v.src", "ka lo\nmi\n"),
        write(folder.path(), "v.tgt", "KA\nMI LO\n"),
    );
    let from = PairsFrom {
        train: corpus(folder.path(), 50),
        val: Some(val),
    };
    let tokenizers =
        PairTokenizers::learn(&from.train, 280, false, false, &Pool::single()).unwrap();
    let shards = prepare(
        &from,
        &tokenizers,
        &Pool::single(),
        &folder.path().join("data"),
    );
    assert_eq!((shards.train.len(), shards.val.len()), (49, 2));
}

/// Pair n has these many tokens on either side; each token but the end tells n.
fn shard(lengths: &[(usize, usize)]) -> PairShard {
    let side = |length: fn(&(usize, usize)) -> usize| {
        let sentence = |(n, pair): (u32, &(usize, usize))| {
            let mut ids = vec![10 + n; length(pair) - 1];
            ids.push(END);
            ids
        };
        let ids = (0..).zip(lengths).flat_map(sentence).collect();
        Shard::from_ids(ids, "training")
    };
    PairShard::of([side(|pair| pair.0), side(|pair| pair.1)], [END; 2]).unwrap()
}

/// The pairs of a batch, checked to be whole.
fn pairs_of(batch: &PairBatch, lengths: &[(usize, usize)]) -> Vec<usize> {
    assert_eq!(
        batch.source_lengths.iter().sum::<usize>(),
        batch.source.len()
    );
    assert_eq!(
        batch.target_lengths.iter().sum::<usize>(),
        batch.target.len()
    );
    assert_eq!(batch.input.len(), batch.target.len());
    let (mut s, mut t) = (0, 0);
    let sentences = batch.source_lengths.iter().zip(&batch.target_lengths);
    let pair = |(&source, &target): (&usize, &usize)| {
        let (read, said) = (&batch.source[s..s + source], &batch.target[t..t + target]);
        let input = &batch.input[t..t + target];
        assert_eq!(input[0], START);
        assert_eq!(input[1..], said[..target - 1]);
        assert_eq!([read[source - 1], said[target - 1]], [END; 2]);
        let n = (read[0] - 10) as usize;
        assert_eq!(lengths[n], (source, target));
        let is_n = |&id: &u32| id == 10 + n as u32;
        assert!(read[..source - 1].iter().all(is_n) && said[..target - 1].iter().all(is_n));
        (s, t) = (s + source, t + target);
        n
    };
    sentences.map(pair).collect()
}

proptest! {
    #[test]
    fn an_epoch_has_every_pair_once_in_tight_batches_within_the_limit(
        lengths in prop::collection::vec((2usize..12, 2usize..12), 1..200),
        room in 0usize..80,
        seed in any::<u64>(),
    ) {
        let tokens = |n: usize| lengths[n].0 + lengths[n].1;
        let limit = (0..lengths.len()).map(tokens).max().unwrap() + room;
        let batches = PairBatches::new(shard(&lengths), limit, START, seed).unwrap();
        let count = batches.len() as u64;
        let mut batch = PairBatch::default();
        let mut orders = Vec::new();
        for epoch in [0, 1, 5] {
            let mut order = Vec::new();
            let mut ranges = Vec::new();
            for index in epoch * count..(epoch + 1) * count {
                batches.batch(index, &mut batch);
                prop_assert!(batch.tokens() <= limit);
                prop_assert_eq!(batches.targets(index), batch.target.len());
                let pairs = pairs_of(&batch, &lengths);
                let sizes = || pairs.iter().map(|&n| tokens(n));
                ranges.push((sizes().min().unwrap(), sizes().max().unwrap(), batch.tokens()));
                order.extend(pairs);
            }
            // Tight: side by side the batches cover all lengths without overlapping by more than one, and each was full.
            ranges.sort_unstable_by_key(|&(least, most, sum)| (least, most, Reverse(sum)));
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].1 <= pair[1].0);
                prop_assert!(pair[0].2 + pair[1].0 > limit);
            }
            orders.push(order.clone());
            order.sort_unstable();
            prop_assert!(order.into_iter().eq(0..lengths.len()));
        }
        // Found again by its number, from a fresh start, in any order.
        let again = PairBatches::new(shard(&lengths), limit, START, seed).unwrap();
        let mut backwards = Vec::new();
        for index in (0..count).rev() {
            again.batch(index, &mut batch);
            let mut pairs = pairs_of(&batch, &lengths);
            pairs.reverse();
            backwards.extend(pairs);
        }
        backwards.reverse();
        prop_assert_eq!(&backwards, &orders[0]);
        if lengths.len() > 30 {
            prop_assert!(orders[0] != orders[1] || count == 1);
        }
        // For evaluation: all of them, in one order.
        let mut all = Vec::new();
        for index in 0..batches.len() {
            batches.unshuffled(index, &mut batch);
            all.extend(pairs_of(&batch, &lengths));
        }
        all.sort_unstable();
        prop_assert!(all.into_iter().eq(0..lengths.len()));
    }
}

/// Pairs of one length meet other partners in each epoch.
#[test]
fn batches_are_mixed_anew_in_each_epoch() {
    let lengths = vec![(4, 4); 64];
    let batches = PairBatches::new(shard(&lengths), 64, START, 7).unwrap();
    assert_eq!(batches.len(), 8);
    let mut partners = BTreeMap::<usize, usize>::new();
    let mut batch = PairBatch::default();
    for index in 0..8 * 50 {
        batches.batch(index, &mut batch);
        let pairs = pairs_of(&batch, &lengths);
        if pairs.contains(&0) {
            for &n in &pairs {
                *partners.entry(n).or_default() += 1;
            }
        }
    }
    assert_eq!(partners.remove(&0), Some(50));
    assert!(partners.len() > 60, "{} partners", partners.len());
    assert!(partners.values().all(|&times| times < 20), "{partners:?}");
}

#[test]
fn a_limit_that_keeps_a_pair_out_says_so() {
    let error = PairBatches::new(shard(&[(3, 3), (9, 4)]), 12, START, 0).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("a batch of 12 tokens does not hold the longest pair, which has 13"),
        "{text}"
    );
    let sides = [vec![10, END, 11, END], vec![10, END]].map(|ids| Shard::from_ids(ids, "training"));
    assert!(
        PairShard::of(sides, [END; 2])
            .unwrap_err()
            .contains("holds 1 sentences, and its partner 2")
    );
    let sides = [vec![10, END, 11], vec![10, END]].map(|ids| Shard::from_ids(ids, "training"));
    assert!(
        PairShard::of(sides, [END; 2])
            .unwrap_err()
            .contains("no end")
    );
}
