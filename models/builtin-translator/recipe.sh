#!/usr/bin/env bash
# Trains the built-in translator again. TATOEBA is the file of pairs named in CARD.md.
set -euo pipefail
tatoeba=${1:?usage: models/builtin-translator/recipe.sh TATOEBA OUT}
out=${2:?usage: models/builtin-translator/recipe.sh TATOEBA OUT}
here=$(dirname "$0")

python3 "$here/pairs.py" "$tatoeba" "$out-pairs"
cargo run --release -- train --preset translator --pairs "$out-pairs/train.tsv" --val-pairs "$out-pairs/valid.tsv" \
  --steps 6500 --eval-every 250 --out "$out"
cargo run --release -- convert -m "$out" --average 6 --dtype f16 --out "$out-f16"

# How it does on pairs that it has not seen.
for way in en-zh zh-en; do
  cargo run --release -- translate -m "$out-f16" --file "$out-pairs/test.${way%-*}" > "$out-pairs/said.${way#*-}"
  cargo run --release -- score "$out-pairs/said.${way#*-}" "$out-pairs/test.${way#*-}"
done
