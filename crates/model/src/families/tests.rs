//! Configs of published models, whose numbers of parameters are known, and configs that no model can have.

use crate::Network;
use crate::families::decoder::Decoder;
use crate::families::decoder_config::DecoderConfig;
use crate::families::traits;

/// A model's `config.json` as it was published, and what it should come to.
struct Published {
    config: &'static str,
    parameters: usize,
    rope: &'static str,
    window: Option<&'static str>,
}

macro_rules! config {
    ($name:literal) => {
        include_str!(concat!("../../tests/configs/", $name, ".json"))
    };
}

const PUBLISHED: [Published; 9] = [
    Published {
        config: config!("llama-2-7b"),
        parameters: 6_738_415_616,
        rope: "rotary, base 10000",
        window: None,
    },
    Published {
        config: config!("tinyllama-1.1b-chat"),
        parameters: 1_100_048_384,
        rope: "rotary, base 10000",
        window: None,
    },
    Published {
        config: config!("llama-3.1-8b"),
        parameters: 8_030_261_248,
        rope: "rotary, base 500000, low frequencies stretched 8 times",
        window: None,
    },
    Published {
        config: config!("llama-3.2-1b"),
        parameters: 1_235_814_400,
        rope: "rotary, base 500000, low frequencies stretched 32 times",
        window: None,
    },
    Published {
        config: config!("smollm2-135m-instruct"),
        parameters: 134_515_008,
        rope: "rotary, base 100000",
        window: None,
    },
    Published {
        config: config!("mistral-7b-v0.1"),
        parameters: 7_241_732_096,
        rope: "rotary, base 10000",
        window: Some("4096 positions"),
    },
    Published {
        config: config!("mistral-7b-v0.3"),
        parameters: 7_248_023_552,
        rope: "rotary, base 1000000",
        window: None,
    },
    Published {
        config: config!("qwen2.5-0.5b"),
        parameters: 494_032_768,
        rope: "rotary, base 1000000",
        window: None,
    },
    Published {
        config: config!("qwen3-0.6b"),
        parameters: 596_049_920,
        rope: "rotary, base 1000000",
        window: None,
    },
];

fn parse(config: &str) -> Result<DecoderConfig, String> {
    let config: DecoderConfig = serde_json::from_str(config).map_err(|e| e.to_string())?;
    config.check().map(|()| config)
}

/// The fact of that name about the network that a config describes, and how many parameters that has.
fn built(config: &DecoderConfig) -> (impl Fn(&str) -> Option<String> + use<>, usize) {
    let (network, layout) = Decoder::build(config.plan(traits(config)));
    let facts = network.facts();
    let fact = move |name: &str| {
        let found = facts.iter().find(|(fact, _)| *fact == name);
        found.map(|(_, value)| value.clone())
    };
    (fact, layout.len())
}

#[test]
fn published_models_are_understood() {
    for published in PUBLISHED {
        let config = parse(published.config).unwrap();
        let (fact, parameters) = built(&config);
        let name = &config.architectures;
        assert_eq!(parameters, published.parameters, "{name:?}");
        assert_eq!(
            fact("positions").as_deref(),
            Some(published.rope),
            "{name:?}"
        );
        assert_eq!(fact("window").as_deref(), published.window, "{name:?}");
        // What is written for another program says the same.
        let again = parse(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config, "{name:?}");
    }
}

/// Llama 3.2's config with a field replaced, or another one added.
fn changed(field: &str, value: &str) -> Result<DecoderConfig, String> {
    let mut config: serde_json::Value = serde_json::from_str(config!("llama-3.2-1b")).unwrap();
    config[field] = serde_json::from_str(value).unwrap();
    parse(&config.to_string())
}

#[test]
fn descriptions_of_the_rotation_in_all_ages() {
    let linear = "rotary, base 500000, stretched 2.5 times";
    for (field, value, expected) in [
        (
            "rope_scaling",
            r#"{"type": "linear", "factor": 2.5}"#,
            linear,
        ),
        // Some programs write both names.
        (
            "rope_scaling",
            r#"{"type": "linear", "rope_type": "linear", "factor": 2.5}"#,
            linear,
        ),
        (
            "rope_parameters",
            r#"{"rope_type": "linear", "factor": 2.5, "rope_theta": 500000.0}"#,
            linear,
        ),
        // The newer field counts where both are.
        (
            "rope_parameters",
            r#"{"rope_type": "default", "rope_theta": 70000.0}"#,
            "rotary, base 70000",
        ),
        (
            "rope_scaling",
            r#"{"rope_type": "default"}"#,
            "rotary, base 500000",
        ),
    ] {
        let (fact, _) = built(&changed(field, value).unwrap());
        assert_eq!(fact("positions").as_deref(), Some(expected), "{value}");
    }
}

#[test]
fn windows_as_qwen_shares_them_out() {
    let mut config = parse(config!("qwen2.5-0.5b")).unwrap();
    let window = |config: &DecoderConfig| built(config).0("window");
    config.use_sliding_window = Some(true);
    config.sliding_window = Some(100);
    assert_eq!(window(&config), None, "from block 24 of 24 on");
    config.max_window_layers = Some(21);
    let some = Some("100 positions, in 3 of 24 blocks".to_owned());
    assert_eq!(window(&config), some);
    config.max_window_layers = Some(0);
    assert_eq!(window(&config), Some("100 positions".to_owned()));
    let kinds = (0..24).map(|layer| match layer {
        5 => "sliding_attention".to_owned(),
        _ => "full_attention".to_owned(),
    });
    config.layer_types = Some(kinds.collect());
    let one = Some("100 positions, in 1 of 24 blocks".to_owned());
    assert_eq!(window(&config), one);
    config.use_sliding_window = Some(false);
    assert_eq!(window(&config), None);
}

#[test]
fn what_cannot_be_is_refused() {
    for (field, value, expected) in [
        ("hidden_size", "0", "hidden_size = 0"),
        ("vocab_size", "99999999999", "vocab_size = 99999999999"),
        ("num_hidden_layers", "1000000", "between 1 and 2^12"),
        ("num_attention_heads", "16777216", "between 1 and 2^24"),
        ("num_key_value_heads", "5", "does not divide"),
        ("head_dim", "63", "need an even one"),
        ("rms_norm_eps", "0.0", "rms_norm_eps = 0"),
        ("rope_theta", "-1.0", "rope_theta = -1"),
        ("hidden_act", r#""tanh""#, r#"hidden_act "tanh""#),
        ("layer_types", r#"["full_attention"]"#, "has 1 layer_types"),
        (
            "rope_scaling",
            r#"{"rope_type": "yarn", "factor": 4.0}"#,
            r#"rope scaling "yarn""#,
        ),
        (
            "rope_scaling",
            r#"{"rope_type": "linear", "factor": 0.0}"#,
            "without a positive factor",
        ),
        (
            "rope_scaling",
            r#"{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}"#,
            "without a positive high_freq_factor",
        ),
        (
            "rope_scaling",
            r#"{"rope_type": "longrope", "short_factor": [1.0], "long_factor": [2.0]}"#,
            "depends on the length of the text",
        ),
        (
            "rope_scaling",
            r#"{"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0], "attention_factor": 1.0}"#,
            "1 factors; heads of 64 need 32",
        ),
    ] {
        let refused = changed(field, value).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
        assert!(!refused.contains('\n'), "{refused}");
    }
}
