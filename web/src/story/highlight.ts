// Rust in colours, as simply as will do: what a piece of a line is, for CSS to paint. No more than one look at each character.

export type Kind = 'comment' | 'string' | 'word' | 'type' | 'number' | 'call' | 'plain';

export interface Piece {
  kind: Kind;
  text: string;
}

const WORDS = new Set('as async await break const continue crate dyn else enum false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type unsafe use where while'.split(' '));
const PIECE = /(\/\/.*)|("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])')|('?\b[A-Za-z_]\w*\b!?)|(\b\d[\w.]*\b)|(\s+|[^\w\s"'/]+|.)/g;

function kindOf(word: string, after: string): Kind {
  if (WORDS.has(word)) return 'word';
  if (word.startsWith("'")) return 'type';
  if (word.endsWith('!') || /^(::<[^>]*>)?\(/.test(after)) return 'call';
  return /^[A-Z]/.test(word) || /^(f32|f64|u8|u32|u64|usize|bool|str)$/.test(word) ? 'type' : 'plain';
}

/** The pieces of one line; put together they are the line. */
export function pieces(line: string): Piece[] {
  const out: Piece[] = [];
  for (const m of line.matchAll(PIECE)) {
    const [text, comment, string, word, number] = m;
    const kind: Kind = comment ? 'comment' : string ? 'string' : word ? kindOf(word, line.slice(m.index + text.length)) : number ? 'number' : 'plain';
    const last = out[out.length - 1];
    if (last?.kind === kind) last.text += text;
    else out.push({ kind, text });
  }
  return out;
}
