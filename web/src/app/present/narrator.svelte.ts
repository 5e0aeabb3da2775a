// The browser's own voice reads what a step tells. Only voices of this machine are taken: nothing is sent anywhere.
import type { Lang } from '../../i18n';
import { readingTime } from '../../timeline/timeline';

/** A voice that never says that it has ended must not stop the film: after so many times the time to read it is taken as done. */
const PATIENCE = 4;
const LOCALES: Record<Lang, readonly string[]> = { en: ['en-US', 'en-GB', 'en'], zh: ['zh-CN', 'cmn', 'zh'] };

/** Sentences, each with what closes it. */
export const sentencesOf = (text: string): string[] => (text.match(/[^.!?。！？]*(?:[.!?](?=\d)[^.!?。！？]*)*[.!?。！？]+[”’"'）)]*\s*|[^.!?。！？]+$/gu) ?? []).map((s) => s.trim()).filter((s) => s !== '');

export class Narrator {
  on = $state(false);
  speaking = $state(false);
  /** Which sentence is being read; -1 where none is. */
  sentence = $state(-1);
  private voices = $state.raw<readonly SpeechSynthesisVoice[]>([]);
  private turn = 0;

  constructor(private readonly synth: SpeechSynthesis | undefined) {
    const look = (): void => {
      this.voices = (this.synth?.getVoices() ?? []).filter((v) => v.localService);
    };
    look();
    synth?.addEventListener?.('voiceschanged', look);
  }

  /** The voice for a language, where this machine has one. */
  voice(lang: Lang): SpeechSynthesisVoice | undefined {
    const of = (locale: string): SpeechSynthesisVoice | undefined => this.voices.find((v) => v.lang.replace('_', '-').startsWith(locale));
    return LOCALES[lang].map(of).find((v) => v !== undefined);
  }

  /** Reads the sentences one after the other; what was being read stops. */
  say(sentences: readonly string[], lang: Lang): void {
    this.stop();
    const voice = this.voice(lang);
    if (!this.synth || !voice || !sentences.length) return;
    const mine = ++this.turn;
    this.speaking = true;
    const next = (i: number): void => {
      if (mine !== this.turn) return;
      const text = sentences[i];
      if (text === undefined) return this.stop();
      this.sentence = i;
      let done = false;
      const end = (): void => {
        if (done) return;
        done = true;
        clearTimeout(late);
        next(i + 1);
      };
      const late = setTimeout(end, readingTime(text, lang) * PATIENCE * 1000);
      const u = new SpeechSynthesisUtterance(text);
      u.voice = voice;
      u.lang = voice.lang;
      u.onend = end;
      u.onerror = end;
      this.synth?.speak(u);
    };
    next(0);
  }

  stop(): void {
    this.turn++;
    if (this.speaking) this.synth?.cancel();
    this.speaking = false;
    this.sentence = -1;
  }

  hold(paused: boolean): void {
    if (!this.speaking) return;
    if (paused) this.synth?.pause();
    else this.synth?.resume();
  }
}
