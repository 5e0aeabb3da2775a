//! `score`: sacreBLEU's numbers on the command line. The numbers themselves are tested in `generate`.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Ran, command, glassformer};

fn score(arguments: &[&str]) -> Ran {
    glassformer(["score"].iter().chain(arguments))
}

#[test]
fn scores_with_their_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mine = file("mine", "the cat sat on the mat\r\nHello, World!\r\n");
    let reference = file("reference", "the cat sat on a mat\nhello, world!\n");
    // sacrebleu reference -i mine -m bleu chrf -f text -w 4
    let out = score(&[&mine, &reference, "--width", "4"]).ok();
    let version = concat!("version:glassformer-", env!("CARGO_PKG_VERSION"));
    let expected = format!(
        "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|{version} = 38.4580 70.0/37.5/33.3/25.0 (BP = 1.000 ratio = 1.000 hyp_len = 10 ref_len = 10)\n\
         chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{version} = 61.9444\n"
    );
    assert_eq!(out, expected);

    let mut program = command([
        "score",
        "-",
        &reference,
        &mine,
        "--lowercase",
        "--json",
        "-m",
        "bleu,chrf++",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let input = b"the cat sat on the mat\nhello, WORLD!\n";
    program.stdin.take().unwrap().write_all(input).unwrap();
    let json: Value =
        serde_json::from_str(&Ran::from(program.wait_with_output().unwrap()).ok()).unwrap();
    assert_eq!(json[0]["name"], "BLEU");
    assert!((json[0]["score"].as_f64().unwrap() - 100.0).abs() < 1e-9);
    assert_eq!(
        [&json[0]["case"], &json[0]["nrefs"], &json[0]["tok"]],
        ["lc", "2", "13a"]
    );
    assert_eq!(json[1]["name"], "chrF2++");
    assert!((json[1]["score"].as_f64().unwrap() - 100.0).abs() < 1e-9);
}

#[test]
fn what_cannot_be_scored() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (three, two) = (file("three", b"a\nb\nc\n"), file("two", b"a\nb"));
    let line = score(&[&three, &two]).fails();
    assert!(
        line.contains("three has 3 lines") && line.contains("two has 2: line 3 of"),
        "{line}"
    );
    let line = score(&[&three, &file("latin", b"a\n\xe9\nc")]).fails();
    assert!(
        line.contains("latin is no UTF-8 text") && line.contains("in line 2"),
        "{line}"
    );
    let line = score(&[&three, "missing"]).fails();
    assert!(line.contains("missing does not exist"), "{line}");
    let ran = score(&[&three]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let chinese = file("zh", "你好\n再见\n谢谢\n".as_bytes());
    let ran = score(&[&three, &chinese]);
    assert!(ran.err.contains("take --tokenize zh"), "{}", ran.err);
    assert!(ran.ok().contains("= 0.00"));
}
