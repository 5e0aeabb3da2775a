//! Recordings hold every site, in its documented shape, and looking changes nothing.

use glassformer_model::{BlockSite, Dimensions, Site};
use glassformer_tensor::Pool;
use glassformer_trace::{Selection, TraceError, record};

use crate::support::{
    GOLDEN, T, all, block, distance, model, plain_logits, recorded, text, values,
};

pub(crate) fn is_plane(site: Site) -> bool {
    matches!(
        site,
        Site::Block {
            site: BlockSite::Scores | BlockSite::Pattern,
            ..
        }
    )
}

/// As `site.rs` documents it.
fn shape(site: Site, dimensions: &Dimensions) -> Vec<usize> {
    use BlockSite::{
        K, KNorm, KPre, MlpPost, MlpPre, MlpUp, Pattern, Q, QNorm, QPre, Scores, V, Z,
    };
    let &Dimensions {
        d_model,
        n_heads,
        n_kv_heads,
        d_head,
        d_ff,
        vocab,
        ..
    } = dimensions;
    match site {
        Site::Tokens | Site::TokenTypes => vec![T],
        Site::Logits | Site::Probs => vec![T, vocab],
        Site::Block { site, .. } => match site {
            QPre | QNorm | Q | Z => vec![T, n_heads, d_head],
            KPre | KNorm | K | V => vec![T, n_kv_heads, d_head],
            Scores | Pattern => vec![n_heads, T, T],
            MlpPre | MlpUp | MlpPost => vec![T, d_ff],
            _ => vec![T, d_model],
        },
        _ => vec![T, d_model],
    }
}

#[test]
fn everything_is_every_site_in_its_shape() {
    for name in all() {
        let model = model(name);
        let ids = text(&model, 1);
        let recording = recorded(&model, &ids, &[]);
        let sites: Vec<Site> = recording.iter().map(|(site, _)| site).collect();
        let mut own = model.network.sites();
        let pre_norm = !model.network.is_post_norm();
        assert!(!pre_norm || own.is_sorted(), "in the order of computation");
        own.sort();
        assert_eq!(sites, own, "{name}");
        let mut bytes = 0;
        for (site, value) in recording.iter() {
            assert_eq!(value.shape, shape(site, &model.dimensions()), "{site}");
            assert_eq!(value.shape, site.shape(&model.dimensions(), T), "{site}");
            assert_eq!(
                value.data.len(),
                value.shape.iter().product::<usize>(),
                "{site}"
            );
            bytes += 4 * value.data.len();
        }
        assert_eq!(recording.bytes(), bytes);
        let tokens: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
        assert_eq!(values(&recording, Site::Tokens), tokens);
    }
}

#[test]
fn looking_changes_nothing() {
    for name in all() {
        let model = model(name);
        let ids = text(&model, 2);
        let plain = plain_logits(&model, &ids);
        // With the fused attention: the very same numbers.
        let only = record(
            &model,
            &Pool::single(),
            &ids,
            &Selection::parse("logits").unwrap(),
            &[],
        );
        assert_eq!(values(&only, Site::Logits), plain);
        // With scores and patterns in the open: the same sums in another order.
        let difference = distance(values(&recorded(&model, &ids, &[]), Site::Logits), &plain);
        println!("{name}: recording everything moves logits by {difference:.1e}");
        assert!(difference <= 1e-5, "{name}: {difference:e}");
        // With two threads.
        let threads = record(&model, &Pool::new(2), &ids, &Selection::everything(), &[]);
        assert!(distance(values(&threads, Site::Logits), &plain) <= 1e-5);
    }
}

#[test]
fn rows_of_chances_sum_to_one_and_the_future_is_masked() {
    for name in GOLDEN {
        let model = model(name);
        let recording = recorded(&model, &text(&model, 3), &[]);
        let one = |row: &[f32]| (row.iter().map(|&x| f64::from(x)).sum::<f64>() - 1.0).abs() < 1e-5;
        assert!(
            values(&recording, Site::Probs)
                .chunks(model.dimensions().vocab)
                .all(one)
        );
        for layer in 0..model.dimensions().n_layers {
            let scores = values(&recording, block(layer, BlockSite::Scores)).chunks(T);
            let pattern = values(&recording, block(layer, BlockSite::Pattern)).chunks(T);
            for (i, (scores, pattern)) in scores.zip(pattern).enumerate() {
                assert!(one(pattern));
                for s in 0..T {
                    let masked = s > i % T;
                    assert_eq!(
                        (scores[s] == f32::NEG_INFINITY, pattern[s] == 0.0),
                        (masked, masked)
                    );
                }
            }
        }
    }
}

#[test]
fn only_what_is_selected() {
    let model = model("gpt2-tiny");
    let ids = text(&model, 4);
    let names = |globs: &str| -> Vec<String> {
        let selection = Selection::for_network(globs, &*model.network).unwrap();
        let recording = record(&model, &Pool::single(), &ids, &selection, &[]);
        recording.iter().map(|(site, _)| site.to_string()).collect()
    };
    assert_eq!(
        names("blocks.*.pattern"),
        ["blocks.0.pattern", "blocks.1.pattern", "blocks.2.pattern"]
    );
    assert_eq!(
        names("probs, *embed ,blocks.1.mlp_*"),
        [
            "embed",
            "pos_embed",
            "blocks.1.mlp_pre",
            "blocks.1.mlp_post",
            "blocks.1.mlp_out",
            "probs"
        ]
    );
    assert_eq!(names("*"), names("**"));
    assert_eq!(names("*").len(), 3 * 15 + 6);
}

#[test]
fn wrong_selections_are_told() {
    let model = model("gpt2-tiny");
    for glob in [
        "nope",
        "blocks.3.q",
        "blocks.*.pattern,nope",
        "",
        "tokens,",
        "EMBED",
        "blocks.*.mlp_up",
        "*.q_pre",
    ] {
        assert!(
            matches!(
                Selection::for_network(glob, &*model.network),
                Err(TraceError::NoSite(_))
            ),
            "{glob:?}"
        );
    }
    for glob in ["[", "a[", "{a", "embed,{"] {
        assert!(matches!(
            Selection::for_network(glob, &*model.network),
            Err(TraceError::Glob { .. } | TraceError::NoSite(_))
        ));
        let message = Selection::parse(glob).map(|_| ()).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn what_is_not_there_is_told() {
    let model = model("gpt2-relu-odd");
    let ids = text(&model, 5);
    let recording = record(
        &model,
        &Pool::single(),
        &ids,
        &Selection::parse("embed").unwrap(),
        &[],
    );
    assert_eq!(
        recording.get(Site::Logits),
        Err(TraceError::NotRecorded("logits".to_owned()))
    );
    assert!(recording.at(Site::Embed, &[T - 1, 25]).is_ok());
    for index in [
        vec![T, 0],
        vec![0, 26],
        vec![0],
        vec![],
        vec![0, 0, 0],
        vec![usize::MAX, usize::MAX],
    ] {
        let error = recording.at(Site::Embed, &index).unwrap_err();
        assert!(matches!(error, TraceError::OutOfRange { .. }), "{error}");
    }
}
