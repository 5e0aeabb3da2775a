import type { MockEngine } from './mock-engine.mjs';

export function route(engine: MockEngine, method: string, url: URL, body: unknown): Buffer | object;
