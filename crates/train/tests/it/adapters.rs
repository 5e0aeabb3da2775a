//! Runs that train an adapter on a model in quantised blocks: they go on bit for bit, leave the model as it is, and are
//! saved as PEFT's; and conversations, of which only the answers are learned.

use std::fs;
use std::path::{Path, PathBuf};

use glassformer_model::{Keep, LoraConfig, Model, families};
use glassformer_tensor::{Buffers, Pool};
use glassformer_tokens::Tokenizer;
use glassformer_train::adapter::{self, Lora};
use glassformer_train::checkpoint::Checkpoints;
use glassformer_train::data::{ChatFormat, is_asked};
use glassformer_train::memory::{self, Needs};
use glassformer_train::setup::{self, Ready, Request};
use glassformer_train::{Compute, Options, Outcome, TrainError, Trainer, Workspace};
use glassformer_weights::{GgufFile, TensorFile};

use crate::runs::{self, Place, assert_same, run};

fn golden(name: &str) -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "../../parity/golden",
        name,
        "model.gguf",
    ]
    .iter()
    .collect()
}

fn base() -> Model {
    let file = GgufFile::open(&golden("llama-blocks")).unwrap();
    families::open_gguf(&file, Keep::InFile).unwrap()
}

fn tokenizer() -> Tokenizer {
    let text = "the cat sat on a mat.\n<|im_start|>user assistant".to_owned();
    Tokenizer::characters(std::iter::once(text)).unwrap()
}

fn options() -> Options {
    Options {
        lora: Some(Lora {
            rank: 3,
            dropout: 0.2,
            targets: "q_proj,v_proj,down_proj,o_proj".to_owned(),
            ..Lora::default()
        }),
        ..runs::options()
    }
}

fn start(place: &Place, name: &str, request: Request) -> Result<Ready, TrainError> {
    let init = Some((base(), tokenizer()));
    let folder = place.path(name);
    setup::start(&folder, request, init, &Pool::single(), &|_| ())
}

fn request(place: &Place, options: Options) -> Request {
    Request {
        base: Some(golden("llama-blocks")),
        ..place.request(options)
    }
}

fn resume(folder: &Path) -> Result<Ready, TrainError> {
    setup::resume(folder, |_| (), Some(base()), &Pool::single(), &|_| ())
}

#[test]
fn a_run_goes_on_bit_for_bit() {
    for recompute in [false, true] {
        let place = Place::new();
        let options = Options {
            recompute,
            accumulate: 2,
            ..options()
        };
        let begin = |name| {
            start(&place, name, request(&place, options.clone()))
                .unwrap()
                .trainer
        };
        let mut whole = begin("whole");
        let was = whole.model.parameters.trained().arena().to_vec();
        run(&mut whole, &place.path("whole"), u64::MAX).unwrap();
        assert_ne!(was, whole.model.parameters.trained().arena(), "it learns");
        let (mut trainer, folder) = (begin("run"), place.path("run"));
        for stop in [0, 3, 10, 25] {
            run(&mut trainer, &folder, stop).unwrap();
            let ready = resume(&folder).unwrap();
            assert_same(&ready.trainer, &trainer);
            trainer = ready.trainer;
        }
        assert_eq!(
            run(&mut trainer, &folder, u64::MAX).unwrap(),
            Outcome::Finished
        );
        assert_same(&trainer, &whole);
        let losses = |name| {
            let text = fs::read_to_string(place.path(name).join("metrics.jsonl")).unwrap();
            text.lines()
                .filter(|line| line.contains("val_loss"))
                .count()
        };
        assert_eq!((losses("run"), losses("whole")), (4, 4));
    }
}

/// What is written is PEFT's, names the model, and gives the same numbers when it is read again.
#[test]
fn a_checkpoint_is_an_adapter_of_pefts() {
    let place = Place::new();
    let mut trainer = start(&place, "run", request(&place, options()))
        .unwrap()
        .trainer;
    run(&mut trainer, &place.path("run"), u64::MAX).unwrap();
    let folder = Checkpoints::of(&place.path("run")).path(40);
    assert!(adapter::is_adapter(&folder) && !folder.join("model.safetensors").exists());
    let config = fs::read_to_string(folder.join("adapter_config.json")).unwrap();
    let config = LoraConfig::from_json(&config).unwrap();
    assert_eq!((config.rank, config.alpha), (3, 16.0));
    assert_eq!(
        config.base.unwrap(),
        golden("llama-blocks").display().to_string()
    );
    let file = TensorFile::open(&folder.join("adapter_model.safetensors")).unwrap();
    let name = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight";
    assert_eq!(file.shape(name).unwrap()[0], 3);
    let read = adapter::read(&folder, &base()).unwrap();
    assert_eq!(
        read.parameters().arena(),
        trainer.model.parameters.trained().arena()
    );
}

#[test]
fn a_run_without_its_base_is_refused() {
    let place = Place::new();
    let no_base = Request {
        base: None,
        ..request(&place, options())
    };
    let error = start(&place, "none", no_base).err().unwrap().to_string();
    assert!(error.contains("--init"), "{error}");
    assert!(!place.path("none").exists(), "nothing is left behind");
    let unknown = Options {
        lora: Some(Lora {
            targets: "c_attn".to_owned(),
            ..Lora::default()
        }),
        ..options()
    };
    let error = start(&place, "none", request(&place, unknown))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("c_attn") && error.contains("q_proj"),
        "{error}"
    );
    let mut trainer = start(&place, "run", request(&place, options()))
        .unwrap()
        .trainer;
    run(&mut trainer, &place.path("run"), 1).unwrap();
    let error = runs::resume(&place.path("run")).err().unwrap().to_string();
    assert!(error.contains("llama-blocks"), "{error}");
}

#[test]
fn a_step_allocates_nothing_once_it_has_run() {
    let place = Place::new();
    for recompute in [false, true] {
        let options = Options {
            recompute,
            ..options()
        };
        let name = format!("run-{recompute}");
        let mut trainer = start(&place, &name, request(&place, options))
            .unwrap()
            .trainer;
        let (pool, mut workspace) = (Pool::single(), Workspace::of(&trainer));
        trainer.step(&pool, &mut workspace).unwrap();
        let seen = allocation_counter::measure(|| {
            trainer.step(&pool, &mut workspace).unwrap();
        });
        assert_eq!(seen.count_total, 0, "recompute {recompute}: {seen:?}");
    }
}

#[test]
fn the_estimate_is_near_what_is_taken() {
    let place = Place::new();
    for (n, (precision, recompute)) in [
        (Compute::F32, false),
        (Compute::Bf16, false),
        (Compute::Bf16, true),
    ]
    .into_iter()
    .enumerate()
    {
        let options = Options {
            precision,
            recompute,
            n_ctx: 16,
            batch_size: 24,
            ..options()
        };
        let mut trainer = start(&place, &n.to_string(), request(&place, options))
            .unwrap()
            .trainer;
        let mut workspace = Workspace::of(&trainer);
        trainer.step(&Pool::new(2), &mut workspace).unwrap();
        let needs = Needs::of_adapter(&trainer.options, &trainer.model);
        let trained = trainer.model.parameters.trained().arena().len();
        assert_eq!(needs.arenas, 16 * trained as u64);
        assert!(needs.frozen > 0);
        let ratio = needs.work as f64 / workspace.buffers.bytes() as f64;
        println!("{precision:?}, recompute {recompute}: {ratio:.2} of what was taken");
        assert!(
            (0.75..1.4).contains(&ratio),
            "{precision:?}, {recompute}: {ratio:.2}"
        );
        let check = |available| memory::check_adapter(&trainer.options, &trainer.model, available);
        assert!(check(Some(needs.total())).is_ok());
        let error = check(Some(needs.total() - 1)).unwrap_err().to_string();
        assert!(error.contains("--batch-size"), "{error}");
    }
}

const TALKS: &str = r#"{"messages": [{"role": "user", "content": "a cat"}, {"role": "assistant", "content": "sat"}, {"role": "user", "content": "on"}, {"role": "assistant", "content": "the mat"}]}"#;

fn chat() -> ChatFormat {
    ChatFormat {
        template: "{% for m in messages %}<|im_start|>{{ m.role }} {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant {% endif %}".to_owned(),
        bos: None,
        eos: None,
    }
}

/// Lines as `messages`, with the model's template.
fn talking(place: &Place, lines: &str, chat: Option<ChatFormat>) -> Request {
    fs::write(place.path("talks.jsonl"), lines).unwrap();
    let options = Options {
        n_ctx: 23,
        ..options()
    };
    let mut request = request(place, options);
    request.corpora = vec![place.path("talks.jsonl")];
    request.reading.chat = chat;
    request
}

#[test]
fn of_conversations_the_answers_are_learned() {
    let place = Place::new();
    let lines = format!("{TALKS}\n").repeat(40);
    let ready = start(&place, "run", talking(&place, &lines, Some(chat()))).unwrap();
    let mut trainer: Trainer = ready.trainer;
    let mut batch = trainer.material.room();
    let text = tokenizer();
    for index in 0..50 {
        trainer.material.train(index, &mut batch);
        let [x, y] = batch.tokens();
        assert!(x.iter().all(|&id| is_asked(id)), "inputs bear no mark");
        for (x, y) in x.chunks(23).zip(y.chunks(23)) {
            let window: Vec<u32> = y.iter().map(|id| id & 0xffff).collect();
            assert_eq!(x[1..], window[..22], "targets are one later");
            // No mark of a beginning and no question is asked for.
            for (place, target) in y.iter().enumerate() {
                let letter = text.decode(&[window[place]]);
                assert!(
                    !is_asked(*target) || !"<|_>".contains(&letter),
                    "{letter:?} is asked"
                );
            }
        }
    }
    let asked: Vec<u32> = (0..200)
        .flat_map(|index| {
            trainer.material.train(index, &mut batch);
            let [_, y] = batch.tokens();
            y.iter()
                .copied()
                .filter(|&id| is_asked(id))
                .collect::<Vec<_>>()
        })
        .collect();
    let letters = text.decode(&asked);
    assert!(letters.contains('m') && !letters.contains('c'), "{letters}");
    let evaluate = |trainer: &Trainer| trainer.evaluate(&Pool::single(), &Buffers::new());
    let before = evaluate(&trainer);
    run(&mut trainer, &place.path("run"), u64::MAX).unwrap();
    let after = evaluate(&trainer);
    assert!(after < before - 0.5, "{before} became {after}");
}

#[test]
fn what_is_no_conversation_is_refused_with_its_line() {
    let place = Place::new();
    let question = r#"{"messages": [{"role": "user", "content": "a cat"}]}"#;
    let rewriting = ChatFormat {
        template: "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
            .to_owned(),
        ..chat()
    };
    let broken = ChatFormat {
        template: "{% for m in".to_owned(),
        ..chat()
    };
    for (lines, chat, part) in [
        (TALKS.to_owned(), None, "--init"),
        (
            format!("{TALKS}\n{question}"),
            Some(chat()),
            "talks.jsonl:2: no message",
        ),
        (TALKS.to_owned(), Some(rewriting), "chat template"),
        (TALKS.to_owned(), Some(broken), "talks.jsonl:1"),
        (
            r#"{"messages": "hello"}"#.to_owned(),
            Some(chat()),
            "role and content",
        ),
        (
            r#"{"message": []}"#.to_owned(),
            Some(chat()),
            "no string in the field \"text\"",
        ),
    ] {
        let error = start(&place, "run", talking(&place, &lines, chat))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
}
