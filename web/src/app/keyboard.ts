import { answer } from '../story/asking';
import type { Store } from './store.svelte';

const TYPING = new Set(['TEXTAREA', 'SELECT']);

const typing = (target: EventTarget | null): boolean => {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return target.type !== 'range' && target.type !== 'checkbox';
  return TYPING.has(target.tagName);
};

/** One key, one act. Returns true where the key was ours. */
export function onKey(e: KeyboardEvent, store: Store, moveCell: (by: number) => void): boolean {
  if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return false;
  // Dials keep their own arrow keys; the film's scrubber gives them to the steps.
  const dial = e.target instanceof HTMLInputElement && e.target.type === 'range' && e.target.dataset['film'] === undefined;
  if (dial && e.key.startsWith('Arrow')) return false;
  if (/^[0-9]$/.test(e.key)) {
    // Of several of one number the next, in a circle.
    const all = store.film.chapters.flatMap((c, i) => (c.number === Number(e.key) ? [i] : []));
    store.goChapter(all.find((i) => i > store.place.chapter) ?? all[0] ?? -1);
    return true;
  }
  if (/^[a-e]$/i.test(e.key)) return answer(store, e.key.toLowerCase().charCodeAt(0) - 97);
  switch (e.key) {
    case ' ':
      // A focused button keeps its own Space.
      if (e.target instanceof HTMLButtonElement || (e.target instanceof HTMLElement && e.target.tagName === 'SUMMARY')) return false;
      store.toggle();
      return true;
    case 'ArrowRight':
      store.next();
      return true;
    case 'ArrowLeft':
      store.prev();
      return true;
    case '.':
      store.nudge(0.1);
      return true;
    case ',':
      store.nudge(-0.1);
      return true;
    case ']':
      moveCell(1);
      return true;
    case '[':
      moveCell(-1);
      return true;
    case 'l':
    case 'L':
      if (store.model?.kind !== 'decoder') return false;
      store.lab.open = !store.lab.open;
      return true;
    case 's':
    case 'S':
      store.saveOpen = !store.saveOpen;
      return true;
    case 'f':
    case 'F':
      store.presenting = !store.presenting;
      return true;
    case '?':
      store.helpOpen = true;
      return true;
    case 'Escape':
      if (store.helpOpen) store.helpOpen = false;
      else if (store.saveOpen) store.saveOpen = false;
      else if (store.trail.length) store.trail = [];
      else if (store.presenting) store.presenting = false;
      else return false;
      return true;
    default:
      return false;
  }
}
