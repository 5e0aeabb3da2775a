//! `film`: the program's own pictures of its own model's numbers.

use std::fs;

use glassformer_weights::TensorFile;

use crate::support::glassformer;
use crate::translate;

const TEXT: &str = "The cat sat on the mat";

/// The numbers written on a picture's cells of a site, with their indices: `<rect … data-cell="site[1,2]"/><text …>0.12</text>`.
fn written(svg: &str, site: &str) -> Vec<(Vec<usize>, f32)> {
    let mark = format!("data-cell=\"{site}[");
    svg.split(&mark)
        .skip(1)
        .filter_map(|rest| {
            let (index, rest) = rest.split_once(']')?;
            let label = rest.strip_prefix("\"/><text")?;
            let (_, label) = label.split_once('>')?;
            let (text, _) = label.split_once('<')?;
            let index = index.split(',').map(|i| i.parse().unwrap()).collect();
            let value = text.replace('−', "-").parse().ok()?;
            Some((index, value))
        })
        .collect()
}

/// How many numbers of a site a picture shows: each is the file's, to two decimals.
fn agreeing(file: &TensorFile, svg: &str, site: &str) -> usize {
    let (shape, values) = file.load_f32(site).unwrap();
    let shown = written(svg, site);
    for (index, shown) in &shown {
        let places = index.iter().zip(&shape);
        let at = places.fold(0, |at, (i, size)| at * size + i);
        assert!(
            (values[at] - shown).abs() <= 0.00501,
            "{site}{index:?}: {shown}, not {}",
            values[at]
        );
    }
    shown.len()
}

#[test]
fn a_picture_shows_what_trace_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (svg, file) = (path("a.svg"), path("a.safetensors"));
    let film = [
        "film",
        "--text",
        TEXT,
        "--chapter",
        "attention",
        "--to",
        "scale",
        "--layer",
        "1",
        "--head",
        "2",
        "--out",
        &svg,
    ];
    let told = glassformer(film).ok();
    assert!(told.contains("Attention, 1280×720"), "{told}");
    glassformer([
        "trace",
        "--text",
        TEXT,
        "--sites",
        "blocks.1.*",
        "--out",
        &file,
    ])
    .ok();
    let file = TensorFile::open(file.as_ref()).unwrap();
    let svg = fs::read_to_string(svg).unwrap();
    let sites = ["blocks.1.q", "blocks.1.k", "blocks.1.scores"];
    let compared: usize = sites.map(|site| agreeing(&file, &svg, site)).iter().sum();
    assert!(compared > 20, "{compared} numbers were found");
}

/// Whatever a chapter's code uses of a browser's world is there.
#[test]
fn every_chapter_is_drawn_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.svg");
    for chapter in 0..=8 {
        for (lang, text) in [("en", "The cat 和 the dog 👩🏽‍🚀."), ("zh", "小猫和狗")]
        {
            let number = chapter.to_string();
            glassformer([
                "film",
                "--chapter",
                &number,
                "--lang",
                lang,
                "--text",
                text,
                "--depth",
                "formula",
                "--out",
                out.to_str().unwrap(),
            ])
            .ok();
            let svg = fs::read_to_string(&out).unwrap();
            assert!(
                svg.matches("<text ").count() > 5,
                "{chapter} {lang} has words"
            );
            assert!(
                !svg.contains("NaN") && !svg.contains("undefined"),
                "{chapter} {lang}"
            );
        }
    }
    let beyond = glassformer(["film", "--chapter", "10", "--out", out.to_str().unwrap()]).fails();
    assert!(beyond.contains("8 train"), "{beyond}");
}

/// A translator's only chapter, named or not: which word came from which, as `trace` writes it.
#[test]
fn a_translator_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let model = translate::model(folder.path(), "marian-tiny");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (svg, model) = (path("a.svg"), model.to_str().unwrap());
    let film = |more: &[&str]| {
        let first = [
            "film",
            "-m",
            model,
            "--text",
            "w10 w11 w12 w13",
            "--out",
            &svg,
        ];
        glassformer(first.iter().chain(more))
    };
    let told = film(&[
        "--chapter",
        "9",
        "--to",
        "ask",
        "--layer",
        "1",
        "--head",
        "2",
    ])
    .ok();
    assert!(told.contains("Variants: translator"), "{told}");
    let ask = fs::read_to_string(&svg).unwrap();
    let site = "decoder.blocks.1.cross_q";
    let file = path("a.safetensors");
    let text = "w10 w11 w12 w13";
    glassformer([
        "trace", "-m", model, "--text", text, "--sites", site, "--out", &file,
    ])
    .ok();
    let file = TensorFile::open(file.as_ref()).unwrap();
    assert!(agreeing(&file, &ask, site) >= 4);
    for lang in ["en", "zh"] {
        film(&["--lang", lang, "--depth", "formula"]).ok();
        let svg = fs::read_to_string(&svg).unwrap();
        assert!(svg.matches("<text ").count() > 5, "{lang} has words");
        assert!(!svg.contains("NaN") && !svg.contains("undefined"), "{lang}");
    }
    let none = film(&["--chapter", "attention"]).fails();
    assert!(none.contains("there are 9 translate"), "{none}");
}

#[test]
fn a_chapter_becomes_a_film() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.mp4");
    let told = glassformer([
        "film",
        "--chapter",
        "2",
        "--lang",
        "zh",
        "--to",
        "lookup",
        "--fps",
        "5",
        "--size",
        "480x270",
        "--out",
        out.to_str().unwrap(),
    ])
    .ok();
    assert!(told.contains("frames, "), "{told}");
    let file = fs::read(&out).unwrap();
    assert_eq!(&file[4..8], b"ftyp");
    assert!(file.len() > 5000, "{} bytes", file.len());
}

#[test]
fn mistakes_are_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.png");
    let out = out.to_str().unwrap();
    let fails = |more: &[&str]| glassformer([&["film"], more].concat()).fails();
    assert!(
        fails(&["--out", out, "--chapter", "ten"])
            .contains("there is no chapter “ten”; there are 0 overview")
    );
    assert!(
        fails(&["--out", out, "--chapter", "3", "--from", "end"])
            .contains("there is no step of attention “end”")
    );
    assert!(fails(&["--out", out, "--layer", "99"]).contains("there is no layer 99"));
    assert!(fails(&["--out", "a.gif"]).contains("its name ends in .mp4"));
    assert!(fails(&["--out", "/no/such/a.png"]).contains("/no/such/a.png cannot be written"));
    assert!(fails(&["--out", out, "--text", " \n"]).starts_with("error: "));
    for usage in [
        &["--size", "big"][..],
        &["--fps", "0"],
        &["--lang", "fr"],
        &["--theme", "blue"],
    ] {
        let ran = glassformer([&["film", "--out", out], usage].concat());
        assert_eq!(ran.code, Some(2), "{usage:?}: {}", ran.err);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
