import type { MockEngine } from './mock-engine.mjs';

export function createFiller(options?: Record<string, unknown>): MockEngine;
export function createTranslator(options?: Record<string, unknown>): MockEngine;
