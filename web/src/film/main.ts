// What the program loads: the world that the page's code expects, then the film, which it drives by two calls.
import './host';
import { open, svg, type Wanted } from './run';

Object.assign(globalThis, { film: { open: async (wanted: string) => JSON.stringify(await open(JSON.parse(wanted) as Wanted)), svg } });
