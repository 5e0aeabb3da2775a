import { overview } from './00-overview';
import { tokenize } from './01-tokenize';
import { embed } from './02-embed';
import { attention } from './03-attention';
import { mlp } from './04-mlp';
import { layers } from './05-layers';
import { unembed } from './06-unembed';
import { generate } from './07-generate';
import type { Chapter } from './types';

export const CHAPTERS: readonly Chapter[] = [overview, tokenize, embed, attention, mlp, layers, unembed, generate];
