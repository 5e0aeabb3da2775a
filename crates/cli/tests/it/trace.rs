//! `trace`: files with every site, edits, patches.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use glassformer_weights::TensorFile;

use crate::support::glassformer;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn trace(folder: &Path, name: &str, more: &[&str]) -> Tensors {
    run(
        folder,
        name,
        &[&["--text", "The cat sat on the mat"], more].concat(),
    )
}

fn run(folder: &Path, name: &str, arguments: &[&str]) -> Tensors {
    let path = folder.join(name);
    glassformer([&["trace", "--out", path.to_str().unwrap()], arguments].concat()).ok();
    let file = TensorFile::open(&path).unwrap();
    file.names()
        .into_iter()
        .map(|name| (name.clone(), file.load_f32(&name).unwrap()))
        .collect()
}

#[test]
fn writes_every_site_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let all = trace(folder.path(), "all.safetensors", &[]);
    let layers = all
        .keys()
        .filter(|name| name.ends_with(".resid_pre"))
        .count();
    assert_eq!(all.len(), 6 + 15 * layers);
    let [t, _] = all["logits"].0[..] else {
        panic!("[T,V]")
    };
    for (_, (shape, data)) in all.iter().filter(|(name, _)| name.ends_with(".pattern")) {
        assert_eq!(&shape[1..], [t, t]);
        for row in data.chunks(t) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
    let some = trace(
        folder.path(),
        "some.safetensors",
        &["--sites", "blocks.*.pattern,logits"],
    );
    assert_eq!(some.len(), layers + 1);
    assert_eq!(some["logits"], all["logits"]);
}

#[test]
fn a_silenced_head_is_silent_and_is_felt() {
    let folder = tempfile::tempdir().unwrap();
    let plain = trace(folder.path(), "plain.safetensors", &[]);
    let off = trace(
        folder.path(),
        "off.safetensors",
        &["--ablate", "blocks.2.head.3"],
    );
    let (shape, z) = &off["blocks.2.z"];
    let (heads, d_head) = (shape[1], shape[2]);
    for (i, row) in z.chunks(d_head).enumerate() {
        assert_eq!(row.iter().all(|&x| x == 0.0), i % heads == 3);
    }
    assert_eq!(plain["blocks.2.pattern"], off["blocks.2.pattern"]);
    assert_ne!(plain["logits"], off["logits"]);
    let half = trace(
        folder.path(),
        "half.safetensors",
        &["--scale", "blocks.2.head.3=1.0"],
    );
    assert_eq!(
        plain["logits"], half["logits"],
        "scaling by one changes nothing"
    );
}

#[test]
fn a_patched_residual_carries_the_other_text() {
    let folder = tempfile::tempdir().unwrap();
    let other = run(
        folder.path(),
        "other.safetensors",
        &["--ids", "40,50,60,70"],
    );
    let file = folder.path().join("other.safetensors");
    let patch = format!("blocks.3.resid_post={}", file.to_str().unwrap());
    let arguments = ["--ids", "41,51,61,71", "--replace", &patch];
    let patched = run(folder.path(), "patched.safetensors", &arguments);
    assert_eq!(patched["logits"], other["logits"]);
    assert_ne!(patched["blocks.2.resid_post"], other["blocks.2.resid_post"]);
    // One position alone, from a text of another length.
    let patch = format!("blocks.3.resid_post[2]={}", file.to_str().unwrap());
    let one = run(
        folder.path(),
        "one.safetensors",
        &["--ids", "41,51,61", "--replace", &patch],
    );
    let width = other["blocks.3.resid_post"].0[1];
    let row = |tensors: &Tensors| tensors["blocks.3.resid_post"].1[2 * width..3 * width].to_vec();
    assert_eq!(row(&one), row(&other));
    let whole = format!("blocks.3.resid_post={}", file.to_str().unwrap());
    let arguments = [
        "trace",
        "--ids",
        "41,51,61",
        "--replace",
        &whole,
        "--out",
        "x.safetensors",
    ];
    assert!(glassformer(arguments).fails().contains("as many tokens"));
}

#[test]
fn ids_instead_of_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids.safetensors");
    glassformer([
        "trace",
        "--ids",
        "5,17,300",
        "--out",
        path.to_str().unwrap(),
    ])
    .ok();
    let (shape, ids) = TensorFile::open(&path).unwrap().load_f32("tokens").unwrap();
    assert_eq!((shape, ids), (vec![3], vec![5.0, 17.0, 300.0]));
}

/// Both stacks of an encoder–decoder, as transformers computes them.
#[test]
fn writes_the_sites_of_both_stacks() {
    let golden = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/golden");
        folder.join(name)
    };
    let folder = tempfile::tempdir().unwrap();
    for name in ["marian-tiny", "t5-gated"] {
        let model = golden(name);
        let expected = TensorFile::open(&model.join("sites.safetensors")).unwrap();
        let ids = |stack: &str| {
            let (_, ids) = expected.load_f32(&format!("{stack}.tokens")).unwrap();
            let ids: Vec<String> = ids.iter().map(|&id| (id as u32).to_string()).collect();
            ids.join(",")
        };
        let (source, target) = (ids("encoder"), ids("decoder"));
        let model = model.to_str().unwrap();
        let arguments = ["-m", model, "--ids", &source, "--decoder-ids", &target];
        let traced = run(folder.path(), "pair.safetensors", &arguments);
        assert_eq!(traced.len(), expected.names().len());
        for (site, (shape, data)) in traced {
            let (own, numbers) = expected.load_f32(&site).unwrap();
            assert_eq!(shape, own, "{name}: {site}");
            let far = |(a, b): (&f32, &f32)| a != b && (a - b).abs() > 1e-4;
            assert!(!data.iter().zip(&numbers).any(far), "{name}: {site}");
        }
    }
}

#[test]
fn pairs_are_refused_where_one_text_is_meant() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/golden/t5-tiny");
    let model = model.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Without a tokenizer nothing but ids can be read.
    let line = glassformer(["tokenize", "-m", model, "a"]).fails();
    assert!(line.contains("tokenizer.json is missing"), "{line}");
    let whole = folder.path().join("t5");
    fs::create_dir(&whole).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(Path::new(model).join(name), whole.join(name)).unwrap();
    }
    let vocab = r#"{"model": {"type": "WordLevel", "unk_token": "b", "vocab": {"a": 5, "b": 6}}}"#;
    fs::write(whole.join("tokenizer.json"), vocab).unwrap();
    let whole = whole.to_str().unwrap();
    for arguments in [
        vec!["generate", "-m", whole, "a"],
        vec!["embed", "-m", whole, "a"],
    ] {
        let line = glassformer(&arguments).fails();
        assert!(line.contains("is an encoder–decoder (t5)"), "{line}");
    }
    // Of a text the end is marked, and targets begin with the id that is meant for it.
    let arguments = ["-m", whole, "--text", "a"];
    let traced = run(folder.path(), "text.safetensors", &arguments);
    assert_eq!(traced["encoder.tokens"].1, [5.0, 1.0]);
    assert_eq!(traced["decoder.tokens"].1, [0.0]);
    let out = folder.path().join("out.safetensors");
    let out = out.to_str().unwrap();
    let trace = ["trace", "--out", out];
    let on_pair = [&trace[..], &["-m", model, "--ids", "5,6"]].concat();
    for (more, words) in [
        (vec!["--decoder-ids", "61"], "there is no token 61"),
        (
            vec!["--ablate", "decoder.blocks.0.cross_out"],
            "cannot be changed",
        ),
    ] {
        let line = glassformer([&on_pair[..], &more].concat()).fails();
        assert!(line.contains(words), "{line}");
    }
    let line = glassformer([&trace[..], &["--text", "a", "--decoder-ids", "1"]].concat()).fails();
    assert!(
        line.contains("--decoder-ids is for encoder–decoders"),
        "{line}"
    );
}
