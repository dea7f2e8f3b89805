// Makes night-guard.wasm, a component that imports nothing but `sipward:policy`.

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { componentize } from '@bytecodealliance/componentize-js';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const { component } = await componentize({
  sourcePath: here('night-guard.js'),
  witPath: here('wit'),
  worldName: 'night-guard',
  // Each of them would import WASI, which the host refuses.
  disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
});
await writeFile(here('night-guard.wasm'), component);
console.log(`night-guard.wasm: ${(component.length / (1 << 20)).toFixed(1)} MiB`);
