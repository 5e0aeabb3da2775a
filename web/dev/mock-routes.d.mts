import type { MockEngine } from './mock-engine.mjs';

export function routeAmong(engines: readonly MockEngine[], method: string, url: URL, body: unknown): Buffer | object;
