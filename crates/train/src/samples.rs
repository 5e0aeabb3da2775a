//! What a run shows of itself at an evaluation: texts that it continues, or sentences that it translates and how well.

use glassformer_generate::score::{Bleu, Chrf, Tokenize};
use glassformer_generate::{Generation, Sampling, Work, greedy};
use glassformer_tensor::Pool;

use crate::data::pairs::PairShard;
use crate::metrics::Metrics;
use crate::{Material, Observer, Trainer};

/// Sentences that are translated side by side.
const TOGETHER: usize = 50;

/// So much longer than the longest source a scored translation may be: early in a run models do not end by themselves.
const LONGER: usize = 50;

/// Validation pairs whose translations are shown.
const SHOWN: usize = 3;

impl Trainer {
    /// Shows samples: texts that go on from the prompts, or, of a model that translates, translations of the prompts or else
    /// of a few of the validation pairs.
    pub fn sample(&self, pool: &Pool, observer: &mut dyn Observer) {
        if self.options.sample_tokens == 0 {
            return;
        }
        let Material::Pairs { validation, .. } = &self.material else {
            return self.continue_prompts(pool, observer);
        };
        let reads = &self.tokenizers.source;
        let mut sources: Vec<Vec<u32>> = Vec::new();
        for prompt in &self.options.sample_prompts {
            let ids = reads.encode_prompt(prompt).map(|encoding| encoding.ids);
            sources.push(ids.unwrap_or_default());
        }
        if sources.is_empty() {
            sources = some_pairs(validation.shard(), SHOWN)
                .map(|[source, _]| source)
                .collect();
        }
        sources.retain(|source| (1..=self.options.n_ctx).contains(&source.len()));
        for (source, text) in
            sources
                .iter()
                .zip(self.translations(pool, &sources, self.options.sample_tokens))
        {
            observer.sample(&reads.decode_text(source), &format!(" → {text}"));
        }
    }

    /// Notes BLEU and chrF of greedy translations of some validation pairs.
    pub(crate) fn score(&self, pool: &Pool, metrics: &mut Metrics) {
        let scored = self.options.translation.as_ref().map_or(0, |t| t.scored);
        let Material::Pairs { validation, .. } = &self.material else {
            return;
        };
        if scored == 0 {
            return;
        }
        let (sources, targets): (Vec<_>, Vec<_>) = some_pairs(validation.shard(), scored)
            .map(|[source, target]| (source, target))
            .unzip();
        let longest = sources.iter().map(Vec::len).max().unwrap_or_default();
        let translations = self.translations(pool, &sources, longest + LONGER);
        let written = self.tokenizers.written();
        let references: Vec<_> = targets
            .iter()
            .map(|ids| [written.decode_text(ids)])
            .collect();
        let is_chinese = |text: &[String; 1]| {
            text[0]
                .chars()
                .any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
        };
        let chinese = references.iter().filter(|text| is_chinese(text)).count();
        let bleu = Bleu {
            tokenize: if 2 * chinese > references.len() {
                Tokenize::Zh
            } else {
                Tokenize::V13a
            },
            lowercase: false,
        };
        let segments = || {
            let texts = translations.iter().map(String::as_str);
            texts.zip(references.iter().map(<[String; 1]>::as_slice))
        };
        metrics.bleu = Some(bleu.score(segments()).score);
        metrics.chrf = Some(Chrf::default().score(segments()).score);
    }

    /// The likeliest translations of sources with what is around them, of at most `most` tokens.
    fn translations(&self, pool: &Pool, sources: &[Vec<u32>], most: usize) -> Vec<String> {
        let written = self.tokenizers.written();
        let mut texts = Vec::new();
        for some in sources.chunks(TOGETHER) {
            let some: Vec<&[u32]> = some.iter().map(Vec::as_slice).collect();
            let ids = greedy(&self.model, pool, &some, most.min(self.options.n_ctx));
            texts.extend(ids.iter().map(|ids| written.decode_text(ids)));
        }
        texts
    }

    /// Continues each sample prompt, with a seed that is the step.
    fn continue_prompts(&self, pool: &Pool, observer: &mut dyn Observer) {
        let tokenizer = &self.tokenizers.source;
        let empty = [String::new()];
        let prompts: &[String] = if self.options.sample_prompts.is_empty() {
            &empty
        } else {
            &self.options.sample_prompts
        };
        for prompt in prompts {
            let ids = tokenizer
                .encode(prompt)
                .map(|encoding| encoding.ids)
                .unwrap_or_default();
            let begin = tokenizer
                .end_of_text()
                .or_else(|| tokenizer.id_of("\n"))
                .unwrap_or(0);
            let ids = if ids.is_empty() { vec![begin] } else { ids };
            let sampling = Sampling {
                seed: self.progress.step,
                ..Sampling::default()
            };
            let mut generation = Generation::new(&self.model, pool, &ids, sampling, Work::Cached);
            let mut continuation = Vec::new();
            for _ in 0..self.options.sample_tokens {
                let id = generation.step().id;
                if tokenizer.end_of_text() == Some(id) {
                    break;
                }
                continuation.push(id);
            }
            observer.sample(prompt, &tokenizer.decode(&continuation));
        }
    }
}

/// At most so many pairs, evenly spread over the shard: source and target of each.
fn some_pairs(shard: &PairShard, most: usize) -> impl Iterator<Item = [Vec<u32>; 2]> {
    let count = most.min(shard.len());
    (0..count).map(move |n| {
        let (mut source, mut target) = (Vec::new(), Vec::new());
        shard.append(n * shard.len() / count, [&mut source, &mut target]);
        [source, target]
    })
}
