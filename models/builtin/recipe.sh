#!/usr/bin/env bash
# Trains the built-in model again, in four stages. CORPORA is a folder with the text files named below; see CARD.md for their sources.
set -euo pipefail
corpora=${1:?usage: models/builtin/recipe.sh CORPORA OUT}
out=${2:?usage: models/builtin/recipe.sh CORPORA OUT}
en=$corpora/stories-en
zh=$corpora/stories-zh
common="--preset tiny-story --split-documents blank-line --eval-batches 40"
tiny=$en/tinystories-2mb.txt
chinese=$zh/tiny-chinese-stories.txt

# 1 and 2: the first version. What is named more than once is what the model should sound like.
cargo run --release -- train \
  "$tiny" "$tiny" "$en/pratham-books-ccby.txt" "$en/african-storybook-ccby.txt" "$en/aesop-fables.txt" \
  "$chinese" "$chinese" \
  "$zh/hsk-graded-sentences.txt" "$zh/tatoeba-chinese-sentences.txt" "$zh/aide-jiaoyu-xia-mianzun.txt" \
  $common --batch-size 8 --steps 5600 --learning-rate 1.5e-3 --out "$out-1"
cargo run --release -- train "$tiny" "$chinese" "$chinese" \
  --init "$out-1" $common --batch-size 8 --steps 1000 --learning-rate 8e-4 \
  --min-learning-rate 0 --schedule linear --warmup 50 --seed 7 --out "$out-2"

# 3: on from there, with dropout and more texts. In lists of sentences each becomes a document of its own, so that no story goes on with them.
sentences=$out-sentences
mkdir -p "$sentences"
for list in "$en/tatoeba-english-sentences.txt" "$zh/tatoeba-chinese-sentences.txt" "$zh/hsk-graded-sentences.txt"; do
  sed -e '/^\s*$/d' -e 's/$/\n/' "$list" > "$sentences/$(basename "$list")"
done
cargo run --release -- train \
  "$tiny" "$tiny" "$tiny" "$en/pratham-books-ccby.txt" "$en/african-storybook-ccby.txt" "$en/aesop-fables.txt" \
  "$en/jacobs-english-fairy-tales.txt" "$sentences/tatoeba-english-sentences.txt" \
  "$chinese" "$chinese" "$zh/aide-jiaoyu-xia-mianzun.txt" \
  "$sentences/tatoeba-chinese-sentences.txt" "$sentences/hsk-graded-sentences.txt" \
  --init "$out-2" $common --batch-size 16 --steps 6032 --learning-rate 1.2e-3 --schedule constant --warmup 200 --dropout 0.1 \
  --seed 11 --out "$out-3"

# 4: stories alone, the rate falling to 0.
cargo run --release -- train \
  "$tiny" "$tiny" "$en/pratham-books-ccby.txt" "$en/african-storybook-ccby.txt" "$en/aesop-fables.txt" "$chinese" "$chinese" \
  --init "$out-3" $common --batch-size 16 --steps 2500 --learning-rate 1.2e-3 --min-learning-rate 0 --schedule linear --warmup 50 \
  --dropout 0.05 --seed 23 --out "$out-4"
cargo run --release -- convert -m "$out-4" --dtype f16 --out "$out-f16"
