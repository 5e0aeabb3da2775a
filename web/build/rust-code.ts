// The engine's own source for the Code depth: functions are found by name when the page is built, so that what the page shows is
// what runs. A name that is no longer there stops the build.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Plugin } from 'vite';
import { EXCERPTS } from '../src/story/code.ts';

export interface Found {
  /** Line of the file at which the text begins, counted from 1. */
  line: number;
  text: string;
}

/** The source with comments, strings and characters blanked, so that braces and words in it are code. Places stay the same. */
export function bare(source: string): string {
  const dull = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|r(#*)"[\s\S]*?"\1|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[^\n]*?|[^'\\\n])'/g;
  return source.replace(dull, (all) => all.replace(/[^\n]/g, ' '));
}

/** The place behind the brace that closes the first one from `from` on. */
function closing(code: string, from: number): number {
  let depth = 0;
  for (let i = code.indexOf('{', from); i < code.length && i >= 0; i++) {
    if (code[i] === '{') depth++;
    else if (code[i] === '}' && --depth === 0) return i + 1;
  }
  throw new Error('a brace is never closed');
}

interface Impl {
  type: string;
  from: number;
  to: number;
}

function impls(code: string): Impl[] {
  return [...code.matchAll(/^impl\b([^{;]*)\{/gm)].map((m) => {
    const header = m[1] as string;
    const own = header.includes(' for ') ? (header.split(' for ')[1] as string) : header.replace(/^<[^>]*>/, '');
    return { type: /\w+/.exec(own)?.[0] ?? '', from: m.index, to: closing(code, m.index) };
  });
}

/** A function with its doc comment: `name`, or `Type::name` of an impl block. Throws where there is none, or more than one. */
export function find(source: string, item: string): Found {
  const code = bare(source);
  const [name, type] = item.split('::').reverse() as [string, string | undefined];
  const blocks = impls(code);
  const inside = (at: number): Impl | undefined => blocks.find((b) => at >= b.from && at < b.to);
  const all = [...code.matchAll(new RegExp(`^[ \\t]*(?:pub(?:\\([^)]*\\))? )?(?:async )?fn ${name}\\b`, 'gm'))];
  const places = all.map((m) => m.index).filter((at) => inside(at)?.type === type);
  if (places.length !== 1) throw new Error(`${places.length} functions are named ${item}, one is wanted`);
  const at = places[0] as number;
  const before = source.slice(0, at).split('\n');
  before.pop();
  let line = before.length;
  while (/^\s*(\/\/\/|#\[)/.test(before[line - 1] ?? '')) line--;
  const text = source.split('\n').slice(line, before.length).join('\n');
  const body = source.slice(at, closing(code, at));
  return { line: line + 1, text: outdented(text === '' ? body : `${text}\n${body}`) };
}

function outdented(text: string): string {
  const lines = text.split('\n');
  const least = Math.min(...lines.filter((l) => l.trim() !== '').map((l) => l.length - l.trimStart().length));
  return lines.map((l) => l.slice(least)).join('\n');
}

/** All excerpts, by name, from the repository at `root`. */
export function excerpts(root: string): Record<string, Found & { file: string }> {
  return Object.fromEntries(
    Object.entries(EXCERPTS).map(([name, [file, item]]) => {
      try {
        return [name, { file, ...find(readFileSync(resolve(root, file), 'utf8'), item) }];
      } catch (e) {
        throw new Error(`src/story/code.ts: ${file}, ${item}: ${e instanceof Error ? e.message : String(e)}`);
      }
    }),
  );
}

const NAME = 'virtual:rust-code';

export function rustCode(root = resolve(import.meta.dirname, '../..')): Plugin {
  return {
    name: 'rust-code',
    resolveId: (id) => (id === NAME ? `\0${NAME}` : undefined),
    load(id) {
      if (id !== `\0${NAME}`) return undefined;
      for (const [file] of Object.values(EXCERPTS)) this.addWatchFile(resolve(root, file));
      return `export default ${JSON.stringify(excerpts(root))};`;
    },
  };
}
