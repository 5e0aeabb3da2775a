// DEVELOPMENT AND TESTS ONLY. A byte-level BPE tokenizer trained at start-up on the few sentences below.
const CORPUS = `Once upon a time, there was a little girl named Lily. She loved to play in the park. One day, she saw a big dog.
The dog was very happy. Once upon a time there was a little boy. He had a red ball. The little boy and the little girl played together.
They were friends. She said, "Let us go home." The cat sat on the mat. The ball was in the water. There was a big tree in the park.
从前有一只小猫，它住在森林里。从前有一只小狗，它很高兴。有一天，小猫看到一只小鸟。小女孩喜欢和她的朋友一起玩。
从前有一个小男孩，他的名字叫小明。有一天，小明在公园里看到一只小兔子。他们一起玩，非常开心。`.repeat(2);

const PIECES = / ?[A-Za-z]+| ?[0-9]+|[\u4e00-\u9fff]+|[^\sA-Za-z0-9\u4e00-\u9fff]+|\s+/gu;
const encoder = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true });

export function decode(bytes) {
  try {
    return strict.decode(Uint8Array.from(bytes));
  } catch {
    return null;
  }
}

export function buildTokenizer(mergeCount = 320) {
  // ids: 0 = end of text, 1..256 = bytes, then merges
  const bytesOf = [[]];
  for (let b = 0; b < 256; b++) bytesOf.push([b]);
  const ranks = new Map();
  const words = (CORPUS.match(PIECES) ?? []).map((w) => [...encoder.encode(w)].map((b) => b + 1));
  for (let rank = 0; rank < mergeCount; rank++) {
    const counts = new Map();
    for (const w of words) for (let i = 0; i + 1 < w.length; i++) bump(counts, `${w[i]},${w[i + 1]}`);
    let best = null;
    for (const [pair, n] of counts) if (n > 1 && short(pair, bytesOf) && (best === null || n > best[1])) best = [pair, n];
    if (!best) break;
    const [a, b] = best[0].split(',').map(Number);
    const id = bytesOf.length;
    bytesOf.push([...bytesOf[a], ...bytesOf[b]]);
    ranks.set(best[0], { rank, id });
    for (const w of words) join(w, a, b, id);
  }
  return { bytesOf, ranks, vocab: bytesOf.length, encode: (text) => encode(text, bytesOf, ranks) };
}

// Chinese words of at most two characters, as a trained vocabulary of this size would mostly have.
function short(pair, bytesOf) {
  const bytes = pair.split(',').flatMap((id) => bytesOf[id]);
  return bytes[0] < 128 || bytes.length <= 6;
}

function bump(map, key) {
  map.set(key, (map.get(key) ?? 0) + 1);
}

function join(word, a, b, id) {
  for (let i = 0; i + 1 < word.length; i++) if (word[i] === a && word[i + 1] === b) word.splice(i, 2, id);
}

function encode(text, bytesOf, ranks) {
  const out = [];
  let start = 0;
  for (const piece of text.match(PIECES) ?? []) {
    const parts = [...encoder.encode(piece)].map((b) => ({ ids: [b + 1], merges: [] }));
    const list = parts.map((p) => ({ id: p.ids[0], merges: [] }));
    for (;;) {
      let best = null;
      for (let i = 0; i + 1 < list.length; i++) {
        const m = ranks.get(`${list[i].id},${list[i + 1].id}`);
        if (m && (best === null || m.rank < best.rank)) best = { ...m, i };
      }
      if (!best) break;
      const { i, rank, id } = best;
      const merge = { left: bytesOf[list[i].id], right: bytesOf[list[i + 1].id], rank, merged: id };
      list.splice(i, 2, { id, merges: [...list[i].merges, ...list[i + 1].merges, merge] });
    }
    for (const item of list) {
      const bytes = bytesOf[item.id];
      out.push({ id: item.id, text: decode(bytes), bytes, start, end: start + bytes.length, merges: withPlaces(bytes, item.merges) });
      start += bytes.length;
    }
  }
  return out;
}

// Re-plays a token's merges in order of rank so that `at` is its place in the current list of pieces.
function withPlaces(bytes, merges) {
  let pieces = bytes.map((b) => [b]);
  const left = [...merges].sort((a, b) => a.rank - b.rank);
  const out = [];
  while (left.length) {
    let done = false;
    for (let m = 0; m < left.length && !done; m++) {
      for (let i = 0; i + 1 < pieces.length; i++) {
        if (String(pieces[i]) === String(left[m].left) && String(pieces[i + 1]) === String(left[m].right)) {
          out.push({ at: i, ...left[m] });
          pieces.splice(i, 2, [...pieces[i], ...pieces[i + 1]]);
          left.splice(m, 1);
          done = true;
          break;
        }
      }
    }
    if (!done) break;
  }
  return out;
}
