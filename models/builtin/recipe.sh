#!/usr/bin/env bash
# Trains the built-in model again. CORPORA is a folder with the text files named below; see CARD.md for their sources.
set -euo pipefail
corpora=${1:?usage: models/builtin/recipe.sh CORPORA OUT}
out=${2:?usage: models/builtin/recipe.sh CORPORA OUT}
en=$corpora/stories-en
zh=$corpora/stories-zh
# The two sets of short stories are named twice: they are what the model should sound like.
cargo run --release -- train \
  "$en/tinystories-2mb.txt" "$en/tinystories-2mb.txt" \
  "$en/pratham-books-ccby.txt" "$en/african-storybook-ccby.txt" "$en/aesop-fables.txt" \
  "$zh/tiny-chinese-stories.txt" "$zh/tiny-chinese-stories.txt" \
  "$zh/hsk-graded-sentences.txt" "$zh/tatoeba-chinese-sentences.txt" "$zh/aide-jiaoyu-xia-mianzun.txt" \
  --preset tiny-story --split-documents blank-line --batch-size 8 --steps 5600 --learning-rate 1.5e-3 --eval-batches 40 \
  --sample "Once upon a time" --sample "从前有一只小狐狸" --out "$out"
# The lists of single sentences make it answer a story's beginning with such a list; the second stage is stories alone.
cargo run --release -- train "$en/tinystories-2mb.txt" "$zh/tiny-chinese-stories.txt" "$zh/tiny-chinese-stories.txt" \
  --init "$out" --preset tiny-story --split-documents blank-line --batch-size 8 --steps 1000 --learning-rate 8e-4 \
  --min-learning-rate 0 --schedule linear --warmup 50 --seed 7 --eval-batches 40 --out "$out-2"
cargo run --release -- convert -m "$out-2" --dtype f16 --out "$out-f16"
