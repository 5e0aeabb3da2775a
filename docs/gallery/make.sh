#!/bin/sh
# Makes the pictures and films of this folder anew, with the program itself: a still and a film of each chapter, in both
# languages. Run it from anywhere; GLASSFORMER names the program where it is not built yet under target/release.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
program=${GLASSFORMER:-$root/target/release/glassformer}
[ -x "$program" ] || cargo build --release --manifest-path "$root/Cargo.toml" --bin glassformer

# Chapter, then the first and the last step of its film, then its speed, so that each lasts some seconds, and what else is chosen.
chapters='
overview   text    predict  4.0
tokenize   bytes   ids      2.6
embed      lookup  position 2.2
attention  dot     softmax  3.0
mlp        ask     down     3.0
layers     river   lens     2.4
unembed    logits  softmax  2.4
generate   prefill loop     2.2
train      loss    gradient 2.6
translate  two     align    3.0 --layer 2 --head 3
'

for lang in en zh; do
  echo "$chapters" | while read -r chapter from to speed more; do
    [ -n "$chapter" ] || continue
    # shellcheck disable=SC2086 # `more` is words.
    film() { "$program" film --chapter "$chapter" --lang "$lang" --to "$to" $more "$@"; }
    film --size 800x450 --depth formula --out "$here/$chapter.$lang.png"
    film --size 800x450 --depth story --fps 20 --from "$from" --speed "$speed" --out "$here/$chapter.$lang.mp4"
  done
  # What the README opens with: a PNG that moves, which GitHub shows in the page.
  "$program" film --chapter attention --lang "$lang" --from dot --to softmax --speed 3 --fps 8 --depth story --size 640x360 --out "$here/opening.$lang.apng"
  mv "$here/opening.$lang.apng" "$here/opening.$lang.png"
done
du -sh "$here"
